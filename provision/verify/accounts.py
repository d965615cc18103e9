"""Checks of users and groups."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.verify.context import text_of
from provision.verify.values import shortened, value_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Check
    from provision.verify.context import CheckContext

USER_FIELDS = frozenset({"uid", "gid", "group", "groups", "shell", "home", "gecos", "sudo"})
GROUP_FIELDS = frozenset({"gid", "members"})


def user(context: CheckContext, check: Check) -> Iterator[str]:
    """There, and with each attribute by testinfra's name; `groups` must all be among its own."""
    account = context.host.user(check.subject)
    if not account.exists:
        yield "does not exist"
        return
    for name, expected in check.fields.items():
        if name == "sudo":
            yield from _sudo(context, check.subject, expected)
        else:
            problems = list(value_problems(name, getattr(account, name), expected))
            yield from problems
            if name == "shell" and not problems:
                yield from _missing_shell(context, str(account.shell))


def _missing_shell(context: CheckContext, path: str) -> Iterator[str]:
    """Whether the shell is there: without it nobody can log in as the user."""
    if context.run(f"test -x {shlex.quote(path)}", user="root").code != 0:
        yield f"its shell {path} is not there: add its package, `packages: [{path.rpartition('/')[2]}]`"


def _sudo(context: CheckContext, name: str, expected: object) -> Iterator[str]:
    """Whether the user may become root without a password."""
    become = f"{guest_paths.AS} {shlex.quote(name)} sudo -n true"
    tried = context.run(become, user="root")
    if (tried.code == 0) is not bool(expected):
        reason = f": {shortened(text_of(tried.stderr))}" if tried.stderr else ""
        yield f"sudo without a password {'works' if tried.code == 0 else 'fails'}{reason}"


def group(context: CheckContext, check: Check) -> Iterator[str]:
    """There, and with each attribute by testinfra's name; `members` must all be in it."""
    account = context.host.group(check.subject)
    if not account.exists:
        yield "does not exist"
        return
    for name, expected in check.fields.items():
        yield from value_problems(name, getattr(account, name), expected)
