"""The verbs of the Docker backend."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.backends.base import Action, Finding, Offer, Plan
from provision.backends.building import build_failed
from provision.backends.docker import delivery, engine, offer, offline, systemd
from provision.backends.docker.failures import require_compose, start_failed
from provision.backends.docker.logs import read_logs
from provision.backends.docker.rendering import (
    SECRETS,
    container_name,
    image_names,
    kept_ports,
    render_environment,
)
from provision.backends.found import refuse_found
from provision.backends.machines import read_all, refuse_unknown
from provision.backends.order import in_order
from provision.backends.ports import KEPT, choose
from provision.backends.readiness import BETWEEN, HEALTHY, patience, service_states, wait_until_ready
from provision.backends.requirements import refuse
from provision.errors import EnvironmentFailed
from provision.model import MachineStatus, ServiceStatus
from provision.progress import Beside
from provision.target import Target, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provision.backends.docker.engine import Container
    from provision.model import Environment, Machine, MachineState
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.workspace import Place

SUPERVISOR = "/usr/lib/provision/supervisord.conf"
UNITS = "/usr/lib/provision/units"
SETUP = "/usr/lib/provision/setup"
SETUP_STATE = "/run/provision/setup"
LAST_LINES = 20
SETTLES = 1.0  # seconds


class Docker:
    """Environments as containers of one Compose project."""

    name = "docker"

    def gives(self, machine: Machine) -> frozenset[str]:
        """What a machine has of what checks may require."""
        return offer.gives(machine)

    def describe(self, environment: Environment) -> Offer:
        """What it would give an environment here."""
        return offer.describe(environment)

    def settle(self, environment: Environment, place: Place) -> Environment:  # noqa: ARG002 - the contract's words
        """With the version of its cgroups, where systemd needs to know it."""
        return systemd.settle(environment)

    def render(self, environment: Environment, location: Path) -> Rendering:
        """A Dockerfile for each machine, compose.yaml, and the scripts that they use; pure."""
        refuse(environment, offer.lacks, offer.HINT)
        systemd.refuse_base(environment)
        return render_environment(environment, location)

    def missing(self, environment: Environment, place: Place) -> tuple[str, ...]:
        """What `up` would have to fetch: bases, and packages that no layer holds."""
        return tuple(offline.missing(environment, place, self.render(environment, place.rendering)))

    def plan(self, environment: Environment, place: Place) -> Plan:
        """What `up` would do: each container's label tells what rendering it was made from."""
        return self._plan(environment, place, self.render(environment, place.rendering))

    def _plan(self, environment: Environment, place: Place, rendering: Rendering) -> Plan:
        containers = {m.name: container_name(environment, m.name) for m in environment.machines}
        images = image_names(environment, rendering.recipes)
        seen = engine.look([*containers.values(), *dict.fromkeys(images.values())])
        for container in seen.containers.values():
            _refuse_stranger(container, environment.name, place)
        actions: dict[str, Action] = {}
        for machine in environment.machines:
            name = containers[machine.name]
            found = seen.containers.get(name)
            action = _action(found, rendering.digests[machine.name])
            if action in ("none", "wait") and found and found.running and delivery.stale(name, machine):
                action = "refresh"
            actions[machine.name] = action
        if environment.several:
            there = (each.labels.get("provision.machine", "") for each in engine.project(environment.name))
            actions |= {name: "remove" for name in there if name not in actions}
        stale = [
            image for machine, image in images.items()
            if seen.images.get(image, {}).get("provision.recipe") != rendering.recipes[machine]
        ]  # fmt: skip
        return Plan(actions=actions, build=tuple(dict.fromkeys(stale)))

    def up(
        self,
        environment: Environment,
        place: Place,
        progress: Progress,
        *,
        rebuild: bool,
        timeout: float,
    ) -> Plan:
        """Build what changed, let Compose converge, start in order, wait until every machine is ready."""
        rendering = self.render(environment, place.rendering)
        offer.require_host(environment)
        plan = self._plan(environment, place, rendering)
        wait = partial(
            self._wait_for_all, environment, place, progress, plan, rebuild=rebuild, timeout=timeout
        )
        if plan.changes or rebuild:
            with place.lock():
                self._converge(environment, place, progress, rendering, plan, rebuild=rebuild)
                if _is_ordered(environment):
                    wait()
                    return plan
        wait()
        return plan

    def _converge(
        self,
        environment: Environment,
        place: Place,
        progress: Progress,
        rendering: Rendering,
        plan: Plan,
        *,
        rebuild: bool,
    ) -> None:
        made = any(action != "create" for action in plan.actions.values())
        present = engine.project(environment.name) if made else ()
        ours = {(port.host, port.protocol) for container in present for port in container.ports}
        chosen = choose(environment, place, ours, progress)
        rendering.write(place.rendering)
        place.log.write_text("")
        (place.rendering / ".env").write_text(
            kept_ports(environment, chosen) + _secrets_folder(environment, place)
        )
        images = image_names(environment, rendering.recipes)
        stale = set(images.values()) if rebuild else set(plan.build)
        if stale:
            # Of equal machines one is built: the image is that of all.
            building = {image: machine for machine, image in images.items() if image in stale}
            self._build(environment, tuple(building.values()), place, progress, rebuild=rebuild)
        with progress.step("starting containers"):
            for container in present:
                if container.paused:  # Compose would try to start it, which the engine refuses
                    process.run(["docker", "unpause", container.name])
            self._refresh(environment, plan, progress)
            # Where one needs another, they are only made here, and started when it is ready.
            words = ["--no-start"] if _is_ordered(environment) else ["--detach"]
            try:
                self._compose(place, ["up", *words, "--no-build", "--remove-orphans"], progress)
            except process.CommandFailed as error:
                raise start_failed(error, place) from error
        place.remember(KEPT, dict(chosen))

    def _refresh(self, environment: Environment, plan: Plan, progress: Progress) -> None:
        """Start a container again whose secrets have new values: it takes them at its start."""
        for machine in environment.machines:
            if plan.actions[machine.name] == "refresh":
                container = container_name(environment, machine.name)
                changed = delivery.stale(container, machine)
                progress.note(f"{machine.name} gets the new value of {', '.join(changed) or 'its secrets'}")
                process.run(["docker", "restart", container])

    def _build(
        self,
        environment: Environment,
        machines: Sequence[str],
        place: Place,
        progress: Progress,
        *,
        rebuild: bool,
    ) -> None:
        from provision.bases.image import ensure_image

        bases = {m.base.image: m.base for m in environment.machines if m.name in machines}
        for base in bases.values():
            ensure_image(base, progress)
        with progress.step("building the image" if len(machines) == 1 else "building the images"):
            try:
                words = ["build", *(["--no-cache"] if rebuild else [])]
                self._compose(place, [*words, *machines], progress)
            except process.CommandFailed as error:
                built = [machine for machine in environment.machines if machine.name in machines]
                refuse_found(place.log.read_text().splitlines(), built)
                raise build_failed(error, place) from error

    def _wait_for_all(
        self,
        environment: Environment,
        place: Place,
        progress: Progress,
        plan: Plan,
        *,
        rebuild: bool,
        timeout: float,
    ) -> None:
        """Start what is not started yet, in order, and wait for all that was not ready."""
        waiting = [m for m in environment.machines if plan.actions[m.name] != "none" or rebuild]
        if not waiting:
            return
        alone = not environment.several

        def one(machine: Machine) -> None:
            said = progress if alone else Beside(progress, machine.name)
            was_up = plan.actions[machine.name] == "wait"
            if _is_ordered(environment) and not was_up:
                self._start(environment, machine, place)
            if alone:
                self._wait(environment, machine, place, said, timeout, was_up=was_up)
            else:
                with said.step("ready"):
                    self._wait(environment, machine, place, said, timeout, was_up=was_up)

        with progress.step(f"waiting until {'it is' if alone else 'they are'} ready"):
            in_order(waiting, one)

    def _start(self, environment: Environment, machine: Machine, place: Place) -> None:
        try:
            process.run(["docker", "start", container_name(environment, machine.name)])
        except process.CommandFailed as error:
            raise start_failed(error, place) from error

    def _compose(self, place: Place, words: Sequence[str], progress: Progress) -> None:
        """Run Compose on the rendering; what it says goes to the log and past the eye."""
        with place.log.open("a", buffering=1) as log:

            def each_line(line: str) -> None:
                log.write(line + "\n")
                progress.line(line)

            try:
                process.stream(
                    ["docker", "compose", "--progress", "plain", *words], each_line, cwd=place.rendering
                )
            except process.CommandFailed:
                require_compose()
                raise

    def _wait(
        self,
        environment: Environment,
        machine: Machine,
        place: Place,
        progress: Progress,
        timeout: float,
        *,
        was_up: bool,
    ) -> None:
        name = container_name(environment, machine.name)
        last_lines = partial(self._last_lines, name, machine)
        revive = partial(_revive, name, units=systemd.is_init(machine)) if was_up else None
        begun = time.monotonic()
        while True:
            try:
                with self.targets(environment.name, place, machine.name)[machine.name] as target:
                    return wait_until_ready(
                        machine,
                        target,
                        progress,
                        timeout=timeout,
                        settles=SETTLES,
                        last_lines=last_lines,
                        revive=revive,
                    )
            except Unreachable as error:
                found = engine.look([name]).containers.get(name)
                if found is None:
                    raise
                allowed = min(timeout, max(patience(machine).values(), default=0.0))
                comes_back = found.running or found.restarting
                if comes_back and time.monotonic() - begun < allowed:
                    time.sleep(BETWEEN)
                    continue
                raise EnvironmentFailed(
                    f"the container of machine {machine.name} {'keeps ending' if comes_back else 'ended'}"
                    + ("" if found.running else f" with exit code {found.exit_code}"),
                    evidence=last_lines(""),
                    hint="`provision logs` has all of it",
                ) from error

    def _last_lines(self, container: str, machine: Machine, service: str) -> Sequence[str]:
        lines: list[str] = []
        names = tuple(each.name for each in machine.services)
        wanted = [service] if service else []
        read_logs(container, names, wanted, lines.append, follow=False, journal=systemd.is_init(machine))
        return lines[-LAST_LINES:]

    def down(self, name: str, place: Place, progress: Progress, *, volumes: bool, images: bool) -> bool:
        """`docker compose down`; by the project's name alone where the rendering is gone."""
        containers = engine.project(name)
        for container in containers:
            _refuse_stranger(container, name, place)
        rendered = (place.rendering / "compose.yaml").exists()
        if not containers and not (rendered and (volumes or images)):
            return False
        words = ["docker", "compose", "--project-name", name, "down", "--remove-orphans"]
        words += [*(["--volumes"] if volumes else []), *(["--rmi", "all"] if images else [])]
        with place.lock(), progress.step("removing"):
            process.stream(words, progress.line, cwd=place.rendering if rendered else None)
            delivery.forget(place)
        return True

    def status(self, environment: Environment, place: Place) -> tuple[MachineStatus, ...]:
        """Every machine, with the state of each service where it runs."""
        names = {m.name: container_name(environment, m.name) for m in environment.machines}
        seen = engine.look(list(names.values())).containers
        return tuple(
            self._status(machine, seen.get(names[machine.name]), environment.name, place)
            for machine in environment.machines
        )

    def _status(self, machine: Machine, found: Container | None, name: str, place: Place) -> MachineStatus:
        if found is not None:
            _refuse_stranger(found, name, place)
        services = tuple(ServiceStatus(name=each.name, state="stopped") for each in machine.services)
        state = _state(found)
        if found is not None and found.running and (services or state == "unhealthy"):
            try:
                with _target(found) as target:
                    answer = target.run(HEALTHY, user="root")
                services = service_states(machine, answer.stdout.decode("utf-8", "replace").splitlines())
                if answer.code == 0:
                    state = "running"  # the engine's own word may be ten seconds old
            except Unreachable:
                state = "unhealthy"  # it runs, and does not answer: it ends, or begins again
        return MachineStatus(
            name=machine.name,
            state=state,
            address=found.address if found else None,
            ports=found.ports if found and found.running else (),
            services=services,
        )

    def targets(self, name: str, place: Place, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines of an environment; user and folder as their labels say."""
        containers = {each.labels["provision.machine"]: each for each in self._containers(name, place)}
        refuse_unknown(machine, containers)
        asked = containers if machine is None else {machine: containers[machine]}
        running = {name: each for name, each in asked.items() if each.running}
        if not running:
            state = "not up" if not containers else "not running"
            state = "restarting" if any(each.restarting for each in asked.values()) else state
            what = f"environment {name}" if machine in (None, name) else f"machine {machine} of {name}"
            raise Unreachable(
                f"{what} is {state} in docker",
                hint="`provision up` starts it; `provision logs` shows why it ended" if asked
                else "`provision up` starts it",
            )  # fmt: skip
        return {name: _target(each) for name, each in running.items()}

    def _containers(self, name: str, place: Place) -> tuple[Container, ...]:
        """Those of the environment's machines; what else its compose.override.yaml brings is not ours."""
        containers = engine.project(name)
        for container in containers:
            _refuse_stranger(container, name, place)
        return tuple(each for each in containers if "provision.machine" in each.labels)

    def sync(self, place: Place, progress: Progress, *, watch: bool) -> int:  # noqa: ARG002 - the contract's words
        """A container's folders are live: there is nothing to carry."""
        return 0

    def restart(self, place: Place, target: Target, services: Sequence[str]) -> None:
        """By the supervisor; a service that is the container's own process with the container."""
        ours = self._containers(place.folder.parent.name, place)
        container = next(each.name for each in ours if each.labels["provision.machine"] == target.machine)
        inside = ["docker", "exec", container]
        if target.run(f"test -d {UNITS}", user="root").code == 0:
            process.run([*inside, "systemctl", "restart", *(f"{service}.service" for service in services)])
        elif target.run(f"test -e {SUPERVISOR}", user="root").code == 0:
            process.run([*inside, "supervisorctl", "--configuration", SUPERVISOR, "restart", *services])
        else:
            target.close()
            process.run(["docker", "restart", container])

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
        """The containers' output, which holds the lines of their services and of setup."""
        containers = {each.labels["provision.machine"]: each for each in self._containers(name, place)}
        if not containers:
            raise EnvironmentFailed(f"environment {name} is not up in docker: it has no logs")
        refuse_unknown(machine, containers)
        known = {
            each: tuple(container.labels.get("provision.services", "").split())
            for each, container in sorted(containers.items())
            if machine in (None, each)
        }

        def read(one: str, wanted: Sequence[str], line: Callable[[str], None]) -> None:
            container = containers[one]
            journal = container.labels.get("provision.init") == "systemd"
            read_logs(container.name, known[one], wanted, line, follow=follow, journal=journal)

        read_all(known, services, each_line, read, follow=follow)

    def examine(self) -> tuple[Finding, ...]:
        """The engine, Compose and BuildKit."""
        from provision.backends.docker.doctor import examine

        return examine()

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """All of them are needed."""
        return all(finding.usable for finding in findings)


def _is_ordered(environment: Environment) -> bool:
    return any(machine.needs for machine in environment.machines)


def _secrets_folder(environment: Environment, place: Place) -> str:
    """The line of `.env` that says where the secrets of variables are, after they were laid there."""
    variables = any(secret.variable for machine in environment.machines for secret in machine.secrets)
    return f"{SECRETS}={delivery.lay(environment, place)}\n" if variables else ""


def _action(found: Container | None, digest: str) -> Action:
    if found is None:
        return "create"
    if found.labels.get("provision.rendering") != digest:
        return "recreate"
    if not found.running and not found.restarting:
        return "start"
    return "none" if found.health == "healthy" else "wait"


def _state(found: Container | None) -> MachineState:
    if found is None:
        return "absent"
    if found.restarting or (found.running and found.health == "unhealthy"):
        return "unhealthy"
    return "running" if found.running else "stopped"


def _refuse_stranger(container: Container, name: str, place: Place) -> None:
    """An environment of the same name from another folder is not ours to touch.

    Where that folder is gone, nobody else can take it down: then it is ours.
    """
    folder = Path(container.folder)
    if folder != place.rendering and folder.exists():
        raise EnvironmentFailed(
            f"an environment {name} is already up in docker, from another folder",
            evidence=[f"{container.name} was started from {folder}"],
            hint=f"give this one another name with --name, or take the other down:"
            f" docker compose --project-name {name} down",
        )


def _target(container: Container) -> Target:
    def enter(words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> list[str]:
        flags = ["--interactive", *(["--tty"] if terminal else [])]
        identity = ["--user", user, "--env", f"USER={user}", "--env", f"LOGNAME={user}"]
        return ["docker", "exec", *flags, *identity, "--workdir", workdir, container.name, *words]

    return Target(
        container.labels["provision.machine"],
        enter,
        user=container.labels["provision.user"],
        workdir=container.labels["provision.workdir"],
        ports=container.ports,
    )


def _revive(container: str, service: str, *, units: bool) -> None:
    """Start again what has ended: setup in the background, a service by its supervisor."""
    inside = ["docker", "exec", container]
    if units:
        unit = "provision-setup" if service == "setup" else service
        process.run([*inside, "systemctl", "restart", f"{unit}.service"])
    elif service == "setup":
        process.run([*inside, "rm", "--force", SETUP_STATE])
        process.run(["docker", "exec", "--detach", container, SETUP])
    else:
        process.run([*inside, "supervisorctl", "--configuration", SUPERVISOR, "start", service])
