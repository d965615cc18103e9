"""`provision test` beside the environment of the person who types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120
SPEC = """
version: 1
name: tried
base: debian:12
volumes: {data: /data}
services: {one: {command: sleep infinity}}
ports: [{guest: 80, host: PORT, optional: true}]
checks: [{command: hostname, stdout: {equals: tried}}]
"""


def engine(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.spec(SPEC.replace("PORT", "18643"))
    try:
        yield project
    finally:
        for words in ([], ["--name", "tried-test"]):
            project.run("down", "--volumes", "--images", *words)


def owned() -> tuple[str, ...]:
    """The containers and volumes of every environment tried, and when each container was started."""
    ids = engine("ps", "--all", "--quiet", "--no-trunc", "--filter", "name=^tried").split()
    started = engine("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", *ids) if ids else ""
    return started, engine("volume", "ls", "--quiet", "--filter", "name=tried")


def test_what_was_up_before_is_up_after(tried: Project) -> None:
    tried.up("--no-verify")
    tried.good("exec", "-u", "root", "--", "sh", "-c", "echo mine >/data/file")
    before = owned()
    said = tried.run("test", "-b", "docker")
    assert said.code == 0, said.all
    assert owned() == before
    assert tried.good("exec", "--", "cat", "/data/file") == "mine\n"


def test_what_a_killed_test_left_is_taken_down_by_the_next(tried: Project) -> None:
    words = [sys.executable, "-m", "provision", "test", "-b", "docker"]
    with subprocess.Popen(words, cwd=tried.folder, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "✓ docker: starting containers" in line:
                break
        os.kill(running.pid, signal.SIGKILL)
        running.wait(PATIENCE)
    assert owned()[0]
    assert tried.run("test", "-b", "docker").code == 0
    assert owned() == ("", "")


def test_an_environment_of_that_name_is_not_taken_down(tried: Project) -> None:
    tried.spec(SPEC.replace("PORT", "18643").replace("name: tried", "name: tried-test"))
    tried.up("--no-verify")
    before = owned()
    tried.spec(SPEC.replace("PORT", "18643"))
    said = tried.run("test", "-b", "docker")
    assert said.code == 2, said.all
    assert "the environment tried-test is not from `provision test`" in said.stderr
    assert owned() == before
