"""Carry out a plan: build, let Compose converge, start in order, wait until every machine is ready."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Self

from provision import guest_paths, lent, process
from provision.backends import causes, in_place, starts
from provision.backends.build_errors import build_failed
from provision.backends.container_image import image_names
from provision.backends.container_labels import MACHINE
from provision.backends.container_logs import read_logs
from provision.backends.docker import agent, copies, forwards, secrets, systemd
from provision.backends.docker.containers import container_name, enter, held_here, of_environment
from provision.backends.docker.decide import changes_in_place, is_changed
from provision.backends.docker.failures import require_compose, start_failed
from provision.backends.docker.images import remember_images
from provision.backends.docker.ownership import owner
from provision.backends.docker.planning import plan_for
from provision.backends.docker.removal import end
from provision.backends.docker.render import (
    AGENT,
    COMPOSE,
    IDENTITY,
    OVERRIDE,
    OWNER,
    PROJECT,
    VARIABLES,
    env_file,
    is_laid,
    kept_ports,
    secret_files,
    unset_variables,
)
from provision.backends.machines import warn_of_roots
from provision.backends.order import in_order
from provision.backends.ports import choose, keep
from provision.backends.readiness import BETWEEN, HEALTHY, UNTIL_READY, patience, wait_until_ready
from provision.backends.snapshots import interrupted_restore
from provision.backends.starting import decide_start
from provision.confined import ConfinedFolder
from provision.docker_client import commands, queries
from provision.errors import EnvironmentFailed
from provision.hints import command
from provision.progress import ParallelProgress
from provision.quick_dataclasses import dataclass
from provision.recipe.systemd import restart_script
from provision.target import Output, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from provision.backends.base import Plan
    from provision.backends.docker.observe import Observed
    from provision.backends.starting import Stands
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir
    from provision.target import Target

LAST_LINES = 20


def _finish_restore(state_dir: StateDir, progress: Progress) -> None:
    """Finish an interrupted restore; what does it is imported where there is one."""
    if interrupted_restore(state_dir) is not None:
        from provision.backends.docker import snapshots

        snapshots.finish_restore(state_dir, progress)


@dataclass(frozen=True, kw_only=True)
class Application:
    """One call of `up`: the environment, its state and its rendering; `timeout` limits the waits."""

    environment: Environment
    state_dir: StateDir
    rendering: Rendering
    timeout: float

    def up(self, progress: Progress, *, rebuild: bool, approve: Callable[[Plan], None]) -> Plan:
        """Observe, decide, and carry out the plan once it is approved; returned is that very plan."""
        with self.state_dir.lock(progress):
            _finish_restore(self.state_dir, progress)
            if self.environment.is_elsewhere:
                progress.note(
                    f"on {self.state_dir.address}: folders are copied there, and ports forwarded by ssh"
                )
            if self._forwards:
                agent.prepare(self.state_dir)
            else:
                agent.end(self.state_dir)
            with progress.wait("checking what is running"):
                observed, plan = plan_for(self.environment, self.state_dir, self.rendering, rebuild=rebuild)
            approve(plan)
            since = time.monotonic()
            begun = self._converge(plan, observed, progress, rebuild=rebuild) if plan.changes else 0.0
            self._send_changes(plan, progress)
            if plan.changes and self._ordered:
                self._wait_for_all(plan, progress)
                starts.note(self.state_dir, plan, begun, since)
                return plan
        self._wait_for_all(plan, progress)
        starts.note(self.state_dir, plan, begun, since)
        return plan

    def start(self, progress: Progress, machine: str | None) -> Plan:
        """Start the containers that are stopped, or one machine's, as they were made."""
        with self.state_dir.lock(progress):
            _finish_restore(self.state_dir, progress)
            with progress.wait("checking what is running"):
                there = {each.labels[MACHINE]: each for each in of_environment(self.state_dir)}
            names = [each.name for each in self.environment.machines]
            plan = decide_start({name: _stands(there.get(name)) for name in names}, machine)
            if plan.changes:
                if self._forwards:
                    agent.prepare(self.state_dir)
                self._lay_secrets()
                self._wait_for_all(plan, progress, start=True)
        return plan

    def _send_changes(self, plan: Plan, progress: Progress) -> None:
        """Have the copies of folders as the folders are, in machines that are not started below."""
        if self.environment.is_elsewhere:
            for machine in self.environment.machines:
                if plan.actions[machine.name] in ("none", "wait"):
                    copies.push(self.state_dir, copies.known_copies(self.state_dir, machine.name), progress)

    @property
    def _ordered(self) -> bool:
        """Whether each is started here: one needs another that must be ready, or gets its files first."""
        return self.environment.is_elsewhere or any(machine.needs for machine in self.environment.machines)

    @property
    def _forwards(self) -> bool:
        """Whether a machine gets the person's SSH agent."""
        return any(machine.workspace and machine.workspace.agent for machine in self.environment.machines)

    def _container(self, machine: Machine) -> str:
        return container_name(self.environment, machine.name)

    def _converge(self, plan: Plan, observed: Observed, progress: Progress, *, rebuild: bool) -> float:
        """Build, then start; when that began, by the monotonic clock."""
        environment, state_dir = self.environment, self.state_dir
        for note in plan.notes:
            progress.note(note)
        present = of_environment(state_dir)
        ours = held_here(present)
        chosen = choose(environment, state_dir, ours, progress)
        state_dir.make()
        # Before any container has them: whoever is killed after that would choose others the next time.
        keep(state_dir, chosen)
        self.rendering.write(state_dir.rendering)
        state_dir.log.write_text("")
        variables = self._variables(chosen)
        with ConfinedFolder(state_dir.rendering) as rendering:
            rendering.write(VARIABLES, env_file(variables).encode(), 0o600)
        images = image_names(environment, self.rendering.recipes)
        remember_images(state_dir, images.values())  # before they are built: `down` has to find them
        stale = {planned.image for planned in plan.build}
        if stale:
            # Of equal machines one is built: the image is that of all.
            building = {image: machine for machine, image in images.items() if image in stale}
            self._build(building.values(), progress, variables, rebuild=rebuild)
        if environment.is_elsewhere:
            copies.note_copies(state_dir, environment, images)
        else:  # a copy belongs to the machine's user
            warn_of_roots(environment.machines, progress, is_rootless=_is_rootless)
        begun = time.monotonic()
        with progress.step("starting containers"):
            for container in present:
                if container.paused:  # Compose would try to start it, which the engine refuses
                    commands.unpause([container.name])
            end([each for each in present if plan.actions.get(each.labels[MACHINE]) == "remove"])
            self._refresh(plan, observed, progress)
            words = ["--no-start"] if self._ordered else ["--detach"]
            # Compose would create one anew that differs from its image, or that it knows otherwise.
            apart = self._changed(plan, observed)
            meant = [name for name in plan.named("create", "recreate", "start") if name not in apart]
            try:
                if meant:
                    self._compose(["up", "--no-build", *words, "--no-deps", *meant], progress, variables)
                for machine in environment.machines:
                    if machine.name in apart and plan.actions[machine.name] == "start" and not self._ordered:
                        commands.start(self._container(machine))
            except process.CommandFailed as error:
                raise start_failed(error, state_dir, environment) from error
            self._change(plan, observed, progress)
        self._note_parts(plan, observed)
        forwards.note_places(state_dir, environment, chosen)
        causes.note_aspects(state_dir, environment)
        return begun

    def _changed(self, plan: Plan, observed: Observed) -> frozenset[str]:
        """The machines whose containers differ from their image, and stay."""
        anew = plan.named("create", "recreate", "remove")
        changing = plan.named("change")
        return frozenset(
            machine.name
            for machine in self.environment.machines
            if machine.name not in anew and (machine.name in changing or is_changed(machine.name, observed))
        )

    def _change(self, plan: Plan, observed: Observed, progress: Progress) -> None:
        """Apply to running containers what needs no new one."""
        for machine in self.environment.machines:
            found = changes_in_place(machine, self.rendering, observed)
            if plan.actions[machine.name] != "change" or found is None:
                continue
            files = self.rendering.made_of[machine.name]
            now = in_place.parts_of(files, self.rendering.outside[machine.name])
            in_place.begin(self.state_dir, machine.name, now)
            with _entered(self._container(machine), machine) as target:
                in_place.apply(target, machine, found, files, progress)
            if found.services:
                restart(self._container(machine), found.services, units=systemd.is_init(machine))
            if found.setup:
                _revive(self._container(machine), "setup", units=systemd.is_init(machine))

    def _note_parts(self, plan: Plan, observed: Observed) -> None:
        """Remember what each container is made of, so that the next change may be applied to it."""
        names = {machine.name: self._container(machine) for machine in self.environment.machines}
        containers = queries.inspect(containers=names.values()).containers
        new = set(plan.named("create", "recreate", "change"))
        in_place.note(
            self.state_dir,
            {
                name: in_place.MachineParts(
                    instance=containers[full].id,
                    made=self.rendering.digests[name],
                    parts=in_place.parts_of(self.rendering.made_of[name], self.rendering.outside[name]),
                )
                if name in new or name not in observed.parts
                else observed.parts[name]
                for name, full in names.items()
                if full in containers
            },
        )

    def _variables(self, chosen: Mapping[str, int]) -> Mapping[str, str]:
        """The variables of `.env`: what it says of this host, once the secrets are where it says."""
        environment = self.environment
        variables = {PROJECT: str(environment.project), OWNER: owner(self.state_dir.address)}
        variables |= self._lay_secrets()
        if self._forwards:
            variables[AGENT] = str(agent.folder(self.state_dir))
        named = [
            machine for machine in environment.machines if machine.workspace and machine.workspace.identity
        ]
        if named:
            variables[IDENTITY] = lent.identity(named[0])
        return {**variables, **kept_ports(environment, chosen)}

    def _lay_secrets(self) -> Mapping[str, str]:
        """Have the files of secrets in the host's memory, which a restart of the host empties."""
        environment = self.environment
        if not any(is_laid(file, environment) for file in secret_files(environment).values()):
            return {}
        return secrets.lay(environment, self.state_dir)

    def _build(
        self,
        machines: Collection[str],
        progress: Progress,
        variables: Mapping[str, str],
        *,
        rebuild: bool,
    ) -> None:
        from provision.bases.image import ensure_image

        built = [machine for machine in self.environment.machines if machine.name in machines]
        for base in {machine.base.image: machine.base for machine in built}.values():
            ensure_image(base, progress)
        with progress.step("building the image" if len(built) == 1 else "building the images"):
            try:
                words = ["build", *(["--no-cache"] if rebuild else [])]
                self._compose([*words, *(machine.name for machine in built)], progress, variables)
            except process.CommandFailed as error:
                from provision.backends.build_problems import refuse_found

                refuse_found(self.state_dir.log.read_text().splitlines(), built)
                raise build_failed(error, self.state_dir, built) from error

    def _refresh(self, plan: Plan, observed: Observed, progress: Progress) -> None:
        """Restart a container whose secrets have new values, because it reads them at its start."""
        for name in plan.named("refresh"):
            for path in observed.replaced_files.get(name, ()):
                progress.note(f"{name} gets the new file at {path}")
            if changed := observed.stale_secrets.get(name, ()):
                progress.note(f"{name} gets the new value of {', '.join(changed)}")
            commands.restart(container_name(self.environment, name))

    def _compose(self, words: Sequence[str], progress: Progress, variables: Mapping[str, str]) -> None:
        """Run Compose on the rendering and no other file in its folder; its output goes to the log too."""
        folder = self.state_dir.rendering
        files = [name for name in (COMPOSE, OVERRIDE) if name in self.rendering.files]
        project = [
            "--project-name", self.environment.unique_name, "--project-directory", str(folder),
            "--env-file", str(folder / VARIABLES),
            *(word for name in files for word in ("--file", str(folder / name))),
        ]  # fmt: skip
        from provision.backends.build_lines import BuildLines

        lines = BuildLines()
        with self.state_dir.log.open("a", buffering=1) as log:

            def each_line(line: str) -> None:
                log.write(line + "\n")
                progress.line(lines.readable(line))
                if done := lines.done(line):
                    progress.note(done)

            try:
                commands.compose(
                    [*project, *words],
                    each_line,
                    cwd=folder,
                    # Over variables of this process that happen to be called so.
                    env={**unset_variables(self.environment), **variables},
                )
            except process.CommandFailed as error:
                if process.was_interrupted(error):
                    raise KeyboardInterrupt from error
                require_compose()
                raise

    def _wait_for_all(self, plan: Plan, progress: Progress, *, start: bool = False) -> None:
        """Start what has not started yet, in order, and wait for everything that was not ready.

        With `start` nothing of it has; else that is so where machines need others.
        """
        waiting = [m for m in self.environment.machines if plan.actions[m.name] != "none"]
        if not waiting:
            return
        alone = not self.environment.several

        def bring(machine: Machine, shown: Progress) -> None:
            was_up = plan.actions[machine.name] == "wait"
            if (start or self._ordered) and not was_up:
                self._start(machine, shown)
            self._deliver(machine)
            self._wait(machine, shown, was_up=was_up)

        def one(machine: Machine) -> None:
            if alone:
                bring(machine, progress)
                return
            own = ParallelProgress(progress, machine.name)
            with own.step("ready"):
                bring(machine, own)

        with progress.step(f"waiting until {'it is' if alone else 'they are'} ready"):
            in_order(waiting, one)
        if self.environment.is_elsewhere:
            of_environment(self.state_dir)  # forwards their ports

    def _start(self, machine: Machine, progress: Progress) -> None:
        container = self._container(machine)
        try:
            if self.environment.is_elsewhere:
                copies.push(self.state_dir, copies.known_copies(self.state_dir, machine.name), progress)
                copies.push_files(machine, container)
            commands.start(container)
        except process.CommandFailed as error:
            raise start_failed(error, self.state_dir, self.environment) from error

    def _deliver(self, machine: Machine) -> None:
        """Send a container on another host what it cannot mount, and have its ports here."""
        if not self.environment.is_elsewhere:
            return
        try:
            secrets.deliver(self._container(machine), self.environment, machine)
        except process.CommandFailed as error:
            raise start_failed(error, self.state_dir, self.environment) from error

    def _wait(self, machine: Machine, progress: Progress, *, was_up: bool) -> None:
        name = self._container(machine)
        last_lines = partial(_last_lines, name, machine)
        revive = partial(_revive, name, units=systemd.is_init(machine)) if was_up else None
        begun = time.monotonic()
        while True:
            try:
                with _ReadinessClient(name, machine, waits=not was_up) as client:
                    return wait_until_ready(
                        machine,
                        client,
                        progress,
                        timeout=self.timeout,
                        last_lines=last_lines,
                        revive=revive,
                        several=self.environment.several,
                    )
            except Unreachable as error:
                container = queries.inspect(containers=[name]).containers.get(name)
                if container is None:
                    raise
                allowed = min(self.timeout, max(patience(machine).values(), default=0.0))
                comes_back = container.running or container.restarting
                if comes_back and time.monotonic() - begun < allowed:
                    time.sleep(BETWEEN)
                    continue
                raise EnvironmentFailed(
                    f"the container of machine {machine.name} {'keeps exiting' if comes_back else 'exited'}"
                    + ("" if container.running else f" with code {container.exit_code}"),
                    evidence=last_lines(""),
                    hint=f"see {command('logs', machine=machine.name if self.environment.several else None)}",
                    machine=machine.name,
                ) from error


