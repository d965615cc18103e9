"""Turns the output of a failed image build into an error that a person can act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed
from provision.hints import command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provision.model import Machine, Script
    from provision.process import CommandFailed
    from provision.state import StateDir

LAST_LINES = 20


def build_failed(error: CommandFailed, state_dir: StateDir, machines: Sequence[Machine]) -> EnvironmentFailed:
    """The error that names the failed step, its place in the spec and its output."""
    output = state_dir.log.read_text().splitlines()
    failed = re.search(r"steps/\d+-([\w-]+)\.sh.*exit code: (\d+)", "\n".join(error.evidence))
    if failed is None:
        return EnvironmentFailed(
            "the image could not be built", evidence=error.evidence, hint=f"full log: {state_dir.log}"
        )
    scripts = (script for machine in machines for script in machine.run)
    return EnvironmentFailed(
        f"the step {failed[1]} exited with code {failed[2]}{place_of(failed[1], scripts)}",
        evidence=printed(output),
        hint=f"fix it, then run {command('up')} again; earlier steps are kept. Full log: {state_dir.log}",
    )


def place_of(step: str, scripts: Iterable[Script]) -> str:
    """A step's place in the spec, in brackets; empty for provision's own steps."""
    places = dict.fromkeys(str(script.origin) for script in scripts if script.name == step)
    return f" ({', '.join(places)})" if places else ""


def printed(output: Sequence[str]) -> list[str]:
    """The last lines that the failed step printed, from the builder's output."""
    step = next((match[1] for line in output if (match := re.match(r"#(\d+) ERROR", line))), r"\d+")
    return [match[1] for line in output if (match := re.match(rf"#{step} \d+\.\d+ (.*)", line))][-LAST_LINES:]
