"""The memory of a machine, kept in its overlay: the next start takes it up instead of booting.

The state for starts after `down` is taken when the machine holds nothing of the host: its
folders are let go, volumes are not attached yet, and what a start delivers (secrets) comes
only afterwards, by `go`. The one for the start after `stop` holds all that the machine was,
and is used once; a machine that was given a secret has none.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.vm.qemu import monitor
from provision.errors import EnvironmentFailed, ProvisionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.vm.qemu.host import Seat

TAG = "provision"
FORMAT = 1  # of what is held back, and how a machine goes on
RECORD = "memory"
KEPT = ".kept"
_KINDS = ("model name", "flags", "CPU implementer", "CPU variant", "CPU part", "CPU revision", "Features")
ON_ROOT = {"vmstate": "root", "devices": ["root"]}
SUSPENDED = "suspended"


@dataclass(frozen=True, kw_only=True)
class MemoryRecord:
    """A state that is kept for starts after `down`: what it depends on, and the bytes it takes."""

    key: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class SuspendedRecord:
    """A state that `stop` kept: what it depends on, and when each volume was last written."""

    key: str
    volumes: Mapping[str, int]


def fingerprint(definition: str, recipe: str, disk: str, processor: Mapping[str, str], version: str) -> str:
    """The hash of all that a state depends on."""
    parts = [FORMAT, definition, recipe, disk, dict(processor), version]
    if processor["CPU"] == "host":
        parts.append(host_processor(Path("/proc/cpuinfo")))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save(seat: Seat, key: str, *, ready: bool) -> None:
    """Keep the state of a running machine; it goes on afterwards, its folders let go.

    `ready` says that its services are.

    Raises:
        ProvisionError: it could not be, and nothing of it is left; the machine goes on.
    """
    _stand_still_and_save(seat, TAG, "ready" if ready else "")
    monitor.execute(seat.monitor, "cont")
    _remember(seat, key)


def load(seat: Seat) -> None:
    """Bring a machine that stands still back to its kept state, and let it run.

    Raises:
        ProvisionError: the state does not fit, or is damaged.
    """
    monitor.run_job(seat.monitor, "snapshot-load", {"tag": TAG, **ON_ROOT})
    monitor.execute(seat.monitor, "cont")


def suspend(seat: Seat, key: str) -> None:
    """Keep all that a running machine is, and end it.

    Raises:
        ProvisionError: it cannot be kept; the machine goes on, its folders let go.
    """
    volumes = monitor.open_files(seat.monitor)
    with suppress(ProvisionError):  # one that is left of a stop that was killed
        monitor.run_job(seat.monitor, "snapshot-delete", {"tag": SUSPENDED, "devices": ["root"]})
    _stand_still_and_save(seat, SUSPENDED)
    seat.end()
    written = {file: Path(file).stat().st_mtime_ns for file in volumes if file != str(seat.overlay)}
    seat.state_dir.save(_suspended(seat), SuspendedRecord(key=key, volumes=written))


def is_suspended(seat: Seat, key: str) -> bool:
    """Whether a start can go on where `stop` ended: nothing that it depends on has changed since."""
    known = seat.state_dir.load_sound(_suspended(seat), SuspendedRecord)
    if known is None or known.key != key:
        return False
    try:
        return all(Path(file).stat().st_mtime_ns == written for file, written in known.volumes.items())
    except OSError:
        return False


def resume(seat: Seat) -> None:
    """Let a machine that stands still go on where `stop` ended; once, for its disk goes on too.

    Raises:
        ProvisionError: the state is damaged.
    """
    seat.state_dir.path_of(_suspended(seat)).unlink()
    monitor.run_job(seat.monitor, "snapshot-load", {"tag": SUSPENDED, **ON_ROOT})
    monitor.run_job(seat.monitor, "snapshot-delete", {"tag": SUSPENDED, "devices": ["root"]})
    monitor.execute(seat.monitor, "cont")


def drop_suspended(seat: Seat) -> None:
    """Throw away what `stop` kept, if it did, of a machine that does not run."""
    if seat.overlay.exists():
        process.run(["qemu-img", "snapshot", "-d", SUSPENDED, str(seat.overlay)], check=False)
    seat.state_dir.forget(_suspended(seat))


def lay_aside(seat: Seat) -> bool:
    """Keep the overlay that holds a state, for a machine that is about to be removed."""
    if not seat.overlay.exists() or _kept(seat) is None:
        return False
    # What was written since is no part of it, and may be a secret: its bytes go, not only its blocks.
    file = {"driver": "file", "discard": "unmap", "filename": str(seat.overlay)}
    opened = {"driver": "qcow2", "discard": "unmap", "file": file}
    undone = process.run(["qemu-img", "snapshot", "-a", TAG, f"json:{json.dumps(opened)}"], check=False)
    if undone.code != 0:
        forget(seat)
        return False
    seat.overlay.replace(_aside(seat))
    return True


def take_up(seat: Seat, key: str) -> bool:
    """Have the overlay of a kept state in its place, if there is one.

    Raises:
        EnvironmentFailed: there is one of another key; nothing of it is left.
    """
    if not _aside(seat).exists():
        forget(seat)
        return False
    known = _kept(seat)
    if known is None or known.key != key:
        forget(seat)
        raise EnvironmentFailed("it is from a different spec, disk, QEMU or CPU")
    _aside(seat).replace(seat.overlay)
    return True


def kept(seat: Seat) -> int:
    """The bytes that the machine's disk and its kept state take; 0 where none is kept."""
    known = _kept(seat)
    there = seat.overlay.exists() or _aside(seat).exists()
    return known.bytes if there and known is not None else 0


