"""`provision outdated`: what of a lock is older than what the archives have now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import engine, lockfile
from provision.lockfile.archive import newest_versions
from provision.lockfile.versions import compare
from provision.locking import require_lock, trials_of
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.engine import Request


@dataclass(frozen=True, kw_only=True)
class Outdated:
    """A package of which there is a newer version than the locked one, of the machines that have it."""

    base: str
    package: str
    locked: str
    newest: str
    machines: tuple[str, ...]
    asked: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is outdated, by base and package; `notes` say what could not be asked."""

    packages: tuple[Outdated, ...]
    notes: tuple[str, ...]


def outdated(request: Request, names: Sequence[str]) -> Answer:
    """What is older in a spec's lock than in the archives, for this host's architecture. Changes nothing.

    Raises:
        UsageError: there is no lock.
        FetchFailed: an archive does not answer.
    """
    lock, mine = require_lock(request), lockfile.architecture()
    found: dict[tuple[str, str, str, str], tuple[set[str], bool]] = {}
    notes: dict[str, None] = {}
    seen: set[tuple[str, str]] = set()
    for trial in trials_of(request, names).values():
        for machine in engine.load_unlocked(trial.request, looking=True).machines:
            base = lockfile.base_key(machine.base)
            known = lock.bases.get(base, {}).get(mine)
            if known is None or (machine.group, base) in seen:
                continue
            seen.add((machine.group, base))
            versions = known.versions(machine.group)
            newest = newest_versions(machine, mine, versions)
            if newest is None:
                notes[f"what {base} has now is not known: it has no archive that provision can read"] = None
                continue
            asks = {each.name for each in machine.packages}
            for package, version in versions.items():
                if package in newest and compare(newest[package], version) > 0:
                    machines, asked = found.get((base, package, version, newest[package]), (set(), False))
                    machines.add(machine.group)
                    found[base, package, version, newest[package]] = machines, asked or package in asks
    return Answer(
        packages=tuple(
            Outdated(base=base, package=package, locked=version, newest=new,
                     machines=tuple(sorted(machines)), asked=asked)
            for (base, package, version, new), (machines, asked) in sorted(found.items())
        ),
        notes=tuple(notes),
    )  # fmt: skip
