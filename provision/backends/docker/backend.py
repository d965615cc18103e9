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
    image_name,
    kept_ports,
    render_environment,
)
from provision.backends.packages import refuse_missing
from provision.backends.ports import KEPT, choose
from provision.backends.readiness import BETWEEN, HEALTHY, patience, service_states, wait_until_ready
from provision.backends.requirements import refuse
from provision.errors import EnvironmentFailed
from provision.model import MachineStatus, ServiceStatus
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
        containers = [container_name(environment.name, m.name) for m in environment.machines]
        images = [image_name(environment, machine) for machine in environment.machines]
        seen = engine.look([*containers, *images])
        for container in seen.containers.values():
            _refuse_stranger(container, environment.name, place)
        actions: dict[str, Action] = {}
        build = False
        for machine, name, image in zip(environment.machines, containers, images, strict=True):
            found = seen.containers.get(name)
            action = _action(found, rendering.digest)
            if action in ("none", "wait") and found and found.running and delivery.stale(name, machine):
                action = "refresh"
            actions[machine.name] = action
            recipe = seen.images.get(image, {}).get("provision.recipe")
            build = build or recipe != rendering.recipes[machine.name]
        return Plan(actions=actions, build=build)

    def up(
        self,
        environment: Environment,
        place: Place,
        progress: Progress,
        *,
        rebuild: bool,
        timeout: float,
    ) -> Plan:
        """Build what changed, let Compose converge, wait until every machine is ready."""
        rendering = self.render(environment, place.rendering)
        offer.require_host(environment)
        plan = self._plan(environment, place, rendering)
        if plan.changes or rebuild:
            with place.lock():
                self._converge(environment, place, progress, rendering, plan, rebuild=rebuild)
        waiting = [m for m in environment.machines if plan.actions[m.name] != "none" or rebuild]
        if waiting:
            with progress.step("waiting until it is ready"):
                for machine in waiting:
                    was_up = plan.actions[machine.name] == "wait"
                    self._wait(environment, machine, place, progress, timeout, was_up=was_up)
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
        if plan.build or rebuild:
            self._build(environment, place, progress, rebuild=rebuild)
        with progress.step("starting containers"):
            for container in present:
                if container.paused:  # Compose would try to start it, which the engine refuses
                    process.run(["docker", "unpause", container.name])
            self._refresh(environment, plan, progress)
            try:
                self._compose(place, ["up", "--detach", "--no-build", "--remove-orphans"], progress)
            except process.CommandFailed as error:
                raise start_failed(error, place) from error
        place.remember(KEPT, dict(chosen))

    def _refresh(self, environment: Environment, plan: Plan, progress: Progress) -> None:
        """Start a container again whose secrets have new values: it takes them at its start."""
        for machine in environment.machines:
            if plan.actions[machine.name] == "refresh":
                container = container_name(environment.name, machine.name)
                changed = delivery.stale(container, machine)
                progress.note(f"{machine.name} gets the new value of {', '.join(changed) or 'its secrets'}")
                process.run(["docker", "restart", container])

    def _build(self, environment: Environment, place: Place, progress: Progress, *, rebuild: bool) -> None:
        from provision.bases.image import ensure_image

        for base in {machine.base.image: machine.base for machine in environment.machines}.values():
            ensure_image(base, progress)
        with progress.step("building the image"):
            try:
                self._compose(place, ["build", *(["--no-cache"] if rebuild else [])], progress)
            except process.CommandFailed as error:
                refuse_missing(place.log.read_text().splitlines(), environment.machines)
                raise build_failed(error, place) from error

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
        name = container_name(environment.name, machine.name)
        last_lines = partial(self._last_lines, name, machine)
        revive = partial(_revive, name, units=systemd.is_init(machine)) if was_up else None
        begun = time.monotonic()
        while True:
            try:
                with self.targets(environment.name, place)[machine.name] as target:
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
        names = {machine.name: container_name(environment.name, machine.name)
                 for machine in environment.machines}  # fmt: skip
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

    def targets(self, name: str, place: Place) -> Mapping[str, Target]:
        """The running machines of an environment; user and folder as their labels say."""
        containers = engine.project(name)
        for container in containers:
            _refuse_stranger(container, name, place)
        stopped = [container for container in containers if not container.running]
        if not containers or stopped:
            state = "restarting" if any(c.restarting for c in stopped) else "not running"
            raise Unreachable(
                f"environment {name} is {'not up' if not containers else state} in docker",
                hint="`provision up` starts it; `provision logs` shows why it ended" if stopped
                else "`provision up` starts it",
            )  # fmt: skip
        return {each.labels["provision.machine"]: _target(each) for each in containers
                if "provision.machine" in each.labels}  # fmt: skip

    def sync(self, place: Place, progress: Progress, *, watch: bool) -> int:  # noqa: ARG002 - the contract's words
        """A container's folders are live: there is nothing to carry."""
        return 0

    def restart(self, place: Place, target: Target, services: Sequence[str]) -> None:
        """By the supervisor; a service that is the container's own process with the container."""
        container = container_name(place.folder.parent.name, target.machine)
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
        follow: bool,
        each_line: Callable[[str], None],
    ) -> None:
        """The container's output, which holds the lines of its services and of setup."""
        containers = engine.project(name)
        if not containers:
            raise EnvironmentFailed(f"environment {name} is not up in docker: it has no logs")
        for container in containers:
            _refuse_stranger(container, name, place)
            known = tuple(container.labels.get("provision.services", "").split())
            for service in services:
                if service not in (*known, "setup"):
                    raise EnvironmentFailed(
                        f"there is no service {service}",
                        hint=f"the services are {', '.join(known) or 'none'}; setup has a log too",
                    )
            journal = container.labels.get("provision.init") == "systemd"
            read_logs(container.name, known, services, each_line, follow=follow, journal=journal)

    def examine(self) -> tuple[Finding, ...]:
        """The engine, Compose and BuildKit."""
        from provision.backends.docker.doctor import examine

        return examine()

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """All of them are needed."""
        return all(finding.usable for finding in findings)


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
