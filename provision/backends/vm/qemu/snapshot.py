"""The saved state of a machine, kept in its overlay: the next start resumes instead of booting.

The state for starts after `down` is taken when the machine holds nothing of the host: its
folders are let go, volumes are not attached yet, and what a start delivers (secrets) comes
only afterwards, by `resume`. The one for the start after `stop` holds all that the machine was,
and is used once; a machine that was given a secret has none.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provision import guest_paths, process, records
from provision.backends.vm.image.store import SAVED
from provision.backends.vm.qemu import qmp
from provision.errors import EnvironmentFailed, ProvisionError
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.qemu.instance import Instance

TAG = "provision"
FORMAT = 1  # of what is held back, and how a machine goes on
RECORD = "memory"
KEPT = SAVED
_KINDS = ("model name", "flags", "CPU implementer", "CPU variant", "CPU part", "CPU revision", "Features")
ON_ROOT = {"vmstate": "root", "devices": ["root"]}
SUSPENDED = "suspended"
COPY = "snapshot"
DISKS = "disks.json"
ROOT = "root"  # the node of the machine's own disk


@dataclass(frozen=True, kw_only=True)
class SavedStateRecord:
    """A state that is kept for starts after `down`: what it depends on, and the bytes it takes."""

    key: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class SuspendedRecord:
    """A state that `stop` kept: what it depends on, and when each volume was last written."""

    key: str
    volumes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class DisksRecord:
    """The file of each disk that was copied, by its node."""

    files: Mapping[str, str]


def fingerprint(definition: str, recipe: str, disk: str, processor: Mapping[str, str], version: str) -> str:
    """The hash of all that a state depends on."""
    parts = [FORMAT, definition, recipe, disk, dict(processor), version]
    if processor["CPU"] == "host":
        parts.append(host_processor(Path("/proc/cpuinfo")))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save(instance: Instance, key: str, *, ready: bool) -> None:
    """Keep the state of a running machine; it goes on afterwards, its folders let go.

    `ready` says that its services are.

    Raises:
        ProvisionError: it could not be, and nothing of it is left; the machine goes on.
    """
    _pause_and_save(instance, TAG, "ready" if ready else "")
    qmp.execute(instance.monitor, "cont")
    _note_saved(instance, key)


def load(instance: Instance) -> None:
    """Bring a machine that stands still back to its kept state, and let it run.

    Raises:
        ProvisionError: the state does not fit, or is damaged.
    """
    qmp.run_job(instance.monitor, "snapshot-load", {"tag": TAG, **ON_ROOT})
    qmp.execute(instance.monitor, "cont")


def suspend(instance: Instance, key: str) -> None:
    """Keep all that a running machine is, and end it.

    Raises:
        ProvisionError: it cannot be kept; the machine goes on, its folders let go.
    """
    volumes = qmp.open_files(instance.monitor)
    with suppress(ProvisionError):  # one that is left of a stop that was killed
        qmp.run_job(instance.monitor, "snapshot-delete", {"tag": SUSPENDED, "devices": ["root"]})
    _pause_and_save(instance, SUSPENDED)
    instance.power_off()
    written = {file: Path(file).stat().st_mtime_ns for file in volumes if file != str(instance.overlay)}
    instance.state_dir.save(_suspended_record(instance), SuspendedRecord(key=key, volumes=written))


def is_suspended(instance: Instance, key: str) -> bool:
    """Whether a start can go on where `stop` ended: nothing that it depends on has changed since."""
    known = instance.state_dir.load_sound(_suspended_record(instance), SuspendedRecord)
    if known is None or known.key != key:
        return False
    try:
        return all(Path(file).stat().st_mtime_ns == written for file, written in known.volumes.items())
    except OSError:
        return False


def holds_memory(instance: Instance) -> bool:
    """Whether `stop` has kept the machine's memory in its disk."""
    return instance.state_dir.path_of(_suspended_record(instance)).exists()


def resume(instance: Instance) -> None:
    """Resume a suspended machine; only once, because its disk changes from there on.

    Raises:
        ProvisionError: the state is damaged.
    """
    instance.state_dir.path_of(_suspended_record(instance)).unlink()
    qmp.run_job(instance.monitor, "snapshot-load", {"tag": SUSPENDED, **ON_ROOT})
    qmp.run_job(instance.monitor, "snapshot-delete", {"tag": SUSPENDED, "devices": ["root"]})
    qmp.execute(instance.monitor, "cont")


