"""Container images of bases: found, pulled, or built from the distribution's mirror."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from provision import process, resources
from provision.bases.catalogue import SNAPSHOT
from provision.bases.root import archive_time, can_make, make_root, write_file
from provision.docker_client import commands, queries
from provision.errors import HostLacks, ProvisionError
from provision.lock import exclusive
from provision.model import DEFAULT_PATH
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Base
    from provision.progress import Progress

MADE_LABEL = "provision.base"

# What the official images have and a build notices. Not theirs: docker-clean, which would
# empty the caches that packages steps are given, and gzipped indexes, which are slow to read.
_SETTINGS = (
    # A half-built layer is thrown away whole: nothing is gained by syncing each file.
    write_file("/etc/dpkg/dpkg.cfg.d/docker-apt-speedup", "force-unsafe-io\n"),
    write_file("/etc/apt/apt.conf.d/docker-no-languages", 'Acquire::Languages "none";\n'),
)


@dataclass(frozen=True, kw_only=True)
class BaseStatus:
    """What this host has of a base.

    `present` says whether its image is there, None where no engine answers; `made` that
    it was made here; `makeable` whether it can be, where none can be pulled.
    """

    base: Base
    present: bool | None
    made: bool
    makeable: bool


def ensure_image(base: Base, progress: Progress) -> None:
    """Have the image of `base` in the engine: it is there, or it is pulled, or made.

    Whoever makes it at the same time is waited for.

    Raises:
        HostLacks: no engine answers, or the image can be had in no way; the evidence says why.
    """
    if queries.image(base.image) is not None:
        return
    locks = resources.cache() / "images"
    locks.mkdir(parents=True, exist_ok=True)
    with exclusive(locks / f"{hashlib.sha256(base.image.encode()).hexdigest()[:16]}.lock"):
        if queries.image(base.image) is None:
            _fetch(base, progress)


def _fetch(base: Base, progress: Progress) -> None:
    if base.snapshot is not None:
        # Only we make dated images: one from a registry would be trusted without reason.
        build_image(base, progress)
        return
    try:
        with progress.step(f"pulling {base.image}"):
            commands.pull(base.image, progress.line)
    except process.CommandFailed as error:
        if not can_make(base):
            raise HostLacks(
                f"the image {base.image} is not on this host and cannot be pulled",
                evidence=error.evidence[-3:],
                hint="check the network and `docker login`, or load it with `docker load`",
            ) from error
        reason = error.evidence[-1] if error.evidence else str(error)
        progress.note(f"{base.image} cannot be pulled ({reason})")
        build_image(base, progress)


def build_image(base: Base, progress: Progress) -> None:
    """Make the image of `base` from its mirror, replacing one of that name.

    Raises:
        HostLacks: mmdebstrap, the mirror or the engine is missing; nothing half-made is left.
    """
    with (
        progress.step(f"building {base.image} from {base.mirror}"),
        # What a namespace's user left behind after a failure is not ours to remove.
        TemporaryDirectory(prefix="provision-", ignore_cleanup_errors=True) as folder,
    ):
        tar = Path(folder) / "root.tar"
        time = archive_time(base)
        make_root(base, tar, progress, time=time, customize=_SETTINGS, starts_daemons=False)
        changes = (
            f"ENV PATH={DEFAULT_PATH}",
            'CMD ["bash"]',
            f"LABEL {MADE_LABEL}={base.name}",
            f"LABEL provision.mirror={base.mirror}",
            f"LABEL provision.archive-time={time:%Y-%m-%dT%H:%M:%SZ}",
        )
        try:
            commands.import_image(tar, base.image, changes)
        except process.CommandFailed as error:
            raise HostLacks(
                f"the engine refused the image {base.image}",
                evidence=error.evidence,
                hint="run `provision doctor`; is the disk full?",
            ) from error


def refresh_image(base: Base, progress: Progress) -> None:
    """Have today's image of `base` in the engine, if that can be pulled or made; else what is there stays.

    Raises:
        HostLacks: it is to be made, and cannot be.
    """
    if base.snapshot is not None or "@" in base.image or not queries.is_installed():
        return
    try:
        commands.pull(base.image, progress.line)
    except process.CommandFailed:
        if not can_make(base):
            return
    else:
        return
    if provenance(base).made != f"{archive_time(base):{SNAPSHOT}}":
        build_image(base, progress)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where an image of a base is from: pulled, then it has a `digest`; or made of an archive; or both.

    `made` is that archive's date (`20261101T000000Z`), `root` the hash of the root file system.
    """

    digest: str = ""
    mirror: str = ""
    made: str = ""
    root: str = ""


def provenance(base: Base) -> Provenance:
    """Where this host's image of `base` is from; of one that no engine has, the mirror alone."""
    try:
        found = queries.image(base.image)
    except ProvisionError:
        found = None  # no engine answers
    return Provenance(mirror=base.mirror or "") if found is None else provenance_of(base, found)


def provenance_of(base: Base, image: queries.Image) -> Provenance:
    """The same of what an engine tells of an image; pure."""
    named = base.image.partition("@")[0]
    known = [digest.partition("@") for digest in image.digests]
    own = [digest for name, _, digest in known if name in (named, named.rpartition(":")[0])]
    digest = next(iter([*own, *(digest for _, _, digest in known)]), "")
    labels = image.labels
    if MADE_LABEL not in labels:
        return Provenance(digest=digest)
    time = labels.get("provision.archive-time", "")
    return Provenance(
        # An engine may know a digest of what it never pulled. Only a registry has this one.
        digest="" if can_make(base) else digest,
        mirror=labels.get("provision.mirror", ""),
        made=base.snapshot or time.replace("-", "").replace(":", ""),
        root=next(iter(image.layers), ""),  # `docker import` takes the tar file as it is
    )


def statuses(bases: Sequence[Base]) -> tuple[BaseStatus, ...]:
    """What this host has of each of them."""
    images = _images([base.image for base in bases])
    return tuple(
        BaseStatus(
            base=base,
            present=None if images is None else base.image in images,
            made=images is not None and base.image in images and MADE_LABEL in images[base.image].labels,
            makeable=can_make(base),
        )
        for base in bases
    )


def _images(names: Sequence[str]) -> Mapping[str, queries.Image] | None:
    """Those that the engine has, by name; None where no engine answers."""
    try:
        return queries.inspect(images=names).images
    except ProvisionError:
        return None
