"""The verbs of the VM backend."""

from __future__ import annotations

import os
import platform
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import process
from provision.backends import causes, in_place, ports, starts
from provision.backends import snapshots as kept_snapshots
from provision.backends.base import Remains, approve_all
from provision.backends.machines import read_all, refuse_unknown, side_by_side
from provision.backends.readiness import HEALTHY, service_states
from provision.backends.requirements import refuse, unmet
from provision.backends.vm import acceleration, capabilities, drivers, offline, sharing, snapshots, written
from provision.backends.vm.apply import Application
from provision.backends.vm.architecture import architecture
from provision.backends.vm.driver import (
    ADDRESSED_BY,
    HasAddress,
    KeepsVolumes,
    MakesArtifacts,
    Pauses,
    SavesState,
    TakesBoxes,
    TellsUsage,
    is_connected,
    volumes_of,
)
from provision.backends.vm.guest import agent, ssh, sync
from provision.backends.vm.guest.commands import SAYS_WITHIN, ask, enter, read_lines
from provision.backends.vm.guest.network import cards
from provision.backends.vm.options import options_of
from provision.backends.vm.planning import plan_for
from provision.backends.vm.records import (
    RECORD,
    MachineRecord,
    MachinesRecord,
    driver_of,
    machine_records,
    ports_of,
)
from provision.backends.vm.shutdown import remove, stop
from provision.backends.vm.validation import unsupported
from provision.errors import Problem, UsageError
from provision.hints import command
from provision.model import MachineStatus, Origin, ServiceStatus
from provision.quick_dataclasses import dataclass
from provision.recipe.systemd import restart_script
from provision.rendered import remembered
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import (
        Cached,
        Capabilities,
        EnvironmentUsage,
        Finding,
        Footprint,
        Plan,
        Pulled,
        Pushed,
        Shareable,
    )
    from provision.backends.log_view import LogView
    from provision.backends.vm.driver import Driver, GuestState
    from provision.model import Base, Environment, Machine, MachineState, Usage
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.records import Record
    from provision.rendering import Rendering
    from provision.state import KnownEnvironment, StateDir
    from provision.target import Target


RECORDS: Mapping[str, type[Record]] = {  # beside the driver's own
    RECORD: MachinesRecord,
    ports.RECORD: ports.PortsRecord,
    starts.RECORD: starts.StartRecord,
    causes.RECORD: causes.AspectsRecord,
    in_place.RECORD: in_place.PartsRecord,
    sync.SYNCED: sync.SyncedRecord,
    written.RECORD: written.DisksRecord,
    kept_snapshots.RESTORING: kept_snapshots.RestoringRecord,
}


PROVIDER = "PROVISION_PROVIDER"
RUNS = ("running", "paused")


@dataclass(frozen=True, kw_only=True)
class HostChoices:
    """What the host decides about an environment: the name of its driver."""

    driver: str


