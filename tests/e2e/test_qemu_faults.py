"""What goes wrong with machines of QEMU, for real: an error that says why, and a next `up` that works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Project

SPEC = """
version: 1
name: trouble
base: debian:12
resources: {memory: 512MiB, cpus: 1}
services:
  idle: {command: sleep infinity, ready: {command: test -e /etc/hostname}}
ports: [{guest: 8080, optional: true}]
backends: {vm: {provider: qemu}}
"""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provision"


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[Project]:
    """A project of one test, whose machine is down at its end, and nothing of it left."""
    project = make_project(tmp_path / "project", "vm")
    project.spec(SPEC)
    try:
        yield project
    finally:
        project.good("down", "--volumes", "--images")
        assert [p for p in psutil.process_iter() if str(tmp_path) in " ".join(cmdline(p))] == []
        assert not list(project.folder.rglob("*.qcow2*"))


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if process.name().startswith("qemu") else []
    except psutil.Error:
        return []


def state(project: Project) -> Path:
    return project.state_dir("trouble").folder / "qemu"


def qemu(project: Project) -> psutil.Process:
    return psutil.Process(int((state(project) / "trouble.pid").read_text()))


def begin(project: Project, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """`provision up`, running."""
    return subprocess.Popen(
        [sys.executable, "-m", "provision", "up", *words],
        cwd=project.folder,
        env={**os.environ, "PROVISION_BACKEND": "vm", **(env or {})},
        stderr=subprocess.PIPE,
        text=True,
    )


def heard(running: subprocess.Popen[str], words: str) -> str:
    """What it says up to a line with these words."""
    assert running.stderr is not None
    said = ""
    while words not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    return said


def until(holds: Callable[[], object]) -> None:
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.01)
    pytest.fail("it never came to hold")


# What is refused before anything is made.


def test_an_image_without_an_engine(vm: Project) -> None:
    vm.spec(SPEC.replace("qemu}", "qemu, build: image}"))
    said = vm.run("up", env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert said.code == 3
    assert "no Docker engine with buildx answers" in said.stderr
    assert "build: provision" in said.stderr


def test_an_image_without_apt(vm: Project) -> None:
    vm.spec(SPEC.replace("debian:12", "alpine:3.23"))
    said = vm.run("up")
    assert said.code == 3
    assert "has no apt" in said.stderr
    assert "hint:" in said.stderr


def test_a_disk_too_small_for_what_is_in_it(vm: Project) -> None:
    """A GiB holds the system, but not what a step writes beside it."""
    step = 'run: [{name: big, script: "yes | head -c 1100M >/srv/big"}]\n'
    vm.spec(SPEC.replace("cpus: 1}", "cpus: 1, disk: 1GiB}") + step)
    said = vm.run("up")
    assert said.code == 1
    assert "the image could not be turned into a disk" in said.stderr
    assert not list((CACHE / "disks").glob("*.part"))
    vm.spec(SPEC)
    vm.up()


def test_a_step_that_fails_is_named(vm: Project) -> None:
    vm.spec(SPEC + 'run: [{name: broken, script: "echo the reason; exit 4"}]\n')
    said = vm.run("up")
    assert said.code == 1
    assert "the step broken exited with code 4" in said.stderr
    assert "the reason" in said.stderr


# What happens to it while something is done.


def test_an_interrupted_build(vm: Project) -> None:
    vm.spec(SPEC + "run: [sleep 30]\n")
    running = begin(vm)
    heard(running, "building the disk")
    until(lambda: "steps/020-step-1.sh" in vm.state_dir("trouble").log.read_text())
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert not list((CACHE / "disks").glob("*.part"))
    vm.spec(SPEC)
    vm.up()


def test_the_disk_full_while_the_disk_is_built(vm: Project, tmp_path: Path) -> None:
    small = tmp_path / "cache"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(small)], check=True)
    try:
        said = vm.run("up", env={"XDG_CACHE_HOME": str(small)})
        assert said.code == 1
        assert "the disk could not be written" in said.stderr
        assert "MiB are free" in said.stderr
        assert not list(small.rglob("*.qcow2"))
    finally:
        subprocess.run(["umount", str(small)], check=True)
    vm.up()


def test_qemu_is_killed_while_it_boots_while_it_saves_and_while_it_runs(vm: Project) -> None:
    running = begin(vm)
    heard(running, "… booting")
    until(lambda: (state(vm) / "trouble.pid").exists())
    qemu(vm).kill()
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 1
    assert "machine trouble did not boot: QEMU exited" in said

    running = begin(vm)
    heard(running, "saving its state")
    qemu(vm).kill()
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 1
    assert "hint:" in said
    assert "Traceback" not in said

    vm.up()
    vm.inside("touch /root/mine; sync", user="root")
    qemu(vm).kill()
    until(lambda: vm.state()["state"] == "stopped")
    assert vm.run("exec", "--", "true").code == 1
    vm.up()
    assert vm.inside("ls /root", user="root") == "mine\n"


def test_the_disk_full_while_memory_is_saved(vm: Project) -> None:
    """What does not fit is not kept, with a line that says so; the machine goes on."""
    place = vm.state_dir("trouble").folder
    vm.state_dir("trouble").make()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128m,mode=700", "tmpfs", str(place)]
    subprocess.run(mount, check=True)
    try:
        said = vm.run("up")
        assert said.code == 0, said.all
        assert "the state of trouble is not saved: it may need" in said.stderr
        assert vm.inside("echo well") == "well\n"
        vm.inside("touch /root/mine; sync", user="root")
        vm.good("stop")
        vm.up()
        assert vm.inside("ls /root", user="root") == "mine\n"
        vm.good("down", "--images")
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_machine_that_reboots_is_waited_for(vm: Project) -> None:
    asked = ("exec", "--", "cat", "/proc/sys/kernel/random/boot_id")
    vm.up()
    before = vm.good(*asked)
    vm.run("exec", "-u", "root", "--", "reboot")
    vm.up()
    until(lambda: vm.run(*asked).stdout not in ("", before))
    assert set(vm.checks().values()) == {"passed"}


def test_a_port_that_is_taken_while_the_machine_is_down(vm: Project) -> None:
    vm.up()
    port = vm.state()["ports"][0]["host"]
    vm.good("down")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        vm.up()
        assert vm.state()["ports"][0]["host"] != port


# A kept memory that does not fit.


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A machine that is down, and whose memory is kept; each test leaves it so."""
    project = make_project(tmp_path_factory.mktemp("kept") / "project", "vm")
    project.spec(SPEC + "run: [echo a disk of its own]\n")
    try:
        project.up()
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def aside(project: Project) -> Path:
    return state(project) / "trouble.qcow2.kept"


