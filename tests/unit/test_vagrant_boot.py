"""Vagrant is interrupted where its machine's kernel never begins, and not while it comes."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from provision.backends.vm.vagrant import listener
from provision.backends.vm.vagrant.listener import CHOICES, CONSOLE, Listener
from provision.progress import Silent
from provision.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.processes

WAITING = "==> m: Waiting for domain to get an IP address..."
LINUX = "[    0.000000] Linux version 6.1.0\n"


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setattr(listener, "KERNEL_PATIENCE", 1.0)
    monkeypatch.setattr(listener, "ADDRESS_PATIENCE", 3600.0)
    found = StateDir(folder=tmp_path, name="m", id="00000000")
    found.rendering.mkdir(parents=True)
    return found


@pytest.fixture
def vagrant(state_dir: StateDir) -> Iterator[subprocess.Popen[bytes]]:
    """What the listener takes for Vagrant: a child of this process that works in the rendering."""
    child = subprocess.Popen(["sleep", "60"], cwd=state_dir.rendering)
    yield child
    child.kill()
    child.wait()


def listen(state_dir: StateDir, driver: str, console: str | None) -> Listener:
    (state_dir.rendering / CHOICES).write_text(json.dumps({"processors": {"m": {"driver": driver}}}))
    if console is not None:
        (state_dir.folder / CONSOLE.format(machine="m")).write_text(console)
    listener = Listener(lambda _line: None, state_dir, Silent())
    listener.hear(WAITING)
    return listener


@pytest.mark.parametrize("console", [None, "", "Booting from Hard Disk...\nGRUB\n"])
def test_a_kernel_that_never_begins_with_kvm_ends_vagrant(
    state_dir: StateDir, vagrant: subprocess.Popen[bytes], console: str | None
) -> None:
    listener = listen(state_dir, "kvm", console)
    assert vagrant.wait(timeout=60) != 0
    assert listener.given_up == "hangs"


@pytest.mark.parametrize(("driver", "console"), [("kvm", LINUX), ("qemu", None), ("qemu", LINUX)])
def test_a_machine_that_comes_or_is_emulated_is_waited_for(
    state_dir: StateDir, vagrant: subprocess.Popen[bytes], driver: str, console: str | None
) -> None:
    listener = listen(state_dir, driver, console)
    time.sleep(3.5)
    assert listener.given_up == ""
    assert vagrant.poll() is None
    listener.rest()
