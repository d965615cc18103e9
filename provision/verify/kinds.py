"""The kinds of checks: who evaluates each, and with which fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from provision.verify import accounts, commands, files, mounts, network, packages, services
from provision.verify.values import Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from provision.model import Check, CheckKind
    from provision.verify.context import CheckContext


class Kind(NamedTuple):
    """A function that yields what is wrong, and the fields that it knows."""

    evaluate: Callable[[CheckContext, Check], Iterator[str]]
    fields: frozenset[str]


KINDS: Mapping[CheckKind, Kind] = {
    "package": Kind(packages.package, packages.FIELDS),
    "file": Kind(files.file, files.FIELDS),
    "user": Kind(accounts.user, accounts.USER_FIELDS),
    "group": Kind(accounts.group, accounts.GROUP_FIELDS),
    "service": Kind(services.service, services.FIELDS),
    "port": Kind(network.port, network.PORT_FIELDS),
    "process": Kind(services.process, services.PROCESS_FIELDS),
    "command": Kind(commands.command, commands.FIELDS),
    "script": Kind(commands.script, commands.FIELDS),
    "http": Kind(network.http_answer, network.HTTP_FIELDS),
    "mount": Kind(mounts.mount, mounts.FIELDS),
    "env": Kind(commands.env, commands.ENV_FIELDS),
}
LOOKING: frozenset[CheckKind] = frozenset({"package", "file", "user", "group", "mount", "port", "env"})
"""They run nothing of the user's own, so nothing changes between them."""


def problems(context: CheckContext, check: Check) -> Sequence[str]:
    """What is wrong now; nothing where the check holds.

    Raises:
        Unreachable: the machine does not answer any more.
    """
    kind = KINDS[check.kind]
    if unknown := check.fields.keys() - kind.fields:
        return (f"a {check.kind} check has no {', '.join(sorted(unknown))}",)
    try:
        statements = tuple(kind.evaluate(context, check))
    except Unanswered as error:
        return (str(error),)
    except (AssertionError, RuntimeError, LookupError, ValueError) as error:
        # testinfra's words for "this could not be asked here"
        return (f"could not be checked: {error}",)
    if not check.absent:
        return statements
    return () if statements else (_negated(check),)


def _negated(check: Check) -> str:
    if check.kind in ("command", "script", "http", "env") or check.fields:
        return "is true, expected it not to be"
    return "exists, expected it to be absent"
