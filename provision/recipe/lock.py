"""Files that hold a machine's packages to the versions of a lock, for the steps that install.

    lock/preferences   apt's: each package's version, and with an exact lock nothing else
    lock/versions      NAME VERSION, a line each, sorted
    lock/dated.list    the dated archives that had these versions, for what the mirror no longer has
    lock/missing.sh    says which of these versions can no longer be had

No file of these stays in the machine: apt is told where they are while a step runs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provision.bases import catalogue
from provision.rendering import RenderedFile, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.model import Base, Machine, PackageLock

FOLDER = "lock"
DATED = "/etc/apt/sources.list.d/provision-dated.list"  # while the machine is built
HELD = 1001  # above 1000 apt takes a lower version than is installed, too
_NOTHING_ELSE = "Package: *\nPin: release a=*\nPin-Priority: -1\n"


def lock_files(machine: Machine) -> Mapping[str, RenderedFile]:
    """The files of a machine whose packages apt installs; nothing without a lock."""
    lock = machine.lock
    if lock is None or machine.base.family != "apt":
        return {}
    versions = dict(sorted(lock.versions.items()))
    files = {
        "preferences": _text(_preferences(versions, exact=lock.exact)),
        "versions": _text("".join(f"{name} {version}\n" for name, version in versions.items())),
        "missing.sh": _text(render("shared/missing-versions.sh.j2", {})),
    }
    if dated := dated_sources(machine.base, lock):
        files["dated.list"] = _text("".join(f"{line}\n" for line in dated))
    return dict(sorted(files.items()))


def epoch_of(machine: Machine) -> int | None:
    """The time of all files that a build makes, in seconds since the epoch; None: as they are made."""
    lock = machine.lock
    if lock is None or not lock.exact or not lock.dates:
        return None
    return int(datetime.strptime(lock.dates[0], catalogue.SNAPSHOT).replace(tzinfo=UTC).timestamp())


def dated_sources(base: Base, lock: PackageLock) -> tuple[str, ...]:
    """The lines of sources.list for the archives that had the lock's versions; none where they are gone."""
    archive = catalogue.archive(base)
    if archive is None or base.snapshot is not None:
        return ()
    return tuple(line for date in lock.dates for line in archive.dated_sources(base, date).splitlines())


def _preferences(versions: Mapping[str, str], *, exact: bool) -> str:
    pins = [
        f"Package: {name}\nPin: version {version}\nPin-Priority: {HELD}\n"
        for name, version in versions.items()
    ]
    return "\n".join([*pins, *([_NOTHING_ELSE] if exact else [])])


def _text(text: str) -> RenderedFile:
    return RenderedFile(content=text.encode())
