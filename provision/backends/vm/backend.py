"""The verbs of the VM backend."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import process
from provision.backends.machines import read_all, refuse_unknown, side_by_side
from provision.backends.readiness import HEALTHY, service_states
from provision.backends.requirements import refuse
from provision.backends.vm import connection, offer, offline, providers, sync
from provision.backends.vm.convergence import Convergence
from provision.backends.vm.ending import remove, stop
from provision.backends.vm.inside import ask, enter, read_lines
from provision.backends.vm.network import cards
from provision.backends.vm.provider import Disk
from provision.backends.vm.remembered import REMEMBERED, Facts, facts_of
from provision.backends.vm.rendering import render_environment
from provision.errors import UsageError
from provision.model import MachineStatus, ServiceStatus
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Finding, Offer, Plan
    from provision.backends.vm.provider import Provider
    from provision.model import Environment, Machine, MachineState
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.target import Target
    from provision.workspace import Place


class VirtualMachines:
    """Environments as virtual machines of one provider."""

    name = "vm"

    def gives(self, machine: Machine) -> frozenset[str]:
        """What a machine has of what checks may require."""
        return offer.gives(machine)

    def describe(self, environment: Environment) -> Offer:
        """What it would give an environment here."""
        return offer.describe(environment)

    def settle(self, environment: Environment, place: Place) -> Environment:
        """With the provider: the spec's, $PROVISION_PROVIDER, the one it has, the first of this host."""
        if _named(environment):
            return environment
        asked = os.environ.get("PROVISION_PROVIDER") or place.read(REMEMBERED).get("provider")
        chosen = asked or providers.first_usable(of_boxes=_of_boxes(environment))
        machines = tuple(
            replace(machine, options={**machine.options, "provider": chosen} if chosen else machine.options)
            for machine in environment.machines
        )
        return replace(environment, machines=machines)

    def render(self, environment: Environment, location: Path) -> Rendering:
        """The provider's definition of the machines, and what prepares each of them; pure."""
        refuse(environment, offer.lacks, "`-b docker` gives it where the engine has a runtime for it")
        return render_environment(environment, _provider(environment), location)

    def missing(self, environment: Environment, place: Place) -> tuple[str, ...]:
        """What `up` would have to fetch: boxes, bases, and packages that no disk holds."""
        rendering = self.render(environment, place.rendering)
        return tuple(offline.missing(environment, _provider(environment), place, rendering))

    def plan(self, environment: Environment, place: Place) -> Plan:
        """What `up` would do: a machine says itself what was applied to it."""
        return self._convergence(environment, place).plan()

    def up(
        self,
        environment: Environment,
        place: Place,
        progress: Progress,
        *,
        rebuild: bool,
        timeout: float,
    ) -> Plan:
        """Make or boot what is not there, apply what changed, in order, until all are ready."""
        asked = self._convergence(environment, place, timeout)
        providers.require(asked.provider)
        offer.require_host(environment)
        _refuse_former(environment, asked.provider, place)
        return asked.up(progress, rebuild=rebuild)

    def _convergence(self, environment: Environment, place: Place, timeout: float = 0.0) -> Convergence:
        return Convergence(
            environment=environment,
            provider=_provider(environment),
            place=place,
            rendering=self.render(environment, place.rendering),
            timeout=timeout,
        )

    def stop(self, name: str, place: Place, progress: Progress, machine: str | None) -> bool:
        """As their provider ends them."""
        del name  # the place says it all
        refuse_unknown(machine, facts_of(place))
        stopped = False
        with place.lock():
            for provider in map(providers.find, providers.names()):
                asked = [each for each in provider.machines(place) if machine in (None, each)]
                running = [each for each in asked if provider.state(place, each) == "running"]
                if running:
                    stop(provider, place, progress, running)
                    stopped = True
        return stopped

    def down(self, name: str, place: Place, progress: Progress, *, volumes: bool, images: bool) -> bool:
        """Remove the machines, half-made ones too; boxes stay, other environments use them."""
        del name  # the place says it all
        made = [p for p in map(providers.find, providers.names()) if p.machines(place)]
        kept = [Disk(**disk) for facts in facts_of(place).values() for disk in facts.disks]
        if not made and not images and not (volumes and kept):
            return False
        there = any(p.state(place, machine) != "absent" for p in made for machine in p.machines(place))
        with place.lock():
            for provider in made:
                remove(provider, place, progress)
            for disk in kept if volumes else ():
                providers.find(str(place.read(REMEMBERED)["provider"])).remove_volume(place, disk)
            for provider in map(providers.find, providers.names()) if images else ():
                provider.forget(place)
        return there

    def status(self, environment: Environment, place: Place) -> tuple[MachineStatus, ...]:
        """Every machine, with the state of each service where it runs."""
        provider = _provider(environment)
        facts = facts_of(place)
        joined = cards(environment) if provider.joins else {}

        def one(machine: Machine) -> MachineStatus:
            state = provider.state(place, machine.name)
            found = _status(machine, state, facts.get(machine.name), provider, place)
            card = joined.get(machine.name)
            address = card.address if card and state == "running" else found.address
            return replace(found, address=address, kept=provider.kept(place, machine.name))

        return side_by_side(one, environment.machines)

    def targets(self, name: str, place: Place, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines of an environment; user and folder as they were brought up."""
        facts = facts_of(place)
        refuse_unknown(machine, facts)
        states = {
            each: provider.state(place, each)
            for provider in map(providers.find, providers.names())
            for each in provider.machines(place)
        }
        asked = [each for each in facts if machine in (None, each)]
        running = [each for each in asked if states.get(each) == "running"]
        if not running:
            there = any(states.get(each, "absent") != "absent" for each in asked)
            what = f"environment {name}" if machine in (None, name) else f"machine {machine} of {name}"
            raise Unreachable(
                f"{what} is {'not running' if there else 'not up'} in vm",
                hint="`provision up -b vm` starts it",
            )
        return {each: enter(place, each, facts[each]) for each in running}

    def sync(self, place: Place, progress: Progress, *, watch: bool) -> int:
        """Carry copied folders into the machines; with `watch`, at each change, until interrupted."""
        folders = sync.remembered(place)
        if folders:
            self.targets(place.folder.parent.name, place)  # says which is not running
        sync.carry(place, folders, progress)
        if folders and watch:
            sync.watch(place, folders, progress)
        return len(folders)

    def restart(self, place: Place, target: Target, services: Sequence[str]) -> None:
        """By systemd."""
        units = [f"{service}.service" for service in services]
        process.run(connection.command(place, target.machine, ["systemctl", "restart", *units]))

    def logs(
        self,
        name: str,
        place: Place,
        services: Sequence[str],
        *,
        machine: str | None,
        follow: bool,
        each_line: Callable[[str], None],
    ) -> None:
        """The journals of the services and of setup, since each machine's last boot."""
        facts = facts_of(place)
        known = {each: facts[each].services for each in sorted(self.targets(name, place, machine))}

        def read(one: str, wanted: Sequence[str], line: Callable[[str], None]) -> None:
            asked = wanted or (*known[one], "setup")
            read_lines(place, one, asked, line, follow=follow, labelled=len(known[one]) > 1)

        read_all(known, services, each_line, read, follow=follow)

    def examine(self) -> tuple[Finding, ...]:
        """Every provider: one that is usable is enough."""
        return tuple(providers.examine())

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """One provider will do."""
        return any(finding.usable for finding in findings)


def _named(environment: Environment) -> str | None:
    """The provider that the machines name, if they do.

    Raises:
        UsageError: there is no such provider, or they name several.
    """
    named = {str(name) for machine in environment.machines if (name := machine.options.get("provider"))}
    unknown = named - set(providers.names())
    if unknown or len(named) > 1:
        raise UsageError(
            f"there is no provider {', '.join(unknown)}" if unknown
            else "the machines of an environment have one provider",
            hint=f"choose from {', '.join(providers.names())}",
        )  # fmt: skip
    return named.pop() if named else None


def _provider(environment: Environment) -> Provider:
    """The provider that is named; the preferred one where even the host could not decide."""
    preferred = providers.preferred(of_boxes=_of_boxes(environment))[0]
    return providers.find(_named(environment) or preferred)


def _of_boxes(environment: Environment) -> bool:
    """Whether a machine names a box, which only some providers can take."""
    return any(machine.options.get("box") for machine in environment.machines)


def _refuse_former(environment: Environment, provider: Provider, place: Place) -> None:
    """Raise UsageError where another provider's machines are there: they would be forgotten, and run on."""
    former = place.read(REMEMBERED).get("provider")
    if former not in providers.names() or former == provider.name:
        return
    if providers.find(str(former)).machines(place):
        raise UsageError(
            f"{environment.name} is there as a machine of {former}, and {provider.name} is asked for",
            hint=f"`provision down {environment.spec.name} -b vm` removes it; its volumes stay with {former}",
        )


def _status(
    machine: Machine, state: str, known: Facts | None, provider: Provider, place: Place
) -> MachineStatus:
    services = tuple(ServiceStatus(name=each.name, state="stopped") for each in machine.services)
    shown: MachineState = "running" if state == "running" else "stopped" if state == "stopped" else "absent"
    if shown == "running" and known is not None:
        try:
            said = ask(provider, place, machine.name, HEALTHY)
            services = service_states(machine, said.stdout.decode("utf-8", "replace").splitlines())
            shown = "running" if said.code in (0, 1) else "unhealthy"
        except Unreachable:
            shown = "unhealthy"
    return MachineStatus(
        name=machine.name,
        state=shown,
        address=connection.address(place, machine.name) if shown == "running" else None,
        ports=known.ports if known and state == "running" else (),
        services=services,
    )
