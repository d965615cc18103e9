"""What goes wrong with virtual machines, for real: an error that says why, and a next `up` that works."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

SPEC = """
version: 1
name: faults
base: debian:12
resources: {memory: 512MiB, cpus: 1}
workspace: {source: ., path: /workspace, user: dev}
users: {dev: {uid: 1234}}
run:
  - {name: look, script: "ls -A /workspace >/opt/seen-by-run 2>/dev/null || true"}
services:
  idle: {command: sleep infinity}
setup:
  - {name: see, user: root, script: "cp /workspace/first.txt /opt/seen-by-setup"}
ports: [{guest: 8080, optional: true}]
backends: {vm: {provider: libvirt, sync: rsync}}
"""
VIRSH = ["virsh", "--quiet", "--connect", "qemu:///system"]


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One machine for all tests that need one, up once."""
    project = make_project(tmp_path_factory.mktemp("faults") / "project", "vm")
    project.spec(SPEC)
    project.write("first.txt", "first\n")
    try:
        project.up()
        yield project
    finally:
        project.good("down", "--volumes", "--images")
        assert boxes() == [], "of what was made for them nothing is left"


def boxes() -> list[str]:
    """What is anywhere of the boxes that were made of the images of these machines."""
    known = subprocess.run(["vagrant", "box", "list"], capture_output=True, text=True, check=True, timeout=60)
    said = known.stdout + virsh("vol-list", "--pool", "default")
    return [line for line in said.splitlines() if re.match(r"\s*provision(/|-VAGRANTSLASH-)faults-", line)]


@pytest.fixture
def nothing(tmp_path: Path) -> Project:
    """A project of which nothing may be made."""
    return make_project(tmp_path / "project", "vm")


def spec_with(**options: str) -> str:
    lines = "".join(f"{key}: {value}\n" for key, value in options.items())
    return f"version: 1\nname: nothing\nbase: debian:12\n{lines}"


def vagrant_folder(project: Project, name: str = "faults") -> Path:
    return project.state_dir(name).rendering / f".vagrant/machines/{name}/libvirt"


def machine_lock(project: Project) -> Path:
    """The file that Vagrant holds while it does something with the machine."""
    root = project.state_dir("faults").rendering
    identity = hashlib.md5(f"{root}{root}/.vagrantfaults".encode()).hexdigest()
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    return home / f"data/lock.machine-action-{identity}.lock"


