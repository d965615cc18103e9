"""The verbs of the VM backend."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from provision import process
from provision.backends.base import Action, Finding, Offer, Plan
from provision.backends.found import refuse_found
from provision.backends.journal import read_journal
from provision.backends.machines import read_all, refuse_unknown
from provision.backends.order import in_order
from provision.backends.ports import KEPT, choose, key
from provision.backends.readiness import HEALTHY, service_states, wait_until_ready
from provision.backends.requirements import refuse
from provision.backends.vm import connection, delivery, offer, offline, providers, sync
from provision.backends.vm.network import cards
from provision.backends.vm.provider import Disk
from provision.backends.vm.rendering import copied_folders, disks, render_environment
from provision.errors import EnvironmentFailed, UsageError
from provision.model import MachineStatus, PortStatus, ServiceStatus
from provision.progress import Beside
from provision.target import Target, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from provision.backends.vm.provider import Provider
    from provision.model import Environment, Machine, MachineState
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.workspace import Place

HOME = "/var/lib/provision/rendering"
SETUP_STATE = "/run/provision/setup"
APPLIED = "/var/lib/provision/applied"
REMEMBERED = "machines"
LAST_LINES = 20
SETTLES = 5.0  # seconds
UNREACHABLE = 255  # ssh's own exit code
ANSWERS_WITHIN = 60.0
STOPS_WITHIN = 60.0
# Services end as they should, and the volumes' data is on their disks.
STOP = "xargs systemctl stop </var/lib/provision/units; sync"


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
        rendering = self.render(environment, place.rendering)
        return self._plan(environment, _provider(environment), place, rendering)

    def _plan(self, environment: Environment, provider: Provider, place: Place, rendering: Rendering) -> Plan:
        definitions = cast("Mapping[str, str]", place.read(REMEMBERED).get("definitions", {}))
        facts = _facts_of(place)

        def action_of(machine: Machine) -> Action:
            name = machine.name
            state = provider.state(place, name)
            if state != "running":
                return "create" if state == "absent" else "start"
            if definitions.get(name) != rendering.digests[name]:
                return "recreate"
            action = _action(provider, place, machine, rendering.recipes[name])
            if action == "change" and provider.begins_done(place):
                return "recreate"
            known = facts.get(name)
            if action in ("none", "wait"):
                if known and not provider.is_forwarded(place, name, known.ports):
                    return "change"
                if delivery.stale(place, machine):
                    return "refresh"
            return action

        actions: dict[str, Action] = {}
        names = [machine.name for machine in environment.machines]
        with ThreadPoolExecutor(len(names)) as pool:
            actions |= dict(zip(names, pool.map(action_of, environment.machines), strict=True))
        actions |= {name: "remove" for name in provider.machines(place) if name not in actions}
        return Plan(actions=actions)

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
        provider = _provider(environment)
        rendering = self.render(environment, place.rendering)
        providers.require(provider)
        offer.require_host(environment)
        _refuse_former(environment, provider, place)
        plan = self._plan(environment, provider, place, rendering)
        wait = partial(self._wait, environment, provider, place, timeout=timeout)
        if rebuild or plan.changes:
            with place.lock():
                if rebuild:
                    self._remove(provider, place, progress)
                    plan = self._plan(environment, provider, place, rendering)
                chosen = self._boot(environment, provider, place, progress, rendering, plan, rebuild=rebuild)
                prepare = partial(self._prepare, environment, provider, place, rendering, chosen)
                if environment.several:
                    self._bring_up(environment, provider, place, progress, rendering, plan, prepare, wait)
                    return plan
                for machine in environment.machines:
                    if (action := plan.actions[machine.name]) != "none":
                        prepare(machine, action, progress)
        else:
            sync.carry(place, sync.remembered(place), progress)
        waiting = [m for m in environment.machines if plan.actions[m.name] != "none"]
        if waiting:
            with progress.step(f"waiting until {'they are' if environment.several else 'it is'} ready"):
                for machine in waiting:
                    wait(machine, progress, was_up=plan.actions[machine.name] == "wait")
        return plan

    def _boot(
        self,
        environment: Environment,
        provider: Provider,
        place: Place,
        progress: Progress,
        rendering: Rendering,
        plan: Plan,
        *,
        rebuild: bool,
    ) -> Mapping[str, int]:
        """Have every machine running; the host's side of each port."""
        place.make()
        place.log.write_text("")
        if gone := [name for name, action in plan.actions.items() if action == "remove"]:
            self._remove(provider, place, progress, gone)
        for machine in environment.machines:
            if plan.actions[machine.name] in ("create", "start"):
                provider.release(place, machine.name)
        ours = {
            (port.host, port.protocol)
            for name, facts in _facts_of(place).items()
            if provider.state(place, name) == "running"
            for port in facts.ports
        }
        chosen = choose(environment, place, ours, progress)
        rendering.write(place.rendering)
        place.remember(KEPT, dict(chosen))
        booted = {name for name, action in plan.actions.items() if action in ("create", "start", "recreate")}
        if booted:
            again = [name for name, action in plan.actions.items() if action == "recreate"]
            for name in booted:
                connection.close(place, name)
            provider.start(environment, place, progress, rendering, again=again, rebuild=rebuild)
        facts = {
            machine.name: asdict(_Facts.of(environment, machine, chosen)) for machine in environment.machines
        }
        place.remember(
            REMEMBERED,
            {"definitions": dict(rendering.digests), "provider": provider.name, "machines": facts},
        )
        folders = copied_folders(environment, provider, place.rendering)
        sync.remember(place, folders)
        carried = booted if provider.carries else set()
        sync.carry(place, [each for each in folders if each.machine not in carried], progress)
        return chosen

    def _bring_up(
        self,
        environment: Environment,
        provider: Provider,
        place: Place,
        progress: Progress,
        rendering: Rendering,
        plan: Plan,
        prepare: Callable[[Machine, Action, Progress], None],
        wait: Callable[..., None],
    ) -> None:
        """Take the steps of all side by side, then begin in order what each is for, until it is ready."""
        changing = [m for m in environment.machines if plan.actions[m.name] != "none"]
        building = [m for m in changing if plan.actions[m.name] != "refresh"]

        def build(machine: Machine) -> None:
            delivery.bring_proxy(place, environment, machine)
            self._apply(machine, place, Beside(progress, machine.name), rendering, "build")

        if building and not provider.begins_done(place):
            with progress.step("preparing"):
                in_order([replace(machine, needs=()) for machine in building], build)

        def one(machine: Machine) -> None:
            said = Beside(progress, machine.name)
            prepare(machine, plan.actions[machine.name], said)
            with said.step("ready"):
                wait(machine, said, was_up=plan.actions[machine.name] == "wait")

        if changing:
            with progress.step("waiting until they are ready"):
                in_order(changing, one)

    def _prepare(
        self,
        environment: Environment,
        provider: Provider,
        place: Place,
        rendering: Rendering,
        chosen: Mapping[str, int],
        machine: Machine,
        action: Action,
        progress: Progress,
    ) -> None:
        """Let a machine that was booted be what it is for, with its secrets."""
        if action == "refresh":
            changed = ", ".join(delivery.stale(place, machine)) or "its secrets"
            progress.note(f"{machine.name} gets the new value of {changed}")
            delivery.renew(place, machine)
            return
        delivery.bring_proxy(place, environment, machine)
        if provider.begins_done(place):
            delivery.bring(place, machine)
            delivery.settle(place, machine)
            provider.go(place, machine.name, rendering.recipes[machine.name])
        else:
            self._apply(machine, place, progress, rendering)
        provider.forward(place, machine.name, _Facts.of(environment, machine, chosen).ports)

    def _apply(
        self, machine: Machine, place: Place, progress: Progress, rendering: Rendering, word: str = ""
    ) -> None:
        """Lay the machine's folder into it and run it there; recorded inside when it has succeeded."""
        prefix = f"{machine.name}/"
        files = {
            path.removeprefix(prefix): file
            for path, file in rendering.files.items()
            if path.startswith(prefix)
        }
        digest = rendering.recipes[machine.name]
        record = "" if word else f" && echo {digest} >{APPLIED}"
        said: list[str] = []
        with progress.step(f"preparing {machine.name}"), place.log.open("a", buffering=1) as log:

            def each_line(line: str) -> None:
                said.append(line)
                log.write(line + "\n")
                progress.line(line)

            try:
                connection.lay(place, machine.name, files, HOME)
                delivery.bring(place, machine)
                connection.follow(place, machine.name, f"sh {HOME}/apply {word} 2>&1{record}", each_line)
            except process.CommandFailed as error:
                refuse_found(said, [machine])
                raise _step_failed(error, machine, said, place) from error

    def _wait(
        self,
        environment: Environment,
        provider: Provider,
        place: Place,
        machine: Machine,
        progress: Progress,
        *,
        timeout: float,
        was_up: bool,
    ) -> None:
        def revive(service: str) -> None:
            script = f"systemctl restart {service}.service"
            if service == "setup":
                script = f"rm -f {SETUP_STATE}; systemctl restart provision-setup.service"
            _ask(provider, place, machine.name, script, timeout=ANSWERS_WITHIN)

        with self.targets(environment.name, place, machine.name)[machine.name] as target:
            wait_until_ready(
                machine,
                provider.asked(place, machine.name) or target,
                progress,
                timeout=timeout,
                settles=SETTLES,
                last_lines=partial(self._last_lines, place, machine.name),
                revive=revive if was_up else None,
            )

    def _last_lines(self, place: Place, machine: str, service: str) -> Sequence[str]:
        lines: list[str] = []
        _read_journal(place, machine, [service], lines.append, follow=False)
        return lines[-LAST_LINES:]

    def down(self, name: str, place: Place, progress: Progress, *, volumes: bool, images: bool) -> bool:
        """Remove the machines, half-made ones too; boxes stay, other environments use them."""
        del name  # the place says it all
        made = [p for p in map(providers.find, providers.names()) if p.machines(place)]
        kept = [Disk(**disk) for facts in _facts_of(place).values() for disk in facts.disks]
        if not made and not images and not (volumes and kept):
            return False
        there = any(p.state(place, machine) != "absent" for p in made for machine in p.machines(place))
        with place.lock():
            for provider in made:
                self._remove(provider, place, progress)
            for disk in kept if volumes else ():
                providers.find(str(place.read(REMEMBERED)["provider"])).remove_volume(place, disk)
            for provider in map(providers.find, providers.names()) if images else ():
                provider.forget(place)
        return there

    def _remove(
        self, provider: Provider, place: Place, progress: Progress, machines: Collection[str] | None = None
    ) -> None:
        """These machines, or all that are there."""
        with progress.step("removing"):
            for machine in provider.machines(place) if machines is None else machines:
                if provider.state(place, machine) == "running":
                    with suppress(EnvironmentFailed):
                        _ask(provider, place, machine, STOP, timeout=STOPS_WITHIN)
                connection.close(place, machine)
            provider.remove(place, progress, machines)

    def status(self, environment: Environment, place: Place) -> tuple[MachineStatus, ...]:
        """Every machine, with the state of each service where it runs."""
        provider = _provider(environment)
        facts = _facts_of(place)
        joined = cards(environment) if provider.joins else {}

        def one(machine: Machine) -> MachineStatus:
            state = provider.state(place, machine.name)
            found = _status(machine, state, facts.get(machine.name), place)
            card = joined.get(machine.name)
            address = card.address if card and state == "running" else found.address
            return replace(found, address=address, kept=provider.kept(place, machine.name))

        return tuple(one(machine) for machine in environment.machines)

    def targets(self, name: str, place: Place, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines of an environment; user and folder as they were brought up."""
        facts = _facts_of(place)
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
        return {each: _target(place, each, facts[each]) for each in running}

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
        facts = _facts_of(place)
        known = {each: facts[each].services for each in sorted(self.targets(name, place, machine))}

        def read(one: str, wanted: Sequence[str], line: Callable[[str], None]) -> None:
            asked = wanted or (*known[one], "setup")
            _read_journal(place, one, asked, line, follow=follow, labelled=len(known[one]) > 1)

        read_all(known, services, each_line, read, follow=follow)

    def examine(self) -> tuple[Finding, ...]:
        """Every provider: one that is usable is enough."""
        return tuple(providers.examine())

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """One provider will do."""
        return any(finding.usable for finding in findings)


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What is remembered of a machine that was brought up: enough to enter it and to remove it."""

    user: str
    workdir: str
    services: tuple[str, ...]
    ports: tuple[PortStatus, ...]
    disks: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, environment: Environment, machine: Machine, chosen: Mapping[str, int]) -> _Facts:
        return cls(
            user=machine.user,
            workdir=machine.workdir,
            services=tuple(service.name for service in machine.services),
            ports=tuple(
                PortStatus(
                    guest=port.guest,
                    host=chosen[key(machine.name, port)],
                    address=port.address,
                    protocol=port.protocol,
                )
                for port in sorted(machine.ports, key=lambda p: (p.guest, p.protocol))
            ),
            disks=tuple(asdict(disk) for disk in disks(environment, machine)),
        )


