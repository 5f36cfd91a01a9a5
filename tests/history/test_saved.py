"""Histories kept and read again."""

import json

import duckdb
import pytest

from mqverify.errors import HistoryError
from mqverify.history.load import create_tables, load_rows, load_runs
from mqverify.history.recorder import RunRows
from mqverify.history.saved import Manifest, load_history, save_history
from mqverify.history.tables import TABLES

MANIFEST = Manifest(
    mqverify="0.1.0",
    spec_file="specs/crash.yaml",
    spec_text="spec: 注文\n",
    backend="kafka",
    target="local",
    seeds={0: 7},
    digests={0: "abc"},
    versions={"kafka": "4.4.0"},
)


def recorded():
    connection = duckdb.connect()
    create_tables(connection)
    rows = RunRows()
    rows.add("sends", 0, "order-'0'", 0, "producer-1", 0, 1, *[None] * 8, 5, None, "unknown")
    rows.add("settings", "retention", None, "604800000", 0)
    load_runs(connection, {0: rows})
    load_rows(connection, "runs", [(0, 0, 7, "real", True, 99, None)])
    return connection


def everything(connection):
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}


@pytest.mark.parametrize("name", ["plain", "it's [a] * of? {x}", "注文/deep"])
def test_a_kept_history_is_read_as_it_was(tmp_path, name):
    before, after = recorded(), duckdb.connect()
    save_history(tmp_path / name, before, MANIFEST)
    assert load_history(tmp_path / name, after) == MANIFEST
    assert everything(after) == everything(before)


def test_a_history_is_not_overwritten(tmp_path):
    save_history(tmp_path, recorded(), MANIFEST)
    with pytest.raises(HistoryError, match="already"):
        save_history(tmp_path, recorded(), MANIFEST)


def changed(tmp_path, **values):
    path = tmp_path / "manifest.json"
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"format": 2}, "version 2"),
        ({"format": None}, "version None"),
        ({"tables": {}}, "other tables"),
        ({"manifest": {"mqverify": 1}}, "manifest.mqverify"),
        ({"tables": {"../../etc": {"rows": 1, "sha256": ""}}}, "other tables"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(tmp_path, values, why):
    save_history(tmp_path, recorded(), MANIFEST)
    changed(tmp_path, **values)
    with pytest.raises(HistoryError, match=why):
        load_history(tmp_path, duckdb.connect())


@pytest.mark.parametrize("data", [b"", b"garbage", b"[" * 100_000, b"\xff", b"[]"])
def test_garbage_for_a_manifest_is_refused(tmp_path, data):
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(HistoryError):
        load_history(tmp_path, duckdb.connect())


def test_missing_and_changed_tables_are_refused(tmp_path):
    save_history(tmp_path, recorded(), MANIFEST)
    path = tmp_path / "sends.parquet"
    data = path.read_bytes()
    path.write_bytes(data[:-9] + b"x" + data[-8:])
    with pytest.raises(HistoryError, match="checksum"):
        load_history(tmp_path, duckdb.connect())
    path.unlink()
    with pytest.raises(HistoryError, match="sends"):
        load_history(tmp_path, duckdb.connect())
    with pytest.raises(HistoryError, match="no history"):
        load_history(tmp_path / "nothing", duckdb.connect())
