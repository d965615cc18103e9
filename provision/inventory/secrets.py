"""Secrets are left out: what a variable of theirs holds, and wherever else their values are seen."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import secrets
from provision.inventory.sections import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provision.inventory.model import Fact
    from provision.model import Machine

SHORTEST = 4  # characters of a value that is looked for within others


def elided(facts: Iterable[Fact], machine: Machine) -> Iterator[Fact]:
    """The facts with `(secret NAME)` where a value was."""
    variables = {
        (f"service {service.name}: {variable}", secret)
        for service in machine.services
        for variable, secret in service.secret_env.items()
    }
    variables |= {
        (f"setup: {variable}", secret)
        for step in machine.setup
        for variable, secret in step.secret_env.items()
    }
    by_subject = dict(variables)
    values = _values(machine)
    for fact in facts:
        if fact.section == "environment" and fact.subject in by_subject:
            yield replace(fact, attributes={"value": f"(secret {by_subject[fact.subject]})"})
        elif values and fact.section in ("environment", "services"):
            attributes = {name: _without(value, values) for name, value in fact.attributes.items()}
            yield replace(fact, attributes=attributes)
        else:
            yield fact


def _values(machine: Machine) -> Mapping[str, str]:
    """Each secret's value as the host has it now; one that it lacks can be known by its variable alone."""
    values = {}
    for secret in machine.secrets:
        try:
            value = text(secrets.value_of(secret)).rstrip("\n")
        except (KeyError, OSError):
            continue
        if value:
            values[value] = secret.name
    return dict(sorted(values.items(), key=lambda each: -len(each[0])))


def _without(value: str, values: Mapping[str, str]) -> str:
    if value in values:
        return f"(secret {values[value]})"
    for secret, name in values.items():
        if len(secret) >= SHORTEST:
            quoted = shlex.quote(secret).removeprefix("'").removesuffix("'")  # as it stands in a command
            value = value.replace(secret, f"(secret {name})").replace(quoted, f"(secret {name})")
    return value
