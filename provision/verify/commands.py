"""Checks of commands and scripts, by output and exit code, and of their variables."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from provision.model import Expected
from provision.target import Overdue
from provision.verify.context import text_of
from provision.verify.values import shortened, text_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Check
    from provision.target import Output
    from provision.verify.context import CheckContext

FIELDS = frozenset({"exit", "stdout", "stderr", "user"})
ENV_FIELDS = frozenset({"value"})
LONGEST = 120.0  # seconds a command may take


def command(context: CheckContext, check: Check) -> Iterator[str]:
    """Words, run through no shell: `exec` takes them as they are, builtins and all."""
    words = check.words or tuple(shlex.split(check.subject))
    yield from _outcome(context, check, f"exec {shlex.join(words)}")


def script(context: CheckContext, check: Check) -> Iterator[str]:
    """Text for `sh -eu`."""
    yield from _outcome(context, check, f"exec sh -euc {shlex.quote(check.subject)}")


def env(context: CheckContext, check: Check) -> Iterator[str]:
    """A variable as each command gets it, compared byte for byte."""
    value = context.variables.get(check.subject)
    expected = check.fields.get("value")
    if value is None:
        yield "is not set"
    elif isinstance(expected, Expected) and expected.how != "equals":
        yield from text_problems("value", text_of(value), expected)
    elif expected is not None:
        exact = expected.text if isinstance(expected, Expected) else str(expected)
        if value != exact.encode():
            yield f"value is {shortened(text_of(value))}, expected {shortened(exact)}"


def _outcome(context: CheckContext, check: Check, text: str) -> Iterator[str]:
    user = check.fields.get("user")
    try:
        output = context.run(text, user=str(user) if user else None, timeout=LONGEST)
    except Overdue:
        context.run("true", timeout=10)  # raises where the whole machine is silent
        yield f"did not end within {LONGEST:g} s"
        return
    expected = check.fields.get("exit", 0)
    if output.code != expected:
        yield f"exit code is {output.code}, expected {expected}{_last_words(output)}"
    for name, raw in (("stdout", output.stdout), ("stderr", output.stderr)):
        if name in check.fields:
            yield from text_problems(name, text_of(raw), check.fields[name])


def _last_words(output: Output) -> str:
    text = text_of(output.stderr or output.stdout).strip()
    return f": {shortened(text)}" if text else ""
