"""The box of a machine: the one the spec names, one that is here, one fetched, or one made."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from provision import process
from provision.backends.vm.faults import fault
from provision.bases.box import BOX_PROVIDERS, DISK_GIB, box_path, boxes_folder, build_box, can_make_box
from provision.errors import EnvironmentFailed, HostLacks, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.bases.box import BoxProvider
    from provision.model import Machine
    from provision.progress import Progress

GIBIBYTE = 1024**3
QUIET = {"VAGRANT_NO_COLOR": "1", "VAGRANT_CHECKPOINT_DISABLE": "1"}


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box by the name that Vagrant knows it by; `url` is where it is taken from."""

    name: str
    url: str | None = None


def ensure_box(machine: Machine, provider: str, progress: Progress) -> Box:
    """A box for the machine and provider that `vagrant up` can take.

    Raises:
        HostLacks: there is none, and none can be fetched or made; the evidence says why.
    """
    named = machine.options.get("box")
    if isinstance(named, str):
        if not _known_to_vagrant(named, provider):
            _fetch(named, provider, progress)
        return Box(name=named)
    base = machine.base
    makeable = provider in BOX_PROVIDERS and can_make_box(base)
    maker = cast("BoxProvider", provider)
    if makeable and (made := box_path(base, maker, boxes_folder())).exists():
        return _made(made)
    if base.box and _known_to_vagrant(base.box, provider):
        return Box(name=base.box)
    if base.box and base.snapshot is None:
        try:
            _fetch(base.box, provider, progress)
            return Box(name=base.box)
        except EnvironmentFailed as error:
            if not makeable:
                raise HostLacks(
                    f"the box {base.box} is not here and cannot be fetched for {provider}",
                    evidence=error.evidence,
                    hint="name another with `backends: {vm: {box: …}}`",
                ) from error
            progress.note(f"{base.box} cannot be fetched: a box is made from the mirror")
    if not makeable:
        raise HostLacks(
            f"there is no box of {base.name} for {provider}, and nothing says how one is made",
            hint="name one with `backends: {vm: {box: …}}`",
        )
    return _made(build_box(base, maker, boxes_folder(), progress))


def box_is_here(machine: Machine, provider: str) -> bool:
    """Whether a machine's box need be neither fetched nor made."""
    named = machine.options.get("box") or machine.base.box
    if isinstance(named, str) and _known_to_vagrant(named, provider):
        return True
    makeable = provider in BOX_PROVIDERS and can_make_box(machine.base) and "box" not in machine.options
    return makeable and box_path(machine.base, cast("BoxProvider", provider), boxes_folder()).exists()


def _made(path: Path) -> Box:
    """A made box goes by its file's name, recipe's hash included."""
    return Box(name=f"provision/{path.stem}", url=path.as_uri())


def refuse_small_disk(machine: Machine, provider: str) -> None:
    """Raise UsageError where the disk that is asked for is smaller than what the box holds.

    Vagrant would take the box's size without a word. A box that is not here yet is not known.
    """
    asked = machine.resources.disk
    size = _box_size(machine, provider)
    if asked is not None and size is not None and asked < size * GIBIBYTE:
        raise UsageError(
            f"machine {machine.name} asks for a disk of {asked / GIBIBYTE:.3g} GiB,"
            f" but its box holds one of {size} GiB",
            hint=f"`resources: {{disk: {size}GiB}}` or more; the root file system grows to it",
        )


def _box_size(machine: Machine, provider: str) -> int | None:
    """GiB of the disk in a machine's box, where that can be known."""
    named = machine.options.get("box") or machine.base.box
    if isinstance(named, str):
        for folder in _folders(named, provider):
            try:
                return int(json.loads((folder / "metadata.json").read_text())["virtual_size"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
    makeable = provider in BOX_PROVIDERS and can_make_box(machine.base)
    return DISK_GIB if makeable and "box" not in machine.options else None


def _fetch(name: str, provider: str, progress: Progress) -> None:
    """Let Vagrant add a box; its words as an error where it cannot."""
    said: list[str] = []

    def each_line(line: str) -> None:
        said.append(line)
        progress.line(line)

    try:
        with progress.step(f"fetching the box {name}"):
            process.stream(["vagrant", "box", "add", name, "--provider", provider], each_line, env=QUIET)
    except process.CommandFailed as error:
        raise fault(said, provider, (), "`vagrant box add` shows it again") from error


def _known_to_vagrant(name: str, provider: str) -> bool:
    return bool(_folders(name, provider))


def _folders(name: str, provider: str) -> Sequence[Path]:
    """Where Vagrant keeps a box for a provider: a folder for each version and architecture."""
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    folder = home / "boxes" / name.replace("/", "-VAGRANTSLASH-")
    return [*folder.glob(f"*/{provider}"), *folder.glob(f"*/*/{provider}")]
