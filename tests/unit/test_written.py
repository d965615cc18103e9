"""How much was written to machines' disks: since they were ready, and only where that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from provision.backends.vm import written
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

    from provision.backends.vm.driver import Driver

pytestmark = pytest.mark.usefixtures("no_processes")


class Disks:
    """A driver that knows nothing but what disks take."""

    def __init__(self, **sizes: int | None) -> None:
        self.sizes = sizes

    def disk_bytes(self, _state_dir: StateDir, machine: str) -> int | None:
        return self.sizes[machine]


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    return StateDir.of(tmp_path, "any", "vm", tmp_path / "any.yaml")


def test_growth_counts_from_when_a_machine_was_ready(state_dir: StateDir) -> None:
    written.note_ready(cast("Driver", Disks(a=100, b=50, c=None)), state_dir, ["a", "b", "c"])
    now = cast("Driver", Disks(a=130, b=40, c=7, d=9))
    assert written.since_ready(now, state_dir, ["a", "b", "c", "d"]) == {"a": 30, "b": 0}
    assert written.since_ready(cast("Driver", Disks(a=None)), state_dir, ["a"]) == {}
    written.forget(state_dir, ["a"])  # it is about to be made anew
    assert written.since_ready(now, state_dir, ["a", "b"]) == {"b": 0}


def test_nothing_is_known_of_a_driver_that_cannot_tell(state_dir: StateDir) -> None:
    written.note_ready(cast("Driver", object()), state_dir, ["a"])
    assert written.since_ready(cast("Driver", object()), state_dir, ["a"]) == {}
    assert not state_dir.folder.exists()
