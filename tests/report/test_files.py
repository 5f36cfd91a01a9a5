"""Reports in files: refused before anything runs, or written whole."""

import os
from pathlib import Path

import pytest

from mqverify.errors import UsageError
from mqverify.report import FORMATS, deliver, open_reports
from tests.report import samples


@pytest.mark.parametrize("wanted", ["json", "json=", "=x", "", "xml=x", "JSON=x"])
def test_refuses_what_it_does_not_know(wanted: str) -> None:
    with pytest.raises(UsageError, match="--report"):
        open_reports([wanted])


def test_refuses_two_reports_in_one_file_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="same file"):
        open_reports([f"json={tmp_path}/r", f"text={tmp_path}/r"])
    with pytest.raises(UsageError, match="No such file"):
        open_reports([f"json={tmp_path}/r", f"text={tmp_path}/no/r"])
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="directory"):
        open_reports([f"json={tmp_path}"])


@pytest.mark.parametrize("name", FORMATS)
def test_replaces_a_report_only_when_the_new_one_is_whole(name: str, tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.write_text("old")
    [report] = open_reports([f"{name}={target}"])
    for event in samples.MIXED[:-1]:
        report.handle(event)
        assert target.read_text() == "old"
    report.close()
    assert target.read_text() == "old"
    deliver(iter(samples.MIXED), open_reports([f"{name}={target}"]))
    assert "a year later" in target.read_text()
    assert list(tmp_path.iterdir()) == [target]


def test_follows_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "report", tmp_path / "link"
    link.symlink_to(target)
    deliver(iter(samples.MIXED), open_reports([f"json={link}"]))
    assert link.is_symlink()
    assert target.stat().st_size > 0


def test_writes_to_a_device_without_replacing_it() -> None:
    deliver(iter(samples.MIXED), open_reports([f"json={os.devnull}"]))
    assert Path(os.devnull).is_char_device()