def boots(project: Project, reason: str) -> None:
    """The next `up` says why it does not take the memory, and boots."""
    said = project.run("up")
    assert said.code == 0, said.all
    assert "discarded" in said.stderr
    assert reason in said.stderr
    assert "✓ booting" in said.stderr


def test_a_state_that_was_cut_short(kept: Project) -> None:
    kept.good("down")
    os.truncate(aside(kept), aside(kept).stat().st_size // 2)
    boots(kept, "the saved state of trouble cannot be used")


def test_a_state_that_is_no_state(kept: Project) -> None:
    kept.good("down")
    aside(kept).write_bytes(b"not a disk")
    boots(kept, "cannot be used")


def test_a_state_of_another_making(kept: Project) -> None:
    """Another QEMU, processor, disk or spec has another key."""
    kept.good("down")
    memory = kept.state_dir("trouble").path_of("memory-trouble")
    memory.write_text(memory.read_text().replace('"key": "', '"key": "other'))
    boots(kept, "a different spec, disk, QEMU or CPU")


def test_a_state_whose_disk_is_gone(kept: Project) -> None:
    kept.good("down")
    made = json.loads(kept.state_dir("trouble").path_of("made").read_text())
    shutil.rmtree(CACHE / "disks" / made["machines"]["trouble"]["disk"])
    boots(kept, "a different spec, disk, QEMU or CPU")


# Two of them at once.


def test_two_environments_on_one_disk(vm: Project, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other", "vm")
    other.spec(SPEC.replace("trouble", "other"))
    second = begin(other)
    try:
        vm.up()
        second.communicate(timeout=600)
        assert second.returncode == 0
        backing = [
            subprocess.run(
                ["qemu-img", "info", "-U", str(file)], capture_output=True, text=True, check=True
            ).stdout.split("backing file: ")[1].split()[0]
            for file in (state(vm) / "trouble.qcow2", other.state_dir("other").folder / "qemu/other.qcow2")
        ]  # fmt: skip
        assert backing[0] == backing[1]
        vm.inside("touch /root/mine", user="root")
        assert other.inside("ls /root", user="root") == ""
        assert vm.inside("hostname") == "trouble\n"
        assert other.inside("hostname") == "other\n"
        vm.good("down", "--images")
        assert Path(backing[0]).exists()
    finally:
        other.good("down", "--volumes", "--images")


# Without this tool.


def test_the_rendering_boots_by_itself(vm: Project, tmp_path: Path) -> None:
    folder = tmp_path / "rendering"
    vm.good("render", "-o", str(folder))
    pid = folder / "pid"
    subprocess.run(
        ["sh", str(folder / "trouble.sh"), "-daemonize", "-pidfile", str(pid)],
        env={**os.environ, "SSH": "22122"},
        check=True,
    )
    try:
        words = ["ssh", "-p", "22122", "-i", str(folder / "state/key"), "-o", "BatchMode=yes",
                 "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                 "root@127.0.0.1", "/usr/lib/provision/healthy"]  # fmt: skip
        until(lambda: subprocess.run(words, capture_output=True, check=False).returncode == 0)
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)
    until(lambda: not any(str(folder) in " ".join(cmdline(p)) for p in psutil.process_iter()))
    shutil.rmtree(folder)
