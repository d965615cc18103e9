"""Checks of services and processes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.model import Expected
from provision.recipe.limits import TITLES, effective, written
from provision.verify.context import text_of
from provision.verify.host import STATE
from provision.verify.processes import processes
from provision.verify.values import shortened, text_problems, value_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Check
    from provision.verify.context import CheckContext

PROCESS_FIELDS = frozenset({"user", "args", "count"})
FIELDS = frozenset({"is_running", "is_enabled"})


def service(context: CheckContext, check: Check) -> Iterator[str]:
    """Running, and ready where it has a probe, unless the fields say otherwise."""
    unit = context.host.service(check.subject)
    claims = {"is_running": True, **check.fields}
    if claims["is_running"] and _of_the_spec(context, check.subject):
        del claims["is_running"]
        yield from _readiness(context, check.subject)
        yield from _limits(context, check.subject)
    for attribute, expected in claims.items():
        yield from value_problems(attribute.removeprefix("is_"), getattr(unit, attribute), expected)


def _of_the_spec(context: CheckContext, name: str) -> bool:
    return any(service.name == name for service in context.machine.services)


def _readiness(context: CheckContext, name: str) -> Iterator[str]:
    """State and probe in one command."""
    probe = f"{STATE.rpartition('/')[0]}/services/{shlex.quote(name)}/ready"
    output = context.run(
        f'state=$({STATE} {shlex.quote(name)}) || exit 99; echo "$state"; '
        f"case $state in running | ended) ;; *) exit 0 ;; esac; [ -x {probe} ] || exit 0; {probe}",
        user="root",
    )
    state, _, reason = text_of(output.stdout).partition("\n")
    if output.code == 99:
        yield f"its state cannot be read: {shortened(text_of(output.stderr))}"
    elif state not in ("running", "ended"):
        yield f"is {state or 'unknown'}, expected running"
    elif output.code != 0:
        last = (reason + text_of(output.stderr)).strip().splitlines()[-1:]
        yield f"is {state}, but its ready probe fails{''.join(f': {line}' for line in last)}"


def _limits(context: CheckContext, name: str) -> Iterator[str]:
    """Whether its process has the limits of the spec; one that has ended has none."""
    service = next(each for each in context.machine.services if each.name == name)
    if not service.limits or service.oneshot:
        return
    process_of = f"$(cat {guest_paths.PROCESSES}/{shlex.quote(name)})"
    table = text_of(context.run(f"cat /proc/{process_of}/limits", user="root").stdout)
    limits = {line[:26].strip(): line[26:].split() for line in table.splitlines()}
    for limit, value in service.limits.items():
        soft, hard = (*limits.get(TITLES[limit], ()), "", "")[:2]
        expected = written(effective(limit, value))
        if limits and (soft, hard) != (expected, expected):
            yield f"its limit {limit} is {soft}:{hard}, expected {expected}"


def process(context: CheckContext, check: Check) -> Iterator[str]:
    """At least one runs, or `count`; of this `user`, with these `args`."""
    user, args, count = (check.fields.get(name) for name in ("user", "args", "count"))
    called = [one for one in processes(context.host) if one.is_called(check.subject)]
    matching = [
        one
        for one in called
        if user in (None, one.user) and (args is None or not [*text_problems("", one.args, args)])
    ]
    if count is not None and len(matching) != count:
        yield f"{len(matching)} run, expected {count}"
    elif count is None and not called:
        yield "is not running"
    elif count is None and not matching:
        wanted = [f"as user {user}"] if user else []
        if args:
            wanted.append(f"with args {shortened(args.text if isinstance(args, Expected) else str(args))}")
        there = "; ".join(f"{shortened(one.args)} as user {one.user}" for one in called[:3])
        yield f"no such process runs {' and '.join(wanted)}; found {there}"
