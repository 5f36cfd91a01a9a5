"""Which files are specs, and what comes back of many."""

import os
from pathlib import Path

import pytest

from mqverify.errors import SpecError, UsageError
from mqverify.spec.load import find_files, load
from tests.spec.registries import BASE, REGISTRY


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yaml", ".yaml").replace("_yml", ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_misspelt_key_in_each_of_three_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml=BASE.replace("messages", "mesages"),
        b__c_yaml=BASE.replace("partitions", "partitons"),
        d_yml=BASE.replace("at_least_once", "at_least_onze"),
        good_yaml=BASE,
    )
    with pytest.raises(SpecError) as raised:
        load([str(tmp_path)], REGISTRY)
    found = [(Path(each.file).name, each.code, each.line, each.column) for each in raised.value.diagnostics]
    assert found == [("a.yaml", "MQ203", 4, 3), ("c.yaml", "MQ302", 11, 5), ("d.yml", "MQ220", 16, 3)]


def test_a_folder_is_searched_in_order_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, b_yaml=BASE, a__z_yml=BASE, a__b__c_yaml=BASE, notes_txt=BASE)
    write(tmp_path / ".git", x_yaml=BASE)
    (tmp_path / ".hidden.yaml").write_text(BASE)
    names = [Path(file).relative_to(tmp_path).as_posix() for file in find_files([str(tmp_path)])]
    assert names == ["a/b/c.yaml", "a/z.yml", "b.yaml"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = str(write(tmp_path, a_yaml=BASE) / "a.yaml")
    (tmp_path / "same.yaml").symlink_to(path)
    assert len(load([path, path, str(tmp_path), f"{tmp_path}/./a.yaml"], REGISTRY).specs) == 1


def test_a_link_to_itself_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    with pytest.raises(SpecError) as raised:
        load([str(tmp_path)], REGISTRY)
    assert raised.value.diagnostics[0].code == "MQ001"


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a_yaml=BASE, closed__b_yaml=BASE)
    scandir = os.scandir

    def refuse(path: str) -> object:
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match="cannot be read"):
        load([str(tmp_path)], REGISTRY)


def test_links_that_lead_out_of_the_folder_are_left_out(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", secret_yaml=BASE)
    inside = write(tmp_path / "inside", a_yaml=BASE)
    (inside / "link.yaml").symlink_to(outside / "secret.yaml")
    (inside / "same.yaml").symlink_to(inside / "a.yaml")
    (inside / "folder").symlink_to(outside)
    (inside / "loop").symlink_to(inside)
    assert [Path(file).name for file in find_files([str(inside)])] == ["a.yaml"]


def test_paths_stay_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, specs__a_yaml=BASE)
    monkeypatch.chdir(tmp_path)
    assert load(["specs"], REGISTRY).specs[0].file == "specs/a.yaml"
    assert load(["specs/a.yaml"], REGISTRY).specs[0].file == "specs/a.yaml"


def test_yaml_that_is_no_spec_is_skipped_with_a_warning(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml=BASE,
        compose_yaml="services:\n  on: {a: !reset 1}\n",
        empty_yaml="# nothing\n",
        list_yaml="- 1",
    )
    write(tmp_path, many_yaml="kind: Pod\n---\nkind: Service\n")
    write(tmp_path, pod_yaml="apiVersion: v1\nkind: Pod\nspec: {containers: [{on: 1}]}\n")
    loaded = load([str(tmp_path)], REGISTRY)
    assert [spec.name for spec in loaded.specs] == ["orders survive a crash"]
    assert [(Path(each.file).name, each.code, each.severity) for each in loaded.warnings] == [
        (name, "MQ014", "warning") for name in ("compose.yaml", "empty.yaml", "list.yaml", "many.yaml", "pod.yaml")
    ]


def test_a_spec_whose_first_word_is_misspelt_is_not_skipped(tmp_path: Path) -> None:
    write(tmp_path, a_yaml=BASE.replace("spec:", "spce:"))
    with pytest.raises(SpecError) as raised:
        load([str(tmp_path)], REGISTRY)
    (found,) = raised.value.diagnostics
    assert (found.code, found.help) == ("MQ203", "did you mean 'spec'?")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no specs in PATH: the file is empty"),
        ("\n  \n", "no specs in PATH: the file is empty"),
        ("# later\n", "no specs in PATH: nothing is in the file but comments"),
        ("name: x", "no specs in PATH: a YAML file without a 'spec:' key"),
    ],
)
def test_a_file_that_is_named_and_no_spec_is_told_why(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, a_yaml=text) / "a.yaml"
    with pytest.raises(UsageError) as raised:
        load([str(path)], REGISTRY)
    assert str(raised.value) == says.replace("PATH", str(path))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a_yaml": "name: x"}, "(1 YAML file without a 'spec:' key was skipped)"),
        ({"a_yaml": "name: x", "b_yaml": ""}, "(2 YAML files without a 'spec:' key were skipped)"),
    ],
)
def test_skipped_files_are_counted(tmp_path: Path, files: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        load([str(write(tmp_path, **files))], REGISTRY)
    assert str(raised.value) == f"no specs in {tmp_path} {says}"


@pytest.mark.parametrize("files", [{}, {"a_txt": BASE}, {"a_yaml": "name: x"}, {"a_yaml": ""}])
def test_nothing_to_check_is_a_usage_error(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, **files)
    with pytest.raises(UsageError, match="no specs in"):
        load([str(tmp_path)], REGISTRY)


def test_no_such_path_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no such file or folder: nowhere"):
        load(["nowhere"], REGISTRY)


def test_the_text_is_kept_for_cases(tmp_path: Path) -> None:
    assert load([str(write(tmp_path, a_yaml=BASE))], REGISTRY).specs[0].text == BASE
