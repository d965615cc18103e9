"""Finding a spec, and knowing its name without the rest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from provision.errors import SpecError, UsageError
from provision.spec import find_spec, load, peek, project_of
from tests.conftest import as_yaml

if TYPE_CHECKING:
    from pathlib import Path

SPEC = "version: 1\nname: found\nbase: debian:12\n"


def test_finds_provision_yaml_first(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "dev.yaml").write_text(SPEC)
    (tmp_path / "envs" / "dev.local.yaml").write_text(SPEC)
    assert find_spec(tmp_path) == tmp_path / "envs" / "dev.yaml"
    (tmp_path / "provision.yaml").write_text(SPEC)
    assert find_spec(tmp_path) == tmp_path / "provision.yaml"


def test_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_spec(tmp_path)
    assert caught.value.message == "there is no spec here"
    assert caught.value.evidence == (
        f"looked for {tmp_path}/provision.yaml",
        f"looked for {tmp_path}/envs/*.yaml",
    )


def test_does_not_choose_between_two(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    for name in ("b.yaml", "a.yaml"):
        (tmp_path / "envs" / name).write_text(SPEC)
    with pytest.raises(UsageError) as caught:
        find_spec(tmp_path)
    assert caught.value.message == "there is no provision.yaml, and more than one spec in envs/"
    assert caught.value.evidence == (f"{tmp_path}/envs/a.yaml", f"{tmp_path}/envs/b.yaml")


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (lambda path: load(path, backend="docker"), peek):
        with pytest.raises(UsageError) as caught:
            read(tmp_path / "no.yaml")
        assert caught.value.message == f"there is no spec {tmp_path}/no.yaml"


def test_peeks_at_the_name(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\nname: ${{ vars.who }}-env\nvars: {who: my}\npakages: wrong\n")
    assert peek(spec) == "my-env"
    assert peek(spec, settings={"who": "your"}) == "your-env"
    (tmp_path / "spec.local.yaml").write_text("name: other\n")
    assert peek(spec) == "other"
    assert peek(spec, local=False) == "my-env"


def test_peek_refuses_a_spec_without_a_name(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text("version: 1\n")
    with pytest.raises(SpecError) as caught:
        peek(spec)
    assert [problem.message for problem in caught.value.problems] == ["the spec has no name"]


@pytest.mark.processes
def test_peek_imports_neither_schema_nor_jinja(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC)
    program = (
        "import sys, pathlib, provision.spec as spec\n"
        "spec.peek(pathlib.Path(sys.argv[1]))\n"
        "sys.exit(bool({'jinja2', 'jsonschema', 'provision.spec.build'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(spec)], check=False)
    assert done.returncode == 0


def test_another_name_replaces_the_specs_own(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC + "env: {A: '${{ env.name }}'}\n")
    environment = load(spec, backend="docker", name="other", host={})
    assert environment.name == environment.machines[0].name == "other"
    assert environment.machines[0].env == {"A": "other"}
    with pytest.raises(UsageError) as caught:
        load(spec, backend="docker", name="Bad Name", host={})
    assert caught.value.message == "Bad Name is not a valid environment name"


def test_the_project_is_the_nearest_folder_with_a_repository(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert project_of(inner / "spec.yaml") == inner.resolve()
    (tmp_path / "a" / ".git").mkdir()
    assert project_of(inner / "spec.yaml") == (tmp_path / "a").resolve()


def test_a_spec_that_leads_to_itself_is_a_problem(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.symlink_to(spec)
    with pytest.raises(SpecError) as caught:
        load(spec, backend="docker", host={})
    assert [problem.message for problem in caught.value.problems] == [
        "the file cannot be read: Too many levels of symbolic links"
    ]


@pytest.mark.parametrize("name", ["x" * 300, "loop"])
def test_a_path_that_cannot_be_followed_is_a_problem(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"extends: {name}\nfiles: {{/etc/x: {{source: {name}}}}}\n{SPEC}")
    with pytest.raises(SpecError) as caught:
        load(spec, backend="docker", host={})
    assert [problem.origin.line for problem in caught.value.problems] == [1, 2]


@pytest.mark.parametrize(
    "name", ["../victim", "a/b", "Upper", "x" * 42, "a b", "-x", "a\x1b[2J", "${{ vars.x }}"]
)
def test_peek_refuses_a_name_that_could_be_no_folder(tmp_path: Path, name: str) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(as_yaml({"version": 1, "name": name, "vars": {"x": "../../x"}}))
    with pytest.raises(SpecError) as caught:
        peek(spec)
    [problem] = caught.value.problems
    assert problem.message.endswith("is not a valid environment name")
    assert problem.message.isprintable()
    assert problem.origin.line == 1 or problem.origin.file == str(spec)


@pytest.mark.parametrize("repository", ["", "..", "../.."])
def test_a_home_folder_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: str
) -> None:
    """A repository of dotfiles holds the person's keys, too."""
    home = tmp_path / "homes" / "me"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    (home / repository / ".git").mkdir()
    assert project_of(home / "work" / "spec.yaml") == home / "work"
    (home / "key").write_text("private")
    text = SPEC + "files: {/key: {source: %s}}\n"
    (home / "work" / "spec.yaml").write_text(text % "../key")
    (home / "spec.yaml").write_text(text % "key")
    for spec in (home / "work" / "spec.yaml", home / "spec.yaml"):
        with pytest.raises(SpecError) as caught:
            load(spec, backend="docker", host={})
        [problem] = caught.value.problems
        assert problem.demand is not None
        assert (problem.demand.word, problem.demand.what) == ("outside", f"the source {home}/key")


def test_what_a_link_of_the_repository_leads_to_is_outside(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for folder in (".git", "parts"):
        (project / folder).mkdir(parents=True)
    (tmp_path / "fragment.yaml").write_text("packages: [curl]\n")
    (project / "parts" / "mine.yaml").symlink_to(tmp_path / "fragment.yaml")
    (project / "spec.local.yaml").symlink_to(tmp_path / "fragment.yaml")
    (project / "spec.yaml").write_text(SPEC + "extends: part:mine\n")
    with pytest.raises(SpecError) as caught:
        load(project / "spec.yaml", backend="docker", host={})
    assert {problem.demand and problem.demand.what for problem in caught.value.problems} == {
        f"the spec {tmp_path}/fragment.yaml"
    }
    assert len(caught.value.problems) == 2
