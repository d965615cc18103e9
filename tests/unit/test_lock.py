"""The lock of an environment: held by one, waited for by the others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from provision import engine, lock
from provision.backends.vm.backend import VirtualMachines
from provision.engine import EnvironmentRef
from provision.progress import Silent
from provision.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Told(Silent):
    """Keeps the titles of the steps, and tells that one has begun."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.begun = threading.Event()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.titles.append(title)
        self.begun.set()
        yield


def test_the_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    told, order = Told(), []

    def second() -> None:
        with lock.hold(tmp_path / "lock", told, holder=lambda: "the first"):
            order.append("second")

    with lock.hold(tmp_path / "lock", Silent(), holder=str):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.begun.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
    assert told.titles == ["waiting for the first to finish"]


def test_its_file_goes_with_it_and_one_that_waited_excludes_a_third(tmp_path: Path) -> None:
    path, begun, order = tmp_path / "lock", threading.Event(), []

    def second() -> None:
        begun.set()
        with lock.hold(path, Silent(), holder=str):
            order.append("second begins")
            third.start()
            time.sleep(0.3)
            order.append("second ends")

    def last() -> None:
        with lock.hold(path, Silent(), holder=str):
            order.append("third")

    waiting, third = threading.Thread(target=second), threading.Thread(target=last)
    with lock.hold(path, Silent(), holder=str):
        waiting.start()
        assert begun.wait(60)
        assert path.exists()
    waiting.join(60)
    third.join(60)
    assert order == ["second begins", "second ends", "third"]
    assert list(tmp_path.iterdir()) == []


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(KeyError), lock.hold(tmp_path / "lock", told, holder=str):
        raise KeyError
    with lock.hold(tmp_path / "lock", told, holder=str):
        assert told.titles == []


class Watched(VirtualMachines):
    """Asked for its machines, it notes whether the environment is locked."""

    def __init__(self) -> None:
        self.locked: list[bool] = []

    def targets(self, name: str, state_dir: StateDir, machine: str | None = None) -> dict[str, Any]:  # noqa: ARG002 - the contract's words
        told = Told()

        def second() -> None:
            with state_dir.lock(told):
                pass

        thread = threading.Thread(target=second)
        thread.start()
        self.locked.append(told.begun.wait(10))
        self._thread = thread
        return {}


def test_a_restart_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path))
    backend = Watched()
    ref = EnvironmentRef(name="x", backend=backend, state_dir=StateDir.of(tmp_path, "x", "vm"))
    assert engine.restart(ref, (), None, Silent()) == ()
    assert backend.locked == [True]


def test_carrying_folders_is_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path))
    backend, locked = Watched(), []
    state_dir = StateDir.of(tmp_path, "x", "vm")

    def carry(*_: object) -> None:
        backend.targets("x", state_dir)
        locked.append(backend.locked[-1])

    monkeypatch.setattr("provision.backends.vm.guest.sync.push", carry)
    VirtualMachines().sync(state_dir, Silent(), watch=False)
    assert locked == [True]


@pytest.mark.processes
def test_another_process_is_kept_out_until_the_end_whatever_it_ends_by(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import sys, time; from pathlib import Path; from provision.lock import exclusive\n"
        "with exclusive(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(lock.Held), lock.exclusive(path, timeout=0):
            pytest.fail("two have it")
        child.kill()
        with lock.exclusive(path, timeout=60):
            assert path.exists()


FORKS = """
import os, signal, sys
from pathlib import Path
from provision import lock

with lock.exclusive(Path(sys.argv[1])):
    child = os.fork()
    if child == 0:
        signal.pause()
try:
    with lock.exclusive(Path(sys.argv[1]), timeout=0):
        print("it is free")
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.processes
def test_a_descriptor_that_a_child_has_copied_does_not_hold_it(tmp_path: Path) -> None:
    """In a process of its own: Python warns of a fork beside threads, which the tests' own may have."""
    words = [sys.executable, "-c", FORKS, str(tmp_path / "lock")]
    said = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert (said.stdout, said.stderr) == ("it is free\n", "")
