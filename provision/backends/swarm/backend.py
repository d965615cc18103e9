"""The verbs of the Swarm backend."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from provision import guest_paths, process
from provision.backends import causes, starts
from provision.backends.base import Remains, approve_all
from provision.backends.container_labels import ENVIRONMENT, MACHINES, OWNER, PROJECT, SERVICES, STACK_ID
from provision.backends.container_logs import read_logs
from provision.backends.container_offline import to_fetch
from provision.backends.machines import read_all, refuse_unknown, side_by_side
from provision.backends.readiness import service_states
from provision.backends.requirements import refuse
from provision.backends.swarm import capabilities, removal
from provision.backends.swarm.apply import Application
from provision.backends.swarm.decide import stands
from provision.backends.swarm.observe import in_registry, require_manager, services_of
from provision.backends.swarm.options import RECORD, SwarmRecord, node_addresses
from provision.backends.swarm.planning import plan_for
from provision.backends.swarm.reach import Reach
from provision.backends.swarm.render import groups_of, render_environment, service_name
from provision.backends.swarm.watch import Watch
from provision.docker_client import commands, queries, swarm
from provision.errors import EnvironmentFailed, ProvisionError, UsageError
from provision.hints import command
from provision.model import MachineStatus, ServiceStatus
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Capabilities, Finding, Plan
    from provision.backends.log_view import LogView
    from provision.backends.swarm.decide import Standing
    from provision.backends.swarm.watch import Seen
    from provision.docker_client.swarm import Service
    from provision.errors import Problem
    from provision.model import Environment, Machine, PortStatus
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir
    from provision.target import Target

RECORDS = {RECORD: SwarmRecord, starts.RECORD: starts.StartRecord, causes.RECORD: causes.AspectsRecord}


class Swarm:
    """Creates environments as a stack of services, which the managers of a Swarm keep running."""

    name = "swarm"
    title = "Docker Swarm"
    noun = "a service of a Swarm"
    preference = 9  # other hosts run it
    by_name_only = True

    def supports(self, machine: Machine) -> frozenset[str]:
        """Nothing of what checks may require."""
        del machine
        return frozenset()

    def describe(self, environment: Environment, state_dir: StateDir) -> Capabilities:
        """What it would give an environment here."""
        return capabilities.describe(environment, state_dir)

    def notes(self, environment: Environment) -> tuple[str, ...]:
        """Nothing: what has no effect is refused."""
        del environment
        return ()

    def choose(self, environment: Environment, state_dir: StateDir) -> None:
        """Nothing: what depends on a host are variables of the stack."""

    def refusals(self, environment: Environment, state_dir: StateDir) -> Sequence[Problem]:
        """What no Swarm can provide."""
        del state_dir
        return tuple(capabilities.refusals(environment))

    def render(self, environment: Environment, location: Path, choices: None = None) -> Rendering:
        """A Dockerfile for each machine, stack.yaml, and the scripts that they use; pure."""
        del choices
        refuse(capabilities.refusals(environment))
        return render_environment(environment, location)

    def missing(self, environment: Environment, state_dir: StateDir) -> tuple[str, ...]:
        """The bases that this engine lacks, and packages that no layer holds, of images to build."""
        rendering = self.render(environment, state_dir.rendering)
        building = {each.image for each in plan_for(environment, state_dir, rendering)[1].build}
        if not building:
            return ()
        record = state_dir.load_sound(RECORD, SwarmRecord)
        former = record.images if record else ()
        bases = {machine.base.image for machine in environment.machines}
        there = queries.inspect(images=[*former, *bases]).images
        return tuple(
            to_fetch(environment, state_dir, rendering, building=building, former=former, there=there)
        )

    def plan(self, environment: Environment, state_dir: StateDir) -> Plan:
        """What `up` would do: each service's label tells what rendering it was made from."""
        return plan_for(environment, state_dir, self.render(environment, state_dir.rendering))[1]

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
        """Build and push what changed, deploy in order, and wait until every machine is ready."""
        return self._application(environment, state_dir, timeout).up(
            progress, rebuild=rebuild, approve=approve
        )

    def start(
        self,
        environment: Environment,
        state_dir: StateDir,
        progress: Progress,
        *,
        machine: str | None,
        timeout: float,
    ) -> Plan:
        """Scale up again, in order, and wait."""
        return self._application(environment, state_dir, timeout).start(progress, machine)

    def _application(self, environment: Environment, state_dir: StateDir, timeout: float) -> Application:
        rendering = self.render(environment, state_dir.rendering)
        return Application(environment=environment, state_dir=state_dir, rendering=rendering, timeout=timeout)

    def stop(self, name: str, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """Scale to nothing: services, their networks, volumes and secrets stay."""
        del name  # what is its own carries its id
        with state_dir.lock(progress):
            with progress.wait("checking what is running"):
                require_manager()
                services = services_of(state_dir)
            known = {each: name for name, service in services.items() for each in _machines(service)}
            refuse_unknown(machine, known)
            chosen = {known[machine]: services[known[machine]]} if machine else services
            for service in chosen.values():
                others = _machines(service)
                if machine and len(others) > 1:
                    raise UsageError(
                        f"{machine} is one of {len(others)} replicas: a Swarm cannot stop it alone",
                        hint=f"leave --machine out: {', '.join(others)} stop together",
                    )
            if not any(service.replicas for service in chosen.values()):
                return False
            with progress.step("stopping"):
                return removal.end(Watch(state_dir), chosen)

    def down(
        self, name: str, state_dir: StateDir, progress: Progress, *, volumes: bool, images: bool
    ) -> bool:
        """Stop and remove what carries the environment's id."""
        del name  # what is its own carries its id
        with state_dir.lock(progress):
            with progress.wait("checking what is running"):
                member = require_manager()
                services = services_of(state_dir)
            label = f"{STACK_ID}={state_dir.id}"
            with progress.step("removing") if services else progress.wait("looking for what is left"):
                removal.end(Watch(state_dir), services)
                if services:
                    swarm.remove_services(list(services))
                removal.remove_network(state_dir)
                if left := list(swarm.secrets(label)):
                    swarm.remove_secrets(left)
                if volumes:
                    reach = _reach(state_dir, member.node)
                    removal.remove_volumes(state_dir, reach, progress)
                if images:
                    _remove_images(state_dir)
                state_dir.forget_damaged(RECORDS)
        return bool(services)

    def remains(self, state_dir: StateDir) -> Remains:
        """Its services and volumes, found by their labels, on the nodes whose engines answer."""
        member = require_manager()
        seen = Watch(state_dir).look()
        machines = _standings(seen)
        reach = Reach(self_node=member.node, nodes=seen.nodes, addresses=node_addresses(None, state_dir))
        return Remains(
            machines={name: standing.state for name, (_, standing) in machines.items()},
            ports={name: _ports(service, standing, reach) for name, (service, standing) in machines.items()},
            volumes=tuple(
                f"{name} ({seen.nodes[node].name})"
                for node, names in removal.volumes(state_dir, reach).items()
                for name in names
            ),
            built=(),
        )

    def engine_environments(self) -> Mapping[str, tuple[str, str]]:
        """From the labels of this user's services; nothing where the engine manages no Swarm."""
        if not swarm.membership().manager:
            return {}
        return {
            service.labels[STACK_ID]: (service.labels.get(ENVIRONMENT, ""), service.labels.get(PROJECT, ""))
            for service in swarm.services(f"{OWNER}={os.getuid()}")
            if STACK_ID in service.labels
        }

    def status(self, environment: Environment, state_dir: StateDir) -> tuple[MachineStatus, ...]:
        """Every machine, the node that runs it, and the state of each service where that can be asked."""
        member = require_manager()
        seen = Watch(state_dir).look()
        addresses = node_addresses(environment, state_dir)
        reach = Reach(self_node=member.node, nodes=seen.nodes, addresses=addresses)
        places = {
            machine.name: (seen.services.get(service_name(environment, group.name)), slot)
            for group in groups_of(environment)
            for slot, machine in enumerate(group.machines, 1)
        }

        def one(machine: Machine) -> MachineStatus:
            service, slot = places[machine.name]
            return _status(machine, service, stands(service, slot, seen.tasks, seen.nodes), reach)

        return side_by_side(one, environment.machines)

    def targets(self, name: str, state_dir: StateDir, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines whose nodes' engines can be reached."""
        member = require_manager()
        seen = Watch(state_dir).look()
        reach = Reach(self_node=member.node, nodes=seen.nodes, addresses=node_addresses(None, state_dir))
        standings = _standings(seen)
        refuse_unknown(machine, standings)
        targets: dict[str, Target] = {}
        reasons: list[Unreachable] = []
        for each, (service, standing) in standings.items():
            if machine not in (None, each):
                continue
            try:
                targets[each] = _enter(each, service, standing, reach)
            except Unreachable as error:
                reasons.append(error)
        if not targets:
            what = f"environment {name}" if machine in (None, name) else f"machine {machine} of {name}"
            raise Unreachable(
                f"{what} is {'not running' if standings else 'not up'} in {self.title}, or not in reach",
                evidence=[reason.message for reason in reasons],
                hint=next((reason.hint for reason in reasons if reason.hint), "")
                or f"{command('up')} starts it",
            )
        return targets

    def lend(self, state_dir: StateDir, target: Target) -> None:
        """Nothing: a machine that forwards an agent is refused."""

    def sync(self, state_dir: StateDir, progress: Progress, *, watch: bool) -> int:  # noqa: ARG002 - the contract's words
        """Folders are live: there is nothing to copy."""
        return 0

    def restart(self, state_dir: StateDir, target: Target, services: Sequence[str]) -> None:  # noqa: ARG002 - the contract's words
        """Asks their supervisors, on the node where they run."""
        words = target.enter(
            [guest_paths.CONTROL, "restart", *services], user="root", workdir="/", terminal=False
        )
        process.run(words)

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
        """The output of each machine's task, which the managers fetch from its node."""
        require_manager()
        seen = Watch(state_dir).look()
        standings = _standings(seen)
        if not standings:
            raise EnvironmentFailed(f"environment {name} is not up in {self.title}: it has no logs")
        refuse_unknown(machine, standings)
        known = {
            each: tuple(service.labels.get(SERVICES, "").split())
            for each, (service, _) in sorted(standings.items())
            if machine in (None, each)
        }

        def read(one: str, wanted: Sequence[str], line: Callable[[str], None]) -> None:
            standing = standings[one][1]
            if standing.task is None or not standing.task.container:
                return
            if standing.state == "not answering":
                line(f"provision: no logs: {standing.note}")
                return
            read_logs(
                standing.task.container, known[one], wanted, line, view=view,
                logs_words=partial(swarm.logs_words, standing.task.id),
            )  # fmt: skip

        read_all(known, services, each_line, read, follow=view.follow)

    def examine(self) -> tuple[Finding, ...]:
        """Looks at the engine's part in a Swarm."""
        return capabilities.examine()

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """All of them are needed."""
        return all(finding.usable for finding in findings)


def _machines(service: Service) -> tuple[str, ...]:
    return tuple(service.labels[MACHINES].split())


def _standings(seen: Seen) -> Mapping[str, tuple[Service, Standing]]:
    """How each machine stands, by the labels of the services alone."""
    return {
        name: (service, stands(service, slot, seen.tasks, seen.nodes))
        for service in seen.services.values()
        for slot, name in enumerate(_machines(service), 1)
    }


def _reach(state_dir: StateDir, self_node: str) -> Reach:
    nodes = {node.id: node for node in swarm.nodes()}
    return Reach(self_node=self_node, nodes=nodes, addresses=node_addresses(None, state_dir))


def _enter(name: str, service: Service, standing: Standing, reach: Reach) -> Target:
    """The machine, if it runs and is in reach.

    Raises:
        Unreachable: it is not, with the reason.
    """
    if standing.task is None or standing.state not in ("running", "starting"):
        why = f": {standing.note}" if standing.note else ""
        raise Unreachable(f"machine {name} is {standing.state}{why}")
    return reach.target(name, service, standing.task)


def _status(machine: Machine, service: Service | None, standing: Standing, reach: Reach) -> MachineStatus:
    task, shown, note = standing.task, standing.state, standing.note
    running = task is not None and bool(task.container) and shown in ("running", "starting")
    services: tuple[ServiceStatus, ...] = ()
    if not running:
        services = tuple(ServiceStatus(name=each.name, state="stopped") for each in machine.services)
    if task is not None and running and (machine.services or machine.setup):
        try:
            answer = swarm.execute_at(
                reach.host(task.node), task.container, [guest_paths.HEALTHY], timeout=60
            )
            services = service_states(machine, answer.stdout.splitlines())
            shown = "unhealthy" if shown == "running" and answer.code != 0 else shown
        except Unreachable as error:
            note = note or error.message
    return MachineStatus(
        name=machine.name,
        state=shown,
        address=next(iter(task.addresses), None) if task and running else None,
        ports=_ports(service, standing, reach),
        services=services,
        node=standing.node,
        note=note,
    )


def _ports(service: Service | None, standing: Standing, reach: Reach) -> tuple[PortStatus, ...]:
    """Where the ports of a machine that runs are reached: on its node, or on each."""
    task = standing.task
    if task is None or service is None or standing.state not in ("running", "starting"):
        return ()
    node = reach.nodes.get(task.node)
    return swarm.ports_of(task, service, node.address if node else "")


def _remove_images(state_dir: StateDir) -> None:
    """Remove from this engine what was built for the environment; the registry keeps its own."""
    record = state_dir.load_sound(RECORD, SwarmRecord)
    if record is None or not record.images:
        return
    names = [in_registry(image, record.registry) for image in record.images] if record.registry else []
    try:
        commands.remove_images([*names, *record.images])
    except ProvisionError:
        return
