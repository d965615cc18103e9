"""Folders that are copied into a machine, where nothing is live: carried by rsync."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.vm.guest import ssh
from provision.backends.watching import watch_folders
from provision.errors import EnvironmentFailed, HostLacks
from provision.hints import command
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.backends.vm.driver import Folder
    from provision.progress import Progress
    from provision.state import StateDir

COPIED = "rsync"
SYNCED = "synced"
INSIDE = "/mnt/"
LEFT_OUT = ("/.vagrant/",)  # which Vagrant never copies, for it holds keys of machines


@dataclass(frozen=True, kw_only=True)
class CopiedFolder:
    """A folder of the host that `machine` has a copy of, at `path` inside, owned by `user` there."""

    machine: str
    source: str
    path: str
    user: str


@dataclass(frozen=True, kw_only=True)
class SyncedRecord:
    """The folders that machines have copies of."""

    folders: tuple[CopiedFolder, ...]


def copied(machine: str, folders: Sequence[Folder], location: Path) -> tuple[CopiedFolder, ...]:
    """Those folders of a machine that are not live; `location` is the rendering's."""
    return tuple(
        CopiedFolder(
            machine=machine,
            source=str((location / folder.source).resolve()),
            path=INSIDE + folder.tag,
            user=folder.user or "root",
        )
        for folder in folders
        if folder.type == COPIED
    )


def note_folders(state_dir: StateDir, folders: Sequence[CopiedFolder]) -> None:
    """Keep which folders the machines have copies of."""
    state_dir.save(SYNCED, SyncedRecord(folders=tuple(folders)))


def known_folders(state_dir: StateDir) -> tuple[CopiedFolder, ...]:
    """The folders that the machines have copies of."""
    record = state_dir.load(SYNCED, SyncedRecord)
    return record.folders if record else ()


def push(state_dir: StateDir, folders: Sequence[CopiedFolder], progress: Progress) -> None:
    """Make each copy equal to its folder: what is only in the copy goes, as with Vagrant's rsync.

    Raises:
        HostLacks: there is no rsync on the host.
        EnvironmentFailed: a machine does not answer, or its disk is full.
    """
    if folders and process.find("rsync") is None:
        raise HostLacks("there is no rsync on this host", hint="install rsync: apt-get install rsync")
    for folder in folders:
        with progress.step(f"copying {Path(folder.source).name} into {folder.machine}"):
            _push(state_dir, folder)


def watch(state_dir: StateDir, folders: Sequence[CopiedFolder], progress: Progress) -> None:
    """Copy each folder again whenever something in it changes; ends when it is interrupted."""

    def send(sources: Sequence[Path]) -> None:
        push(state_dir, [folder for folder in folders if Path(folder.source) in sources], progress)

    watch_folders([Path(folder.source) for folder in folders], send, state_dir, progress)


def _push(state_dir: StateDir, folder: CopiedFolder) -> None:
    excluded = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    script = 'id -gn "$1" 2>/dev/null || true'  # a user whom the steps are yet to make has no group
    try:
        answer = process.run(ssh.command(state_dir, folder.machine, ["sh", "-c", script, "sh", folder.user]))
        group = answer.stdout.strip()
        process.run(
            ["rsync", "--archive", "--delete", "--protect-args", *excluded,
             *([f"--chown={folder.user}:{group}"] if group else []), "--rsync-path",
             " ".join([*ssh.become_root(state_dir, folder.machine), "rsync"]),
             "--rsh", ssh.shell(state_dir, folder.machine),
             f"{folder.source}/", f"{folder.machine}:{folder.path}/"],
            cwd=state_dir.folder,
        )  # fmt: skip
    except process.CommandFailed as error:
        raise EnvironmentFailed(
            f"{folder.source} cannot be copied into machine {folder.machine}",
            evidence=error.evidence,
            hint=f"{command('up')} restarts a machine that does not answer",
        ) from error
