"""The examples of envs/ and the parts: each brought up as its reader would, all checks passed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from provision import resources
from tests.conftest import ROOT, Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = ("shop", "data", "legacy", "kernel")  # dev.yaml is what `make up` brings up
PARTS = sorted(path.stem for path in resources.folder("parts").glob("*.yaml"))
SPEC = """
version: 1
name: parts
base: debian:12
machines:
"""


@pytest.fixture
def project(backend: str, tmp_path: Path) -> Project:
    """A copy of envs/ in a project of its own."""
    made = make_project(tmp_path / "project", backend)
    shutil.copytree(ROOT / "envs", made.folder / "envs")
    return made


@pytest.fixture
def taken_down(project: Project, request: pytest.FixtureRequest) -> Iterator[Project]:
    """Down at the end, whichever spec the test has brought up."""
    try:
        yield project
    finally:
        spec = f"envs/{request.node.callspec.params.get('example', 'parts')}.yaml"
        assert project.run("down", spec, "--volumes", "--images").code == 0


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_comes_up_and_is_what_it_says(taken_down: Project, example: str) -> None:
    if example == "kernel" and taken_down.backend == "docker":
        refused = taken_down.run("up", f"envs/{example}.yaml")
        assert refused.code == 2
        assert "a container shares the host's kernel" in refused.stderr
        return
    said = taken_down.good("up", f"envs/{example}.yaml")
    assert "checks passed" in said
    assert "(no changes)" in taken_down.good("up", f"envs/{example}.yaml")


def test_every_part_comes_up_as_it_is(taken_down: Project) -> None:
    machines = "".join(f"  {part}: {{extends: part:{part}}}\n" for part in PARTS)
    taken_down.write("envs/parts.yaml", SPEC + machines)
    said = taken_down.good("up", "envs/parts.yaml")
    assert "checks passed" in said


def test_parts_are_listed_and_printed_and_may_be_ones_own(project: Project) -> None:
    project.write("parts/own.yaml", "# Of my own\npackages: [curl]\n")
    project.write("elsewhere/redis.yaml", "# Another Redis\npackages: [redis-server]\n")
    project.spec("version: 1\nname: own\nbase: debian:12\nextends: [part:own, part:redis]\n")
    project.environment["PROVISION_PARTS"] = str(project.folder / "elsewhere")
    listed = {part["name"]: part for part in project.run("parts", "--format", "json").json()["parts"]}
    assert set(listed) == {*PARTS, "own"}
    assert listed["own"]["description"] == "Of my own"
    assert listed["redis"]["file"].endswith("elsewhere/redis.yaml")
    assert project.good("parts", "own") == "# Of my own\npackages: [curl]\n"
    assert "did you mean nginx?" in project.run("parts", "ngnix").stderr
    assert project.run("parts", "ngnix").code == 2
    assert project.run("validate").code == 0
    said = project.run("validate", env={"PROVISION_PARTS": ""})
    assert said.code == 0, said.all
    project.spec("version: 1\nname: own\nbase: debian:12\nextends: part:nothing\n")
    assert "there is no part nothing" in project.run("validate").stderr


def test_a_part_takes_its_version_and_port_from_the_spec(project: Project) -> None:
    project.spec("""
        version: 1
        name: ports
        base: debian:12
        vars: {postgresql_version: 16, redis_port: 6400}
        machines:
          one: {extends: part:postgresql, vars: {postgresql_port: 5433}}
          two: {extends: [part:postgresql, part:redis]}
    """)
    said = project.good("render", "--set", "redis_version=5:7.0.15-1~deb12u10")
    assert "postgresql-16" in said
    assert "redis-server=5:7.0.15-1~deb12u10" in said
    assert "PORT=5433" in said
    assert "PORT=5432" in said
    assert "--port 6400" in said
