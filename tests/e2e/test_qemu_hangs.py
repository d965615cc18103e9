"""QEMU machines that hang, are paused, or whose `stop` was killed: seen soon, ended soon, healed."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from provision.backends.vm.guest import ssh
from provision.backends.vm.qemu import qmp
from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

SPEC = """
version: 1
name: hangs
base: debian:12
resources: {memory: 512MiB, cpus: 1}
workspace: {source: ., path: /work, user: root}
services:
  idle: {command: sleep infinity, ready: {command: test -e /etc/hostname}}
backends: {vm: {provider: qemu}}
"""
# Where a host offers no KVM, these tests see one; what boots with it stands still from its first instruction.
OFFERS_KVM = (
    "import provision.backends.vm.acceleration as a; a.offered = lambda: 'kvm'; "
    "from provision.__main__ import main; main()"
)
STANDS_STILL = """#!/usr/bin/env python3
import os, sys
words = sys.argv[1:]
for at, word in enumerate(words):
    if word in ("-accel", "-cpu") and words[at + 1] in ("kvm", "host"):
        words[at + 1] = {"-accel": "tcg", "-cpu": "max"}[word]
        words = [*words, "-S"] if "-S" not in words else words
os.execv("%s", ["%s", *words])
"""


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = make_project(tmp_path_factory.mktemp("hangs") / "project", "vm")
    project.spec(SPEC)
    project.write("kept", "of the host\n")
    try:
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def qemu(project: Project) -> psutil.Process:
    """The one QEMU whose machine has this project's folder as its workspace."""
    found = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"].startswith("qemu-system")
        and any(str(project.folder) in word for word in process.info["cmdline"] or ())
    ]
    assert len(found) == 1
    return found[0]


def control(project: Project) -> Path:
    words = qemu(project).cmdline()
    return Path(words[words.index("-qmp") + 1].removeprefix("unix:").partition(",")[0])


def is_paused(project: Project) -> bool:
    return not qmp.execute(control(project), "query-status")["running"]


def workspace_is_there(project: Project) -> bool:
    return project.inside("cat /work/kept") == "of the host\n"


def pretending(
    project: Project, bin_folder: Path, *words: str, code: str = OFFERS_KVM
) -> subprocess.CompletedProcess[str]:
    """`provision` on a host whose KVM hangs every guest."""
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=project.folder,
        env={**os.environ, "PROVISION_BACKEND": "vm", "PATH": f"{bin_folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )


@pytest.fixture
def hanging_kvm(tmp_path: Path) -> Path:
    """A folder with a QEMU whose KVM runs no guest: a real one that never begins."""
    real = next(
        Path(folder) / "qemu-system-x86_64"
        for folder in os.environ["PATH"].split(":")
        if (Path(folder) / "qemu-system-x86_64").exists()
    )
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text(STANDS_STILL % (real, real))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program.parent


def test_a_kvm_that_hangs_is_found_out_and_the_machine_is_emulated(vm: Project, hanging_kvm: Path) -> None:
    said = pretending(vm, hanging_kvm, "up")
    assert said.returncode == 0, said.stderr
    assert "trying KVM with the machine's kernel" in said.stderr
    assert "hangs is emulated, which is slow: KVM does not boot its kernel on this host" in said.stderr
    assert workspace_is_there(vm)
    # It is remembered for this kernel, QEMU and host.
    assert vm.run("down").code == 0
    said = pretending(vm, hanging_kvm, "up")
    assert said.returncode == 0, said.stderr
    assert "trying KVM" not in said.stderr


def test_a_boot_that_hangs_is_ended_and_goes_on_emulated(vm: Project, hanging_kvm: Path) -> None:
    vm.good("down", "--images")
    vm.spec(SPEC + "# another\n")
    believes = OFFERS_KVM.replace("; from", "; a._try = lambda *_: True; from")
    program = hanging_kvm / "qemu-system-x86_64"
    program.write_text(program.read_text() + "# another program, of which nothing is remembered\n")
    said = pretending(vm, hanging_kvm, "up", code=believes)
    assert said.returncode == 0, said.stderr
    assert "hangs does not boot with KVM" in said.stderr
    assert workspace_is_there(vm)


def test_an_accelerator_that_is_named_is_not_replaced(vm: Project, hanging_kvm: Path) -> None:
    vm.spec(SPEC.replace("provider: qemu", "provider: qemu, accelerator: kvm"))
    try:
        said = pretending(vm, hanging_kvm, "up")
        assert said.returncode == 3, said.stderr
        assert "KVM cannot boot machine hangs's kernel" in said.stderr
        assert "accelerator: emulation" in said.stderr
    finally:
        vm.spec(SPEC)
        assert vm.run("up").code == 0


def test_a_paused_machine_is_called_so_and_goes_on(vm: Project) -> None:
    qmp.execute(control(vm), "stop")
    assert vm.state()["state"] == "paused"
    before = qemu(vm).pid
    vm.up()
    assert vm.state()["state"] == "running"
    assert qemu(vm).pid == before


def test_a_stop_that_was_killed_is_healed(vm: Project) -> None:
    stopping = subprocess.Popen(
        [sys.executable, "-m", "provision", "stop"],
        cwd=vm.folder,
        env={**os.environ, "PROVISION_BACKEND": "vm"},
    )
    while not is_paused(vm):
        time.sleep(0.02)
    stopping.send_signal(signal.SIGKILL)
    stopping.wait()
    vm.up()
    assert workspace_is_there(vm)
    # And where it was killed a moment before that: it runs, without its folders.
    vm.good("exec", "-w", "/", "--", "/usr/lib/provision-guest/quiesce")
    assert "kept" not in vm.good("exec", "-w", "/", "--", "ls", "/work")
    vm.up()
    assert workspace_is_there(vm)
    assert vm.run("stop").code == 0
    vm.up()
    assert workspace_is_there(vm)


def test_a_network_that_has_ended_is_made_again_and_the_machine_goes_on(vm: Project) -> None:
    """passt may be killed, by a host that is out of memory say, and QEMU does not notice."""
    booted = vm.inside("cat /proc/sys/kernel/random/boot_id")
    socket = str(ssh.socket_path(vm.state_dir("hangs"), "hangs.net"))
    network = [each for each in psutil.process_iter(["cmdline"]) if socket in (each.info["cmdline"] or ())
               and not each.cmdline()[0].startswith("qemu")]  # fmt: skip
    if not network:
        pytest.skip("this host has no passt: QEMU itself is the network")
    for each in network:
        each.kill()
    psutil.wait_procs(network, timeout=10)
    assert vm.state()["state"] == "not answering"
    assert vm.actions() == {"hangs": "start"}
    vm.up()
    assert vm.inside("cat /proc/sys/kernel/random/boot_id") == booted
    assert workspace_is_there(vm)


def test_a_machine_that_hangs_is_told_from_a_sick_one_and_put_out(vm: Project) -> None:
    # Its kernel stops without a panic that reboots it.
    vm.run(
        "exec", "--", "sh", "-c", "echo 0 >/proc/sys/kernel/panic; sleep 0.2; echo c >/proc/sysrq-trigger &"
    )
    time.sleep(3)
    machine = json.loads(vm.good("status", "--format", "json"))["machines"][0]
    assert machine["state"] == "not answering"
    assert machine["services"] == []
    running = qemu(vm)
    vm.good("down")
    assert not running.is_running()
