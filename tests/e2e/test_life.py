"""The verbs of every day on containers: start, pause, and what follows a failed or interrupted `up`."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, brought_up, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = """
version: 1
name: daily
base: debian:12
packages: [rsync]
users: {dev: {uid: 1234}}
machines:
  db:
    services: {store: {command: sleep infinity}}
    volumes: {data: /srv/data}
  web:
    needs: [db]
    workspace: {source: ., path: /work, user: dev}
    services: {site: {command: sleep infinity}}
    ports: ["8080"]
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with brought_up(tmp_path_factory.mktemp("daily") / "project", "docker", SPEC) as project:
        yield project


@pytest.fixture
def as_asked(up: Project) -> Iterator[Project]:
    """The environment, its spec and its machines as they were, whatever a test does to them."""
    yield up
    up.spec(SPEC)
    up.up("--no-verify")


def states(project: Project) -> dict[str, str]:
    machines = project.run("status", "--format", "json").json()["machines"]
    return {machine["name"]: machine["state"] for machine in machines}


# --- start


def test_start_starts_what_stop_stopped(as_asked: Project) -> None:
    before = as_asked.inside_of("web", "echo kept >/opt/kept; cat /proc/sys/kernel/hostname")
    assert "already running" in as_asked.good("start")
    as_asked.good("stop", "-m", "web")
    assert states(as_asked) == {"db": "running", "web": "stopped"}
    assert "web is running again" in as_asked.good("start", "-m", "web")
    as_asked.good("stop")
    assert "web is running again" in as_asked.good("start", "-m", "web")
    assert states(as_asked) == {"db": "stopped", "web": "running"}
    assert "daily is running again" in as_asked.good("start")
    assert states(as_asked) == {"db": "running", "web": "running"}
    assert as_asked.inside_of("web", "cat /opt/kept; cat /proc/sys/kernel/hostname") == f"kept\n{before}"
    assert set(as_asked.actions().values()) == {"none"}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (SPEC.replace("8080", "8081"), "web: port 8081 added, port 8080 removed"),
        (SPEC + "nonsense: true\n", "it has problems now"),
    ],
    ids=["changed", "broken"],
)
def test_start_applies_no_changed_spec_and_says_so(as_asked: Project, spec: str, says: str) -> None:
    as_asked.good("stop")
    as_asked.spec(spec)
    said = as_asked.run("start")
    assert said.code == 0, said.all
    assert f"the spec has changed and was not applied: {says}" in said.stderr
    assert "provision up" in said.stderr
    ports = as_asked.good("port", "web")
    assert "8080/tcp" in ports
    assert "8081" not in ports


def test_start_creates_nothing(as_asked: Project) -> None:
    as_asked.good("down")
    said = as_asked.run("start")
    assert (said.code, said.stdout) == (1, "")
    assert "daily is not up in docker: there is nothing to start" in said.stderr
    assert "`provision up` brings it up" in said.stderr


# --- pause


def test_paused_machines_stand_still_until_they_go_on(as_asked: Project) -> None:
    assert "web is paused" in as_asked.good("pause", "-m", "web")
    assert states(as_asked) == {"db": "running", "web": "paused"}
    told = {
        each["name"]: each["services"]
        for each in as_asked.run("status", "--format", "json").json()["machines"]
    }
    assert not told["web"], "nobody can ask a paused machine about its services"
    assert told["db"]
    said = as_asked.run("start")
    assert said.code == 1
    assert "web is paused" in said.stderr
    assert "daily is paused" in as_asked.good("pause")
    assert "was not running" in as_asked.good("pause")
    assert states(as_asked) == {"db": "paused", "web": "paused"}
    assert "is running again" in as_asked.good("unpause")
    assert "was not paused" in as_asked.good("unpause")
    assert as_asked.inside_of("web", "echo answers") == "answers\n"
    assert as_asked.run("pause", "-m", "nobody").code == 2


# --- a failed or interrupted up

PROVISION = ["env", "--default-signal=INT,HUP,TERM", sys.executable, "-m", "provision"]
PATIENCE = 120
ONE = "version: 1\nname: trying\nbase: debian:12\n"
IDLE = "services: {one: {command: sleep infinity}}\n"
NEVER = "services: {one: {command: sleep infinity, ready: {script: exit 1, timeout: 100}}}\n"
SLOW = f"{ONE}run: [{{name: slow, script: echo reached the step; sleep 86397}}]\n{IDLE}"
GOES_ON = "trying is running; `provision up` goes on from there"
LATE = f"{ONE}{IDLE}checks: [{{script: sleep 100}}]\n"


