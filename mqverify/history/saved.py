"""Histories kept: every table as a Parquet file, and `manifest.json`, which says what they are a history of.

The manifest is written last, by a rename, so a folder that has one is whole. Raw files of workers may lie in the same
folder: what a killed run leaves is that folder without a manifest.
"""

import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict, ValidationError

from mqverify.errors import HistoryError
from mqverify.history.load import create_tables
from mqverify.history.tables import TABLES

__all__ = ["FORMAT", "Manifest", "load_history", "save_history"]

FORMAT = 1
_MANIFEST = "manifest.json"
_MOST_MANIFEST = 64 * 1024 * 1024


class Manifest(BaseModel):
    """What a kept history is a history of. `seeds` and `digests` are by the run's number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mqverify: str
    """The version that recorded it."""
    spec_file: str
    spec_text: str
    backend: str
    """The label in the spec."""
    target: str | None
    """Where it ran, if not in the simulator: `local`, `HOST:PORT`."""
    seeds: dict[int, int]
    digests: dict[int, str]
    """`RunRows.digest()` of each run."""
    versions: dict[str, str]
    """Of what took part: `python`, `kafka-python`, `kafka` …"""


class _TableFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rows: int
    sha256: str


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    manifest: Manifest
    tables: dict[str, _TableFile]


def save_history(folder: Path, connection: duckdb.DuckDBPyConnection, manifest: Manifest) -> None:
    """Write all tables of `connection` and the manifest to `folder`, which is made if need be.

    Raises HistoryError if the folder holds a history already, or cannot be written.
    """
    if (folder / _MANIFEST).exists():
        raise HistoryError(f"{folder} holds a history already")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables = {}
        for name in TABLES:
            path = folder / f"{name}.parquet"
            target = _quoted(str(path.absolute()))
            connection.execute(f"COPY (SELECT * FROM {name}) TO {target} (FORMAT parquet, COMPRESSION zstd)")
            counted = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            tables[name] = _TableFile(rows=counted[0] if counted else 0, sha256=_digest(path))
        content = _File(format=FORMAT, manifest=manifest, tables=tables).model_dump_json(indent=2) + "\n"
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as file:
            file.write(content)
        os.replace(file.name, folder / _MANIFEST)  # noqa: PTH105 - over what another may have put there
    except (OSError, duckdb.Error) as error:
        raise HistoryError(f"{folder}: the history cannot be kept: {error}") from error


def load_history(folder: Path, connection: duckdb.DuckDBPyConnection) -> Manifest:
    """Create the tables in `connection` and fill them from `folder`.

    Raises HistoryError if there is no manifest, it is of another format version, or a table is missing or changed.
    """
    content = _read_manifest(folder)
    create_tables(connection)
    for name, table in TABLES.items():
        path = folder / f"{name}.parquet"
        expected = content.tables[name]
        try:
            if _digest(path) != expected.sha256:
                raise HistoryError(f"{path} is not the file that the manifest names: its checksum is another")
            columns = ", ".join(f'"{column}"' for column in table.column_names)
            source = _quoted(_literal(str(path.absolute())))
            connection.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM read_parquet({source})")
            counted = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
        except (OSError, duckdb.Error) as error:
            raise HistoryError(f"{path} cannot be read: {error}") from error
        if counted != (expected.rows,):
            raise HistoryError(f"{path} has other rows than the manifest says")
    return content.manifest


def _read_manifest(folder: Path) -> _File:
    path = folder / _MANIFEST
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_MANIFEST:
            raise HistoryError(f"{path} is no manifest of a history")
        values: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise HistoryError(f"{folder} holds no history: {path.name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HistoryError(f"{path} is no JSON: {error}") from error
    version = values.get("format") if isinstance(values, dict) else None
    if version != FORMAT:
        raise HistoryError(f"{path}: its format is version {version!r:.20}, and this mqverify reads {FORMAT}")
    try:
        content = _File.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HistoryError(f"{path} is no manifest of a history: {where}: {first['msg']}") from error
    if content.tables.keys() != TABLES.keys():
        raise HistoryError(f"{path} names other tables than a history has")
    return content


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(path: str) -> str:
    """A path in which no character is taken for a pattern."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