def virsh(*words: str) -> str:
    done = subprocess.run([*VIRSH, *words], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


# What is refused before anything is made.


def test_a_provider_that_does_not_exist(nothing: Project) -> None:
    nothing.spec(spec_with(backends="{vm: {provider: bochs}}"))
    said = nothing.run("up")
    assert said.code == 2
    assert "bochs" in said.stderr
    assert "libvirt" in said.stderr


def test_a_provider_that_the_host_lacks(nothing: Project) -> None:
    nothing.spec(spec_with(backends="{vm: {provider: parallels}}"))
    said = nothing.run("up")
    assert said.code == 3
    assert "parallels cannot be used on this host" in said.stderr
    assert "no prlctl command" in said.stderr
    assert "`backends: {vm: {provider: qemu}}` works here" in said.stderr


def test_a_box_that_does_not_exist(nothing: Project) -> None:
    nothing.spec(spec_with(backends="{vm: {provider: libvirt, box: nobody/has-this}}"))
    said = nothing.run("up")
    assert said.code == 1
    assert "no box nobody/has-this" in said.stderr
    assert "hint:" in said.stderr
    assert "from /" not in said.stderr


def test_an_image_that_no_engine_makes(nothing: Project) -> None:
    nothing.spec(spec_with(backends="{vm: {provider: libvirt, build: image}}"))
    said = nothing.run("up", env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert said.code == 3
    assert "machine nothing cannot be built from its image" in said.stderr
    assert "no Docker engine with buildx answers" in said.stderr
    assert "build: provision" in said.stderr


def test_a_disk_smaller_than_the_box(nothing: Project) -> None:
    nothing.spec(spec_with(resources="{disk: 1GiB}", backends="{vm: {provider: libvirt}}"))
    said = nothing.run("up")
    assert said.code == 2
    assert "a disk of 1 GiB, but its box has one of 2 GiB" in said.stderr
    assert "booting" not in said.stderr


def test_a_udp_port_that_libvirt_cannot_forward(nothing: Project) -> None:
    nothing.spec(spec_with(ports='["5353/udp"]', backends="{vm: {provider: libvirt}}"))
    said = nothing.run("up")
    assert said.code == 2
    assert "provision.yaml:4" in said.stderr
    assert "libvirt cannot forward the UDP port 5353" in said.stderr


def test_volumes_that_a_provider_cannot_keep(nothing: Project) -> None:
    nothing.spec(spec_with(volumes="{data: /data}", backends="{vm: {provider: parallels}}"))
    said = nothing.run("up")
    assert said.code == 2
    assert "provision.yaml:4" in said.stderr
    assert "parallels has no volumes" in said.stderr


def test_libvirtd_that_does_not_answer(nothing: Project) -> None:
    nothing.spec(spec_with(backends="{vm: {provider: libvirt}}"))
    said = nothing.run("up", env={"LIBVIRT_DEFAULT_URI": "qemu:///system?socket=/nowhere/libvirt-sock"})
    assert said.code == 3
    assert "Failed to connect socket to '/nowhere/libvirt-sock'" in said.stderr
    assert "libvirtd" in said.stderr


# A machine that is up, and what happens to it. The order matters: each leaves it up.


def test_its_box_is_made_of_its_image_so_that_it_boots_with_all_steps_done(vm: Project) -> None:
    """Nothing was taken inside: what each step left is older than the keys of the first boot."""
    log = vm.state_dir("faults").log.read_text()
    assert re.search(r"^==> attach:", log, re.MULTILINE)
    assert not re.search(r"^==> \d+-", log, re.MULTILINE)
    assert "/var/lib/provision/steps/" in vm.inside("grep -rl look /var/lib/provision/steps", user="root")
    found = vm.inside(
        "find /var/lib/provision/steps /opt/seen-by-run -newer /etc/ssh/ssh_host_ecdsa_key", user="root"
    )
    assert found == ""
    assert len(boxes()) == 2  # Vagrant's, and libvirt's own


def test_run_does_not_see_a_copied_folder_and_setup_does(vm: Project) -> None:
    assert vm.inside("cat /opt/seen-by-run /opt/seen-by-setup") == "first\n"
    assert vm.checks()["workspace /workspace"] == "passed"
    assert vm.inside("touch /workspace/own && stat -c %U /workspace/first.txt") == "dev\n"


def test_sync_carries_what_changed_and_removes_what_went(vm: Project) -> None:
    vm.write("second.txt", "second\n")
    vm.good("sync")
    listed = vm.inside("ls -A /workspace").split()
    assert listed == [".git", "first.txt", "provision.yaml", "second.txt"]
    assert vm.inside("stat -c %U:%G /workspace/second.txt") == "dev:dev\n"
    vm.write("second.txt", "changed\n")
    vm.up()
    assert vm.inside("cat /workspace/second.txt") == "changed\n"


def test_sync_watches_until_it_is_interrupted(vm: Project) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "provision", "sync", "--watch"],
        cwd=vm.folder,
        env={**os.environ, "PROVISION_BACKEND": "vm"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stderr is not None
    try:
        while "watching for changes" not in watching.stderr.readline():
            assert watching.poll() is None
        vm.write("third.txt", "third\n")
        until(lambda: vm.run("exec", "--", "cat", "/workspace/third.txt").stdout == "third\n")
    finally:
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=30)
    assert watching.returncode == 130


def test_forwards_that_died_are_made_again_without_a_boot(vm: Project) -> None:
    booted = vm.inside("cat /proc/sys/kernel/random/boot_id")
    port = vm.state()["ports"][0]["host"]
    files = list((vagrant_folder(vm) / "pids").glob("ssh_*.pid"))
    assert files
    for file in files:
        os.kill(int(file.read_text()), signal.SIGTERM)
    until(lambda: not answers(port))
    vm.up()
    assert answers(port)
    assert vm.inside("cat /proc/sys/kernel/random/boot_id") == booted


def test_a_machine_that_nobody_can_ask_about_is_no_absent_machine(vm: Project) -> None:
    said = vm.run("status", env={"LIBVIRT_DEFAULT_URI": "qemu:///system?socket=/nowhere/libvirt-sock"})
    assert said.code == 3
    assert "/nowhere/libvirt-sock" in said.stderr


def test_a_machine_that_is_killed_during_a_step(vm: Project) -> None:
    """The next `up` clears the forwards that it left and takes the steps up again."""
    port = vm.state()["ports"][0]["host"]
    vm.spec(SPEC.replace("services:", "  - {name: long, script: sleep 8}\nservices:"))
    uuid = (vagrant_folder(vm) / "id").read_text()
    running = subprocess.Popen(
        [sys.executable, "-m", "provision", "up"],
        cwd=vm.folder,
        env={**os.environ, "PROVISION_BACKEND": "vm"},
        stderr=subprocess.PIPE,
        text=True,
    )
    log = vm.state_dir("faults").log
    until(lambda: "run: long" in log.read_text())
    virsh("destroy", uuid)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 1
    assert "was lost while preparing it" in said
    assert "hint:" in said

    with machine_lock(vm).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = vm.run("up")
    assert held.code == 1
    assert "another vagrant process is using this machine" in held.stderr

    vm.up()
    assert vm.state()["state"] == "running"
    assert answers(port)


@pytest.mark.thorough
def test_a_machine_that_was_removed_by_hand_is_made_again(vm: Project) -> None:
    vm.spec(SPEC)
    virsh("destroy", f"{vm.state_dir('faults').unique_name}-faults")
    virsh("undefine", f"{vm.state_dir('faults').unique_name}-faults")
    assert vm.state()["state"] == "absent"
    vm.up()
    assert vm.state()["state"] == "running"
    assert vm.inside("cat /opt/seen-by-setup") == "first\n"


@pytest.mark.thorough
def test_a_machine_is_made_of_its_base_if_asked(vm: Project) -> None:
    vm.good("down")
    vm.spec(SPEC.replace("{provider:", "{build: provision, provider:"))
    vm.up()
    assert vm.inside("cat /opt/seen-by-run /opt/seen-by-setup") == "first\n"
    assert re.search(r"^==> \d+-look:", vm.state_dir("faults").log.read_text(), re.MULTILINE)
    assert boxes() == [], "nobody needs the box of its image any more"


def until(holds: object) -> None:
    """Wait until something holds; whoever runs the tests ends a wait that never does."""
    for _ in range(600):
        if holds():  # type: ignore[operator]
            return
        time.sleep(0.1)
    pytest.fail("it never came to hold")


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0
