"""What only a build can find wrong in a spec: its words, at their places in the spec.

Packages that the distribution does not have, ids of users that it has given to others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provision.model import Machine

_NO_PACKAGE = re.compile(r"provision: no package (\S+): *(.*)")
_TAKEN = re.compile(r"user (\S+) cannot have uid (\d+): it is (\S+)'s")
_NO_VERSION = re.compile(r"provision: no version (\S+) of (\S+): *(.*)")


def refuse_found(said: Iterable[str], machines: Sequence[Machine]) -> None:
    """Raise SpecError where a step said what of the spec cannot be.

    Args:
        said: the lines that it printed.
        machines: those that it may have been the step of.
    """
    lines = list(said)
    problems = [problem for machine in machines for line in lines for problem in _problems(line, machine)]
    if problems:
        raise SpecError(list({(each.origin, each.message): each for each in problems}.values()))


def _problems(line: str, machine: Machine) -> Iterable[Problem]:
    taken = _TAKEN.search(line)
    for user in machine.users if taken else ():
        if taken and (user.name, str(user.uid)) == (taken[1], taken[2]):
            message = (
                f"user {user.name} cannot have uid {user.uid}: in {machine.base.name} it is {taken[3]}'s"
            )
            yield Problem(message, user.origin, "give it another uid")
    unknown, unpinned = _NO_PACKAGE.search(line), _NO_VERSION.search(line)
    base = machine.base.name
    for package in machine.packages:
        name = package.name.split("/")[0].split(":")[0]
        if unknown and unknown[1] == name:
            near = unknown[2].split()
            hint = f"did you mean {' or '.join(near)}?" if near else "is a repository missing?"
            yield Problem(f"{base} has no package {name}", package.origin, hint)
        if unpinned and (unpinned[1], unpinned[2]) == (package.version, name):
            there = ", ".join(unpinned[3].split())
            yield Problem(
                f"{base} has no version {package.version} of {name}", package.origin, f"it has {there}"
            )