def _facts_of(place: Place) -> Mapping[str, _Facts]:
    machines = cast("Mapping[str, Mapping[str, Any]]", place.read(REMEMBERED).get("machines", {}))
    return {
        name: _Facts(**{**known, "ports": tuple(PortStatus(**port) for port in known["ports"])})
        for name, known in machines.items()
    }


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


def _action(provider: Provider, place: Place, machine: Machine, digest: str) -> Action:
    """Ask a running machine what was applied to it, and whether it is ready."""
    script = f'[ "$(cat {APPLIED} 2>/dev/null)" = {digest} ] || exit 3; {HEALTHY} >/dev/null'
    try:
        code = _ask(provider, place, machine.name, script, timeout=ANSWERS_WITHIN)
    except Unreachable:
        return "start"
    known: dict[int, Action] = {0: "none", 3: "change"}
    return known.get(code, "wait")


def _ask(provider: Provider, place: Place, machine: str, script: str, *, timeout: float) -> int:
    """Run text for `sh` in a machine as root, by the quickest way there is; its exit code.

    Raises:
        Unreachable: the machine does not answer.
    """
    quick = provider.asked(place, machine)
    if quick is not None:
        return quick.run(script, timeout=timeout).code
    try:
        words = connection.command(place, machine, ["sh", "-c", script])
        code = process.run(words, check=False, timeout=timeout).code
    except process.CommandFailed as error:
        raise Unreachable(f"machine {machine} does not answer", evidence=error.evidence) from error
    if code == UNREACHABLE:
        raise Unreachable(f"machine {machine} does not answer")
    return code


