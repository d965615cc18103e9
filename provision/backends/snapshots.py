"""Snapshots of an environment: what is kept of each, under a name that may hold any character."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provision import records
from provision.errors import UsageError
from provision.hints import command
from provision.quick_dataclasses import dataclass
from provision.records import DamagedRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.state import StateDir

FOLDER = "snapshots"
RECORD = "snapshot.json"
RESTORING = "restoring"


@dataclass(frozen=True, kw_only=True)
class SnapshotRecord:
    """A snapshot: its name, when it was taken, and of each machine what it depends on.

    `images` and `configurations` are those of containers, by machine; `volumes` says which copy
    is kept of each volume.
    """

    name: str
    taken: str
    machines: Mapping[str, str]
    images: Mapping[str, str] = field(default_factory=dict)
    configurations: Mapping[str, object] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RestoringRecord:
    """The snapshot whose restore has begun; `machines`: they are part of what is left to do."""

    name: str
    machines: bool = True


def identity_of(name: str) -> str:
    """What a snapshot is called in a file system or an engine; pure."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def folder_of(state_dir: StateDir, name: str) -> Path:
    """Where a snapshot is kept."""
    return state_dir.folder / FOLDER / identity_of(name)


def now() -> str:
    """The time that a record says."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def keep(state_dir: StateDir, record: SnapshotRecord) -> None:
    """Remember a snapshot, after all that it is made of is there."""
    folder = folder_of(state_dir, record.name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    records.save(folder / RECORD, record)


def begin_restore(state_dir: StateDir, record: SnapshotRecord) -> None:
    """Note that machines and volumes are about to be replaced: until the end they are of no one moment."""
    state_dir.save(RESTORING, RestoringRecord(name=record.name))


def end_restore(state_dir: StateDir) -> None:
    """Note that all is as it was in the snapshot."""
    state_dir.forget(RESTORING)


def interrupted_restore(state_dir: StateDir) -> tuple[SnapshotRecord, bool] | None:
    """The snapshot of a restore that did not end, and whether machines are part of what is left to do."""
    found = state_dir.load_sound(RESTORING, RestoringRecord)
    if found is None:
        return None
    record = next((each for each in kept(state_dir) if each.name == found.name), None)
    return (record, found.machines) if record else None


def after_down(state_dir: StateDir, *, volumes: bool) -> None:
    """What is left of an interrupted restore, and of snapshots, once the machines are removed."""
    found = interrupted_restore(state_dir)
    if found is None or volumes:
        state_dir.forget(RESTORING)
    else:
        state_dir.save(RESTORING, RestoringRecord(name=found[0].name, machines=False))
    forget_halves(state_dir)


def identities(state_dir: StateDir) -> frozenset[str]:
    """What the whole snapshots are called, by `identity_of`; those whose record is damaged too."""
    return frozenset(path.parent.name for path in (state_dir.folder / FOLDER).glob(f"*/{RECORD}"))


def forget_halves(state_dir: StateDir) -> None:
    """Remove the folders of snapshots that were never finished, or whose removal was not."""
    for folder in (state_dir.folder / FOLDER).glob("*"):
        if not (folder / RECORD).exists():
            shutil.rmtree(folder, ignore_errors=True)


def require_whole(state_dir: StateDir) -> None:
    """Raise UsageError where a restore was interrupted, so that there is nothing to keep."""
    if found := interrupted_restore(state_dir):
        raise UsageError(
            f"restoring the snapshot {found[0].name} was interrupted",
            hint=f"{command('up')} does it again",
        )


def refuse_restoring(state_dir: StateDir, name: str) -> None:
    """Raise UsageError where this is the snapshot of an interrupted restore: it is needed still."""
    if (found := interrupted_restore(state_dir)) and found[0].name == name:
        require_whole(state_dir)


def kept(state_dir: StateDir) -> tuple[SnapshotRecord, ...]:
    """All that are kept, oldest first; one whose record is damaged is none."""
    found = []
    for path in (state_dir.folder / FOLDER).glob(f"*/{RECORD}"):
        try:
            record = records.load(path, SnapshotRecord)
        except DamagedRecord:
            continue
        if record is not None:
            found.append(record)
    return tuple(sorted(found, key=lambda each: (each.taken, each.name)))


def find(state_dir: StateDir, name: str) -> SnapshotRecord:
    """The snapshot of this name.

    Raises:
        UsageError: there is none.
    """
    record = records.load(folder_of(state_dir, name) / RECORD, SnapshotRecord)
    if record is None:
        names = ", ".join(each.name for each in kept(state_dir)) or "there is none"
        raise UsageError(f"there is no snapshot {name}", hint=f"the snapshots: {names}")
    return record


def refuse_taken(state_dir: StateDir, name: str) -> None:
    """Raise UsageError where a snapshot of this name would be overwritten."""
    if not name:
        raise UsageError("a snapshot needs a name")
    if (folder_of(state_dir, name) / RECORD).exists():
        raise UsageError(
            f"there is a snapshot {name} already",
            hint="choose another name, or delete that snapshot first",
        )


def why_not(record: SnapshotRecord, machines: Mapping[str, str]) -> Sequence[str]:
    """Why a snapshot cannot be restored into machines that stand so; pure.

    Args:
        record: the snapshot.
        machines: what each machine that is there was made as.
    """
    reasons = [f"machine {name} is not there" for name in record.machines if name not in machines]
    reasons += [f"machine {name} is not in it" for name in machines if name not in record.machines]
    reasons += [
        f"machine {name} was made otherwise then"
        for name, made in machines.items()
        if name in record.machines and record.machines[name] != made
    ]
    return reasons


def require_same(record: SnapshotRecord, machines: Mapping[str, str]) -> None:
    """Raise UsageError where a snapshot does not fit the machines."""
    if reasons := why_not(record, machines):
        raise UsageError(
            f"the snapshot {record.name} does not fit what is there: {'; '.join(reasons)}",
            hint=f"bring the environment up as it was then, with {command('up')}, and restore it again",
        )


def forget(state_dir: StateDir, name: str) -> None:
    """Remove what is kept of a snapshot in the state; its record first, which says that it is whole."""
    (folder_of(state_dir, name) / RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder_of(state_dir, name), ignore_errors=True)