@pytest.fixture
def trying(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    try:
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def struck(project: Project, at: str) -> tuple[int, str]:
    """An `up` whose process group gets Ctrl-C soon after a line with this text; its code and words."""
    running = subprocess.Popen(
        [*PROVISION, "up", "-v"],
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said = ""
    try:
        assert running.stdout is not None
        for line in running.stdout:
            said += line
            if at in line:
                time.sleep(0.5)
                os.killpg(running.pid, signal.SIGINT)
                break
        said += running.communicate(timeout=PATIENCE)[0]
    finally:
        running.kill()
        running.wait()
    return running.returncode, said


@pytest.mark.parametrize(
    ("spec", "at", "left"),
    [
        (SLOW, "reached the step", "no machine is there; `provision up` goes on from what was built"),
        (f"{ONE}{IDLE}", "… starting containers", "`provision up` goes on from"),
        (
            f"{ONE}{NEVER}",
            "… waiting until it is ready",
            "trying is running; `provision up` goes on from there",
        ),
        (LATE, "✓ waiting until it is ready", GOES_ON),
    ],
    ids=["in a build", "in a start", "in a wait", "in verify"],
)
def test_an_interrupt_says_what_is_left_and_how_to_go_on(
    trying: Project, spec: str, at: str, left: str
) -> None:
    trying.spec(spec)
    code, said = struck(trying, at)
    assert code == 130, said
    told = said.partition("\ninterrupted\n")[2]
    assert left in told, said
    assert "Traceback" not in said
    trying.spec(f"{ONE}{IDLE}")
    trying.up()  # goes on from there


def test_a_failure_says_how_to_look_inside_and_keeps_the_machine(trying: Project) -> None:
    trying.spec(f"{ONE}{IDLE}setup: [{{name: broken, script: echo the reason >&2; exit 3}}]\n")
    said = trying.run("up")
    assert said.code == 1
    assert "setup of machine trying failed: broken" in said.stderr
    assert "the reason" in said.stderr
    assert "`provision shell` looks inside" in said.stderr
    assert trying.inside("echo there") == "there\n"


def test_a_failed_up_destroys_what_it_made_and_nothing_else(trying: Project) -> None:
    broken = f"{ONE}{IDLE}volumes: {{data: /srv}}\nsetup: [{{name: broken, script: exit 3}}]\n"
    trying.spec(broken)
    said = trying.run("up", "--on-failure", "destroy")
    assert said.code == 1
    assert "the machines were destroyed" in said.stderr
    assert trying.state()["state"] == "absent"
    environments = trying.run("list", "--format", "json").json()["environments"]
    [listed] = [each for each in environments if each["name"] == "trying"]
    assert listed["volumes"] == [f"{trying.state_dir('trying').unique_name}_data"]
    trying.spec(f"{ONE}{IDLE}")
    trying.up()
    trying.spec(broken)
    said = trying.run("up", "--on-failure", "destroy")
    assert said.code == 1
    assert "nothing was destroyed: trying existed before" in said.stderr
    assert trying.state()["state"] != "absent"


def test_a_failed_up_opens_a_shell_in_the_machine(trying: Project) -> None:
    trying.spec(f"{ONE}{IDLE}setup: [{{name: broken, script: exit 3}}]\n")
    assert trying.run("up", "--on-failure", "shell").code == 2  # there is no terminal
    master, slave = pty.openpty()
    with subprocess.Popen(
        [*PROVISION, "up", "--on-failure", "shell"],
        cwd=trying.folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    ) as running:  # fmt: skip
        os.close(slave)
        said = read_until(master, b"a shell in trying")
        os.write(master, b"echo inside $((6 * 7)); exit\n")
        said += read_until(master, b"")
        assert running.wait(PATIENCE) == 1, said
    os.close(master)
    assert b"setup of machine trying failed" in said
    assert b"inside 42" in said


def read_until(master: int, text: bytes) -> bytes:
    """What a terminal shows until a text has come; to its end if that is empty."""
    said = b""
    deadline = time.monotonic() + PATIENCE
    while (not text or text not in said) and time.monotonic() < deadline:
        try:
            data = os.read(master, 65536)
        except OSError:  # the program has ended
            break
        if not data:
            break
        said += data
    return said


# --- open, top, events


def pause_and_unpause(project: Project) -> None:
    for verb in ("pause", "unpause"):
        project.good(verb, "-m", "web")


def test_what_happens_is_told_as_it_happens(as_asked: Project) -> None:
    words = [*PROVISION, "events", "--format", "json"]
    with subprocess.Popen(words, cwd=as_asked.folder, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        # Nothing tells when it listens, and only what happens then is told: perhaps an `unpaused` alone.
        for _ in range(PATIENCE):
            pause_and_unpause(as_asked)
            if select.select([watching.stdout], [], [], 1)[0]:
                break
        pause_and_unpause(as_asked)
        as_asked.good("stop", "-m", "db")
        told: list[tuple[str, str]] = []
        while not told or told[-1] != ("db", "died"):
            line = json.loads(watching.stdout.readline())
            told.append((line["machine"], line["event"]))
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE) == 130
    assert set(told[:-1]) == {("web", "paused"), ("web", "unpaused")}
    assert all(one != other for one, other in pairwise(told))


def test_top_tells_what_each_machine_takes(up: Project) -> None:
    machines = up.run("top", "--format", "json").json()["machines"]
    assert sorted(each["machine"] for each in machines) == ["db", "web"]
    assert all(each["memory"] > 0 and each["disk"] is not None for each in machines)
    assert "web" in up.good("top", "-m", "web")
    assert "db" not in up.good("top", "-m", "web", "--once")


def test_open_prints_the_url(up: Project) -> None:
    port = up.good("port", "web", "8080").strip()
    assert up.good("open", "web", "8080") == f"http://{port}/\n"
    said = up.run("open")
    assert said.code == 1
    assert "no port of daily speaks HTTP" in said.stderr
