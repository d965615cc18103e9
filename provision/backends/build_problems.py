"""What only a build can find: problems of a spec, with their places, and mirrors that do not answer.

Packages that the distribution does not have, ids that it has given to other users and groups.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.backends.locked import refuse_gone, refuse_unlocked
from provision.backends.unmet import find_unmet, unmet_problems
from provision.errors import Problem, SpecError
from provision.fetch_errors import fetch_failed, find_failures
from provision.recipe.families import qualified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provision.model import Group, Machine, User

SIMILAR = 0.7  # of the letters of two names: `curl` and `curlew`, not `curl` and `cups`
_NO_PACKAGE = re.compile(r"provision: no package (\S+): *(.*)")
_TAKEN = re.compile(r"(user|group) (\S+) cannot have ([ug]id) (\d+): it is (\S+)'s")
_VIRTUAL = re.compile(r"provision: virtual package (\S+): *(.*)")
_NO_RELEASE = re.compile(r"provision: no release (\S+) of (\S+)")
_NO_VERSION = re.compile(r"provision: no version (\S+) of (\S+): *(.*)")
# What apt says of a package that no index has, of ours too, which is at no place in the spec.
_UNKNOWN = re.compile(r"E: (?:Unable to locate package|Package '.+' has no installation candidate)")


def refuse_found(output: Iterable[str], machines: Sequence[Machine]) -> None:
    """Raise if the failed step printed what is wrong with the spec, or with a mirror.

    Args:
        output: the lines that the build printed.
        machines: those whose step it may have been.

    Raises:
        LockFailed: a version of the lock can no longer be had, or a package is missing in the lock.
        FetchFailed: a mirror or proxy did not answer; what it would have given is not known.
        SpecError: the spec asks for what cannot be.
    """
    lines = list(output)
    refuse_gone(_of_failed_steps(lines), machines)
    problems = [problem for machine in machines for line in lines for problem in _problems(line, machine)]
    unmet = find_unmet(_of_failed_steps(lines))
    refuse_unlocked(_of_failed_steps(lines), unmet, machines)
    problems += [problem for machine in machines for problem in unmet_problems(unmet, machine)]
    # A package manager goes on with a warning, and then knows no package: the warning is the reason.
    unknown = problems or any(_UNKNOWN.search(line) for line in _of_failed_steps(lines))
    unreached = [each for each in find_failures(_of_failed_steps(lines)) if each.fatal or unknown]
    if unreached:
        raise fetch_failed(unreached)
    if problems:
        raise SpecError(list({(each.origin, each.message): each for each in problems}.values()))


def _of_failed_steps(lines: Sequence[str]) -> list[str]:
    """The output of the failed steps: by number in BuildKit's log, the last step's in a machine's log."""
    failed = {match[1] for line in lines if (match := re.match(r"#(\d+) ERROR", line))}
    if failed:
        matches = (re.match(r"#(\d+) \d+\.\d+ (.*)", line) for line in lines)
        return [match[2] for match in matches if match and match[1] in failed]
    begun = max((number for number, line in enumerate(lines) if line.startswith("==> ")), default=0)
    return list(lines[begun:])


def _problems(line: str, machine: Machine) -> Iterable[Problem]:
    if taken := _TAKEN.search(line):
        yield from _taken_ids(machine, *taken.groups())
    base, family = machine.base.name, machine.base.family
    unknown, unpinned = _NO_PACKAGE.search(line), _NO_VERSION.search(line)
    virtual, unreleased = _VIRTUAL.search(line), _NO_RELEASE.search(line)
    for package in machine.packages:
        name = qualified(package, family)
        if unknown and unknown[1] == name:
            from difflib import get_close_matches

            near = get_close_matches(name, unknown[2].split(), n=3, cutoff=SIMILAR)
            hint = f"did you mean {' or '.join(near)}?" if near else "is a repository missing?"
            yield Problem(f"{base} has no package {name}", package.origin, hint)
        if virtual and virtual[1] == name:
            yield Problem(
                f"{name} is a virtual package in {base}: several packages provide it",
                package.origin,
                f"write one of them: {', '.join(virtual[2].split())}",
            )
        if unreleased and (unreleased[1], unreleased[2]) == (package.release, name):
            yield Problem(
                f"{package.release} has no package {name}",
                package.origin,
                f"leave the release out: {base} has it",
            )
        if unpinned and (unpinned[1], unpinned[2]) == (package.version, name):
            there = ", ".join(unpinned[3].split())
            yield Problem(
                f"{base} has no version {package.version} of {name}", package.origin, f"it has {there}"
            )


def _taken_ids(
    machine: Machine, kind: str, name: str, key: str, number: str, holder: str
) -> Iterable[Problem]:
    """A user or group whose number the base or a package already uses for another."""
    message = f"{kind} {name} cannot have {key} {number}: in {machine.base.name} it is {holder}'s"
    declared: Sequence[User | Group] = machine.users if kind == "user" else machine.groups
    declaration = next((each for each in declared if each.name == name), None)
    if declaration is not None:
        yield Problem(message, declaration.origin, f"give it another {key}")
        return
    for user in machine.users:
        if user.name == name:  # whose own group it is
            yield Problem(message, user.origin, f"`gid: {number}` makes {holder} its group")
