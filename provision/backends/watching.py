"""Copies folders again whenever something in them changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provision.progress import Progress
    from provision.state import StateDir


def watch_folders(
    sources: Sequence[Path],
    push: Callable[[Sequence[Path]], None],
    state_dir: StateDir,
    progress: Progress,
) -> None:
    """Call `push` with the folders in which something changed; ends when it is interrupted.

    Args:
        sources: the folders of the host.
        push: copies these folders into the machines.
        state_dir: of the environment, which is held meanwhile.
        progress: told once changes are watched.
    """
    from watchfiles import DefaultFilter
    from watchfiles import watch as changes

    quiet = DefaultFilter(ignore_dirs=(".vagrant",), ignore_entity_patterns=())
    folders = tuple(dict.fromkeys(sources))
    watching = False
    for changed in changes(*folders, watch_filter=quiet, rust_timeout=1000, yield_on_timeout=True):
        paths = [Path(path) for _, path in changed]
        touched = [folder for folder in folders if any(path.is_relative_to(folder) for path in paths)]
        # What changed before it was watched is copied once it is.
        if touched or not watching:
            with state_dir.lock(progress):
                push(touched if watching else folders)
        if not watching:
            progress.note("watching for changes: press Ctrl-C to stop")
            watching = True
