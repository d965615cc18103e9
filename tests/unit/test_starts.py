"""What `explain` and `plan` say: measured, and as things are on this host."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from provision import engine
from provision.backends import ports, starts
from provision.backends.base import Plan, PlannedAction
from provision.backends.starts import StartRecord
from provision.engine import Request
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))


def state_dir(folder: Path, name: str, backend: str = "docker") -> StateDir:
    found = StateDir.of(folder, name, backend, folder / "provision.yaml")
    found.make()
    return found


def test_a_start_is_told_as_it_was_measured(tmp_path: Path) -> None:
    own, one, two = (state_dir(tmp_path, name) for name in ("own", "one", "two"))
    assert starts.measured(own, "a second") == "not measured on this host yet; a second"
    state_dir(tmp_path, "own", "vm").save(starts.RECORD, StartRecord(seconds=100.0))
    one.save(starts.RECORD, StartRecord(seconds=2.0))
    assert starts.measured(own, "a second") == "2.0 s for other environments on this host (1 environment)"
    two.save(starts.RECORD, StartRecord(seconds=4.0))
    assert starts.measured(own, "a second") == "3.0 s for other environments on this host (2 environments)"
    starts.note(own, Plan(machines=(PlannedAction(machine="own", action="wait"),)), time.monotonic(), 0.0)
    assert own.load(starts.RECORD, StartRecord) is None
    now = time.monotonic()
    created = Plan(machines=(PlannedAction(machine="own", action="create"),))
    starts.note(own, created, now - 9, now - 9)
    assert starts.measured(own, "a second").startswith("9.")
    # A change is told by the last of its kind, and is no start.
    changed = Plan(machines=(PlannedAction(machine="own", action="change"),))
    assert starts.estimated(own, changed).seconds is None
    starts.note(own, changed, now - 1, now - 2)
    assert starts.measured(own, "a second").startswith("9.")
    seconds = [starts.estimated(own, plan).seconds or 0 for plan in (created, changed)]
    assert [round(each) for each in seconds] == [9, 2]


def loaded(folder: Path, text: str, backend: str = "docker") -> Environment:
    spec = folder / "provision.yaml"
    spec.write_text("version: 1\nname: told\nbase: debian:12\n" + text)
    return engine.load(Request(spec=spec, backend=backend, settings={}))


@pytest.mark.processes
def test_a_port_that_is_taken_is_told_before_and_chosen_by_nobody(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        number = holder.getsockname()[1]
        environment = loaded(tmp_path, f"ports: ['{number}:80', '81']\n")
        place = state_dir(tmp_path, "told")
        (note,) = ports.notes_on_ports(environment, place, ())
        assert note.startswith(f"port 127.0.0.1:{number}/tcp (")
        assert note.endswith("`up` fails until it is free")
        assert ports.notes_on_ports(environment, place, {(number, "tcp")}) == ()


SKIPPED = {
    "docker": ("the check a of told is skipped: the docker backend does not provide kernel",),
    "vm": (),
}


@pytest.mark.parametrize("form", SKIPPED)
def test_checks_that_will_be_skipped_are_told(form: str, tmp_path: Path) -> None:
    text = "checks: [{command: x, name: a, requires: [kernel]}, {command: y, name: b}]\n"
    assert engine.skipped(loaded(tmp_path, text, form), form) == SKIPPED[form]


def test_a_test_of_the_spec_that_is_not_allowed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROVISION_ALLOW", raising=False)
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "test_it.py").touch()
    (told,) = engine.skipped(loaded(tmp_path, "checks: [{pytest: test_it.py}]\n"), "docker")
    assert told.startswith("the check pytest test_it.py of told is skipped: it is Python code")
