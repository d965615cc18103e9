"""What a build would have to download, found out before it starts: for `--offline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.model import Machine
    from provision.rendering import Rendering

FETCHING = ("system", "repositories", "packages")


def steps_to_fetch(machine: Machine, rendering: Rendering, folder: str, former: Path) -> Iterator[str]:
    """The steps of a machine that download something and are not built yet, in words.

    Args:
        machine: the machine.
        rendering: what would be built.
        folder: the machine's own in it, with a slash, or nothing.
        former: the rendering that was built last.
    """
    steps = [path for path in rendering.files if path.startswith(f"{folder}steps/")]
    changed = False
    for path in sorted(steps):
        before = former / path
        changed = changed or not before.is_file() or before.read_bytes() != rendering.files[path].content
        name = path.rpartition("/")[2].partition("-")[2].removesuffix(".sh")
        if changed and name in FETCHING and (name != "system" or machine.base.family != "apt"):
            yield f"what step {name} of {machine.name} downloads: {_named(machine, name)}"


def _named(machine: Machine, step: str) -> str:
    if step == "repositories":
        return ", ".join(repository.name for repository in machine.repositories)
    names = [package.name for package in machine.packages]
    return ", ".join(names) or "what provision itself needs"