def discard_suspended(instance: Instance) -> None:
    """Throw away what `stop` kept, if it did, of a machine that does not run."""
    if instance.overlay.exists():
        process.run(["qemu-img", "snapshot", "-d", SUSPENDED, str(instance.overlay)], check=False)
    instance.state_dir.forget(_suspended_record(instance))


def stash(instance: Instance) -> bool:
    """Keep the overlay that holds a state, for a machine that is about to be removed."""
    if not instance.overlay.exists() or _saved(instance) is None:
        return False
    # What was written since is no part of it, and may be a secret: its bytes go, not only its blocks.
    file = {"driver": "file", "discard": "unmap", "filename": str(instance.overlay)}
    opened = {"driver": "qcow2", "discard": "unmap", "file": file}
    undone = process.run(["qemu-img", "snapshot", "-a", TAG, f"json:{json.dumps(opened)}"], check=False)
    if undone.code != 0:
        discard(instance)
        return False
    instance.overlay.replace(kept(instance))
    return True


def restore(instance: Instance, key: str) -> bool:
    """Put the overlay of a stashed state in its place, if there is one.

    Raises:
        EnvironmentFailed: there is one of another key; nothing of it is left.
    """
    if not kept(instance).exists():
        discard(instance)
        return False
    known = _saved(instance)
    if known is None or known.key != key:
        discard(instance)
        raise EnvironmentFailed("it is from a different spec, disk, QEMU or CPU")
    kept(instance).replace(instance.overlay)
    return True


def is_kept(instance: Instance, key: str) -> bool:
    """Whether a state of that key lies aside for the next start."""
    known = _saved(instance)
    return known is not None and known.key == key and kept(instance).exists()


def keep(instance: Instance, file: Path, key: str) -> None:
    """Take a file as the state that lies aside for the next start."""
    size = file.stat().st_size
    file.replace(kept(instance))
    instance.state_dir.save(f"{RECORD}-{instance.machine}", SavedStateRecord(key=key, bytes=size))


def kept(instance: Instance) -> Path:
    """Where a machine's overlay lies while the machine is away and its state is kept."""
    return instance.overlay.with_name(instance.overlay.name + KEPT)


def keep_copy(instance: Instance, folder: Path) -> None:
    """Copy all disks of a running machine, with its memory in the first; it goes on, its folders let go.

    Raises:
        ProvisionError: it could not be; the machine goes on.
    """
    disks = qmp.disks(instance.monitor)
    _require_room(instance, sum(_taken(Path(file)) for file in disks.values()))
    records.save(folder / DISKS, DisksRecord(files=dict(disks)))
    tagged = {"tag": COPY, "devices": list(disks)}
    with suppress(ProvisionError):  # one that is left of a save that was killed
        qmp.run_job(instance.monitor, "snapshot-delete", tagged)
    _quiesce(instance)
    qmp.execute(instance.monitor, "stop")
    try:
        qmp.run_job(instance.monitor, "snapshot-save", {**tagged, "vmstate": "root"})
        for node, file in disks.items():
            process.run(["cp", file, str(folder / f"{node}.qcow2")])
    finally:
        with suppress(ProvisionError):
            qmp.run_job(instance.monitor, "snapshot-delete", tagged)
        qmp.execute(instance.monitor, "cont")


def restore_copy(instance: Instance, folder: Path) -> None:
    """Have a running machine's disks and memory as they were copied; its folders are let go then.

    Raises:
        ProvisionError: the copies do not fit, or are damaged.
    """
    disks = qmp.disks(instance.monitor)
    kept = {node: folder / f"{node}.qcow2" for node in disks}
    missing = [str(path) for path in kept.values() if not path.exists()]
    if missing:
        raise EnvironmentFailed("a file of the snapshot is missing", evidence=missing)
    variables = instance.variables()
    instance.power_off()
    instance.state_dir.forget(_suspended_record(instance))
    for node, file in disks.items():
        _put_back(kept[node], Path(file))
    instance.start(variables, waits=True)
    tagged = {"tag": COPY, "devices": list(disks)}
    qmp.run_job(instance.monitor, "snapshot-load", {**tagged, "vmstate": "root"})
    qmp.run_job(instance.monitor, "snapshot-delete", tagged)
    qmp.execute(instance.monitor, "cont")