def _stands(found: queries.Container | None) -> Stands:
    if found is None:
        return "absent"
    if found.paused:
        return "paused"
    return "running" if found.running or found.restarting else "stopped"


class _ReadinessClient:
    """Runs readiness checks in a container: the first through the engine's socket, later ones in a shell.

    A shell answers faster, but opening it means starting `docker`, and most machines are ready before that.

    Args:
        container: its name.
        machine: what it should be.
        waits: the first check may wait for a second or two until the machine is ready.
    """

    def __init__(self, container: str, machine: Machine, *, waits: bool) -> None:
        self._container = container
        self._machine = machine
        self._first = UNTIL_READY if waits else HEALTHY
        self._target: Target | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._target:
            self._target.close()

    def run(self, script: str, *, user: str | None = None, timeout: float = 60) -> Output:
        """Run a script for `sh` inside, except the first time: then HEALTHY or UNTIL_READY."""
        if self._first:
            words, self._first = ["sh", "-c", self._first], ""
            answer = commands.execute(self._container, words, user="root", workdir="/", timeout=timeout)
            return Output(code=answer.code, stdout=answer.stdout.encode(), stderr=answer.stderr.encode())
        if self._target is None:
            self._target = _entered(self._container, self._machine)
        return self._target.run(script, user=user, timeout=timeout)


