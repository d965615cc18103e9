"""Folders and files of this host on an engine that is on another one: copies, in volumes and in containers.

A folder is a volume that the machine mounts where it would mount the folder. What was sent is remembered, so
that a later copy sends what has changed since, and removes what is gone here; what a machine has made in its
copy stays. A single file is copied into the container before each start.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from provision import changes, process
from provision.backends.watching import watch_folders
from provision.docker_client import commands
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.state import StateDir

RECORD = "copies"
MARK = "copy.of."  # no volume of a spec has two dots in its name
IMAGE_IDS = 'id -u "$1"; id -g "$1"'
RECEIVE = "tar -xpf - -C /to 2>&1"
REMOVE = f"cd /to; {changes.REMOVE}"


@dataclass(frozen=True, kw_only=True)
class CopiedFolder:
    """A folder that `machine` has a copy of: the volume, mounted at `path`, and its owner inside."""

    machine: str
    source: str
    path: str
    volume: str
    user: str
    read_only: bool


@dataclass(frozen=True, kw_only=True)
class SentRecord:
    """What a volume has of its folder: when the volume was made, and what tells each path apart."""

    volume: str
    paths: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CopiesRecord:
    """The folders that machines have copies of, and the image that each machine was made of."""

    folders: tuple[CopiedFolder, ...]
    images: Mapping[str, str]


def copied_folders(environment: Environment, machine: Machine) -> tuple[CopiedFolder, ...]:
    """The folders that a machine has copies of: none unless it is elsewhere."""
    if not environment.is_elsewhere:
        return ()
    folders = [(mount.source, mount.path, mount.user or "root", mount.read_only) for mount in machine.mounts]
    if machine.workspace is not None:
        workspace = machine.workspace
        folders.insert(0, (workspace.source, workspace.path, workspace.user, False))
    return tuple(
        CopiedFolder(
            machine=machine.name,
            source=str(source),
            path=path,
            volume=f"{environment.unique_name}_{_volume(environment, machine, path)}",
            user=user,
            read_only=read_only,
        )
        for source, path, user, read_only in folders
        if not source.is_file()
    )


def _volume(environment: Environment, machine: Machine, path: str) -> str:
    whose = f"{machine.name}." if environment.several else ""
    return f"{whose}{MARK}{hashlib.sha256(path.encode()).hexdigest()[:8]}"


def is_copy(volume: str) -> bool:
    """Whether a volume of an environment is a copy of a folder."""
    return MARK in volume.partition("_")[2]


def note_copies(state_dir: StateDir, environment: Environment, images: Mapping[str, str]) -> None:
    """Keep which folders the machines have copies of, for `sync`."""
    folders = tuple(each for machine in environment.machines for each in copied_folders(environment, machine))
    state_dir.save(RECORD, CopiesRecord(folders=folders, images=dict(images)))


def known_copies(state_dir: StateDir, machine: str | None = None) -> tuple[CopiedFolder, ...]:
    """The folders that the machines, or one of them, have copies of."""
    record = state_dir.load(RECORD, CopiesRecord)
    return tuple(each for each in record.folders if machine in (None, each.machine)) if record else ()


def push(state_dir: StateDir, folders: Sequence[CopiedFolder], progress: Progress) -> None:
    """Send what has changed in these folders since they were last sent.

    Raises:
        EnvironmentFailed: a folder cannot be read here, or not be written there.
    """
    record = state_dir.load(RECORD, CopiesRecord)
    for folder in folders:
        image = record.images[folder.machine] if record else ""
        with progress.step(f"copying {Path(folder.source).name} into {folder.machine}"):
            try:
                _push(state_dir, folder, image)
            except (process.CommandFailed, OSError) as error:
                evidence = error.evidence if isinstance(error, process.CommandFailed) else [str(error)]
                raise EnvironmentFailed(
                    f"{folder.source} cannot be copied into machine {folder.machine}",
                    evidence=evidence,
                    hint=f"{command('up')} tries again",
                ) from error


def watch(state_dir: StateDir, progress: Progress) -> None:
    """Send each change as it is made; ends when it is interrupted."""

    def send(sources: Sequence[Path]) -> None:
        touched = [each for each in known_copies(state_dir) if Path(each.source) in sources]
        push(state_dir, touched, progress)

    watch_folders([Path(each.source) for each in known_copies(state_dir)], send, state_dir, progress)


def push_files(machine: Machine, container: str) -> None:
    """Copy the single files that a machine mounts into its container, which does not run yet."""
    files = [mount for mount in machine.mounts if mount.source.is_file()]
    if not files:
        return
    import tarfile

    def write(stream: IO[bytes]) -> None:
        with tarfile.open(fileobj=stream, mode="w|") as tar:
            for mount in files:
                tar.add(mount.source.resolve(), mount.path.lstrip("/"))

    process.feed(commands.copy_words(container, "/"), write)


def _push(state_dir: StateDir, folder: CopiedFolder, image: str) -> None:
    name = f"{RECORD}-{folder.volume}"
    made = commands.volume_made(folder.volume)
    sent = state_dir.load_sound(name, SentRecord)

    def remove(paths: Sequence[str]) -> None:
        process.run(commands.volume_words(folder.volume, image, REMOVE, paths))

    def receive(write: Callable[[IO[bytes]], None]) -> None:
        process.feed(commands.volume_words(folder.volume, image, RECEIVE), write)

    now = changes.send(
        Path(folder.source), sent.paths if sent is not None and sent.volume == made else None,
        remove=remove, receive=receive, owner=lambda: _owner(folder.user, image),
    )  # fmt: skip
    if now is not None:
        state_dir.save(name, SentRecord(volume=made, paths=now))


def _owner(user: str, image: str) -> tuple[int, int]:
    """The ids that a user and its group have in a machine's image."""
    if user == "root":
        return 0, 0
    found = process.run(commands.image_words(image, IMAGE_IDS, [user])).stdout.split()
    return int(found[0]), int(found[1])
