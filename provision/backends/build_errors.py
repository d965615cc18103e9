"""Turns the output of a failed image build into an error that a person can act on."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from provision.backends.host_faults import find_fault
from provision.errors import EnvironmentFailed
from provision.hints import command

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provision.backends.host_faults import HostFault
    from provision.model import Machine, Script
    from provision.process import CommandFailed
    from provision.state import StateDir

LAST_LINES = 20
LONGEST = 300  # characters of a line that an error shows; the log has all
_FAILED = re.compile(r"steps/\d+-([\w-]+)\.sh.*exit (?:code|status):? (\d+)")  # BuildKit, Podman's builder


def build_failed(error: CommandFailed, state_dir: StateDir, machines: Sequence[Machine]) -> EnvironmentFailed:
    """The error that names the failed step, its place in the spec and its output."""
    output = state_dir.log.read_text().splitlines()
    fault = find_fault(printed(output) or error.evidence)
    failed = _FAILED.search("\n".join(error.evidence))
    if failed is None:
        return EnvironmentFailed(
            led_by(fault, "the image could not be built"),
            evidence=error.evidence,
            hint=f"{fault.hint}; full log: {state_dir.log}" if fault else f"full log: {state_dir.log}",
        )
    fault = fault or find_fault((), int(failed[2]))
    scripts = (script for machine in machines for script in machine.run)
    remedy = fault.hint if fault else "fix it"
    return EnvironmentFailed(
        led_by(fault, f"the step {failed[1]} exited with code {failed[2]}{place_of(failed[1], scripts)}"),
        evidence=printed(output),
        hint=f"{remedy}, then run {command('up')} again; earlier steps are kept. Full log: {state_dir.log}",
    )


def led_by(fault: HostFault | None, message: str) -> str:
    """The message, led by what is wrong with the host."""
    return f"{fault.message}: {message}" if fault else message


def place_of(step: str, scripts: Iterable[Script]) -> str:
    """A step's place in the spec, in brackets; empty for provision's own steps."""
    places = dict.fromkeys(str(script.origin) for script in scripts if script.name == step)
    return f" ({', '.join(places)})" if places else ""


def printed(output: Sequence[str]) -> list[str]:
    """The last lines that the failed step printed, from the builder's output."""
    step = next((match[1] for line in output if (match := re.match(r"#(\d+) ERROR", line))), r"\d+")
    lines = [match[1] for line in output if (match := re.match(rf"#{step} \d+\.\d+ (.*)", line))]
    lines = lines or _printed_by_podman(output)
    return [line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in lines[-LAST_LINES:]]


def _printed_by_podman(output: Sequence[str]) -> list[str]:
    """The same from the output of Podman's builder, which numbers nothing."""
    begins = [number for number, line in enumerate(output) if re.match(r"STEP \d+/\d+: ", line)]
    after = output[begins[-1] + 1 :] if begins else ()
    printed = takewhile(lambda line: not line.startswith("building at STEP "), after)
    return [line for line in printed if line.strip()]
