"""Where Kafka and Java come from, and what is said when they do not: with stand-ins for `mvn` and `java`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mqverify.backends.kafka.jars import KAFKA_VERSION, find_jars, find_java, jars_folder
from mqverify.errors import BackendUnavailable

JAR = f"kafka_2.13-{KAFKA_VERSION}.jar"
MAVEN = f"""#!/bin/sh
echo run >> "$0.runs"
for word; do case $word in -DoutputDirectory=*) libs=${{word#*=}};; esac; done
mkdir -p "$libs" && echo jar > "$libs/{JAR}" && sleep 0.3 && echo other > "$libs/other.jar"
"""


def silent(_message):
    pass


def tool(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """An empty folder of tools before what `/bin/sh` needs, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "mkdir", "sleep"):
        (folder / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def runs(tools):
    path = tools / "mvn.runs"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_maven_brings_it_once(tools):
    tool(tools, "mvn", MAVEN)
    said = []
    jars = find_jars(said.append)
    assert (jars.version, jars.source, jars.folder) == (KAFKA_VERSION, "Maven", jars_folder())
    assert "fetching" in said[0]
    assert {path.name for path in jars.folder.iterdir()} == {JAR, "other.jar", "SHA256SUMS"}
    assert find_jars(silent).source == "cache"
    assert runs(tools) == 1
    assert [path.name for path in jars.folder.parent.iterdir() if path.is_dir()] == [jars.folder.name]


@pytest.mark.parametrize("damage", ["missing", "changed", "added"])
def test_a_damaged_cache_is_fetched_again(tools, damage):
    tool(tools, "mvn", MAVEN)
    folder = find_jars(silent).folder
    if damage == "missing":
        (folder / "other.jar").unlink()
    else:
        (folder / ("other.jar" if damage == "changed" else "evil.jar")).write_text("?")
    assert find_jars(silent).source == "Maven"
    assert sorted(path.name for path in folder.glob("*.jar")) == [JAR, "other.jar"]


def test_two_processes_fetch_once(tools):
    tool(tools, "mvn", MAVEN)
    code = "from mqverify.backends.kafka.jars import find_jars; print(find_jars(lambda _: None).source)"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate()[0].strip() for process in both) == ["Maven", "cache"]
    assert runs(tools) == 1


def test_jars_that_a_user_put_there_are_taken(tools):
    jars_folder().mkdir(parents=True)
    (jars_folder() / JAR).touch()
    assert find_jars(silent).source == "cache"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "no `mvn` on the PATH"),
        ("#!/bin/sh\necho '[ERROR] Could not resolve central'\nexit 1\n", "Could not resolve central"),
        ("#!/bin/sh\nexit 3\n", "exit status 3"),
        ("#!/bin/sh\n", "copied no jars"),
    ],
)
def test_the_error_names_every_way(tools, script, why):
    if script is not None:
        tool(tools, "mvn", script)
    with pytest.raises(BackendUnavailable) as caught:
        find_jars(silent)
    for word in ("KAFKA_HOME", str(jars_folder()), "Maven", why):
        assert word in str(caught.value)
    assert not jars_folder().exists()


def test_a_cache_that_cannot_be_written_is_said(tools, monkeypatch):
    tool(tools, "mvn", MAVEN)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    with pytest.raises(BackendUnavailable, match="cannot be written"):
        find_jars(silent)


def test_kafka_home_comes_first(tools, tmp_path, monkeypatch):
    libs = tmp_path / "kafka" / "libs"
    libs.mkdir(parents=True)
    (libs / "kafka_2.13-4.1.2.jar").touch()
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path / "kafka"))
    jars = find_jars(silent)
    assert (jars.version, jars.source, jars.folder) == ("4.1.2", "KAFKA_HOME", libs)
    (libs / "kafka_2.13-4.1.2.jar").rename(libs / "kafka_2.13-3.9.1.jar")
    with pytest.raises(BackendUnavailable, match=r"Kafka 3\.9\.1"):
        find_jars(silent)
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(BackendUnavailable, match="KAFKA_HOME is"):
        find_jars(silent)


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "21" 2023-09-19', True),
        ('openjdk version "26-ea" 2026-03-17', True),
        ('java version "1.8.0_392"', False),
        ('openjdk version "11.0.2" 2019-01-15', False),
        ("Unable to locate a Java Runtime.", False),
    ],
)
def test_java_is_17_or_later(tools, line, good):
    java = tool(tools, "java", f"#!/bin/sh\necho 'Picked up JAVA_TOOL_OPTIONS: -Dx' >&2\necho '{line}' >&2\n")
    if good:
        assert find_java() == str(java)
        return
    with pytest.raises(BackendUnavailable, match="needs Java 17 or later, and "):
        find_java()


def test_no_java_is_said(tools, monkeypatch, tmp_path):
    with pytest.raises(BackendUnavailable, match="no `java` on the PATH"):
        find_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BackendUnavailable, match="JAVA_HOME is"):
        find_java()


def test_a_relative_cache_home_is_ignored(tools, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert jars_folder() == Path.home() / ".cache" / "mqverify" / f"kafka-{KAFKA_VERSION}"
    assert os.path.isabs(jars_folder())  # noqa: PTH117
