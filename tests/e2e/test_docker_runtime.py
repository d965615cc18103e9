"""`backends.docker.runtime`: handed to the engine, or refused with what the engine has."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

SPEC = """
version: 1
name: runtime
base: debian:12
backends: {docker: {runtime: %s}}
"""


@pytest.fixture
def removed(project: Project) -> Iterator[Project]:
    yield project
    assert project.run("down", "--volumes").code == 0


def test_the_engine_starts_a_container_with_the_runtime_of_the_spec(removed: Project) -> None:
    removed.spec(SPEC % "io.containerd.runc.v2")
    removed.up()
    words = ["docker", "inspect", "--format", "{{.HostConfig.Runtime}}", removed.container("runtime")]
    assert subprocess.check_output(words, text=True).strip() == "io.containerd.runc.v2"


def test_a_runtime_that_the_engine_does_not_know_is_refused_before_anything_is_made(project: Project) -> None:
    project.spec(SPEC % "kata")
    for verb in ("plan", "up"):
        said = project.run(verb)
        assert said.code == 3, said.all
        assert "the Docker engine does not know a runtime of the spec" in said.stderr
        assert "runtime: runtime kata; the engine has io.containerd.runc.v2, runc" in said.stderr
    assert "runtime kata; the engine has" in project.run("explain").stdout
