"""One call of `up`: what machines lack of what was asked, and how they get it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from provision import process
from provision.backends import starts
from provision.backends.base import Action, Plan
from provision.backends.build_errors import place_of
from provision.backends.build_problems import refuse_found
from provision.backends.machines import side_by_side, warn_of_roots
from provision.backends.order import in_order
from provision.backends.ports import choose, keep, kept, notes_on_ports
from provision.backends.readiness import BETWEEN, HEALTHY, SETUP_STATE, wait_until_ready
from provision.backends.vm import acceleration
from provision.backends.vm.driver import (
    ForwardsLater,
    HasGuestConsole,
    release,
    starts_provisioned,
    volumes_of,
)
from provision.backends.vm.guest import agent, secrets, ssh, sync
from provision.backends.vm.guest.commands import SAYS_WITHIN, UNREACHABLE, ask, enter, read_lines
from provision.backends.vm.records import (
    RECORD,
    MachineRecord,
    MachinesRecord,
    definition_of,
    machine_records,
)
from provision.backends.vm.rendering import HOME, copied_folders, disks
from provision.backends.vm.shutdown import remove
from provision.backends.volumes import notes_on_volumes
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.model import ATTACH, SETUP
from provision.progress import ParallelProgress
from provision.recipe.systemd import restart_script
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.backends.vm.driver import Driver
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir

APPLIED = "/var/lib/provision/applied"
QUIESCED = "/run/provision-guest/quiesced"  # not empty while a machine is without the host's folders
COMES_BACK_WITHIN = 20.0  # seconds: a busy host's machine may be slow, and is not started anew for it
MADE_ANEW = ("create", "recreate")
LAST_LINES = 20
EMULATED = 5.0  # times as long as with an accelerator
REBOOTS_WITHIN = 300.0


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """What is asked, of which driver, and where it lies; `timeout` is for the waits."""

    environment: Environment
    driver: Driver
    state_dir: StateDir
    rendering: Rendering
    timeout: float

    def plan(self) -> Plan:
        """What is to be done with each machine; looks and changes nothing."""
        machines = self.environment.machines
        found = zip(machines, side_by_side(self._action, machines), strict=True)
        actions = {machine.name: action for machine, action in found}
        there = self.driver.machines(self.state_dir)
        actions |= {name: "remove" for name in there if name not in actions}
        plan = Plan(actions=actions)
        if not plan.changes:
            return plan
        ports = notes_on_ports(self.environment, self.state_dir, self._own_ports())
        return replace(plan, notes=(*self._notes_on_volumes(there), *ports))

    def _own_ports(self) -> set[tuple[int, str]]:
        return {
            (port.host, port.protocol)
            for name, facts in machine_records(self.state_dir).items()
            if self.driver.state(self.state_dir, name) == "running"
            for port in facts.ports
        }

    def _notes_on_volumes(self, there: Sequence[str]) -> tuple[str, ...]:
        wanted = {
            machine.name: {disk.volume: disk.name for disk in disks(self.environment, machine)}
            for machine in self.environment.machines
        }
        return notes_on_volumes(wanted, volumes_of(self.driver, self.state_dir), there)

    def _action(self, machine: Machine) -> Action:
        name = machine.name
        state = self.driver.state(self.state_dir, name)
        if state != "running":
            return "create" if state == "absent" else "start"
        if definition_of(self.state_dir, name) != self.rendering.digests[name]:
            return "recreate"
        action = self._said(machine)
        if action == "change" and starts_provisioned(self.driver, self.state_dir):
            return "recreate"
        known = machine_records(self.state_dir).get(name)
        if action in ("none", "wait"):
            if (
                known
                and isinstance(self.driver, ForwardsLater)
                and not self.driver.is_forwarded(self.state_dir, name, known.ports)
            ):
                return "change"
            if secrets.stale(self.state_dir, machine):
                return "refresh"
        return action

    def _said(self, machine: Machine) -> Action:
        """What a running machine says itself: what was applied to it, and whether it is ready."""
        digest = self.rendering.recipes[machine.name]
        applied = f'{{ read -r _applied <{APPLIED} && [ "$_applied" = {digest} ]; }} 2>/dev/null'
        # Whoever was killed while it saved a machine may have left it without the host's folders.
        script = f"{applied} || exit 3; [ ! -s {QUIESCED} ] || exit 4; {HEALTHY}"
        try:
            code = self._code(machine, script)
        except Unreachable:
            return "start"
        known: dict[int, Action] = {0: "none", 3: "change", 4: "start"}
        return known.get(code, "wait")

    def _code(self, machine: Machine, script: str) -> int:
        """The exit code of a script inside, of a machine that is given time unless it is paused."""
        driver, state_dir, name = self.driver, self.state_dir, machine.name
        try:
            return ask(driver, state_dir, name, script, answers_within=SAYS_WITHIN).code
        except Unreachable:
            if driver.silence(state_dir, name) == "paused":
                raise
            return ask(driver, state_dir, name, script, answers_within=COMES_BACK_WITHIN).code

    def up(self, progress: Progress, *, rebuild: bool) -> Plan:
        """Make or boot what is not there, apply what changed, in order, until all are ready."""
        with self.state_dir.lock(progress):
            with progress.wait("checking what is running"):
                plan = self.plan()
            begun = time.monotonic()
            if rebuild or plan.changes:
                plan, begun = self._boot(plan, progress, rebuild=rebuild)
                if self.environment.several:
                    self._bring_up(plan, progress)
                    starts.note(self.state_dir, plan, begun)
                    return plan
                for machine in self.environment.machines:
                    if (action := plan.actions[machine.name]) != "none":
                        self._prepare(machine, action, progress)
            else:
                sync.push(self.state_dir, sync.known_folders(self.state_dir), progress)
        self._wait_for_all(plan, progress)
        starts.note(self.state_dir, plan, begun)
        return plan

    def _boot(self, plan: Plan, progress: Progress, *, rebuild: bool) -> tuple[Plan, float]:
        """Have every machine running, with its ports chosen and its copied folders pushed.

        What machines are made of is built before any is ended: a build that fails costs none.
        Returns what was done, which for `rebuild` is more than was planned, and when the
        machines began to start, by the monotonic clock.
        """
        environment, driver, state_dir = self.environment, self.driver, self.state_dir
        for note in plan.notes:
            progress.note(note)
        state_dir.make()
        state_dir.log.write_text("")
        for machine in environment.machines:
            if plan.actions[machine.name] in ("create", "start"):
                release(driver, state_dir, machine.name)
        chosen = choose(environment, state_dir, self._own_ports(), progress)
        self.rendering.write(state_dir.rendering)
        made = [m for m in environment.machines if rebuild or plan.actions[m.name] in MADE_ANEW]
        driver.prepare(made, state_dir, progress, self.rendering, rebuild=rebuild)
        begun = time.monotonic()
        if rebuild:
            remove(driver, state_dir, progress)
            for machine in environment.machines:
                release(driver, state_dir, machine.name)
            plan = self.plan()
        elif gone := [name for name, action in plan.actions.items() if action == "remove"]:
            remove(driver, state_dir, progress, gone)
        keep(state_dir, chosen)
        booted = {name for name, action in plan.actions.items() if action in ("create", "start", "recreate")}
        if booted:
            again = [name for name, action in plan.actions.items() if action == "recreate"]
            for name in booted:
                ssh.close(state_dir, name)
            driver.start(environment, state_dir, progress, self.rendering, again=again)
        record = MachinesRecord(
            definitions=dict(self.rendering.digests),
            provider=driver.name,
            machines={each.name: self._record(each) for each in environment.machines},
        )
        state_dir.save(RECORD, record)
        folders = copied_folders(environment, driver, state_dir.rendering)
        sync.note_folders(state_dir, folders)
        if driver.mount("", read_only=False):
            copies = {each.machine for each in folders}
            warn_of_roots([each for each in environment.machines if each.name not in copies], progress)
        carried = booted if driver.syncs_on_boot else set()
        sync.push(state_dir, [each for each in folders if each.machine not in carried], progress)
        return plan, begun

    def _record(self, machine: Machine) -> MachineRecord:
        return MachineRecord.of(machine, kept(self.state_dir))

    def _bring_up(self, plan: Plan, progress: Progress) -> None:
        """Take the steps of all side by side, then begin in order what each is for, until it is ready."""
        changing = [m for m in self.environment.machines if plan.actions[m.name] != "none"]
        building = [m for m in changing if plan.actions[m.name] != "refresh"]

        def build(machine: Machine) -> None:
            secrets.push_proxy(self.state_dir, self.environment, machine)
            self._apply(machine, ParallelProgress(progress, machine.name), "build")

        if building and not starts_provisioned(self.driver, self.state_dir):
            with progress.step("preparing"):
                in_order([replace(machine, needs=()) for machine in building], build)

        def one(machine: Machine) -> None:
            said = ParallelProgress(progress, machine.name)
            action = plan.actions[machine.name]
            self._prepare(machine, action, said)
            with said.step("ready"):
                self._wait(machine, said, was_up=action == "wait")

        if changing:
            with progress.step("waiting until they are ready"):
                in_order(changing, one)

    def _prepare(self, machine: Machine, action: Action, progress: Progress) -> None:
        """Let a machine that was booted be what it is for, with its secrets."""
        state_dir, driver = self.state_dir, self.driver
        if action == "refresh":
            changed = ", ".join(secrets.stale(state_dir, machine)) or "its secrets"
            progress.note(f"{machine.name} gets the new value of {changed}")
            secrets.renew(state_dir, machine)
            return
        secrets.push_proxy(state_dir, self.environment, machine)
        secrets.push_identity(state_dir, machine)
        if machine.workspace and machine.workspace.agent:
            agent.lend(state_dir, machine.name)
        if starts_provisioned(driver, state_dir):
            secrets.push(state_dir, machine)
            secrets.install(state_dir, machine)
            driver.resume(state_dir, machine.name, self.rendering.recipes[machine.name])
        else:
            self._apply(machine, progress)
        if isinstance(driver, ForwardsLater):
            driver.forward(state_dir, machine.name, self._record(machine).ports)

    def _apply(self, machine: Machine, progress: Progress, word: str = "") -> None:
        """Lay the machine's folder into it and run it there; recorded inside when it has succeeded."""
        state_dir, prefix = self.state_dir, f"{machine.name}/"
        files = {
            path.removeprefix(prefix): file
            for path, file in self.rendering.files.items()
            if path.startswith(prefix)
        }
        record = "" if word else f" && echo {self.rendering.recipes[machine.name]} >{APPLIED}"
        said: list[str] = []
        with progress.step(f"preparing {machine.name}"), state_dir.log.open("a", buffering=1) as log:

            def each_line(line: str) -> None:
                said.append(line)
                log.write(line + "\n")
                progress.line(line)

            try:
                ssh.write(state_dir, machine.name, files, HOME)
                secrets.push(state_dir, machine)
                ssh.stream(state_dir, machine.name, f"sh {HOME}/apply {word} 2>&1{record}", each_line)
            except process.CommandFailed as error:
                refuse_found(said, [machine])
                raise _step_failed(error, machine, said, state_dir) from error

    def _wait_for_all(self, plan: Plan, progress: Progress) -> None:
        waiting = [m for m in self.environment.machines if plan.actions[m.name] != "none"]
        if waiting:
            with progress.step(f"waiting until {'they are' if self.environment.several else 'it is'} ready"):
                for machine in waiting:
                    self._wait(machine, progress, was_up=plan.actions[machine.name] == "wait")

    def _wait(self, machine: Machine, progress: Progress, *, was_up: bool) -> None:
        state_dir, name = self.state_dir, machine.name

        def revive(service: str) -> None:
            script = restart_script([service])
            if service == ATTACH:
                script += " && systemctl restart provision.target"
            if service == SETUP:
                script = f"rm -f {SETUP_STATE}; {script}"
            ask(self.driver, state_dir, name, script)

        begun = time.monotonic()
        while True:
            try:
                with enter(state_dir, name, self._record(machine)) as target:
                    return wait_until_ready(
                        machine,
                        self.driver.guest_console(state_dir, name)
                        if isinstance(self.driver, HasGuestConsole)
                        else target,
                        progress,
                        timeout=self.timeout,
                        stretch=stretch(machine, self.driver),
                        last_lines=partial(_last_lines, state_dir, name),
                        revive=revive if was_up else None,
                        several=self.environment.several,
                    )
            except Unreachable:
                # One that was up may be on its way down and up again: somebody inside said reboot.
                over = time.monotonic() - begun > REBOOTS_WITHIN
                if over or not was_up or self.driver.state(state_dir, name) != "running":
                    raise
                time.sleep(BETWEEN)


def stretch(machine: Machine, driver: Driver) -> float:
    """How many times longer a machine may take: emulated, or perhaps emulated, EMULATED times."""
    if not driver.accelerators:  # it runs with the processor's own, or not at all
        return 1.0
    accelerated = acceleration.wanted(machine) != "emulation" and acceleration.known()
    return 1.0 if accelerated else EMULATED


def _last_lines(state_dir: StateDir, machine: str, service: str) -> Sequence[str]:
    lines: list[str] = []
    read_lines(state_dir, machine, [service], lines.append)
    return lines[-LAST_LINES:]


def _step_failed(
    error: process.CommandFailed, machine: Machine, said: Sequence[str], state_dir: StateDir
) -> EnvironmentFailed:
    """Name the step that failed, and show what it printed."""
    begun = [number for number, line in enumerate(said) if line.startswith("==> ")]
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
    name = re.sub(r"==> (\d+-)?([\w-]+):.*", r"\2", said[begun[-1]])
    return EnvironmentFailed(
        f"the step {name} exited with code {error.code}{place_of(name, machine.run)}",
        evidence=said[begun[-1] + 1 :][-LAST_LINES:],
        hint=hint,
    )
