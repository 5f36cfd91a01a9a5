"""The other commands, on the real registries."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def mqverify(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mqverify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_validates_the_shipped_specs() -> None:
    ran = mqverify("validate", "specs")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith(" specs without a mistake\n")


def test_shows_all_mistakes_of_all_files(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        text = f"spec: {name}\nworkload:\n  mesages: 5\nbackends: {{kafka: {{}}}}\nexpect: {{at_least_once: held}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    for command in ("validate", "check"):
        ran = mqverify(command, str(tmp_path))
        assert (ran.returncode, ran.stdout) == (2, "")
        for name in ("a", "b", "c"):
            assert f"{tmp_path}/{name}.yaml:3:3" in ran.stderr
        assert ran.stderr.count("did you mean") == 3
        assert "nothing was run" in ran.stderr


def test_an_empty_selection_is_a_mistake(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        ran = mqverify("check", str(path))
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith("error: ")


def test_prints_the_schema() -> None:
    schema = json.loads(mqverify("schema").stdout)
    assert "workload" in schema["properties"]


def test_explains_and_lists() -> None:
    assert "MQ101 at_least_once" in mqverify("explain", "MQ101").stdout
    assert "at_least_once" in mqverify("list").stdout
    unknown = mqverify("explain", "nothing_of_ours")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "mqverify list" in unknown.stderr


def test_explains_a_setting_by_its_bare_name() -> None:
    ran = mqverify("explain", "retention")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("kafka.retention\n")


def test_says_that_no_real_event_store_can_be_reached() -> None:
    ran = mqverify("check", "specs/retention/max-count.yaml", "-b", "eventstore=local")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "-b eventstore=local: no real eventstore can be reached yet" in ran.stderr