class VirtualMachines:
    """Environments as virtual machines of one driver."""

    name = "vm"
    title = "The hypervisor"
    noun = "a virtual machine"
    preference = 2  # its own kernel and memory

    def supports(self, machine: Machine) -> frozenset[str]:
        """What a machine has of what checks may require."""
        return capabilities.supports(machine)

    def describe(self, environment: Environment, state_dir: StateDir) -> Capabilities:
        """What it would give an environment here."""
        return capabilities.describe(environment, state_dir)

    def notes(self, environment: Environment) -> tuple[str, ...]:  # noqa: ARG002 - the contract's words
        """Nothing: a machine reads whatever a boot reads."""
        return ()

    def choose(self, environment: Environment, state_dir: StateDir) -> HostChoices:
        """The driver: the spec's, $PROVISION_PROVIDER, the one it has, the first that this host can use."""
        preferred = os.environ.get(PROVIDER) or driver_of(state_dir)
        if _names(environment) or not preferred:
            usable = None if _names(environment) else drivers.first_usable(of_boxes=_of_boxes(environment))
            return HostChoices(driver=usable) if usable else _any_host(environment)
        return HostChoices(driver=preferred)

    def refusals(self, environment: Environment, state_dir: StateDir) -> Sequence[Problem]:
        """What no machine of the driver that `up` would take can be."""
        choices = self.choose(environment, state_dir)
        problems = _refusals(environment, choices)
        return problems or list(_small_disks(environment, drivers.find(choices.driver)))

    def render(
        self, environment: Environment, location: Path, choices: HostChoices | None = None
    ) -> Rendering:
        """The driver's definition of the machines, and what prepares each of them; pure."""
        choices = choices or _any_host(environment)
        refuse(_refusals(environment, choices))
        driver = drivers.find(choices.driver)

        def render() -> Rendering:
            from provision.backends.vm.render import render_environment

            return render_environment(environment, driver, location)

        return remembered(
            environment,
            location,
            choices,
            render,
        )

    def missing(self, environment: Environment, state_dir: StateDir) -> tuple[str, ...]:
        """What `up` would have to fetch: boxes, bases, and packages that no disk holds."""
        choices = self.choose(environment, state_dir)
        rendering = self.render(environment, state_dir.rendering, choices)
        return tuple(offline.missing(environment, drivers.find(choices.driver), state_dir, rendering))

    def plan(self, environment: Environment, state_dir: StateDir) -> Plan:
        """What `up` would do: a machine says itself what was applied to it."""
        choices = self.choose(environment, state_dir)
        rendering = self.render(environment, state_dir.rendering, choices)
        driver = drivers.find(choices.driver)
        _require_accelerator(environment, driver)
        capabilities.require_host(environment)
        return plan_for(environment, driver, state_dir, rendering)[1]

    def up(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        *,
        rebuild: bool,
        timeout: float,
        approve: Callable[[Plan], None] = approve_all,
    ) -> Plan:
        """Make or boot what is not there, apply what changed, in order, until all are ready."""
        choices = self.choose(environment, state_dir)
        rendering = self.render(environment, state_dir.rendering, choices)
        driver = drivers.find(choices.driver)
        _require_accelerator(environment, driver)
        capabilities.require_host(environment)
        _refuse_former(environment, driver, state_dir)
        application = Application(
            environment=environment, driver=driver, state_dir=state_dir, rendering=rendering, timeout=timeout
        )
        return application.up(progress, rebuild=rebuild, approve=approve)

    def start(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        *,
        machine: str | None,
        timeout: float,
    ) -> Plan:
        """Boot or resume them, in order, and wait."""
        choices = self.choose(environment, state_dir)
        driver = drivers.find(choices.driver)
        drivers.require(driver)
        _require_accelerator(environment, driver)
        application = Application(
            environment=environment,
            driver=driver,
            state_dir=state_dir,
            rendering=self.render(environment, state_dir.rendering, choices),
            timeout=timeout,
        )
        return application.start(progress, machine)

    def pause(self, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """As their driver does it."""
        with state_dir.lock(progress):
            meant = [
                (driver, name)
                for driver, name in _running(state_dir, machine)
                if driver.silence(state_dir, name) != "paused"
            ]
            with progress.step("pausing") if meant else nullcontext():
                for driver, name in meant:
                    _pausing(driver).pause(state_dir, name)
        return bool(meant)

    def unpause(self, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """As their driver does it."""
        with state_dir.lock(progress):
            meant = [
                (driver, name)
                for driver, name in _running(state_dir, machine)
                if driver.silence(state_dir, name) == "paused"
            ]
            with progress.step("going on") if meant else nullcontext():
                for driver, name in meant:
                    _pausing(driver).unpause(state_dir, name)
        return bool(meant)

    def save_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """Disks, volumes and memory, as the driver keeps them."""
        snapshots.save(state_dir, progress, name)

    def restore_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """The same, running on."""
        snapshots.restore(state_dir, progress, name)

    def delete_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """Its files."""
        with state_dir.lock(progress):
            kept_snapshots.refuse_restoring(state_dir, name)
            snapshots.delete(state_dir, name)

    def usage(self, state_dir: StateDir) -> tuple[Usage, ...]:
        """As their driver tells it; they are looked at side by side."""
        running = _running(state_dir, None)
        silent = [driver.name for driver, _ in running if not isinstance(driver, TellsUsage)]
        if silent:
            raise UsageError(
                f"provision cannot tell what machines of {silent[0]} take: Vagrant does not say it",
                hint=f"{command('exec', '--', 'top', '-bn1')} shows it as the machine itself sees it",
            )
        if not running:
            return ()

        def ask_one(each: tuple[Driver, str]) -> Usage | None:
            driver, name = each
            return driver.usage(state_dir, name) if isinstance(driver, TellsUsage) else None

        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(len(running)) as pool:
            return tuple(found for found in pool.map(ask_one, running) if found is not None)

    def stop(self, name: str, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """As their driver ends them."""
        del name  # the place says it all
        stopped = False
        with state_dir.lock(progress):
            refuse_unknown(machine, machine_records(state_dir))
            for driver in map(drivers.find, drivers.names()):
                chosen = [each for each in driver.machines(state_dir) if machine in (None, each)]
                running = [each for each in chosen if driver.state(state_dir, each) == "running"]
                if running:
                    stop(driver, state_dir, progress, running)
                    stopped = True
        return stopped

    def down(
        self, name: str, state_dir: StateDir, progress: Progress, *, volumes: bool, images: bool
    ) -> bool:
        """Remove the machines, half-made ones too; boxes stay, other environments use them."""
        del name  # the place says it all
        with state_dir.lock(progress):
            return self._down(state_dir, progress, volumes=volumes, images=images)

    def _down(self, state_dir: StateDir, progress: Progress, *, volumes: bool, images: bool) -> bool:
        all_drivers = [drivers.find(each) for each in drivers.names()]
        records = {**RECORDS, **{name: kind for each in all_drivers for name, kind in each.records.items()}}
        there_of = [p for p in all_drivers if p.machines(state_dir)]
        keeping = [p for p in all_drivers if volumes and isinstance(p, KeepsVolumes) and p.volumes(state_dir)]
        kept_snapshots.after_down(state_dir, volumes=volumes)
        if not there_of and not images and not keeping:
            state_dir.forget_damaged(records)
            return False
        there = any(
            p.state(state_dir, machine) != "absent" for p in there_of for machine in p.machines(state_dir)
        )
        for driver in there_of:
            remove(driver, state_dir, progress)
        for driver in keeping:
            driver.remove_volumes(state_dir)
        for driver in all_drivers if images else ():
            driver.forget(state_dir)
            if isinstance(driver, MakesArtifacts):
                from provision import leftovers

                for half in driver.store.half_made():  # an `up` that was killed left it, and nobody goes on
                    leftovers.remove(half)
        state_dir.forget_damaged(records)
        return there

    def remains(self, state_dir: StateDir) -> Remains:
        """The machines and volumes of every driver."""
        all_drivers = [drivers.find(each) for each in drivers.names()]
        machines = {
            machine: _shown(driver, state_dir, machine)
            for driver in all_drivers
            for machine in driver.machines(state_dir)
        }
        ports = ports_of(state_dir)
        return Remains(
            machines=machines,
            ports={name: ports.get(name, ()) for name, state in machines.items() if state in RUNS},
            volumes=tuple(volume for driver in all_drivers for volume in volumes_of(driver, state_dir)),
            built=tuple(each for driver in all_drivers for each in driver.built(state_dir)),
        )

    def engine_environments(self) -> Mapping[str, tuple[str, str]]:
        """None: a machine is nothing without its state."""
        return {}

    def status(self, environment: Environment, state_dir: StateDir) -> tuple[MachineStatus, ...]:
        """Every machine, with the state of each service where it runs."""
        driver = drivers.find(self.choose(environment, state_dir).driver)
        facts = machine_records(state_dir)
        joined = cards(environment) if driver.joins_private_network else {}

        def one(machine: Machine) -> MachineStatus:
            state = driver.state(state_dir, machine.name)
            status = _status(machine, state, facts.get(machine.name), driver, state_dir)
            card = joined.get(machine.name)
            address = card.address if card and state == "running" else status.address
            kept = driver.saved_bytes(state_dir, machine.name) if isinstance(driver, SavesState) else 0
            return replace(status, address=address, kept=kept)

        return side_by_side(one, environment.machines)

    def targets(self, name: str, state_dir: StateDir, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines of an environment; user and folder as they were brought up."""
        facts = machine_records(state_dir)
        refuse_unknown(machine, facts)
        states = {
            each: driver.state(state_dir, each)
            for driver in map(drivers.find, drivers.names())
            for each in driver.machines(state_dir)
        }
        chosen = [each for each in facts if machine in (None, each)]
        running = [each for each in chosen if states.get(each) == "running"]
        if not running:
            there = any(states.get(each, "absent") != "absent" for each in chosen)
            what = f"environment {name}" if machine in (None, name) else f"machine {machine} of {name}"
            raise Unreachable(
                f"{what} is {'not running' if there else 'not up'} in vm",
                hint=f"{command('up', '-b', 'vm')} starts it",
            )
        return {each: enter(state_dir, each, facts[each]) for each in running}

    def lend(self, state_dir: StateDir, target: Target) -> None:
        """By the open connection."""
        known = machine_records(state_dir).get(target.machine)
        if known is not None and known.agent:
            agent.lend(state_dir, target.machine)

    def sync(self, state_dir: StateDir, progress: Progress, *, watch: bool) -> int:
        """Carry copied folders into the machines; with `watch`, at each change, until interrupted."""
        folders = sync.known_folders(state_dir)
        if folders:
            self.targets(state_dir.name, state_dir)  # says which is not running
        with state_dir.lock(progress):
            sync.push(state_dir, folders, progress)
        if folders and watch:
            sync.watch(state_dir, folders, progress)
        return len(folders)

    def restart(self, state_dir: StateDir, target: Target, services: Sequence[str]) -> None:
        """By systemd."""
        words = ["sh", "-c", restart_script(services)]
        # One that fails has its state and its lines, which say more than systemctl does.
        process.run(ssh.command(state_dir, target.machine, words), check=False)

    def logs(
        self,
        name: str,
        state_dir: StateDir,
        services: Sequence[str],
        *,
        machine: str | None,
        view: LogView,
        each_line: Callable[[str], None],
    ) -> None:
        """The journals of the services and of setup, since each machine's last boot."""
        facts = machine_records(state_dir)
        known = {each: facts[each].services for each in sorted(self.targets(name, state_dir, machine))}

        def read(one: str, wanted: Sequence[str], line: Callable[[str], None]) -> None:
            names = wanted or (*known[one], "setup")
            read_lines(state_dir, one, names, line, view=view, labelled=len(known[one]) > 1)

        read_all(known, services, each_line, read, follow=view.follow)

    def form(self, environment: Environment, state_dir: StateDir) -> str:
        """With its driver: each has packages and a kernel of its own."""
        return f"{self.name}-{self.choose(environment, state_dir).driver}"

    def architecture(self) -> str:
        """That which is emulated, or this host's."""
        ours = architecture()
        return ours.name if ours else platform.machine()

    def is_slow(self, environment: Environment) -> bool:
        """Where they are emulated."""
        wanted = {acceleration.wanted(machine) for machine in environment.machines}
        return "emulation" in wanted or acceleration.known() is False

    def footprint(self, state_dir: StateDir) -> Footprint:
        """Of its machines, as far as their provider tells it."""
        from provision.backends.vm.footprint import footprint

        return footprint(state_dir)

    def environment_usage(self, state_dirs: Sequence[StateDir]) -> Mapping[str, EnvironmentUsage]:
        """Their disks and processes, as far as their driver tells them."""
        from provision.backends.vm.keeping import environment_usage

        return environment_usage(state_dirs)

    def cached(
        self,
        environments: Sequence[KnownEnvironment],
        gone: Sequence[KnownEnvironment],  # noqa: ARG002 - the contract's words
    ) -> tuple[Cached, ...]:
        """Disks and boxes."""
        from provision.backends.vm.keeping import cached

        return cached(environments)

    def half_made(self) -> tuple[Path, ...]:
        """Disks and boxes that never became whole."""
        from provision.backends.vm.keeping import half_made

        return half_made()

    def discard(self, cached: Sequence[Cached]) -> None:
        """Disks and boxes that no machine is made of."""
        from provision.backends.vm.keeping import discard

        discard(cached)

    def forget_saved(self, state_dir: StateDir) -> bool:
        """The states that are kept for the next start."""
        from provision.backends.vm.footprint import forget_saved

        return forget_saved(state_dir)

    def to_pull(
        self, environment: Environment, state_dir: StateDir, *, always: bool, any_state: bool = False
    ) -> tuple[Shareable, ...]:
        """The disks that `up` would build."""
        driver, rendering = self._rendering(environment, state_dir)
        return sharing.to_pull(environment, driver, state_dir, rendering, always=always, any_state=any_state)

    def pull(
        self,
        item: Shareable,
        manifest: Manifest,
        registry: Registry,
        state_dir: StateDir,
        progress: Progress,
    ) -> Pulled:
        """A disk into the cache of them, a saved state beside the machine's own disk."""
        if item.machine:
            return sharing.memory_driver(item).pull_memory(item, manifest, registry, state_dir, progress)
        return sharing.sharing_driver(item).pull_disk(item, manifest, registry, progress)

    def to_push(self, environment: Environment, state_dir: StateDir) -> tuple[Shareable, ...]:
        """The disks of the machines."""
        return sharing.to_push(environment, *self._rendering(environment, state_dir))

    def push(self, item: Shareable, registry: Registry, state_dir: StateDir, progress: Progress) -> Pushed:
        """In chunks."""
        if item.machine:
            return sharing.memory_driver(item).push_memory(item, registry, state_dir, progress)
        return sharing.sharing_driver(item).push_disk(item, registry, progress)

    def memory_to_pull(self, environment: Environment, state_dir: StateDir) -> tuple[Shareable, ...]:
        """Of machines that do not exist yet, and whose disks are here."""
        return sharing.memory_to_pull(environment, *self._rendering(environment, state_dir), state_dir)

    def memory_to_push(self, environment: Environment, state_dir: StateDir) -> tuple[Shareable, ...]:
        """Those that `down` has kept."""
        return sharing.memory_to_push(environment, *self._rendering(environment, state_dir), state_dir)

    def _rendering(self, environment: Environment, state_dir: StateDir) -> tuple[Driver, Rendering]:
        """The driver on this host, and its rendering."""
        choices = self.choose(environment, state_dir)
        rendering = self.render(environment, state_dir.rendering, choices)
        return drivers.find(choices.driver), rendering

    def handed_to(self, load: Callable[[], Environment]) -> tuple[str, Mapping[str, str]]:
        """The host that a driver's own variable names, where the spec or the user names the driver."""
        for name in [name for variable, name in ADDRESSED_BY.items() if os.environ.get(variable)]:
            driver = drivers.find(name)
            if not isinstance(driver, HasAddress):
                continue
            address, variables = driver.elsewhere()
            if address and name in (*_names(load()), os.environ.get(PROVIDER)):
                return address, variables
        return "", {}

    def build_base(self, base: Base, progress: Progress, *, provider: str | None) -> Iterator[str]:
        """Its boxes for Vagrant, in the folder of boxes."""
        from provision.bases.box import boxes_folder, build_box
        from provision.bases.packing import BOX_PROVIDERS

        for each in BOX_PROVIDERS:
            if provider in (None, each):
                yield str(build_box(base, each, boxes_folder(), progress))

    def examine(self) -> tuple[Finding, ...]:
        """Every driver: one that is usable is enough."""
        return tuple(drivers.examine())

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """One driver will do."""
        return any(finding.usable for finding in findings)


def _shown(driver: Driver, state_dir: StateDir, machine: str) -> MachineState:
    """The state of a machine, as far as its hypervisor says it: whether it answers is not asked."""
    state = driver.state(state_dir, machine)
    paused = (
        state == "running" and isinstance(driver, Pauses) and driver.silence(state_dir, machine) == "paused"
    )
    return "paused" if paused else state


def _running(state_dir: StateDir, machine: str | None) -> list[tuple[Driver, str]]:
    """The machines that run, or the named one if it does, each with its driver."""
    refuse_unknown(machine, machine_records(state_dir))
    return [
        (driver, name)
        for driver in map(drivers.find, drivers.names())
        for name in driver.machines(state_dir)
        if machine in (None, name) and driver.state(state_dir, name) == "running"
    ]


def _pausing(driver: Driver) -> Pauses:
    if not isinstance(driver, Pauses):
        raise UsageError(
            f"provision cannot pause machines of {driver.name}",
            hint=f"{command('stop')} stops them and keeps their data",
        )
    return driver


def _names(environment: Environment) -> Sequence[str]:
    """The drivers that the machines name."""
    named = (options_of(machine).provider for machine in environment.machines)
    return sorted({str(name) for name in named if name})


def _refusals(environment: Environment, choices: HostChoices) -> Sequence[Problem]:
    """What no virtual machine can be, or none of the chosen driver."""
    problems = list(unmet(environment, capabilities.lacks, capabilities.HINT))
    names = _names(environment) or [choices.driver]
    unknown = [name for name in names if name not in drivers.names()]
    if unknown or len(names) > 1:
        message = (
            f"there is no provider {', '.join(unknown)}"
            if unknown
            else f"all machines of an environment need one provider, these have {' and '.join(names)}"
        )
        place = Origin(file=str(environment.spec), line=1, column=1)
        return [*problems, Problem(message, place, f"choose from {', '.join(drivers.names())}")]
    driver = drivers.find(choices.driver)
    return [*problems, *unsupported(environment, driver)]


def _small_disks(environment: Environment, driver: Driver) -> Iterator[Problem]:
    """The machines that want less disk than the box that they would be made of, as far as it is known."""
    if not isinstance(driver, TakesBoxes):
        return
    for machine in environment.machines:
        try:
            driver.refuse_small_disk(machine)
        except UsageError as error:
            yield Problem(error.message, Origin(file=str(environment.spec), line=1, column=1), error.hint)


def _any_host(environment: Environment) -> HostChoices:
    """The driver that the spec names; the preferred one if it names none, whatever a host can use."""
    preferred = drivers.preferred(of_boxes=_of_boxes(environment))
    return HostChoices(driver=next(iter([*_names(environment), *preferred])))


def _of_boxes(environment: Environment) -> bool:
    """Whether a machine names a box, which only some drivers can take."""
    return any(options_of(machine).box for machine in environment.machines)


def _require_accelerator(environment: Environment, driver: Driver) -> None:
    """Raise HostLacks if the host's variable names an accelerator that there is not."""
    for machine in environment.machines if driver.accelerators else ():
        acceleration.wanted(machine)


def _refuse_former(environment: Environment, driver: Driver, state_dir: StateDir) -> None:
    """Raise UsageError if another driver's machines are there: they would be forgotten, and keep running."""
    former = driver_of(state_dir)
    if former not in drivers.names() or former == driver.name:
        return
    if drivers.find(str(former)).machines(state_dir):
        raise UsageError(
            f"{environment.name} already exists with {former}; the spec selects {driver.name}",
            hint=f"{command('down')} removes it; its volumes stay with {former}",
        )


def _status(
    machine: Machine, state: GuestState, known: MachineRecord | None, driver: Driver, state_dir: StateDir
) -> MachineStatus:
    services = tuple(ServiceStatus(name=each.name, state="stopped") for each in machine.services)
    shown: MachineState = state
    if shown == "running":
        try:
            answer = ask(driver, state_dir, machine.name, HEALTHY, answers_within=SAYS_WITHIN)
            services = service_states(machine, answer.stdout.decode("utf-8", "replace").splitlines())
            shown = "running" if answer.code in (0, 1) else "unhealthy"
            if not is_connected(driver, state_dir, machine.name):
                shown = "not answering"
        except Unreachable:
            shown, services = driver.silence(state_dir, machine.name), ()
    return MachineStatus(
        name=machine.name,
        state=shown,
        address=ssh.address(state_dir, machine.name) if shown == "running" else None,
        ports=known.ports if known and state == "running" else (),
        services=services,
    )
