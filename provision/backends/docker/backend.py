"""The verbs of the Docker backend.

Each imports what it alone needs, late: `status` and `exec` are asked often, and are to answer soon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from provision import forwarding, guest_paths
from provision.backends.base import Remains, approve_all
from provision.backends.container_labels import ENVIRONMENT, ID, MACHINE, OWNER, PROJECT
from provision.backends.docker import forwards
from provision.backends.docker.containers import container_name, enter, of_environment, state
from provision.backends.docker.ownership import owner, refuse_strangers
from provision.backends.machines import read_all, refuse_unknown, side_by_side
from provision.docker_client import commands, endpoint, multiplexing, queries
from provision.errors import EnvironmentFailed, UsageError
from provision.hints import command
from provision.model import MachineStatus, ServiceStatus
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
    from provision.backends.docker.systemd import EngineChoices
    from provision.backends.log_view import LogView
    from provision.docker_client.queries import Container
    from provision.errors import Problem
    from provision.model import Base, Environment, Event, Machine, Usage
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import KnownEnvironment, StateDir
    from provision.target import Target


class Docker:
    """Creates environments as containers of one Compose project."""

    name = "docker"
    title = "Docker"
    noun = "a container"
    preference = 1  # there in a second

    def supports(self, machine: Machine) -> frozenset[str]:
        """What a machine has of what checks may require."""
        from provision.backends.docker import capabilities

        return capabilities.supports(machine)

    def describe(self, environment: Environment, state_dir: StateDir) -> Capabilities:
        """What it would give an environment here."""
        from provision.backends.docker import capabilities

        return capabilities.describe(environment, state_dir)

    def address(self) -> str:
        """That of the engine which `docker` would use, where it is on another host."""
        address = endpoint.elsewhere()
        multiplexing.share_connections(address)
        return address

    def notes(self, environment: Environment) -> tuple[str, ...]:
        """Files that no container reads."""
        from provision.backends.docker.sysctls import notes_on_sysctl_files

        return notes_on_sysctl_files(environment)

    def choose(self, environment: Environment, state_dir: StateDir) -> EngineChoices:  # noqa: ARG002 - the contract's words
        """The version of the engine's cgroups, where systemd needs to know it."""
        from provision.backends.docker import systemd

        return systemd.choose(environment)

    def refusals(self, environment: Environment, state_dir: StateDir) -> Sequence[Problem]:  # noqa: ARG002 - the contract's words
        """What no container can provide."""
        return _refusals(environment)

    def render(
        self, environment: Environment, location: Path, choices: EngineChoices | None = None
    ) -> Rendering:
        """A Dockerfile for each machine, compose.yaml, and the scripts that they use; pure."""
        from provision.backends.docker.systemd import EngineChoices
        from provision.backends.requirements import refuse
        from provision.rendered import remembered

        refuse(_refusals(environment))
        found = choices or EngineChoices()

        def render() -> Rendering:
            from provision.backends.docker.render import render_environment

            return render_environment(environment, location, found)

        return remembered(environment, location, found, render)

    def _rendering(self, environment: Environment, state_dir: StateDir) -> Rendering:
        """The rendering for this host."""
        return self.render(environment, state_dir.rendering, self.choose(environment, state_dir))

    def missing(self, environment: Environment, state_dir: StateDir) -> tuple[str, ...]:
        """What `up` would have to fetch: bases, and packages that no layer holds."""
        from provision.backends.docker import offline

        return tuple(offline.missing(environment, state_dir, self._rendering(environment, state_dir)))

    def plan(self, environment: Environment, state_dir: StateDir) -> Plan:
        """What `up` would do: each container's label tells what rendering it was made from."""
        from provision.backends.docker import capabilities
        from provision.backends.docker.planning import plan_for

        capabilities.require_host(environment)
        return plan_for(environment, state_dir, self._rendering(environment, state_dir))[1]

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
        """Build what changed, let Compose converge, start in order, and wait until every machine is ready."""
        from provision.backends.docker import capabilities
        from provision.backends.docker.apply import Application

        rendering = self._rendering(environment, state_dir)
        capabilities.require_host(environment)
        application = Application(
            environment=environment, state_dir=state_dir, rendering=rendering, timeout=timeout
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
        """`docker start`, in order, and wait."""
        from provision.backends.docker.apply import Application

        application = Application(
            environment=environment,
            state_dir=state_dir,
            rendering=self.render(environment, state_dir.rendering, self.choose(environment, state_dir)),
            timeout=timeout,
        )
        return application.start(progress, machine)

    def pause(self, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """`docker pause`, of all at once."""
        return _freeze(state_dir, progress, machine, "pause")

    def unpause(self, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """`docker unpause`, of all at once."""
        return _freeze(state_dir, progress, machine, "unpause")

    def save_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """File systems as images, volumes as copies."""
        from provision.backends.docker import snapshots

        snapshots.save(state_dir, progress, name)

    def restore_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """Containers of those images, volumes from those copies."""
        from provision.backends.docker import snapshots

        snapshots.restore(state_dir, progress, name)

    def delete_snapshot(self, state_dir: StateDir, progress: Progress, name: str) -> None:
        """Images and copies."""
        from provision.backends.docker import snapshots

        with state_dir.lock(progress):
            snapshots.delete(state_dir, name)

    def usage(self, state_dir: StateDir) -> tuple[Usage, ...]:
        """By `docker stats`."""
        from provision.backends.docker import live

        return live.usage(state_dir)

    def events(self, state_dir: StateDir, each: Callable[[Event], None]) -> None:
        """By `docker events`."""
        from provision.backends.docker import live

        live.events(state_dir, each)

    def stop(self, name: str, state_dir: StateDir, progress: Progress, machine: str | None) -> bool:
        """`docker stop`, of all at once."""
        from provision.backends.docker import agent

        del name  # what is its own carries its id
        with state_dir.lock(progress):
            containers = {each.labels[MACHINE]: each for each in of_environment(state_dir)}
            refuse_unknown(machine, containers)
            chosen = [each for label, each in containers.items() if machine in (None, label)]
            running = [each.name for each in chosen if each.running or each.restarting or each.paused]
            if running:
                with progress.step("stopping"):
                    commands.stop(running)
            if machine is None:
                agent.end(state_dir)
                forwarding.end(state_dir)
        return bool(running)

    def down(
        self, name: str, state_dir: StateDir, progress: Progress, *, volumes: bool, images: bool
    ) -> bool:
        """Stop and remove what carries the environment's id."""
        del name  # what is its own carries its id
        with state_dir.lock(progress):
            return self._down(state_dir, progress, volumes=volumes, images=images)

    def _down(self, state_dir: StateDir, progress: Progress, *, volumes: bool, images: bool) -> bool:
        from provision.backends.docker import agent, removal, secrets
        from provision.backends.docker import images as images_of

        containers = of_environment(state_dir)
        kept = queries.volumes_with(f"{ID}={state_dir.id}") if volumes else ()
        built = images_of.remembered_images(state_dir) if images else ()
        if not containers and not kept and not built and not queries.networks_with(f"{ID}={state_dir.id}"):
            secrets.forget(state_dir)  # an `up` that was killed may have come no further
            agent.forget(state_dir)
            forwarding.end(state_dir)
            self._forget_snapshots(state_dir, volumes=volumes)
            state_dir.forget_damaged(_records())
            return False
        with progress.step("removing"):
            removal.end(containers, volumes=volumes)
            removal.remove_networks(state_dir)
            if volumes:
                removal.remove_volumes(state_dir)
            self._forget_snapshots(state_dir, volumes=volumes)
            for name in images_of.remove_images(state_dir, built) if images else ():
                progress.note(f"the image {name} stays: another environment needs it")
            secrets.forget(state_dir)
            agent.forget(state_dir)
            forwarding.end(state_dir)
            state_dir.forget_damaged(_records())
        return bool(containers)

    def _forget_snapshots(self, state_dir: StateDir, *, volumes: bool) -> None:
        """What killed commands left of snapshots; they themselves stay."""
        from provision.backends import snapshots as kept_snapshots
        from provision.backends.docker import snapshots

        kept_snapshots.after_down(state_dir, volumes=volumes)
        snapshots.remove_halves(state_dir)

    def remains(self, state_dir: StateDir) -> Remains:
        """Its containers and volumes, found by their labels."""
        from provision.backends.docker.images import remembered_images

        label = f"{ID}={state_dir.id}"
        containers = {each.labels[MACHINE]: each for each in of_environment(state_dir)}
        return Remains(
            machines={name: state(each) for name, each in containers.items()},
            ports={name: each.ports for name, each in containers.items() if each.running},
            volumes=queries.volumes_with(label),
            built=tuple(queries.inspect(images=built).images)
            if (built := remembered_images(state_dir))
            else (),
        )

    def engine_environments(self) -> Mapping[str, tuple[str, str]]:
        """From the labels of this user's containers and volumes."""
        own = [ID, f"{OWNER}={owner(self.address())}"]
        wanted = (ID, ENVIRONMENT, PROJECT)
        return {
            identity: (name, project)
            for kind in ("containers", "volumes")
            for identity, name, project in queries.label_values(kind, wanted, carrying=own)
        }

    def status(self, environment: Environment, state_dir: StateDir) -> tuple[MachineStatus, ...]:
        """Every machine, with the state of each service where it runs."""
        names = {m.name: container_name(environment, m.name) for m in environment.machines}
        objects = queries.inspect(containers=names.values())
        refuse_strangers(environment.id, objects)
        seen = {each.name: each for each in forwards.forwarded(state_dir, tuple(objects.containers.values()))}

        def one(machine: Machine) -> MachineStatus:
            return _status(machine, seen.get(names[machine.name]))

        return side_by_side(one, environment.machines)

    def targets(self, name: str, state_dir: StateDir, machine: str | None = None) -> Mapping[str, Target]:
        """The running machines of an environment; user and folder as their labels say."""
        containers = {each.labels[MACHINE]: each for each in of_environment(state_dir)}
        refuse_unknown(machine, containers)
        chosen = {name: each for name, each in containers.items() if machine in (None, name)}
        running = {name: each for name, each in chosen.items() if each.running}
        if not running:
            how = "not up" if not containers else "not running"
            how = "restarting" if any(each.restarting for each in chosen.values()) else how
            what = f"environment {name}" if machine in (None, name) else f"machine {machine} of {name}"
            raise Unreachable(
                f"{what} is {how} in docker",
                hint=f"{command('up')} starts it"
                + (f"; {command('logs', machine=machine)} shows why it ended" if chosen else ""),
            )
        return {name: enter(each) for name, each in running.items()}

    def lend(self, state_dir: StateDir, target: Target) -> None:  # noqa: ARG002 - the contract's words
        """Through a relay behind the containers' socket."""
        from provision.backends.docker import agent

        agent.lend(state_dir)

    def sync(self, state_dir: StateDir, progress: Progress, *, watch: bool) -> int:
        """A container's folders are live, unless its engine is on another host."""
        from provision.backends.docker import copies

        folders = copies.known_copies(state_dir) if state_dir.address else ()
        if folders:
            self.targets(state_dir.name, state_dir)  # says which is not running
            with state_dir.lock(progress):
                copies.push(state_dir, folders, progress)
            if watch:
                copies.watch(state_dir, progress)
        return len(folders)

    def restart(self, state_dir: StateDir, target: Target, services: Sequence[str]) -> None:
        """Asks their supervisors."""
        from provision.recipe.systemd import restart_script

        ours = of_environment(state_dir)
        container = next(each.name for each in ours if each.labels[MACHINE] == target.machine)
        if target.run(f"test -d {guest_paths.UNITS}", user="root").code == 0:
            script = restart_script(services)
            commands.run_inside(container, ["sh", "-c", script], check=False)  # the state says more
        else:
            commands.run_inside(container, [guest_paths.CONTROL, "restart", *services])

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
        """The containers' output, which holds the lines of their services and of setup."""
        from provision.backends.container_logs import read_logs

        containers = {each.labels[MACHINE]: each for each in of_environment(state_dir)}
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
            read_logs(container.name, known[one], wanted, line, view=view, journal=journal)

        read_all(known, services, each_line, read, follow=view.follow)

    def to_pull(
        self, environment: Environment, state_dir: StateDir, *, always: bool, any_state: bool = False
    ) -> tuple[Shareable, ...]:
        """The images that `up` would build."""
        from provision.backends.docker import sharing

        rendering = self._rendering(environment, state_dir)
        return sharing.to_pull(environment, state_dir, rendering, always=always, any_state=any_state)

    def pull(
        self,
        item: Shareable,
        manifest: Manifest,
        registry: Registry,
        state_dir: StateDir,
        progress: Progress,
    ) -> Pulled:
        """`docker pull`."""
        from provision.backends.docker import images, sharing

        images.remember_another(state_dir, item.name)  # before it is there: `down` has to find it
        return sharing.pull(item, manifest, registry, progress)

    def to_push(self, environment: Environment, state_dir: StateDir) -> tuple[Shareable, ...]:
        """The images of the machines."""
        from provision.backends.docker import sharing

        return sharing.to_push(environment, self._rendering(environment, state_dir))

    def push(
        self,
        item: Shareable,
        registry: Registry,
        state_dir: StateDir,  # noqa: ARG002 - the contract's words
        progress: Progress,
    ) -> Pushed:
        """`docker push`."""
        from provision.backends.docker import sharing

        return sharing.push(item, registry, progress)

    def build_base(self, base: Base, progress: Progress, *, provider: str | None) -> Iterator[str]:
        """The image, in the engine."""
        from provision.bases.image import build_image

        if provider is not None:
            raise UsageError(f"an image is for no provider, such as {provider}", hint="-b vm builds boxes")
        build_image(base, progress)
        yield base.image

    def footprint(self, state_dir: StateDir) -> Footprint:
        """Of its containers, their shims and port proxies."""
        from provision.backends.docker.footprint import footprint

        return footprint(state_dir)

    def environment_usage(self, state_dirs: Sequence[StateDir]) -> Mapping[str, EnvironmentUsage]:
        """Containers, volumes, images of one environment alone."""
        from provision.backends.docker.keeping import environment_usage

        return environment_usage(state_dirs)

    def cached(
        self, environments: Sequence[KnownEnvironment], gone: Sequence[KnownEnvironment]
    ) -> tuple[Cached, ...]:
        """Images."""
        from provision.backends.docker.keeping import cached

        return cached(environments, gone)

    def half_made(self) -> tuple[Path, ...]:
        """Nothing: the engine's builder tidies up."""
        return ()

    def discard(self, cached: Sequence[Cached]) -> None:
        """Images that no container is of."""
        from provision.backends.docker.keeping import discard

        discard(cached)

    def forget_saved(self, state_dir: StateDir) -> bool:  # noqa: ARG002 - the contract's words
        """A container has no saved state."""
        return False

    def examine(self) -> tuple[Finding, ...]:
        """Looks at the engine, Compose and BuildKit."""
        from provision.backends.docker.doctor import examine

        return examine()

    def is_usable(self, findings: Sequence[Finding]) -> bool:
        """All of them are needed."""
        return all(finding.usable for finding in findings)


def _freeze(
    state_dir: StateDir, progress: Progress, machine: str | None, word: Literal["pause", "unpause"]
) -> bool:
    """Pause what runs, or let go on what is paused; False where there was nothing of that kind."""
    with state_dir.lock(progress):
        containers = {each.labels[MACHINE]: each for each in of_environment(state_dir)}
        refuse_unknown(machine, containers)
        chosen = [each for name, each in containers.items() if machine in (None, name)]
        meant = [each.name for each in chosen if (each.running if word == "pause" else each.paused)]
        if meant:
            with progress.step("pausing" if word == "pause" else "going on"):
                (commands.pause if word == "pause" else commands.unpause)(meant)
    return bool(meant)


def _refusals(environment: Environment) -> Sequence[Problem]:
    from provision.backends.docker import capabilities, elsewhere, systemd
    from provision.backends.requirements import unmet

    return (
        *unmet(environment, capabilities.lacks, capabilities.HINT),
        *systemd.without_systemd(environment),
        *elsewhere.refused_elsewhere(environment),
    )


def _status(machine: Machine, container: Container | None) -> MachineStatus:
    from provision.backends.readiness import service_states

    services = tuple(ServiceStatus(name=each.name, state="stopped") for each in machine.services)
    shown = state(container)
    if container is not None and container.paused:
        services = ()  # a paused machine cannot answer
    elif container is not None and container.running and (services or shown == "unhealthy"):
        try:
            answer = commands.execute(
                container.name, [guest_paths.HEALTHY], user="root", workdir="/", timeout=60
            )
            services = service_states(machine, answer.stdout.splitlines())
            if answer.code == 0:
                shown = "running"  # the engine's own word may be ten seconds old
            elif container.health == "starting":
                shown = "starting"
        except Unreachable:
            shown, services = "not answering", ()  # it runs: it ends, or begins again
    return MachineStatus(
        name=machine.name,
        state=shown,
        address=container.address if container else None,
        ports=container.ports if container and container.running else (),
        services=services,
    )


def _records() -> Mapping[str, type[Any]]:
    """The records that it keeps of an environment, by name."""
    from provision.backends import causes, in_place, ports, snapshots, starts
    from provision.backends.docker import copies, images

    return {
        ports.RECORD: ports.PortsRecord,
        images.RECORD: images.ImagesRecord,
        starts.RECORD: starts.StartRecord,
        causes.RECORD: causes.AspectsRecord,
        in_place.RECORD: in_place.PartsRecord,
        snapshots.RESTORING: snapshots.RestoringRecord,
        copies.RECORD: copies.CopiesRecord,
        forwarding.RECORD: forwarding.ForwardsRecord,
        forwards.PLACES: forwards.PlacesRecord,
    }
