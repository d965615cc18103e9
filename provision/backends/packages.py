"""Packages that a distribution does not have: the build's own words, at their places in the spec."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provision.model import Machine

_NO_PACKAGE = re.compile(r"provision: no package (\S+): *(.*)")
_NO_VERSION = re.compile(r"provision: no version (\S+) of (\S+): *(.*)")


def refuse_missing(said: Iterable[str], machines: Sequence[Machine]) -> None:
    """Raise SpecError where the packages step said that a package is not to be had.

    Args:
        said: the lines that it printed.
        machines: those that it may have been the step of.
    """
    lines = list(said)
    problems = [problem for machine in machines for line in lines for problem in _problems(line, machine)]
    if problems:
        raise SpecError(list({(each.origin, each.message): each for each in problems}.values()))


def _problems(line: str, machine: Machine) -> Iterable[Problem]:
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