def forget(seat: Seat) -> None:
    """Throw a kept state away."""
    _aside(seat).unlink(missing_ok=True)
    seat.state_dir.forget(f"{RECORD}-{seat.machine}")


def _require_room(seat: Seat) -> None:
    """Raise EnvironmentFailed where the state may not fit: what a failed save wrote is not given back."""
    running = seat.process()
    taken = running.memory_info().rss if running else 0  # more than the state, which has no empty pages
    free = shutil.disk_usage(seat.state).free
    if free < taken:
        raise EnvironmentFailed(
            f"it may need {taken >> 20} MiB, but {free >> 20} MiB are free in {seat.state}"
        )


def _stand_still_and_save(seat: Seat, tag: str, how: str = "") -> None:
    """Save a running machine, which then stands still; it goes on where it cannot be saved.

    What it has written is on its disk by then: that alone must do, should the state not fit any more.
    """
    _require_room(seat)
    left = seat.line.run(f"/usr/lib/provision-guest/leave {how} && sync")
    if left.code != 0:
        raise EnvironmentFailed("a host folder is in use inside", evidence=left.stdout.decode().splitlines())
    monitor.execute(seat.monitor, "stop")
    try:
        monitor.run_job(seat.monitor, "snapshot-save", {"tag": tag, **ON_ROOT})
    except BaseException:
        monitor.execute(seat.monitor, "cont")
        raise


def _suspended(seat: Seat) -> str:
    return f"{SUSPENDED}-{seat.machine}"


def _remember(seat: Seat, key: str) -> None:
    size = seat.overlay.stat().st_size
    seat.state_dir.save(f"{RECORD}-{seat.machine}", MemoryRecord(key=key, bytes=size))


def _kept(seat: Seat) -> MemoryRecord | None:
    """What is known of a kept state; one whose record is damaged is none, and the machine boots."""
    return seat.state_dir.load_sound(f"{RECORD}-{seat.machine}", MemoryRecord)


def _aside(seat: Seat) -> Path:
    return seat.overlay.with_name(seat.overlay.name + KEPT)


def host_processor(told: Path) -> str:
    """The kind of the host's processor: a state of another may use what this one lacks."""
    try:
        lines = told.read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(_KINDS)}))
