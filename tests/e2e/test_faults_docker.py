"""What goes wrong with containers: each fault is told with evidence and hint, and the next `up` works."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120
INTERRUPTED = 130

SPEC = """
version: 1
name: NAME
base: debian:12
vars: {word: one}
env: {WORD: "${{ vars.word }}"}
run:
  - {name: first, script: date +%s%N >/opt/first}
  - {name: last, script: echo one >/opt/last}
services:
  one: {command: sleep infinity, ready: {command: "true"}}
setup:
  - {name: count, script: echo run >>/opt/setup-runs}
ports: [{guest: 8080, optional: true}]
"""


def named(name: str, *, last: str = "echo one >/opt/last") -> str:
    return SPEC.replace("NAME", name).replace("echo one >/opt/last", last)


def endless() -> str:
    """A step that goes on for long, and that no cache has."""
    return f"echo begun; sleep 600; echo {uuid.uuid4()}"


def engine(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make(folder: Path, name: str) -> Project:
    project = make_project(folder, "docker")
    project.spec(named(name))
    return project


def removed(project: Project) -> None:
    project.good("down", "--volumes", "--images")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """An environment that the tests break by hand, and that `up` mends."""
    project = make(tmp_path_factory.mktemp("faults") / "project", "faults")
    yield project
    removed(project)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Project]:
    """An environment that is not up yet."""
    project = make(tmp_path / "project", "fresh")
    yield project
    removed(project)


@contextmanager
def begun(project: Project, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`provision` in a process group of its own, which heeds an interrupt as on a terminal."""
    running = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "provision", *words],
        cwd=project.folder,
        env={**os.environ, "PROVISION_BACKEND": "docker"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate(timeout=PATIENCE)


def wait_for(word: str, project: Project, running: subprocess.Popen[str]) -> None:
    """Until the log of what runs holds a word."""
    log = project.state_dir("fresh").log
    end = time.monotonic() + PATIENCE
    while not (log.exists() and re.search(rf"#\d+ \d+\.\d+ {word}", log.read_text())):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end, log.read_text() if log.exists() else "no log"
        time.sleep(0.1)


# --- the engine

VERBS_THAT_ASK = [["up"], ["status"], ["exec", "--", "true"], ["logs"], ["down"], ["verify"], ["shell"]]


@pytest.mark.parametrize("words", VERBS_THAT_ASK, ids=" ".join)
@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"])
def test_an_engine_that_does_not_answer(tmp_path: Path, words: list[str], host: str) -> None:
    project = make(tmp_path / "project", "nowhere")
    said = project.run(*words, env={"DOCKER_HOST": host})
    assert said.code == 3, said.all
    assert "error: the Docker engine does not answer" in said.stderr
    assert "hint: start it" in said.stderr
    assert "Traceback" not in said.all


def test_doctor_of_an_engine_that_does_not_answer(project: Project) -> None:
    said = project.run("doctor", "-b", "docker", env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert said.code == 3
    assert "✗ Docker engine" in said.stdout
    assert "Traceback" not in said.all


def test_a_host_without_docker(project: Project) -> None:
    project.spec(named("nowhere"))
    said = project.run("up", env={"PATH": "/nonexistent"})
    assert said.code == 3
    assert "the program docker was not found" in said.stderr
    assert "hint: `provision doctor`" in said.stderr


def test_a_docker_without_compose(fresh: Project) -> None:
    """In a mount namespace of its own, where the plugin's file is empty."""
    plugins = json.loads(engine("info", "--format", "{{json .ClientInfo.Plugins}}"))
    path = next(each["Path"] for each in plugins if each["Name"] == "compose")
    script = f'mount --bind /dev/null {path} && exec {sys.executable} -m provision "$@"'

    def without(*words: str) -> tuple[int, str]:
        said = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *words],
            cwd=fresh.folder,
            env={**os.environ, "PROVISION_BACKEND": "docker"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return said.returncode, said.stdout + said.stderr

    code, said = without("doctor", "-b", "docker")
    assert code == 3, said
    assert "✗ docker compose" in said
    code, said = without("up")
    assert code == 3, said
    assert "error: Docker has no Compose v2 on this host" in said
    assert "hint: scripts/host-setup docker" in said


# --- building


def test_a_step_that_is_killed(fresh: Project) -> None:
    fresh.spec(named("fresh", last="echo before; kill -KILL $$"))
    said = fresh.run("up")
    assert said.code == 1
    assert "most likely for lack of memory: the step last exited with code 137" in said.stderr
    assert "  before\n" in said.stderr
    assert "more memory, then run `provision up` again" in said.stderr
    fresh.spec(named("fresh"))
    fresh.up("--no-verify")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_that_is_interrupted_while_it_builds(fresh: Project, how: signal.Signals) -> None:
    fresh.spec(named("fresh", last=endless()))
    with begun(fresh, "up") as running:
        wait_for("begun", fresh, running)
        os.killpg(running.pid, how)
        _, stderr = running.communicate(timeout=PATIENCE)
    assert running.returncode == 128 + how, stderr
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert fresh.state()["state"] == "absent"
    fresh.spec(named("fresh"))
    fresh.up("--no-verify")
    assert fresh.inside("cat /opt/last") == "one\n"


def test_a_log_that_cannot_be_written(fresh: Project) -> None:
    fresh.state_dir("fresh").make()
    place = fresh.state_dir("fresh").folder
    (place / "log.txt").symlink_to("/dev/full")
    said = fresh.run("up")
    assert said.code == 1, said.all
    assert "No space left on device" in said.stderr
    assert "Traceback" not in said.all
    (place / "log.txt").unlink()
    fresh.up("--no-verify")


def test_a_change_of_the_last_step_builds_that_step_alone(broken: Project) -> None:
    broken.spec(named("faults", last="echo two >/opt/last"))
    broken.up("--no-verify")
    assert broken.inside("cat /opt/last") == "two\n"
    broken.spec(named("faults", last=f"echo {uuid.uuid4()} >/opt/last"))
    said = broken.run("up", "--no-verify")
    assert said.code == 0, said.all
    log = broken.state_dir("faults").log.read_text()
    step = dict(re.findall(r"#(\d+) \[[^\]]*\] RUN .*/steps/([\w-]+)\.sh", log))
    kept = {step[number] for number in re.findall(r"#(\d+) CACHED", log) if number in step}
    assert kept == {"010-system", "020-first"}
    assert set(step.values()) - kept == {"030-last", "040-machine"}


# --- what runs, changed by hand


IT_IS_STOPPED = [{"name": "one", "state": "stopped"}]
BY_HAND = {
    "removed": (["rm", "--force"], "absent", IT_IS_STOPPED),
    "stopped": (["stop", "--time", "1"], "stopped", IT_IS_STOPPED),
    "killed": (["kill"], "stopped", IT_IS_STOPPED),
    "paused": (["pause"], "paused", []),  # its services run, but nothing inside can answer for them
}


@pytest.mark.parametrize("how", BY_HAND)
def test_a_container_that_somebody_touched(broken: Project, how: str) -> None:
    broken.up("--no-verify")
    words, state, services = BY_HAND[how]
    engine(*words, broken.container("faults"))
    assert broken.state()["state"] == state
    assert broken.state()["services"] == services
    said = broken.run("exec", "--", "true")
    assert said.code == 1
    assert "`provision up` starts it" in said.stderr
    failed = broken.run("verify", "--format", "json")
    assert failed.code == 1
    assert len(failed.json()["checks"]) == 1
    assert "faults is up" in broken.up()
    assert broken.state()["state"] == "running"


def test_down_of_a_paused_container(broken: Project) -> None:
    broken.up("--no-verify")
    engine("pause", broken.container("faults"))
    broken.good("down")
    assert broken.state()["state"] == "absent"


def test_an_image_that_somebody_removed(broken: Project) -> None:
    broken.up("--no-verify")
    port = broken.state()["ports"]
    image = broken.image("faults")
    engine("rm", "--force", broken.container("faults"))
    engine("image", "rm", image)
    broken.up()
    assert broken.state()["ports"] == port


def test_a_network_that_somebody_removed(broken: Project) -> None:
    broken.up("--no-verify")
    engine("rm", "--force", broken.container("faults"))
    engine("network", "rm", f"{broken.state_dir('faults').unique_name}_default")
    broken.up()


def test_a_rendering_that_somebody_removed(broken: Project) -> None:
    broken.up("--no-verify")
    for path in broken.state_dir("faults").folder.rglob("*"):
        if path.is_file():
            path.unlink()
    assert broken.state()["state"] == "running"
    assert broken.good("exec", "--", "echo", "hello") == "hello\n"
    broken.up()
    broken.good("down")


def test_a_free_port_is_kept(broken: Project) -> None:
    broken.up("--no-verify")
    before = broken.state()["ports"]
    broken.good("down")
    broken.up("--no-verify")
    assert broken.state()["ports"] == before


def test_another_name_and_another_value(broken: Project) -> None:
    broken.up("--no-verify")
    other = ["--name", "other", "--set", "word=two"]
    try:
        broken.up("--no-verify", *other)
        assert broken.good("exec", *other, "--", "sh", "-c", "echo $WORD") == "two\n"
        assert broken.inside("echo $WORD") == "one\n"
        found = broken.run("status", "--format", "json", *other).json()
        assert [machine["name"] for machine in found["machines"]] == ["other"]
        assert found["machines"][0]["ports"] != broken.state()["ports"]
    finally:
        broken.good("down", "--volumes", "--images", *other)


# --- services


def test_a_service_that_crashes_in_a_loop(fresh: Project) -> None:
    text = named("fresh").replace("sleep infinity", "sh -c 'echo out of luck; exit 3'")
    fresh.spec(text.replace('ready: {command: "true"}', "ready: {tcp: 7, timeout: 3s}"))
    said = fresh.run("up")
    assert said.code == 1
    assert "error: " in said.stderr
    assert "out of luck" in said.stderr
    assert fresh.state()["state"] != "running"
    assert "out of luck" in fresh.good("logs")
    fresh.spec(named("fresh"))
    fresh.up()


def test_more_cpus_than_the_host_has(fresh: Project) -> None:
    fresh.spec(named("fresh") + "resources: {cpus: 4096}\n")
    said = fresh.run("up")
    assert said.code == 1
    assert "Range of CPUs" in said.stderr
    assert "NAME.local.yaml" in said.stderr
    fresh.spec(named("fresh"))
    fresh.up("--no-verify")


# --- the project folder


def test_a_workspace_outside_the_project(tmp_path: Path) -> None:
    project = make(tmp_path / "project", "outside")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("from outside\n")
    project.spec(named("outside") + "workspace: {source: ../elsewhere, path: /workspace}\n")
    said = project.run("up")
    assert said.code == 2
    assert "outside the project folder" in said.stderr
    assert "--allow outside" in said.stderr
    try:
        project.up("--no-verify", "--allow", "outside")
        assert project.good("exec", "--", "cat", "file") == "from outside\n"
    finally:
        removed(project)


def test_a_workspace_of_root_in_which_its_user_cannot_write(fresh: Project) -> None:
    """A bind mount shows owners as they are: better said at once than found out by `setup`."""
    fresh.spec(
        named("fresh") + "users: {dev: {uid: host}}\nworkspace: {source: ., path: /workspace, user: dev}\n"
    )
    os.chown(fresh.folder, 0, 0)
    assert f"the workspace {fresh.folder} is owned by root; user dev cannot write" in fresh.run("up").stderr
    os.chown(fresh.folder, 4321, 4321)
    said = fresh.run("up", "--rebuild")
    assert "is owned by root" not in said.stderr
    fresh.inside("touch /workspace/mine")
    assert (fresh.folder / "mine").stat().st_uid == 4321
