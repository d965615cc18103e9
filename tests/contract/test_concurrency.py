"""Two changes of one environment: the second waits for the first, then does what it was asked."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

PATIENCE = 600

# A service that takes its time to end, so that whoever ends it holds the environment for a while.
SPEC = """
version: 1
name: two
base: debian:12
services:
  slow: {script: "trap 'sleep 3; exit 0' TERM; while :; do sleep 0.1; done"}
"""


@contextmanager
def begun(project: Project, *words: str, at: str) -> Iterator[subprocess.Popen[str]]:
    """A verb in the background that has come to the step `at`; it has to succeed."""
    running = subprocess.Popen(
        [sys.executable, "-m", "provision", *words],
        cwd=project.folder,
        env={**os.environ, "PROVISION_BACKEND": project.backend},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    stderr: IO[str] | None = running.stderr
    assert stderr is not None
    try:
        said = ""
        while at not in said:
            line = stderr.readline()
            assert line, said
            said += line
        yield running
        said += running.communicate(timeout=PATIENCE)[1]
        assert running.returncode == 0, said
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize(
    ("first", "at", "second", "state"),
    [
        ("stop", "stopping", "up", "running"),
        ("down", "removing", "up", "running"),
        ("stop", "stopping", "down", "absent"),
        ("up", "…", "up", "running"),
        ("down", "removing", "stop", "absent"),
    ],
)
def test_the_second_waits_and_does_what_it_was_asked(
    shared: Project, first: str, at: str, second: str, state: str
) -> None:
    shared.spec(SPEC)
    if first != "up":
        shared.up("--no-verify")
    with begun(shared, first, at=at) as running:
        said = shared.run(second)
    assert said.code == 0, said.all
    assert shared.state()["state"] == state
    if first != "up":  # the machine may be up before anybody has to be told
        assert f"waiting for `provision {first}` (process {running.pid}) to finish" in said.stderr


def test_what_there_is_to_do_is_decided_when_its_turn_has_come(shared: Project) -> None:
    shared.spec(SPEC)
    shared.up("--no-verify")
    assert "(no changes)" in shared.up("--no-verify")
    with begun(shared, "down", at="removing"):
        assert "(no changes)" not in shared.up("--no-verify")
    assert shared.state()["state"] == "running"


def test_a_rebuild_is_a_change(shared: Project) -> None:
    shared.spec(SPEC)
    shared.up("--no-verify")
    assert "(no changes)" not in shared.up("--no-verify", "--rebuild")