def restore_disks(instance: Instance, folder: Path, *, own: bool) -> None:
    """Have the disks as they were copied, of a machine that is ended; the machine's own only with `own`.

    Raises:
        EnvironmentFailed: a copy is missing.
    """
    known = records.load(folder / DISKS, DisksRecord)
    kept = {node: folder / f"{node}.qcow2" for node in known.files} if known else {}
    if known is None or not all(path.exists() for path in kept.values()):
        raise EnvironmentFailed("a file of the snapshot is missing", evidence=[str(folder)])
    instance.power_off()
    if own:
        instance.state_dir.forget(_suspended_record(instance))
    for node, file in known.files.items():
        if node == ROOT and not own:
            continue
        _put_back(kept[node], Path(file))
        process.run(["qemu-img", "snapshot", "-d", COPY, file], check=False)  # its memory goes with it


def _put_back(copy: Path, file: Path) -> None:
    """Replace a disk by a copy, whole or not at all."""
    process.run(["cp", str(copy), str(beside(file))])
    beside(file).replace(file)


def beside(file: Path) -> Path:
    """Where a disk is copied to before it takes its place."""
    return file.with_name(f"{file.name}.new")


def _taken(file: Path) -> int:
    return file.stat().st_blocks * 512


def saved_bytes(instance: Instance) -> int:
    """The bytes that the machine's disk and its kept state take; 0 where none is kept."""
    known = _saved(instance)
    there = instance.overlay.exists() or kept(instance).exists()
    return known.bytes if there and known is not None else 0


def discard(instance: Instance) -> None:
    """Throw a kept state away."""
    kept(instance).unlink(missing_ok=True)
    instance.state_dir.forget(f"{RECORD}-{instance.machine}")


def _require_room(instance: Instance, more: int = 0) -> None:
    """Raise EnvironmentFailed where the state may not fit: what a failed save wrote is not given back."""
    running = instance.process()
    # More than the state, which has no empty pages.
    taken = more + (2 if more else 1) * (running.memory_info().rss if running else 0)
    free = shutil.disk_usage(instance.folder).free
    if free < taken:
        raise EnvironmentFailed(
            f"it may need {taken >> 20} MiB, but {free >> 20} MiB are free in {instance.folder}"
        )


def _pause_and_save(instance: Instance, tag: str, how: str = "") -> None:
    """Save a running machine, which then stands still; it goes on where it cannot be saved.

    What it has written is on its disk by then: that alone must do, should the state not fit any more.
    """
    _require_room(instance)
    _quiesce(instance, how)
    qmp.execute(instance.monitor, "stop")
    try:
        qmp.run_job(instance.monitor, "snapshot-save", {"tag": tag, **ON_ROOT})
    except BaseException:
        qmp.execute(instance.monitor, "cont")
        raise


def _quiesce(instance: Instance, how: str = "") -> None:
    """Let a machine let go of the host's folders, and write what it has not written."""
    left = instance.shell.run(f"{guest_paths.QUIESCE} {how} && sync")
    if left.code != 0:
        raise EnvironmentFailed("a host folder is in use inside", evidence=left.stdout.decode().splitlines())


def _suspended_record(instance: Instance) -> str:
    return f"{SUSPENDED}-{instance.machine}"


def _note_saved(instance: Instance, key: str) -> None:
    size = instance.overlay.stat().st_size
    instance.state_dir.save(f"{RECORD}-{instance.machine}", SavedStateRecord(key=key, bytes=size))


def _saved(instance: Instance) -> SavedStateRecord | None:
    """The record of a stashed state; None if it is damaged: then the machine boots."""
    return instance.state_dir.load_sound(f"{RECORD}-{instance.machine}", SavedStateRecord)


def host_processor(cpuinfo: Path) -> str:
    """The kind of the host's processor: a state of another may use what this one lacks."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(_KINDS)}))
