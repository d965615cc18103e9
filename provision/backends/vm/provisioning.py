"""How a booted machine gets what its steps make: from its image, or by running them inside."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from provision import process
from provision.backends.build_errors import LONGEST, led_by, place_of
from provision.backends.build_problems import refuse_found
from provision.backends.host_faults import find_fault
from provision.backends.order import in_order
from provision.backends.vm.driver import starts_provisioned
from provision.backends.vm.guest import secrets, ssh
from provision.backends.vm.guest.commands import UNREACHABLE
from provision.backends.vm.observe import APPLIED
from provision.backends.vm.render import HOME
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.progress import ParallelProgress
from provision.quick_dataclasses import dataclass
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.backends.vm.driver import Driver, StartsProvisioned
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir

LAST_LINES = 20


class Provisioning(Protocol):
    """A way to provision booted machines."""

    def build(self, machines: Sequence[Machine], progress: Progress) -> None:
        """Run the steps of several machines side by side, before any of them is finished."""

    def finish(self, machine: Machine, progress: Progress) -> None:
        """Let a machine be what it is for, with its secrets."""


def provisioning(
    environment: Environment, driver: Driver, state_dir: StateDir, rendering: Rendering
) -> Provisioning:
    """The way for the environment's machines, once they have booted."""
    if starts_provisioned(driver, state_dir):
        return ProvisionedImage(driver=driver, state_dir=state_dir, rendering=rendering)
    return ProvisionInGuest(environment=environment, state_dir=state_dir, rendering=rendering)


@dataclass(frozen=True, kw_only=True)
class ProvisionedImage:
    """The image has the steps done: the machine waits for what the host gives, and resumes."""

    driver: StartsProvisioned
    state_dir: StateDir
    rendering: Rendering

    def build(self, machines: Sequence[Machine], progress: Progress) -> None:
        """Nothing: the image's builder has run them."""

    def finish(self, machine: Machine, progress: Progress) -> None:  # noqa: ARG002 - the other's word
        """Give it its secrets, and let it resume."""
        secrets.push(self.state_dir, machine)
        secrets.install(self.state_dir, machine)
        self.driver.resume(self.state_dir, machine.name, self.rendering.recipes[machine.name])


@dataclass(frozen=True, kw_only=True)
class ProvisionInGuest:
    """The machine runs the steps itself; those that succeeded before are not repeated."""

    environment: Environment
    state_dir: StateDir
    rendering: Rendering

    def build(self, machines: Sequence[Machine], progress: Progress) -> None:
        """Run all steps but what needs the machine's services."""

        def one(machine: Machine) -> None:
            secrets.push_proxy(self.state_dir, self.environment, machine)
            self._apply(machine, ParallelProgress(progress, machine.name), "build")

        if machines:
            with progress.step("preparing"):
                in_order([replace(machine, needs=()) for machine in machines], one)

    def finish(self, machine: Machine, progress: Progress) -> None:
        """Run what is left, attach folders and volumes, start the services."""
        self._apply(machine, progress)

    def _apply(self, machine: Machine, progress: Progress, word: str = "") -> None:
        """Push the machine's folder into it and run it there; recorded inside when it has succeeded."""
        state_dir, prefix = self.state_dir, f"{machine.name}/"
        files = {
            path.removeprefix(prefix): file
            for path, file in self.rendering.files.items()
            if path.startswith(prefix)
        }
        record = "" if word else f" && echo {self.rendering.recipes[machine.name]} >{APPLIED}"
        output: list[str] = []
        with progress.step(f"preparing {machine.name}"), state_dir.log.open("a", buffering=1) as log:

            def each_line(line: str) -> None:
                output.append(line)
                log.write(line + "\n")
                progress.line(line)

            try:
                ssh.write(state_dir, machine.name, files, HOME)
                secrets.push(state_dir, machine)
                ssh.stream(state_dir, machine.name, f"sh {HOME}/apply {word} 2>&1{record}", each_line)
            except process.CommandFailed as error:
                refuse_found(output, [machine])
                raise _step_failed(error, machine, output, state_dir) from error


def _step_failed(
    error: process.CommandFailed, machine: Machine, output: Sequence[str], state_dir: StateDir
) -> EnvironmentFailed:
    """Name the step that failed, and show what it printed."""
    begun = [number for number, line in enumerate(output) if line.startswith("==> ")]
    hint = f"fix it, then run {command('up')} again; earlier steps are kept. Full log: {state_dir.log}"
    if error.code == UNREACHABLE:
        return Unreachable(
            f"the connection to machine {machine.name} was lost while preparing it", evidence=error.evidence,
            hint=f"run {command('up')} to continue",
        )  # fmt: skip
    if not begun:
        return EnvironmentFailed(
            f"machine {machine.name} could not be prepared", evidence=error.evidence, hint=hint
        )
    name = re.sub(r"==> (\d+-)?([\w-]+):.*", r"\2", output[begun[-1]])
    last = output[begun[-1] + 1 :][-LAST_LINES:]
    fault = find_fault(last, error.code)
    return EnvironmentFailed(
        led_by(fault, f"the step {name} exited with code {error.code}{place_of(name, machine.run)}"),
        evidence=[line[:LONGEST] for line in last],
        hint=f"{fault.hint}; {hint}" if fault else hint,
        machine=machine.name,
    )
