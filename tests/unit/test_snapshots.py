"""Snapshots: names are data, what is kept is found again, what does not fit is refused with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.backends import snapshots
from provision.backends.snapshots import SnapshotRecord
from provision.errors import UsageError
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_processes")
NAMES = ["plain", "../../up", "/etc/passwd", "a b\n$(touch ran)", "--yes", "\udcff\udcfe", "ünï", "."]


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    made = StateDir.of(tmp_path, "any", "docker", tmp_path / "any.yaml")
    made.make()
    return made


def record(name: str, **more: dict[str, str]) -> SnapshotRecord:
    return SnapshotRecord(name=name, taken=snapshots.now(), machines={"dev": "a"}, **more)


def test_any_name_is_kept_below_the_state_and_found_again(state_dir: StateDir) -> None:
    folders = set()
    for name in NAMES:
        snapshots.refuse_taken(state_dir, name)
        snapshots.keep(state_dir, record(name, volumes={"data": "copy"}))
        with pytest.raises(UsageError, match="there is a snapshot"):
            snapshots.refuse_taken(state_dir, name)
        folder = snapshots.folder_of(state_dir, name)
        assert folder.parent == state_dir.folder / "snapshots"
        folders.add(folder)
        assert snapshots.find(state_dir, name).volumes == {"data": "copy"}
    assert len(folders) == len(NAMES)
    assert {each.name for each in snapshots.kept(state_dir)} == set(NAMES)
    for name in NAMES:
        snapshots.forget(state_dir, name)
        with pytest.raises(UsageError, match="there is no snapshot"):
            snapshots.find(state_dir, name)


def test_a_name_is_needed(state_dir: StateDir) -> None:
    with pytest.raises(UsageError):
        snapshots.refuse_taken(state_dir, "")


def test_a_damaged_record_hides_no_other(state_dir: StateDir) -> None:
    for name in ("good", "bad"):
        snapshots.keep(state_dir, record(name))
    (snapshots.folder_of(state_dir, "bad") / snapshots.RECORD).write_text("{")
    assert [each.name for each in snapshots.kept(state_dir)] == ["good"]


@pytest.mark.parametrize(
    ("machines", "reasons"),
    [
        ({"db": "a", "web": "b"}, []),
        ({"db": "a"}, ["machine web is not there"]),
        ({}, ["machine db is not there", "machine web is not there"]),
        ({"db": "a", "web": "b", "app": "c"}, ["machine app is not in it"]),
        ({"db": "a", "web": "c"}, ["machine web was made otherwise then"]),
    ],
)
def test_what_does_not_fit_is_refused(machines: dict[str, str], reasons: list[str]) -> None:
    kept = SnapshotRecord(name="x", taken="", machines={"db": "a", "web": "b"})
    assert snapshots.why_not(kept, machines) == reasons
    if reasons:
        with pytest.raises(UsageError, match=reasons[0]):
            snapshots.require_same(kept, machines)


# --- what a killed command leaves


def test_a_restore_that_was_killed_is_known_until_it_is_done_again(state_dir: StateDir) -> None:
    kept = record("one")
    snapshots.keep(state_dir, kept)
    assert snapshots.interrupted_restore(state_dir) is None
    snapshots.begin_restore(state_dir, kept)
    assert snapshots.interrupted_restore(state_dir) == (kept, True)
    with pytest.raises(UsageError, match="was interrupted"):
        snapshots.require_whole(state_dir)
    with pytest.raises(UsageError, match="was interrupted"):
        snapshots.refuse_restoring(state_dir, "one")
    snapshots.refuse_restoring(state_dir, "two")
    snapshots.end_restore(state_dir)
    assert snapshots.interrupted_restore(state_dir) is None
    snapshots.require_whole(state_dir)


@pytest.mark.parametrize(("volumes", "left"), [(False, True), (True, False)])
def test_after_down_only_volumes_are_left_to_restore(
    state_dir: StateDir, *, volumes: bool, left: bool
) -> None:
    kept = record("one")
    snapshots.keep(state_dir, kept)
    snapshots.begin_restore(state_dir, kept)
    snapshots.after_down(state_dir, volumes=volumes)
    assert snapshots.interrupted_restore(state_dir) == ((kept, False) if left else None)


def test_a_half_of_a_snapshot_goes_and_a_damaged_record_stays(state_dir: StateDir) -> None:
    snapshots.keep(state_dir, record("whole"))
    snapshots.keep(state_dir, record("damaged"))
    (snapshots.folder_of(state_dir, "damaged") / snapshots.RECORD).write_text("{")
    half = snapshots.folder_of(state_dir, "half")
    half.mkdir()
    (half / "disk").touch()
    snapshots.forget_halves(state_dir)
    assert not half.exists()
    assert snapshots.identities(state_dir) == {snapshots.identity_of(name) for name in ("whole", "damaged")}
