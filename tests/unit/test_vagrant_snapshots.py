"""Snapshots of machines of Vagrant: what it is told, what is refused, and what ends with the machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from provision import process
from provision.backends import snapshots as kept
from provision.backends.vm import drivers, shutdown, snapshots
from provision.backends.vm.vagrant import libvirt
from provision.backends.vm.vagrant.driver import VagrantDriver
from provision.errors import UsageError
from provision.process import Completed
from provision.progress import Silent
from provision.state import StateDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.backends.vm.driver import GuestState

NAME = "a b'$(touch ran)"
HEX = kept.identity_of(NAME)


class Provider(VagrantDriver):
    """A provider whose machine runs, and which keeps what Vagrant is told."""

    name = "pretended"

    def __init__(self) -> None:
        self.told: list[list[str]] = []
        self.there: tuple[str, ...] = ("dev",)
        self.reason: str | None = None

    def machines(self, state_dir: StateDir) -> tuple[str, ...]:  # noqa: ARG002
        return self.there

    def state(self, state_dir: StateDir, machine: str) -> GuestState:  # noqa: ARG002
        return "running" if machine in self.there else "absent"

    def identity(self, state_dir: StateDir, machine: str) -> str | None:  # noqa: ARG002
        return "one"

    def why_no_snapshot(self, state_dir: StateDir, machine: str) -> str | None:  # noqa: ARG002
        return self.reason

    def remove(self, *_: object) -> None:
        self.there = ()

    @contextmanager
    def _conversation(self, *_: object) -> Iterator[Any]:
        provider = self

        class Vagrant:
            def _call_vagrant_command(self, words: list[str]) -> None:
                provider.told.append(words)

        yield Vagrant()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    made = Provider()
    monkeypatch.setattr(drivers, "names", lambda: ("pretended",))
    monkeypatch.setattr(drivers, "find", lambda _name: made)
    monkeypatch.setattr(
        process, "run", lambda words, **_: Completed(argv=words, code=0, stdout="", stderr="")
    )
    monkeypatch.setattr(shutdown, "answers", lambda *_: False)
    return made


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    made = StateDir.of(tmp_path, "dev", "vm", tmp_path / "dev.yaml")
    made.make()
    return made


def test_vagrant_is_told_a_name_that_is_none_of_the_persons(provider: Provider, state_dir: StateDir) -> None:
    snapshots.save(state_dir, Silent(), NAME)
    assert [each.name for each in kept.kept(state_dir)] == [NAME]
    snapshots.restore(state_dir, Silent(), NAME)
    snapshots.delete(state_dir, NAME)
    assert provider.told == [
        ["snapshot", "save", "--force", "dev", HEX],
        ["snapshot", "restore", "--no-provision", "dev", HEX],
        ["snapshot", "delete", "dev", HEX],
    ]
    assert kept.kept(state_dir) == ()


def test_a_reason_is_told_and_nothing_is_begun(provider: Provider, state_dir: StateDir) -> None:
    provider.reason = "its folders are live"
    with pytest.raises(UsageError, match="machine dev cannot be kept in a snapshot: its folders are live"):
        snapshots.save(state_dir, Silent(), NAME)
    assert provider.told == []
    assert kept.kept(state_dir) == ()


def test_a_killed_restore_is_done_again_by_the_hypervisor(provider: Provider, state_dir: StateDir) -> None:
    snapshots.save(state_dir, Silent(), NAME)
    kept.begin_restore(state_dir, kept.find(state_dir, NAME))
    snapshots.finish_restore(state_dir, Silent())
    assert provider.told[-1] == ["snapshot", "restore", "--no-provision", "dev", HEX]
    assert kept.interrupted_restore(state_dir) is None


def test_it_ends_with_its_machine(provider: Provider, state_dir: StateDir) -> None:
    snapshots.save(state_dir, Silent(), NAME)
    shutdown.remove(provider, state_dir, Silent())
    assert kept.kept(state_dir) == ()


@pytest.mark.parametrize(("folder", "refused"), [("virtiofs", True), ("path", False)])
def test_libvirt_keeps_no_machine_with_live_folders(
    folder: str, refused: bool, state_dir: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"<filesystem><driver type='{folder}'/></filesystem>"
    monkeypatch.setattr(
        libvirt, "_virsh", lambda *words: Completed(argv=words, code=0, stdout=text, stderr="")
    )
    reason = libvirt.DRIVER.why_no_snapshot(state_dir, "dev")
    assert ("virtiofs" in reason) if reason else not refused
