"""Carry out a plan: build, push, deploy one wave after the other, and wait until each is ready."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provision import lent, process
from provision.backends import causes, starts
from provision.backends.container_image import image_names
from provision.backends.container_labels import ENVIRONMENT, MACHINES, OWNER, PROJECT, STACK_ID
from provision.backends.machines import warn_of_roots
from provision.backends.order import in_order
from provision.backends.starting import decide_start
from provision.backends.swarm import images, network, removal, secrets
from provision.backends.swarm.decide import homes, stands
from provision.backends.swarm.observe import require_manager
from provision.backends.swarm.options import RECORD, SwarmRecord, node_addresses
from provision.backends.swarm.planning import plan_for
from provision.backends.swarm.reach import Reach
from provision.backends.swarm.render import (
    IDENTITY,
    Group,
    groups_of,
    node_variable,
    service_name,
    stack,
    stack_name,
    waves,
)
from provision.backends.swarm.waiting import Waiter
from provision.backends.swarm.watch import Watch
from provision.docker_client import swarm
from provision.errors import EnvironmentFailed, HostLacks, UsageError
from provision.oci.reference import EXAMPLE, VARIABLE
from provision.progress import ParallelProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from provision.backends.base import Action, Plan
    from provision.backends.starting import Stands
    from provision.backends.swarm.observe import Observed
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir

MAKES: tuple[Action, ...] = ("create", "recreate", "refresh", "start")
FILE = "deployed.yaml"


@dataclass(frozen=True, kw_only=True)
class Application:
    """One call of `up`: the environment, its state and its rendering; `timeout` limits the waits."""

    environment: Environment
    state_dir: StateDir
    rendering: Rendering
    timeout: float
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watch", Watch(self.state_dir))

    def up(self, progress: Progress, *, rebuild: bool, approve: Callable[[Plan], None]) -> Plan:
        """Observe, decide, and carry out the plan once it is approved; returned is that very plan."""
        with self.state_dir.lock(progress):
            with progress.wait("checking what is running"):
                observed, plan = plan_for(self.environment, self.state_dir, self.rendering, rebuild=rebuild)
            approve(plan)
            since = time.monotonic()
            begun = since
            if plan.changes:
                begun = self._converge(plan, observed, progress, rebuild=rebuild)
        if not plan.changes:
            self._wait(self.environment.machines, plan, observed.self_node, progress)
        starts.note(self.state_dir, plan, begun, since)
        return plan

    def start(self, progress: Progress, machine: str | None) -> Plan:
        """Scale the stopped services up again, in order, and wait."""
        with self.state_dir.lock(progress):
            with progress.wait("checking what is running"):
                member = require_manager()
                seen = self.watch.look()
            found: dict[str, Stands] = {}
            for group in groups_of(self.environment):
                service = seen.services.get(self._full(group))
                for slot, each in enumerate(group.machines, 1):
                    state = stands(service, slot, seen.tasks, seen.nodes).state
                    found[each.name] = state if state in ("absent", "stopped") else "running"
            plan = decide_start(found, machine)
            starting = set(plan.named("start"))
            for group in groups_of(self.environment):
                refuse_part(group, starting & {each.name for each in group.machines}, "start")
            for wave in waves(groups_of(self.environment)):
                chosen = [group for group in wave if starting & {each.name for each in group.machines}]
                if chosen:
                    swarm.scale({self._full(group): len(group.machines) for group in chosen})
                    self.watch.look(anew=True)
                    self._wait([m for group in chosen for m in group.machines], plan, member.node, progress)
        return plan

    def _full(self, group: Group) -> str:
        return service_name(self.environment, group.name)

    def _converge(self, plan: Plan, observed: Observed, progress: Progress, *, rebuild: bool) -> float:
        """Have images and secrets, then deploy; when that began, by the monotonic clock."""
        environment, state_dir = self.environment, self.state_dir
        _require_registry(observed)
        for note in plan.notes:
            progress.note(note)
        state_dir.make()
        self.rendering.write(state_dir.rendering)
        state_dir.log.write_text("")
        self._provide_images(plan, observed, progress, rebuild=rebuild)
        warn_of_roots(environment.machines, progress)
        begun = time.monotonic()
        labels = {STACK_ID: environment.id, ENVIRONMENT: environment.name, OWNER: str(os.getuid()),
                  PROJECT: str(environment.project)}  # fmt: skip
        secrets.create(environment, observed.wanted_secrets, dict.fromkeys(observed.secrets), labels)
        found = homes(groups_of(environment), observed)
        self._note(observed, found)
        self._remove_former(plan, observed, progress)
        variables = self._variables(observed, found)
        for wave in waves(groups_of(environment)):
            touched = [group for group in wave if self._is_touched(group, plan, observed)]
            if touched:
                self._deploy(touched, variables, progress)
                for group in touched if rebuild else ():
                    if self._full(group) in observed.services:
                        swarm.force(self._full(group))
            machines = [machine for group in wave for machine in group.machines]
            self._wait(machines, plan, observed.self_node, progress, touched={g.name for g in touched})
        causes.note_aspects(state_dir, environment)
        secrets.remove_former(state_dir, STACK_ID, set(observed.wanted_secrets.values()))
        return begun

    def _provide_images(self, plan: Plan, observed: Observed, progress: Progress, *, rebuild: bool) -> None:
        stale = [planned.image for planned in plan.build]
        if not stale:
            return
        images.build(self.environment, self.state_dir, self.rendering, stale, progress, rebuild=rebuild)
        if observed.registry:
            images.push(stale, observed.registry, self.state_dir, progress)

    def _note(self, observed: Observed, found: Mapping[str, str]) -> None:
        names = image_names(self.environment, self.rendering.recipes).values()
        former = self.state_dir.load_sound(RECORD, SwarmRecord)
        record = SwarmRecord(
            registry=observed.registry,
            nodes=node_addresses(self.environment, self.state_dir),
            homes=dict(found),
            images=tuple(dict.fromkeys((*(former.images if former else ()), *names))),
        )
        self.state_dir.save(RECORD, record)

    def _is_touched(self, group: Group, plan: Plan, observed: Observed) -> bool:
        """Whether the Swarm has to be told of a service."""
        service = observed.services.get(self._full(group))
        names = [machine.name for machine in group.machines]
        if service is None or service.labels[MACHINES].split() != names or service.replicas != len(names):
            return True
        return any(plan.actions[name] in MAKES for name in names)

    def _remove_former(self, plan: Plan, observed: Observed, progress: Progress) -> None:
        """Remove the services that the spec no longer has."""
        wanted = {self._full(group) for group in groups_of(self.environment)}
        gone = [name for name in observed.services if name not in wanted]
        if gone:
            with progress.step(f"removing {', '.join(plan.named('remove'))}"):
                removal.end(self.watch, {name: observed.services[name] for name in gone})
                swarm.remove_services(gone)

    def _variables(self, observed: Observed, found: Mapping[str, str]) -> Mapping[str, str]:
        """What stack.yaml is told of this host and this Swarm."""
        environment = self.environment
        groups = groups_of(environment)
        values = {
            "REGISTRY": f"{observed.registry}/" if observed.registry else "",
            "PROVISION_PROJECT": str(environment.project),
            "PROVISION_OWNER": str(os.getuid()),
            **network.variables(environment),
            **secrets.variables(groups, observed.wanted_secrets),
            **{node_variable(name): node for name, node in found.items()},
        }
        named = [each for each in environment.machines if each.workspace and each.workspace.identity]
        return values | ({IDENTITY: lent.identity(named[0])} if named else {})

    def _deploy(self, groups: Collection[Group], variables: Mapping[str, str], progress: Progress) -> None:
        folder = self.state_dir.rendering
        names = [group.name for group in groups]
        (folder / FILE).write_text(stack(self.environment, folder, only=names))
        with progress.step(f"deploying {', '.join(names)}"):
            try:
                swarm.deploy(
                    folder / FILE, stack_name(self.environment), progress.line, cwd=folder, env=variables
                )
            except process.CommandFailed as error:
                raise EnvironmentFailed(
                    "the Swarm refused the stack", evidence=error.evidence, hint=f"see {folder / FILE}"
                ) from error
        self.watch.look(anew=True)

    def _wait(
        self,
        machines: Collection[Machine],
        plan: Plan,
        self_node: str,
        progress: Progress,
        *,
        touched: Collection[str] = (),
    ) -> None:
        """Wait for those that are not ready."""
        waiting = [each for each in machines if plan.actions[each.name] != "none"]
        if not waiting:
            return
        addresses = node_addresses(self.environment, self.state_dir)
        reach = Reach(self_node=self_node, nodes=self.watch.look().nodes, addresses=addresses)
        groups = {each.name: group for group in groups_of(self.environment) for each in group.machines}
        names = secrets.wanted(self.environment)
        stand_ins = {group.name: secrets.stands_for(group, names) for group in groups.values()}
        waiter = Waiter(
            environment=self.environment,
            rendering=self.rendering,
            watch=self.watch,
            reach=reach,
            timeout=self.timeout,
            known={task.id for task in self.watch.look().tasks if task.state in ("failed", "rejected")},
            secrets=stand_ins,
        )
        alone = len(waiting) == 1

        def one(machine: Machine) -> None:
            group = groups[machine.name]
            action, own = plan.actions[machine.name], group.name in touched
            if alone:
                waiter.wait(machine, group, action, progress, touched=own)
                return
            beside = ParallelProgress(progress, machine.name)
            with beside.step("ready"):
                waiter.wait(machine, group, action, beside, touched=own)

        with progress.step(
            f"waiting until {waiting[0].name if alone else 'they'} {'is' if alone else 'are'} ready"
        ):
            in_order(waiting, one)


def _require_registry(observed: Observed) -> None:
    if len(observed.nodes) > 1 and not observed.registry:
        raise HostLacks(
            f"this Swarm has {len(observed.nodes)} nodes, and no registry from which they pull images",
            hint=f"export {VARIABLE}={EXAMPLE}, or name one in your configuration: `registry: {EXAMPLE}`",
        )


def refuse_part(group: Group, chosen: Collection[str], verb: str) -> None:
    """Raise UsageError if only some replicas of a service are meant: Swarm counts them, and no more.

    Args:
        group: the service.
        chosen: those of its machines that are meant.
        verb: what would be done.
    """
    if chosen and len(chosen) < len(group.machines):
        others = ", ".join(each.name for each in group.machines)
        raise UsageError(
            f"{', '.join(sorted(chosen))} is one of {len(group.machines)} replicas:"
            f" a Swarm cannot {verb} it alone",
            hint=f"leave --machine out: {others} {verb} together",
        )
