"""The box of a machine: made of its image; or the one the spec names, one that is here, fetched, or made."""

from __future__ import annotations

import json
import os
import platform
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

from provision import process
from provision.backends.vm.image.dockerfile import DiskFormat, image_files
from provision.backends.vm.image.store import ArtifactStore, base_is_here, build_strategy
from provision.backends.vm.options import options_of
from provision.backends.vm.vagrant.errors import fault
from provision.bases.box import (
    DISK_GIB,
    KERNELS,
    PACKAGES,
    TOOLS,
    box_path,
    boxes_folder,
    build_box,
    can_make_box,
)
from provision.bases.catalogue import catalogue
from provision.bases.packing import BOX_PROVIDERS, FORMATS, KERNEL, kernel_of, pack, size_of
from provision.errors import EnvironmentFailed, HostLacks, UsageError
from provision.fetch_errors import FetchFailed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.vm.driver import Guest
    from provision.backends.vm.image.store import Artifact
    from provision.bases.packing import BoxProvider
    from provision.model import Machine
    from provision.progress import Progress
    from provision.rendering import RenderedFile, Rendering
    from provision.state import StateDir

GIBIBYTE = 1024**3
QUIET = {"VAGRANT_NO_COLOR": "1", "VAGRANT_CHECKPOINT_DISABLE": "1"}
BOXES = ArtifactStore(kind="box", within="boxes", file="machine.box")
NAME = "name"


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box by the name that Vagrant knows it by; `url` is where it is taken from.

    `made` is there where it was made of a machine's image.
    """

    name: str
    url: str | None = None
    made: Artifact | None = None


def may_use_image(machine: Machine, provider: str) -> bool:
    """Whether a spec lets a machine's box be made of its image, given an engine."""
    return options_of(machine).build != "provision" and not _why_no_image(machine, provider)


def _why_no_image(machine: Machine, provider: str) -> str:
    if provider not in BOX_PROVIDERS:
        return f"provision cannot build boxes for {provider}"
    if options_of(machine).box:
        return f"the spec names the box {options_of(machine).box}"
    if machine.base.box and machine.base.name not in catalogue() and options_of(machine).build is None:
        return f"its base names the box {machine.base.box}"
    if machine.base.family != "apt":
        return f"{machine.base.name} has no apt, so provision cannot tell which package is its kernel"
    return ""


def box_files(guest: Guest, provider: str) -> Mapping[str, RenderedFile]:
    """What a machine's box is built of, in its folder, if it may be of its image."""
    if not may_use_image(guest.machine, provider):
        return {}
    maker = cast("BoxProvider", provider)
    disk_format = DiskFormat(
        kind="box",
        packages=PACKAGES,
        boots_with="root",
        kernel=tuple(f"{distribution}={names[maker]}" for distribution, names in KERNELS.items()),
        tools=TOOLS,
        disk=(FORMATS[maker], str(DISK_GIB)),
    )
    return image_files(guest, disk_format)


def ensure_box(
    machine: Machine,
    provider: str,
    state_dir: StateDir,
    rendering: Rendering,
    progress: Progress,
    *,
    rebuild: bool,
) -> Box:
    """A box for the machine and provider that `vagrant up` can take.

    Raises:
        HostLacks: there is none, and none can be fetched or made; the evidence says why.
        EnvironmentFailed: it was to be made of the machine's image, and a step failed.
        UsageError: the disk that is asked for is smaller than what it holds.
    """
    box = _of_image(machine, provider, state_dir, rendering, progress, rebuild=rebuild)
    if box is None:
        box = _of_base(machine, provider, progress)
        _refuse_smaller(machine, _base_size(machine, provider))  # it may not have been here before
    return box


def _of_image(
    machine: Machine,
    provider: str,
    state_dir: StateDir,
    rendering: Rendering,
    progress: Progress,
    *,
    rebuild: bool,
) -> Box | None:
    """The box of a machine's image, or None where it is to be of its base."""
    unsupported = _why_no_image(machine, provider)
    if not unsupported and platform.machine() != "x86_64":
        unsupported = f"boxes are built for x86_64 only, and this host is {platform.machine()}"
    if unsupported and options_of(machine).build is None:
        return None
    how, reason = build_strategy(machine, unsupported, instead=True)
    if reason:
        progress.note(f"{machine.name} starts from its base's box and runs the steps inside: {reason}")
    if how == "provision":
        return None
    finish = partial(_finish, machine, cast("BoxProvider", provider))
    try:
        made = BOXES.ensure(machine, state_dir, rendering, progress, rebuild=rebuild, finish=finish)
    except (HostLacks, FetchFailed) as error:  # the base's image, and not its box
        of_a_step = isinstance(error, FetchFailed) and base_is_here(machine)
        if of_a_step or options_of(machine).build is not None:
            raise
        progress.note(f"{machine.name} cannot use a box built from its image: {error.message}")
        return None
    file = made.folder / BOXES.file
    try:
        _refuse_smaller(machine, size_of(file))
    except UsageError:
        made.release(state_dir.folder)  # nobody would remember it
        raise
    return Box(name=str(box_name(made)), url=file.as_uri(), made=made)


