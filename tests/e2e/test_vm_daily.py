"""The verbs of every day on a virtual machine: what follows a failed `up`, pause, top, events."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, brought_up
from tests.e2e.test_life import PROVISION, read_until, states

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 300
SPEC = """
version: 1
name: vmdaily
base: debian:12
services: {one: {command: sleep infinity}}
"""
FAILS = f"{SPEC}checks: [{{script: exit 3}}]\n"  # of what is checked nothing is in the machine


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with brought_up(tmp_path_factory.mktemp("vmdaily") / "project", "vm", SPEC) as project:
        yield project


@pytest.fixture
def failing(up: Project) -> Iterator[Project]:
    """The environment with a check that fails; as it was afterwards."""
    up.spec(FAILS)
    yield up
    up.spec(SPEC)
    up.up("--no-verify")


def test_a_failure_keeps_the_machine_and_says_how_to_look_inside(failing: Project) -> None:
    said = failing.run("up")
    assert said.code == 1
    assert "`provision shell -b vm` looks inside" in said.stderr
    assert failing.inside("echo there") == "there\n"


def test_a_failure_opens_a_shell_in_the_machine(failing: Project) -> None:
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*PROVISION, "up", "--on-failure", "shell"],
        cwd=failing.folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**os.environ, "PROVISION_BACKEND": "vm"},
    ) as running:  # fmt: skip
        os.close(slave)
        said = read_until(master, b"a shell in vmdaily")
        os.write(master, b"echo inside $((6 * 7)); exit\n")
        said += read_until(master, b"")
        assert running.wait(PATIENCE) == 1, said
    os.close(master)
    assert b"inside 42" in said


def test_a_failed_up_destroys_what_it_made_and_nothing_else(failing: Project) -> None:
    said = failing.run("up", "--on-failure", "destroy")
    assert said.code == 1
    assert "nothing was destroyed: vmdaily existed before" in said.stderr
    assert states(failing) == {"vmdaily": "running"}
    failing.good("down")
    said = failing.run("up", "--on-failure", "destroy")
    assert said.code == 1
    assert "the machines were destroyed" in said.stderr
    assert states(failing) == {"vmdaily": "absent"}


def test_top_tells_what_the_machine_takes(up: Project) -> None:
    [machine] = up.run("top", "--format", "json").json()["machines"]
    assert machine["machine"] == "vmdaily"
    assert machine["cpu"] >= 0
    assert 50_000_000 < machine["memory"] < 8_000_000_000
    assert machine["disk"] > 0
    assert "vmdaily" in up.good("top", "--once")


def test_events_tell_of_a_pause_and_its_end(up: Project) -> None:
    words = [*PROVISION, "events", "--format", "json"]
    with subprocess.Popen(
        words, cwd=up.folder, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PROVISION_BACKEND": "vm"},
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        told: list[tuple[str, str]] = []
        deadline = time.monotonic() + PATIENCE
        try:
            while not told:  # nothing tells when it listens
                assert time.monotonic() < deadline
                up.good("pause")
                assert states(up) == {"vmdaily": "paused"}
                listed = up.run("list", "--format", "json").json()["environments"]
                [machine] = next(each["machines"] for each in listed if each["name"] == "vmdaily")
                assert machine["state"] == "paused"
                if select.select([watching.stdout], [], [], 5)[0]:
                    told.append(event(watching.stdout.readline()))
                up.good("unpause")
            while told[-1] != ("vmdaily", "unpaused"):
                told.append(event(watching.stdout.readline()))
        finally:
            watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE) == 130
    assert told in ([("vmdaily", "paused"), ("vmdaily", "unpaused")], [("vmdaily", "unpaused")])
    assert states(up) == {"vmdaily": "running"}
    assert abs(time.time() - float(up.inside("date +%s"))) < 60  # its clock was set


def event(line: str) -> tuple[str, str]:
    told = json.loads(line)
    return told["machine"], told["event"]
