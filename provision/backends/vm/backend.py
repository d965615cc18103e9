"""The verbs of the VM backend."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import process
from provision.backends import ports, starts
from provision.backends.base import Remains
from provision.backends.machines import read_all, refuse_unknown, side_by_side
from provision.backends.readiness import HEALTHY, service_states
from provision.backends.requirements import refuse, unmet
from provision.backends.vm import (
    acceleration,
    agent,
    capabilities,
    connection,
    offline,
    providers,
    sync,
    taken,
)
from provision.backends.vm.boxes import refuse_small_disk
from provision.backends.vm.convergence import Convergence
from provision.backends.vm.ending import remove, stop
from provision.backends.vm.inside import SAYS_WITHIN, ask, enter, read_lines
from provision.backends.vm.limits import impossible
from provision.backends.vm.network import cards
from provision.backends.vm.qemu import made
from provision.backends.vm.remembered import RECORD, Facts, MachinesRecord, facts_of, provider_of
from provision.backends.vm.rendering import render_environment
from provision.errors import Problem, UsageError
from provision.hints import command
from provision.model import MachineStatus, Origin, ServiceStatus
from provision.recipe.systemd import restart_script
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Capabilities, Finding, Footprint, Plan
    from provision.backends.vm.provider import GuestState, Provider
    from provision.model import Environment, Machine, MachineState
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir
    from provision.target import Target


RECORDS = {
    RECORD: MachinesRecord,
    ports.RECORD: ports.PortsRecord,
    starts.RECORD: starts.StartRecord,
    sync.SYNCED: sync.SyncedRecord,
    made.RECORD: made.MadeRecord,
    taken.TAKEN: taken.TakenRecord,
}


class VirtualMachines:
    """Environments as virtual machines of one provider."""

    name = "vm"

    def supports(self, machine: Machine) -> frozenset[str]:
        """What a machine has of what checks may require."""
        return capabilities.supports(machine)

    def describe(self, environment: Environment, state_dir: StateDir) -> Capabilities:
        """What it would give an environment here."""
        return capabilities.describe(environment, state_dir)

    def notes(self, environment: Environment) -> tuple[str, ...]:  # noqa: ARG002 - the contract's words
        """Nothing: a machine reads whatever a boot reads."""
        return ()

    def settle(self, environment: Environment, state_dir: StateDir) -> Environment:
        """With the provider: the spec's, $PROVISION_PROVIDER, the one it has, the first of this host."""
        if _names(environment):
            return environment
        asked = os.environ.get("PROVISION_PROVIDER") or provider_of(state_dir)
        chosen = asked or providers.first_usable(of_boxes=_of_boxes(environment))
        machines = tuple(
            replace(machine, options={**machine.options, "provider": chosen} if chosen else machine.options)
            for machine in environment.machines
        )
        return replace(environment, machines=machines)

    def refusals(self, environment: Environment, state_dir: StateDir) -> Sequence[Problem]:
        """What no machine of the provider that `up` would take can be."""
        settled = self.settle(environment, state_dir)
        found = _refusals(settled)
        return found or list(_small_disks(settled, _provider(settled)))

    def render(self, environment: Environment, location: Path) -> Rendering:
        """The provider's definition of the machines, and what prepares each of them; pure."""
        refuse(_refusals(environment))
        return render_environment(environment, _provider(environment), location)

    def missing(self, environment: Environment, state_dir: StateDir) -> tuple[str, ...]:
        """What `up` would have to fetch: boxes, bases, and packages that no disk holds."""
        rendering = self.render(environment, state_dir.rendering)
        return tuple(offline.missing(environment, _provider(environment), state_dir, rendering))

    def plan(self, environment: Environment, state_dir: StateDir) -> Plan:
        """What `up` would do: a machine says itself what was applied to it."""
        _require_accelerator(environment, _provider(environment))
        return self._convergence(environment, state_dir).plan()

    def up(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        *,
        rebuild: bool,
        timeout: float,
    ) -> Plan:
        """Make or boot what is not there, apply what changed, in order, until all are ready."""
        asked = self._convergence(environment, state_dir, timeout)
        providers.require(asked.provider)
        _require_accelerator(environment, asked.provider)
        capabilities.require_host(environment)
        _refuse_former(environment, asked.provider, state_dir)
        return asked.up(progress, rebuild=rebuild)

    def _convergence(
        self, environment: Environment, state_dir: StateDir, timeout: float = 0.0
    ) -> Convergence:
        return Convergence(
            environment=environment,
            provider=_provider(environment),
            state_dir=state_dir,
            rendering=self.render(environment, state_dir.rendering),
            timeout=timeout,
        )

    def stop(self, name: str, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """As their provider ends them."""
        del name  # the place says it all
        stopped = False
        with state_dir.lock(progress):
            refuse_unknown(machine, facts_of(state_dir))
            for provider in map(providers.find, providers.names()):
                asked = [each for each in provider.machines(state_dir) if machine in (None, each)]
                running = [each for each in asked if provider.state(state_dir, each) == "running"]
                if running:
                    stop(provider, state_dir, progress, running)
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
        all_providers = [providers.find(each) for each in providers.names()]
        there_of = [p for p in all_providers if p.machines(state_dir)]
        keeping = [p for p in all_providers if volumes and p.volumes(state_dir)]
        if not there_of and not images and not keeping:
            state_dir.forget_damaged(RECORDS)
            return False
        there = any(
            p.state(state_dir, machine) != "absent" for p in there_of for machine in p.machines(state_dir)
        )
        for provider in there_of:
            remove(provider, state_dir, progress)
        for provider in keeping:
            provider.remove_volumes(state_dir)
        for provider in all_providers if images else ():
            provider.forget(state_dir)
        state_dir.forget_damaged(RECORDS)
        return there

    def remains(self, state_dir: StateDir) -> Remains:
        """The machines and volumes of every provider."""
        all_providers = [providers.find(each) for each in providers.names()]
        return Remains(
            machines={
                machine: provider.state(state_dir, machine)
                for provider in all_providers
                for machine in provider.machines(state_dir)
            },
            volumes=tuple(volume for provider in all_providers for volume in provider.volumes(state_dir)),
            built=tuple(each for provider in all_providers for each in provider.built(state_dir)),
        )

    def engine_environments(self) -> Mapping[str, tuple[str, str]]:
        """None: a machine is nothing without its state."""
        return {}

    def status(self, environment: Environment, state_dir: StateDir) -> tuple[MachineStatus, ...]:
        """Every machine, with the state of each service where it runs."""
        provider = _provider(environment)
        facts = facts_of(state_dir)
        joined = cards(environment) if provider.joins else {}

        def one(machine: Machine) -> MachineStatus:
            state = provider.state(state_dir, machine.name)
            found = _status(machine, state, facts.get(machine.name), provider, state_dir)
            card = joined.get(machine.name)
            address = card.address if card and state == "running" else found.address
            return replace(found, address=address, kept=provider.kept(state_dir, machine.name))

        return side_by_side(one, environment.machines)

    def targets(self, name: str, state_dir: StateDir, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines of an environment; user and folder as they were brought up."""
        facts = facts_of(state_dir)
        refuse_unknown(machine, facts)
        states = {
            each: provider.state(state_dir, each)
            for provider in map(providers.find, providers.names())
            for each in provider.machines(state_dir)
        }
        asked = [each for each in facts if machine in (None, each)]
        running = [each for each in asked if states.get(each) == "running"]
        if not running:
            there = any(states.get(each, "absent") != "absent" for each in asked)
            what = f"environment {name}" if machine in (None, name) else f"machine {machine} of {name}"
            raise Unreachable(
                f"{what} is {'not running' if there else 'not up'} in vm",
                hint=f"{command('up', '-b', 'vm')} starts it",
            )
        return {each: enter(state_dir, each, facts[each]) for each in running}

    def lend(self, state_dir: StateDir, target: Target) -> None:
        """By the open connection."""
        known = facts_of(state_dir).get(target.machine)
        if known is not None and known.agent:
            agent.lend(state_dir, target.machine)

    def sync(self, state_dir: StateDir, progress: Progress, *, watch: bool) -> int:
        """Carry copied folders into the machines; with `watch`, at each change, until interrupted."""
        folders = sync.remembered(state_dir)
        if folders:
            self.targets(state_dir.name, state_dir)  # says which is not running
        with state_dir.lock(progress):
            sync.carry(state_dir, folders, progress)
        if folders and watch:
            sync.watch(state_dir, folders, progress)
        return len(folders)

    def restart(self, state_dir: StateDir, target: Target, services: Sequence[str]) -> None:
        """By systemd."""
        words = ["sh", "-c", restart_script(services)]
        # One that fails has its state and its lines, which say more than systemctl does.
        process.run(connection.command(state_dir, target.machine, words), check=False)

    def logs(
        self,
        name: str,
        state_dir: StateDir,
        services: Sequence[str],
        *,
        machine: str | None,
        follow: bool,
        each_line: Callable[[str], None],
    ) -> None:
        """The journals of the services and of setup, since each machine's last boot."""
        facts = facts_of(state_dir)
        known = {each: facts[each].services for each in sorted(self.targets(name, state_dir, machine))}

        def read(one: str, wanted: Sequence[str], line: Callable[[str], None]) -> None:
            asked = wanted or (*known[one], "setup")
            read_lines(state_dir, one, asked, line, follow=follow, labelled=len(known[one]) > 1)

        read_all(known, services, each_line, read, follow=follow)

    def footprint(self, state_dir: StateDir) -> Footprint:
        """Of its machines, as far as their provider tells it."""
        from provision.backends.vm.footprint import footprint

        return footprint(state_dir)

    def forget_saved(self, state_dir: StateDir) -> bool:
        """The states that are kept for the next start."""
        from provision.backends.vm.footprint import forget_saved

        return forget_saved(state_dir)

    def examine(self) -> tuple[Finding, ...]:
        """Every provider: one that is usable is enough."""
        return tuple(providers.examine())

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """One provider will do."""
        return any(finding.usable for finding in findings)


def _names(environment: Environment) -> Sequence[str]:
    """The providers that the machines name."""
    named = (machine.options.get("provider") for machine in environment.machines)
    return sorted({str(name) for name in named if name})


def _refusals(environment: Environment) -> Sequence[Problem]:
    """What no virtual machine can be, or none of the environment's provider."""
    problems = list(unmet(environment, capabilities.lacks, capabilities.HINT))
    names = _names(environment)
    unknown = [name for name in names if name not in providers.names()]
    if unknown or len(names) > 1:
        message = (
            f"there is no provider {', '.join(unknown)}"
            if unknown
            else f"the machines of an environment have one provider, these have {' and '.join(names)}"
        )
        place = Origin(file=str(environment.spec), line=1, column=1)
        return [*problems, Problem(message, place, f"choose from {', '.join(providers.names())}")]
    provider = _provider(environment)
    return [*problems, *impossible(environment, provider)]


def _small_disks(environment: Environment, provider: Provider) -> Iterator[Problem]:
    """The machines that want less disk than the box that they would be made of, as far as it is known."""
    for machine in environment.machines if provider.takes_boxes else ():
        try:
            refuse_small_disk(machine, provider.name)
        except UsageError as error:
            yield Problem(error.message, Origin(file=str(environment.spec), line=1, column=1), error.hint)


def _provider(environment: Environment) -> Provider:
    """The provider that is named; the preferred one where even the host could not decide."""
    preferred = providers.preferred(of_boxes=_of_boxes(environment))
    return providers.find(next(iter([*_names(environment), *preferred])))


def _of_boxes(environment: Environment) -> bool:
    """Whether a machine names a box, which only some providers can take."""
    return any(machine.options.get("box") for machine in environment.machines)


def _require_accelerator(environment: Environment, provider: Provider) -> None:
    """Raise HostLacks where the host's variable names an accelerator that there is not."""
    for machine in environment.machines if provider.accelerators else ():
        acceleration.wanted(machine)


def _refuse_former(environment: Environment, provider: Provider, state_dir: StateDir) -> None:
    """Raise UsageError where another provider's machines are there: they would be forgotten, and run on."""
    former = provider_of(state_dir)
    if former not in providers.names() or former == provider.name:
        return
    if providers.find(str(former)).machines(state_dir):
        raise UsageError(
            f"{environment.name} already exists with {former}; the spec selects {provider.name}",
            hint=f"{command('down')} removes it; its volumes stay with {former}",
        )


def _status(
    machine: Machine, state: GuestState, known: Facts | None, provider: Provider, state_dir: StateDir
) -> MachineStatus:
    services = tuple(ServiceStatus(name=each.name, state="stopped") for each in machine.services)
    shown: MachineState = state
    if shown == "running":
        try:
            said = ask(provider, state_dir, machine.name, HEALTHY, answers_within=SAYS_WITHIN)
            services = service_states(machine, said.stdout.decode("utf-8", "replace").splitlines())
            shown = "running" if said.code in (0, 1) else "unhealthy"
        except Unreachable:
            shown, services = provider.silence(state_dir, machine.name), ()
    return MachineStatus(
        name=machine.name,
        state=shown,
        address=connection.address(state_dir, machine.name) if shown == "running" else None,
        ports=known.ports if known and state == "running" else (),
        services=services,
    )
