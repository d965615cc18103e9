"""provision validate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from provision.cli.options import with_request
from provision.cli.show import say, show_demands

if TYPE_CHECKING:
    from provision.engine import Request, Verdict
    from provision.errors import Problem


@click.command("validate")
@with_request
@click.pass_context
def command(context: click.Context, /, request: Request) -> None:
    """Check a spec and report every problem in it, each with file, line and column.

    Without -b, for every backend; one that cannot make this environment is named, and is a
    problem only if no other can.
    """
    from provision import backends, engine
    from provision.errors import SpecError

    chosen = context.get_parameter_source("backend") is not ParameterSource.DEFAULT
    names = (request.backend,) if chosen else backends.offered()
    verdicts = {name: engine.validate(replace(request, backend=name)) for name in names}
    valid = {name: each.environment for name, each in verdicts.items() if not each.refused}
    if not any(valid.values()):
        raise SpecError(_all(verdicts))
    demands = dict.fromkeys(each for found in valid.values() if found for each in found.demands)
    show_demands(tuple(demands))
    for name, found in valid.items():
        if found is not None:
            for note in engine.notes(found, name):
                say(note)
            machines = ", ".join(f"{m.name} ({m.base.name})" for m in found.machines)
            say(f"{request.spec} is valid: {found.name}, for {name}: {machines}")
    for name, verdict in verdicts.items():
        for problem in verdict.refused:
            say(f"not for {name}: {problem.message} ({problem.origin})")


def _all(verdicts: dict[str, Verdict]) -> list[Problem]:
    refused = (problem for verdict in verdicts.values() for problem in verdict.refused)
    single = {(each.origin, each.message): each for each in refused}
    return sorted(single.values(), key=lambda each: each.origin)
