"""Carry out a plan: build, boot, provision, start in order, wait until every machine is ready."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.backends import causes, in_place, starts
from provision.backends.machines import warn_of_roots
from provision.backends.order import in_order
from provision.backends.ports import choose, keep, kept
from provision.backends.readiness import BETWEEN, wait_until_ready
from provision.backends.starting import decide_start
from provision.backends.vm import acceleration, drivers, snapshots, written
from provision.backends.vm.decide import BOOTED, changes_in_place, stands_as
from provision.backends.vm.driver import ForwardsLater, HasGuestConsole, release, starts_provisioned
from provision.backends.vm.guest import agent, secrets, ssh, sync
from provision.backends.vm.guest.commands import ask, enter, read_lines
from provision.backends.vm.observe import APPLIED, observe, ports_held
from provision.backends.vm.planning import plan_for
from provision.backends.vm.records import RECORD, MachineRecord, MachinesRecord
from provision.backends.vm.shutdown import remove
from provision.errors import HostLacks
from provision.model import ATTACH, SETUP
from provision.progress import ParallelProgress
from provision.quick_dataclasses import dataclass
from provision.recipe.systemd import restart_script
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provision.backends.base import Plan
    from provision.backends.starting import Stands
    from provision.backends.vm.driver import Driver
    from provision.backends.vm.observe import Observed
    from provision.backends.vm.provisioning import Provisioning
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir

LAST_LINES = 20
EMULATED = 5.0  # times as long as with an accelerator
REBOOTS_WITHIN = 300.0


@dataclass(frozen=True, kw_only=True)
class Application:
    """One call of `up`: the environment, its driver, state and rendering; `timeout` limits the waits."""

    environment: Environment
    driver: Driver
    state_dir: StateDir
    rendering: Rendering
    timeout: float

    def up(self, progress: Progress, *, rebuild: bool, approve: Callable[[Plan], None]) -> Plan:
        """Observe, decide, and carry out the plan once it is approved; returned is that very plan."""
        plan = self._up(progress, rebuild=rebuild, approve=approve)
        written.note_ready(self.driver, self.state_dir, plan.named("create", "recreate"))
        return plan

    def _up(self, progress: Progress, *, rebuild: bool, approve: Callable[[Plan], None]) -> Plan:
        with self.state_dir.lock(progress):
            snapshots.finish_restore(self.state_dir, progress)
            with progress.wait("checking what is running"):
                observed, plan = self._plan(rebuild=rebuild)
            approve(plan)
            begun = since = time.monotonic()
            if plan.changes:
                begun = self._carry_out(plan, observed, progress, rebuild=rebuild)
                if self.environment.several:
                    self._note_parts()
                    starts.note(self.state_dir, plan, begun, since)
                    return plan
                self._note_parts()
            else:
                sync.push(self.state_dir, sync.known_folders(self.state_dir), progress)
        self._wait_for_all(plan, progress)
        starts.note(self.state_dir, plan, begun, since)
        return plan

    def _plan(self, *, rebuild: bool) -> tuple[Observed, Plan]:
        """What there is, and what to do; what a change needs of this host is looked at only for one."""
        try:
            observed, plan = plan_for(
                self.environment, self.driver, self.state_dir, self.rendering, rebuild=rebuild
            )
        except HostLacks:
            drivers.require(self.driver)  # says best what is missing
            raise
        if plan.changes:
            drivers.require(self.driver)
        return observed, plan

    def start(self, progress: Progress, machine: str | None) -> Plan:
        """Start the machines that are stopped, or one of them, as they were made."""
        with self.state_dir.lock(progress):
            snapshots.finish_restore(self.state_dir, progress)
            with progress.wait("checking what is running"):
                observed = observe(self.environment, self.driver, self.state_dir, self.rendering)
            plan = decide_start({name: self._stands(name, observed) for name in observed.machines}, machine)
            if plan.changes:
                self._carry_out(plan, observed, progress, rebuild=False)
        if not self.environment.several:
            self._wait_for_all(plan, progress)
        return plan

    def _stands(self, name: str, observed: Observed) -> Stands:
        stands = stands_as(observed.machines[name], self.rendering.digests[name])
        paused = stands == "running" and self.driver.silence(self.state_dir, name) == "paused"
        return "paused" if paused else stands

    def _carry_out(self, plan: Plan, observed: Observed, progress: Progress, *, rebuild: bool) -> float:
        """Boot, and let each machine be what it is for; when they began to start, by the monotonic clock.

        Several are ready then.
        """
        begun = self._boot(plan, observed, progress, rebuild=rebuild)
        if self.environment.several:
            self._bring_up(plan, observed, progress)
            return begun
        for machine in self.environment.machines:
            if plan.actions[machine.name] != "none":
                self._prepare(machine, plan, observed, progress)
        return begun

    def _boot(self, plan: Plan, observed: Observed, progress: Progress, *, rebuild: bool) -> float:
        """Have every machine running, with its ports chosen and its copied folders pushed.

        What machines are made of is built before any is ended: a build that fails costs none.
        Returns when the machines began to start, by the monotonic clock.
        """
        environment, driver, state_dir = self.environment, self.driver, self.state_dir
        for note in plan.notes:
            progress.note(note)
        state_dir.make()
        state_dir.log.write_text("")
        stopped = [name for name in plan.named("recreate") if observed.machines[name].state != "running"]
        for name in (*plan.named("create", "start"), *stopped):
            if not (rebuild and observed.machines[name].state == "running"):  # it is removed below
                release(driver, state_dir, name)
        chosen = choose(environment, state_dir, ports_held(driver, state_dir), progress)
        self.rendering.write(state_dir.rendering)
        made = set(plan.named("create", "recreate"))
        building = [machine for machine in environment.machines if machine.name in made]
        driver.prepare(building, state_dir, progress, self.rendering, rebuild=rebuild)
        begun = time.monotonic()
        written.forget(state_dir, made)
        self._remove(plan, progress, rebuild=rebuild)
        keep(state_dir, chosen)
        booted = plan.named(*BOOTED)
        if booted:
            for name in booted:
                ssh.close(state_dir, name)
            again = plan.named("recreate")
            driver.start(environment, state_dir, progress, self.rendering, only=booted, again=again)
        self._note()
        from provision.backends.vm.render import copied_folders

        folders = copied_folders(environment, driver, state_dir.rendering)
        sync.note_folders(state_dir, folders)
        if driver.mount("", read_only=False):
            copies = {each.machine for each in folders}
            warn_of_roots([each for each in environment.machines if each.name not in copies], progress)
        synced = booted if driver.syncs_on_boot else ()
        sync.push(state_dir, [each for each in folders if each.machine not in synced], progress)
        return begun

    def _remove(self, plan: Plan, progress: Progress, *, rebuild: bool) -> None:
        """Remove what is no longer in the spec; to rebuild, all."""
        if rebuild:
            remove(self.driver, self.state_dir, progress)
            for machine in self.environment.machines:
                release(self.driver, self.state_dir, machine.name)
        elif gone := plan.named("remove"):
            remove(self.driver, self.state_dir, progress, gone)

    def _note(self) -> None:
        """Remember what runs now: enough to enter it, to plan the next `up`, and to remove it."""
        record = MachinesRecord(
            definitions=dict(self.rendering.digests),
            provider=self.driver.name,
            machines={each.name: self._record(each) for each in self.environment.machines},
        )
        self.state_dir.save(RECORD, record)
        causes.note_aspects(self.state_dir, self.environment)

    def _record(self, machine: Machine) -> MachineRecord:
        return MachineRecord.of(machine, kept(self.state_dir))

    def _bring_up(self, plan: Plan, observed: Observed, progress: Progress) -> None:
        """Run the steps of all side by side, then begin in order what each is for, until it is ready."""
        changing = [m for m in self.environment.machines if plan.actions[m.name] != "none"]
        building = [m for m in changing if plan.actions[m.name] != "refresh"]
        self._provisioning().build(building, progress)

        def one(machine: Machine) -> None:
            own = ParallelProgress(progress, machine.name)
            self._prepare(machine, plan, observed, own)
            with own.step("ready"):
                self._wait(machine, own, was_up=plan.actions[machine.name] == "wait")

        if changing:
            with progress.step("waiting until they are ready"):
                in_order(changing, one)

    def _prepare(self, machine: Machine, plan: Plan, observed: Observed, progress: Progress) -> None:
        """Let a machine that was booted be what it is for, with its secrets."""
        state_dir, driver = self.state_dir, self.driver
        if plan.actions[machine.name] == "refresh":
            changed = ", ".join(observed.machines[machine.name].stale_secrets)
            progress.note(f"{machine.name} gets the new value of {changed}")
            secrets.renew(state_dir, machine)
            return
        if self._change(machine, plan, observed, progress):
            return
        secrets.push_proxy(state_dir, self.environment, machine)
        secrets.push_identity(state_dir, machine)
        if machine.workspace and machine.workspace.agent:
            agent.lend(state_dir, machine.name)
        self._provisioning().finish(machine, progress)
        if isinstance(driver, ForwardsLater):
            driver.forward(state_dir, machine.name, self._record(machine).ports)

    def _change(self, machine: Machine, plan: Plan, observed: Observed, progress: Progress) -> bool:
        """Apply to a machine that started with all steps done what needs no new one; whether that was all."""
        state_dir, driver = self.state_dir, self.driver
        if plan.actions[machine.name] != "change" or not starts_provisioned(driver, state_dir):
            return False
        found = changes_in_place(machine, self.rendering, observed)
        if found is None:  # a port is to be forwarded again
            return False
        recipe, files = self.rendering.recipes[machine.name], self.rendering.made_of[machine.name]
        now = in_place.parts_of(files, self.rendering.outside[machine.name])
        in_place.begin(state_dir, machine.name, now)
        with enter(state_dir, machine.name, self._record(machine)) as target:
            target.run(f"echo {in_place.CHANGING} >{APPLIED}", user="root", timeout=in_place.WITHIN)
            in_place.apply(target, machine, found, files, progress)
            restarts = [restart_script(found.services)] if found.services else []
            if found.setup:
                restarts.append(f"rm -f {guest_paths.SETUP_STATE}; {restart_script([SETUP])}")
            lines = [f"echo {recipe} >{APPLIED}", *restarts]
            target.run("\n".join(lines), user="root", timeout=in_place.WITHIN)
        driver.note_applied(machine, state_dir, self.rendering)
        return True

    def _note_parts(self) -> None:
        """Remember what each machine is made of, so that the next change may be applied to it."""
        if starts_provisioned(self.driver, self.state_dir):
            rendering = self.rendering
            parts = {
                each.name: in_place.MachineParts(
                    instance="",  # the machine itself says what was applied to it
                    made=rendering.recipes[each.name],
                    parts=in_place.parts_of(rendering.made_of[each.name], rendering.outside[each.name]),
                )
                for each in self.environment.machines
            }
            in_place.note(self.state_dir, parts)

    def _provisioning(self) -> Provisioning:
        from provision.backends.vm.provisioning import provisioning

        return provisioning(self.environment, self.driver, self.state_dir, self.rendering)

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
                script = f"rm -f {guest_paths.SETUP_STATE}; {script}"
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