def box_name(made: Artifact) -> str | None:
    """What Vagrant calls a box that was made of an image; None of anything else."""
    try:
        return f"provision/{(made.folder / NAME).read_text()}-{made.name[:16]}"
    except OSError:
        return None


def _finish(machine: Machine, provider: BoxProvider, folder: Path) -> None:
    """Make a box of a disk that was built."""
    pack(provider, folder, folder / BOXES.file, time=int((folder / "disk").stat().st_mtime))
    (folder / NAME).write_text(machine.group)
    for name in ("disk", "gib", KERNEL):
        (folder / name).unlink()


def box_kernel(name: str, url: str | None, provider: str) -> bytes | None:
    """The kernel of a box, from its file or from where Vagrant keeps it; None where it shows none."""
    if url is not None and (file := Path(url2pathname(urlsplit(url).path))).is_file():
        return kernel_of(file)
    for folder in folders(name, provider):
        if (kernel := folder / KERNEL).is_file():
            return kernel.read_bytes()
    return None


def _of_base(machine: Machine, provider: str, progress: Progress) -> Box:
    named = options_of(machine).box
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
                    f"the box {base.box} is not on this host and cannot be downloaded for {provider}",
                    evidence=error.evidence,
                    hint="name another with `backends: {vm: {box: …}}`",
                ) from error
            progress.note(f"{base.box} cannot be downloaded: building a box from the mirror")
    if not makeable:
        raise HostLacks(
            f"there is no {provider} box of {base.name}, and provision cannot build one",
            hint="name one with `backends: {vm: {box: …}}`",
        )
    return _made(build_box(base, maker, boxes_folder(), progress))


def missing_box(machine: Machine, provider: str, rendering: Rendering) -> tuple[str, ...] | None:
    """What must be downloaded for a machine's box; None if it is here with all steps done."""
    if may_use_image(machine, provider) and build_strategy(machine, instead=True)[0] == "image":
        if BOXES.find(machine, rendering) is not None:
            return None
        return () if base_is_here(machine) else (f"the image {machine.base.image}",)
    if _box_is_here(machine, provider):
        return ()
    return (f"the box of {machine.base.name} for {provider}",)


def _box_is_here(machine: Machine, provider: str) -> bool:
    """Whether the box of a machine's base need be neither fetched nor made."""
    named = options_of(machine).box or machine.base.box
    if isinstance(named, str) and _known_to_vagrant(named, provider):
        return True
    makeable = provider in BOX_PROVIDERS and can_make_box(machine.base) and options_of(machine).box is None
    return makeable and box_path(machine.base, cast("BoxProvider", provider), boxes_folder()).exists()


def forget_box(name: str, provider: str) -> None:
    """Have Vagrant forget a box, if it knows it."""
    if folders(name, provider):
        words = ["vagrant", "box", "remove", name, "--provider", provider, "--all", "--force"]
        process.run(words, check=False, env=QUIET)


def _made(path: Path) -> Box:
    """A made box goes by its file's name, recipe's hash included."""
    return Box(name=f"provision/{path.stem}", url=path.as_uri())


def refuse_small_disk(machine: Machine, provider: str) -> None:
    """Raise UsageError if the disk that is asked for is smaller than what the box holds.

    Vagrant would take the box's size without a word. A box that is not here yet is not known.
    """
    least = DISK_GIB if may_use_image(machine, provider) else _base_size(machine, provider)
    _refuse_smaller(machine, least)


def _refuse_smaller(machine: Machine, size: int | None) -> None:
    wanted = machine.resources.disk
    if wanted is not None and size is not None and wanted < size * GIBIBYTE:
        raise UsageError(
            f"machine {machine.name} wants a disk of {wanted / GIBIBYTE:.3g} GiB,"
            f" but its box has one of {size} GiB",
            hint=f"`resources: {{disk: {size}GiB}}` or more; the root file system grows to it",
        )


def _base_size(machine: Machine, provider: str) -> int | None:
    """GiB of the disk in the box of a machine's base, where that can be known."""
    named = options_of(machine).box or machine.base.box
    if isinstance(named, str):
        for folder in folders(named, provider):
            try:
                return int(json.loads((folder / "metadata.json").read_text())["virtual_size"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
    makeable = provider in BOX_PROVIDERS and can_make_box(machine.base)
    return DISK_GIB if makeable and options_of(machine).box is None else None


def _fetch(name: str, provider: str, progress: Progress) -> None:
    """Let Vagrant add a box; its words as an error where it cannot."""
    output: list[str] = []

    def each_line(line: str) -> None:
        output.append(line)
        progress.line(line)

    try:
        with progress.step(f"downloading the box {name}"):
            process.stream(["vagrant", "box", "add", name, "--provider", provider], each_line, env=QUIET)
    except process.CommandFailed as error:
        raise fault(output, provider, (), "run `vagrant box add` to see it again") from error


def _known_to_vagrant(name: str, provider: str) -> bool:
    return bool(folders(name, provider))


def folders(name: str, provider: str) -> Sequence[Path]:
    """Where Vagrant keeps a box for a provider: a folder for each version and architecture."""
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    folder = home / "boxes" / name.replace("/", "-VAGRANTSLASH-")
    return [*folder.glob(f"*/{provider}"), *folder.glob(f"*/*/{provider}")]
