"""What a build says of a lock: versions that can no longer be had, packages that it does not have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.lockfile.versions import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provision.backends.unmet import Unmet
    from provision.model import Machine, PackageLock

_GONE = re.compile(r"provision: locked (\S+) (\S+): *(.*)")
_NO_CANDIDATE = re.compile(r"E: Package '([^']+)' has no installation candidate")
MOST = 20  # packages that a hint names


class LockFailed(EnvironmentFailed):
    """What the lock says cannot be had."""


def refuse_gone(output: Iterable[str], machines: Sequence[Machine]) -> None:
    """Raise if a step printed that versions of the lock can no longer be had; each with the nearest.

    Raises:
        LockFailed: there are such versions.
    """
    lock = _lock_of(machines)
    found = dict.fromkeys(match.groups() for line in output if (match := _GONE.search(line)))
    if lock is None or not found:
        return
    evidence = []
    for name, version, there in found:
        near = nearest(version, there.split())
        instead = f"the nearest that can be had is {near}" if near else "no version of it can be had"
        evidence.append(f"{name} {version}: {instead}")
    words = [name for name, _, _ in found] if len(found) <= MOST else []
    count = len(found)
    raise LockFailed(
        f"{count} version{'' if count == 1 else 's'} of {lock.file} can no longer be had",
        evidence=evidence,
        hint=f"{command('lock', '--upgrade', *words)} takes what can be had"
        "; a base with a `snapshot` is made from a dated archive, which keeps all",
    )


def refuse_unlocked(output: Iterable[str], unmet: Sequence[Unmet], machines: Sequence[Machine]) -> None:
    """Raise if what a package or a step needs is not in an exact lock.

    Raises:
        LockFailed: something is missing in the lock.
    """
    lock = _lock_of(machines)
    if lock is None or not lock.exact:
        return
    needed = {each.needs: each.package for each in unmet if each.kind.endswith("Depends")}
    asked = {match[1]: "a step" for line in output if (match := _NO_CANDIDATE.search(line))}
    missing = {name: who for name, who in {**asked, **needed}.items() if name not in lock.versions}
    if missing:
        raise LockFailed(
            f"{lock.file} lacks packages that are needed",
            evidence=[f"{who} needs {name}, which is not in it" for name, who in missing.items()],
            hint=f"{command('lock')} writes it again",
        )


def _lock_of(machines: Sequence[Machine]) -> PackageLock | None:
    return next((machine.lock for machine in machines if machine.lock), None)