def _status(machine: Machine, state: str, known: _Facts | None, place: Place) -> MachineStatus:
    services = tuple(ServiceStatus(name=each.name, state="stopped") for each in machine.services)
    shown: MachineState = "running" if state == "running" else "stopped" if state == "stopped" else "absent"
    if shown == "running" and known is not None:
        try:
            with _target(place, machine.name, known) as target:
                said = target.run(HEALTHY, user="root")
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


def _target(place: Place, machine: str, known: _Facts) -> Target:
    return Target(
        machine,
        partial(connection.entered, place, machine),
        user=known.user,
        workdir=known.workdir,
        ports=known.ports,
    )


def _read_journal(
    place: Place,
    machine: str,
    services: Sequence[str],
    each_line: Callable[[str], None],
    *,
    follow: bool,
    labelled: bool = False,
) -> None:
    enter = partial(connection.command, place, machine)
    read_journal(enter, services, each_line, follow=follow, labelled=labelled)


def _step_failed(
    error: process.CommandFailed, machine: Machine, said: Sequence[str], place: Place
) -> EnvironmentFailed:
    """Name the step that failed, and show what it printed."""
    begun = [number for number, line in enumerate(said) if line.startswith("==> ")]
    hint = f"mend it and `provision up` again: the steps before it are kept; all of it: {place.log}"
    if error.code == UNREACHABLE:
        return Unreachable(
            f"machine {machine.name} was lost while it was prepared", evidence=error.evidence,
            hint="`provision up` takes it up again",
        )  # fmt: skip
    if not begun:
        return EnvironmentFailed(
            f"machine {machine.name} could not be prepared", evidence=error.evidence, hint=hint
        )
    name = re.sub(r"==> (\d+-)?([\w-]+):.*", r"\2", said[begun[-1]])
    return EnvironmentFailed(
        f"the step {name} ended with exit code {error.code}",
        evidence=said[begun[-1] + 1 :][-LAST_LINES:],
        hint=hint,
    )