def _entered(container: str, machine: Machine) -> Target:
    found = queries.inspect(containers=[container]).containers.get(container)
    if found is None or not found.running:
        raise Unreachable(f"the container of machine {machine.name} does not run")
    return enter(found)


def _is_rootless() -> bool:
    return os.geteuid() != 0 and queries.engine().is_apart  # root runs no rootless engine


def _last_lines(container: str, machine: Machine, service: str) -> Sequence[str]:
    lines: list[str] = []
    names = tuple(each.name for each in machine.services)
    wanted = [service] if service else []
    read_logs(container, names, wanted, lines.append, journal=systemd.is_init(machine))
    return lines[-LAST_LINES:]


def restart(container: str, services: Sequence[str], *, units: bool) -> None:
    """Stop services properly and start them again."""
    if units:
        commands.run_inside(container, ["sh", "-c", restart_script(services)], check=False)
    else:
        commands.run_inside(container, [guest_paths.CONTROL, "restart", *services])


def _revive(container: str, service: str, *, units: bool) -> None:
    """Restart what has ended: setup in the background, a service through its supervisor."""
    if units:
        commands.run_inside(container, ["sh", "-c", restart_script([service])])
    elif service == "setup":
        commands.run_inside(container, ["rm", "--force", guest_paths.SETUP_STATE])
        commands.begin_inside(container, [guest_paths.SETUP])
    else:
        commands.run_inside(container, [guest_paths.CONTROL, "restart", service])
