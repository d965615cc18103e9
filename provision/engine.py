"""The verbs of the command line, each as a short pipeline of calls to the modules below."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from provision import applied, backends, guest_paths, lent, secrets, trust, walls
from provision.backends.base import approve_all
from provision.errors import EnvironmentFailed, HostLacks, SpecError, UsageError
from provision.hints import command
from provision.model import Event
from provision.quick_dataclasses import dataclass
from provision.state import StateDir, known_environments, refuse_mounted
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provision.backends.base import Backend, Pauses, Plan, Remains, TakesSnapshots
    from provision.backends.log_view import LogView
    from provision.backends.snapshots import SnapshotRecord
    from provision.errors import Problem
    from provision.model import (
        Demand,
        Environment,
        Machine,
        MachineState,
        MachineStatus,
        PortStatus,
        Result,
        Usage,
        Word,
    )
    from provision.progress import Progress
    from provision.sharing import Policy
    from provision.target import Target
    from provision.trust import Trust


# After these a machine is what its spec says; a mere start keeps what someone changed in it.
MADE = ("create", "recreate", "change", "refresh")
LockUse = Literal["exactly", "where it fits", "not at all"]
LOOKS_EVERY = 1.0  # seconds
LONGEST_START = 3600.0  # seconds; each service's own time ends sooner


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for: which spec, which backend, which overrides, what of its lock."""

    spec: Path
    backend: str
    settings: Mapping[str, str]
    name: str | None = None
    base: str | None = None
    local: bool = True
    allow: tuple[Word, ...] = ()
    lock: LockUse = "where it fits"


@dataclass(frozen=True, kw_only=True)
class EnvironmentRef:
    """An environment by its name alone: enough for what is running, whatever the spec says now."""

    name: str
    backend: Backend[Any]
    state_dir: StateDir


def load(request: Request, *, looking: bool = False) -> Environment:
    """Read and check a spec, and hold it to its lock.

    Args:
        request: which one.
        looking: nothing is going to be started or shown, so no permission is needed.

    Raises:
        SpecError: with every problem in the spec, or in the lock.
        EnvironmentFailed: the lock is to be used exactly, and does not fit the spec.
    """
    return locked(load_unlocked(request, looking=looking), request)


def load_unlocked(request: Request, *, looking: bool = False) -> Environment:
    """Read and check a spec, without its lock; SpecError with every problem in it."""
    from provision import spec

    environment = spec.load(
        request.spec,
        backend=request.backend,
        settings=request.settings,
        name=request.name,
        base=request.base,
        local=request.local,
        allows=spec.everything if looking else trust_of(request).allows,
    )
    return replace(environment, host=backends.host_of(backends.find(request.backend)))


def locked(environment: Environment, request: Request) -> Environment:
    """The environment, held to its lock as far as that is asked for.

    Raises:
        EnvironmentFailed: the lock is to be used exactly, and does not fit the spec.
        SpecError: the lock is damaged.
        UsageError: it is to be used exactly, and there is none.
    """
    from provision.spec.paths import lock_of

    path = lock_of(request.spec)
    if request.lock == "not at all":
        return environment
    if not path.exists():
        if request.lock == "exactly":
            raise UsageError(f"there is no lock {path}", hint=f"{command('lock')} writes it")
        return environment
    from provision import lockfile

    lock = lockfile.load(path)
    assert lock is not None  # noqa: S101 - it exists
    form, architecture = form_of(environment, request.backend)
    misfits = lockfile.misfits(environment, lock, architecture=architecture, form=form)
    if misfits and request.lock == "exactly":
        raise EnvironmentFailed(
            f"{path} does not fit the spec",
            evidence=misfits,
            hint=f"{command('lock')} updates it; --no-frozen uses what fits",
        )
    frozen = lockfile.freeze(
        environment, lock, file=path.name, architecture=architecture, form=form, exact=not misfits
    )
    notes = [f"{path.name} does not fit: {reason}" for reason in misfits]
    if misfits:
        notes.append(f"what fits of it is used; {command('lock')} updates it")
    return replace(frozen, lock_notes=tuple(notes))


def form_of(environment: Environment, backend: str) -> tuple[str, str]:
    """What a lock calls a backend's machines on this host, and their architecture as Debian says it."""
    from provision import lockfile
    from provision.backends.base import HasForms

    acting = backends.find(backend)
    if not isinstance(acting, HasForms):
        return backend, lockfile.architecture()
    form = acting.form(environment, state_of(environment, backend))
    return form, lockfile.architecture(acting.architecture())


def trust_of(request: Request) -> Trust:
    """What is allowed for the project of a spec."""
    from provision import spec

    return trust.trust_in(spec.project_of(request.spec), request.allow)


def allow(request: Request) -> tuple[Demand, ...]:
    """Store the permission for what a spec wants beyond its machines, in every backend.

    Args:
        request: which spec; `allow` are the words that are given, all where there are none.

    Returns:
        all that it wants, and what of it is allowed now.

    Raises:
        SpecError: something else is wrong with it.
    """
    from provision import spec

    project = spec.project_of(request.spec)
    while True:
        known = trust.Trust(words=frozenset(), answers=trust.kept_answers().get(str(project), {}))
        wanted = {(each.word, each.what): each for each in _wanted(request, known)}
        more = [
            each
            for each in wanted.values()
            if not each.given and (not request.allow or each.word in request.allow)
        ]
        if not more:
            return tuple(wanted.values())
        trust.keep(project, more, allowed=True)  # a file that may be read now may want more


def _wanted(request: Request, known: Trust) -> Iterator[Demand]:
    """What a spec wants beyond its machines in every backend, as far as it can be read."""
    from provision import spec

    for backend in backends.names():
        try:
            environment = spec.load(
                request.spec, backend=backend, settings=request.settings, name=request.name,
                local=request.local, allows=known.allows,
            )  # fmt: skip
        except SpecError as error:
            if others := [problem for problem in error.problems if problem.demand is None]:
                raise SpecError(others) from error  # what is refused is what this is about to allow
            yield from error.demands
        else:
            yield from environment.demands


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A spec read for one backend; `refused` says why the backend can never create it."""

    environment: Environment | None
    refused: tuple[Problem, ...]


def validate(request: Request) -> Verdict:
    """Read and check a spec for one backend, as `plan`, `render` and `up` do.

    Raises:
        SpecError: it is wrong whatever the backend.
    """
    try:
        environment = load(request)
    except SpecError as error:
        if all(problem.demand for problem in error.problems):  # another may want less of the person
            return Verdict(environment=None, refused=error.problems)
        raise
    if missing := secrets.missing(environment):
        raise SpecError(missing)
    refuse_mounted(environment)
    return Verdict(environment=environment, refused=tuple(_refusals(environment, request.backend)))


def _refusals(environment: Environment, backend: str) -> Sequence[Problem]:
    return backends.find(backend).refusals(environment, state_of(environment, backend))


def _require_possible(environment: Environment, backend: str) -> None:
    """Raise if the spec requires what this backend, or any, can never provide: as `validate` does."""
    if problems := [*secrets.missing(environment), *_refusals(environment, backend)]:
        raise SpecError(problems)
    refuse_mounted(environment)


def notes(environment: Environment, backend: str) -> tuple[str, ...]:
    """Notes about parts of a spec that have no effect in a backend."""
    return backends.find(backend).notes(environment)


def resolve(request: Request) -> EnvironmentRef:
    """The environment that a spec names; reads only the name."""
    from provision import spec

    name = request.name or spec.peek(
        request.spec, backend=request.backend, settings=request.settings, local=request.local,
        allows=trust_of(request).allows,
    )  # fmt: skip
    project = spec.project_of(request.spec)
    return EnvironmentRef(
        name=name,
        backend=backends.find(request.backend),
        state_dir=StateDir.of(
            project, name, request.backend, request.spec.absolute(),
            backends.host_of(backends.find(request.backend)),
        ),
    )  # fmt: skip


def state_of(environment: Environment, backend: str) -> StateDir:
    """Where a backend keeps an environment's state."""
    return StateDir.of(
        environment.project, environment.name, backend, environment.spec.absolute(), environment.host
    )


def render(request: Request, folder: Path | None) -> tuple[Mapping[str, bytes], Path | None]:
    """The rendering; also written to a folder if one is given."""
    environment = load(request)
    if problems := _refusals(environment, request.backend):
        raise SpecError(problems)
    backend, state_dir = backends.find(request.backend), state_of(environment, request.backend)
    rendering = backend.render(
        environment,
        folder.resolve() if folder else state_dir.rendering,
        backend.choose(environment, state_dir),
    )
    if folder:
        rendering.write(folder)
    return {path: file.content for path, file in rendering.files.items()}, folder


def plan(environment: Environment, backend: str) -> Plan:
    """What `up` would do now."""
    from provision import sharing

    _require_possible(environment, backend)
    acting, state_dir = backends.find(backend), state_of(environment, backend)
    plan = acting.plan(environment, state_dir)
    return replace(
        plan,
        pulls=sharing.planned_pulls(environment, backend, state_dir) if plan.changes else (),
        notes=(*environment.lock_notes, *plan.notes, *skipped(environment, backend)),
    )


def skipped(environment: Environment, backend: str) -> tuple[str, ...]:
    """The checks that a backend skips, each with the reason."""
    from provision.verify import why_skipped, withheld

    acting, without = backends.find(backend), withheld(environment)
    return tuple(
        f"the check {check.name} of {machine.name} is skipped: {reason}"
        for machine in environment.machines
        for check in machine.checks
        if (reason := why_skipped(check, backend, acting.supports(machine), withheld=without))
    )


def up(
    environment: Environment,
    backend: str,
    progress: Progress,
    *,
    rebuild: bool,
    timeout: float,
    offline: bool = False,
    pull: Policy = "missing",
    approve: Callable[[Plan], None] | None = None,
) -> Plan:
    """Bring an environment up until it is ready.

    Args:
        environment: what the spec describes.
        backend: which makes it.
        progress: told each step.
        rebuild: trust nothing that was built before, here or elsewhere.
        timeout: the seconds that each machine has.
        offline: only if nothing must be downloaded.
        pull: when to look in the registry before something is built.
        approve: gets the plan before it is carried out, and raises to stop that.
    """
    acting, state_dir = backends.find(backend), state_of(environment, backend)
    _require_possible(environment, backend)
    walls.require_in_place([each.source for each in walls.live(environment.machines)])
    for note in (*environment.lock_notes, *lent.notes(environment)):
        progress.note(note)
    with progress.wait("checking this host"):
        missing = acting.missing(environment, state_dir) if offline else ()
    if missing:
        raise HostLacks(
            f"{environment.name} cannot be brought up offline: {len(missing)} things are missing"
            if len(missing) > 1
            else f"{environment.name} cannot be brought up offline: one thing is missing",
            evidence=missing,
            hint=f"{command('up')} without --offline fetches what is missing, and keeps it",
        )
    walls.make_mount_points(environment.machines)
    if not rebuild and not offline:
        from provision import sharing

        sharing.pull_before_up(environment, backend, state_dir, progress, pull)
    try:
        plan = acting.up(
            environment, state_dir, progress, rebuild=rebuild, timeout=timeout, approve=approve or approve_all
        )
    except BaseException:
        state_dir.forget_inventories()  # how far it came is not known
        raise
    if plan.build or any(action in MADE for action in plan.actions.values()):
        state_dir.forget_inventories()
    if plan.changes or not state_dir.path_of(applied.RECORD).exists():
        applied.keep(state_dir, environment)
    if plan.changes:
        require_locked(environment, backend, progress)
    return plan


def require_locked(environment: Environment, backend: str, progress: Progress) -> None:
    """Compare what is installed with the lock, where that fits the spec.

    Raises:
        EnvironmentFailed: a machine has something else.
        Unreachable: a machine does not answer.
    """
    if not any(machine.lock and machine.lock.installed for machine in environment.machines):
        return
    from provision.installed import differences, read_installed

    acting, evidence = backends.find(backend), list[str]()
    with progress.wait("comparing with the lock"):
        targets = acting.targets(environment.name, state_of(environment, backend))
        for machine in environment.machines:
            with targets[machine.name] as target:
                found = read_installed(target, kernel="kernel" in acting.supports(machine))
            evidence += [f"{machine.name}: {each}" for each in differences(machine, found)]
    if evidence:
        file = next(machine.lock.file for machine in environment.machines if machine.lock)
        raise EnvironmentFailed(
            f"{environment.name} is up, but not as {file} has it",
            evidence=evidence,
            hint=f"{command('lock')} locks what is there; {command('up', '--no-lock')} ignores the lock",
        )


@dataclass(frozen=True, kw_only=True)
class Started:
    """What `start` did, and why the spec is another than the one that was applied; empty where it is not."""

    plan: Plan
    changed: str


def start(
    request: Request, ref: EnvironmentRef, progress: Progress, *, machine: str | None, timeout: float
) -> Started:
    """Start what `stop` stopped, as it was last applied, and wait until it is ready.

    Raises:
        EnvironmentFailed: nothing is there that was applied, or a machine cannot be started.
    """
    environment = applied.kept(ref.state_dir)
    if environment is None:
        raise EnvironmentFailed(
            f"{ref.name} is not up in {ref.backend.name}: there is nothing to start",
            hint=f"{command('up')} brings it up",
        )
    changed = _changed(request, ref, environment)
    plan = ref.backend.start(environment, ref.state_dir, progress, machine=machine, timeout=timeout)
    return Started(plan=plan, changed=changed)


def _changed(request: Request, ref: EnvironmentRef, former: Environment) -> str:
    """Why a spec no longer describes what was last applied, in words; empty where it does."""
    from provision.backends import causes

    backend, location = ref.backend, ref.state_dir.rendering
    try:
        now = load(request, looking=True)
        digests = backend.render(now, location, backend.choose(now, ref.state_dir)).digests
    except SpecError:
        return "it has problems now"
    former_digests = backend.render(former, location, backend.choose(former, ref.state_dir)).digests
    former_machines = {machine.name: causes.aspects(machine) for machine in former.machines}
    machines = {machine.name: causes.aspects(machine) for machine in now.machines}
    words = [f"machine {name} removed" for name in former_machines if name not in machines]
    words += [f"machine {name} added" for name in machines if name not in former_machines]
    words += [
        f"{name}: {causes.cause(former_machines[name], machines[name])}"
        for name in machines
        if name in former_machines and digests[name] != former_digests[name]
    ]
    return "; ".join(words)


def pause(ref: EnvironmentRef, progress: Progress, machine: str | None) -> bool:
    """Let the machines, or the named one, stand still in memory; False if none was running."""
    return _pausing(ref).pause(ref.state_dir, progress, machine)


def unpause(ref: EnvironmentRef, progress: Progress, machine: str | None) -> bool:
    """Let the machines, or the named one, go on; False if none was paused."""
    return _pausing(ref).unpause(ref.state_dir, progress, machine)


def _pausing(ref: EnvironmentRef) -> Pauses:
    from provision.backends.base import Pauses

    if not isinstance(ref.backend, Pauses):
        raise UsageError(
            f"{ref.backend.title} cannot pause machines",
            hint=f"{command('stop')} stops them and keeps their data",
        )
    return ref.backend


def prepare_to_verify(environment: Environment) -> None:
    """Prepare in the background for the `verify` that will follow."""
    from provision.verify import prepare

    prepare(environment)


def verify(
    environment: Environment,
    backend: str,
    each: Callable[[Result], None] | None = None,
    machine: str | None = None,
    *,
    progress: Progress,
) -> tuple[Result, ...]:
    """Check the running machines, or the named one, against the spec."""
    from provision.verify import verify as ask

    acting = backends.find(backend)
    request = _chosen(environment, machine)
    capabilities = {each.name: acting.supports(each) for each in environment.machines}
    with progress.wait("checking what is running"):
        try:
            targets = acting.targets(environment.name, state_of(environment, backend))
        except Unreachable:
            targets = {}  # each machine that is missing is a failed result

    def begins(name: str, check: str) -> None:
        progress.line(f"{name}: {check}")

    try:
        with progress.wait(f"verifying {environment.name}"):
            return ask(
                environment, targets, backend=backend, capabilities=capabilities, machines=request,
                each=each, begins=begins,
            )  # fmt: skip
    finally:
        for target in targets.values():
            target.close()


def status(environment: Environment, backend: str, machine: str | None = None) -> tuple[MachineStatus, ...]:
    """The status of every machine, or of the named one."""
    acting, state_dir = backends.find(backend), state_of(environment, backend)
    request = {each.name for each in _chosen(environment, machine)}
    statuses = acting.status(environment, state_dir)
    return tuple(status for status in statuses if status.name in request)


def _chosen(environment: Environment, machine: str | None) -> tuple[Machine, ...]:
    """The machine with this name, or all; equal machines also by the name that they share."""
    if machine is None:
        return environment.machines
    chosen = tuple(each for each in environment.machines if machine in (each.name, each.group))
    if not chosen:
        raise UsageError(
            f"no machine is called {machine}",
            hint=f"--machine: {', '.join(each.name for each in environment.machines)}",
        )
    return chosen


def published(environment: Environment, backend: str) -> Mapping[str, Sequence[PortStatus]]:
    """The published ports of the running machines."""
    targets = backends.find(backend).targets(environment.name, state_of(environment, backend))
    return {machine: target.ports for machine, target in targets.items()}


def stop(ref: EnvironmentRef, progress: Progress, machine: str | None) -> bool:
    """Stop the machines, or the named one, and keep them; False if none was running."""
    return ref.backend.stop(ref.name, ref.state_dir, progress, machine)


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What `down` did: whether machines were there, what else was removed, and what is left.

    `snapshots` are the names of those that stay.
    """

    machines: bool
    others: tuple[str, ...]
    left: Remains
    snapshots: tuple[str, ...] = ()


def down(ref: EnvironmentRef, progress: Progress, *, volumes: bool, images: bool) -> Removed:
    """Remove the machines, and on request volumes and what was built.

    Once nothing is left, its state is removed too.
    """
    state_dir = ref.state_dir
    before = ref.backend.remains(state_dir)
    there = ref.backend.down(ref.name, state_dir, progress, volumes=volumes, images=images)
    deleted = _delete_snapshots(ref, progress) if volumes else []
    state_dir.forget_inventories()
    state_dir.forget(applied.RECORD)
    left = ref.backend.remains(state_dir)
    gone = state_dir.project is not None and not state_dir.project.exists()
    stay = tuple(each.name for each in kept_snapshots(ref))
    if not (left.machines or left.volumes or left.built or stay) and (gone or (volumes and images)):
        state_dir.remove()
    others = [f"volume {name}" for name in before.volumes if name not in left.volumes]
    others += [f"snapshot {name}" for name in deleted]
    others += [name for name in before.built if name not in left.built]
    return Removed(machines=there, others=tuple(others), left=left, snapshots=stay)


def usage(ref: EnvironmentRef) -> tuple[Usage, ...]:
    """What each running machine takes of this host now."""
    from provision.backends.base import TellsUsage

    if not isinstance(ref.backend, TellsUsage):
        raise UsageError(f"{ref.backend.title} does not tell what machines take")
    return ref.backend.usage(ref.state_dir)


def events(ref: EnvironmentRef, each: Callable[[Event], None]) -> None:
    """Hand on what happens to the machines, until interrupted or `each` raises."""
    from provision.backends.base import TellsEvents

    if isinstance(ref.backend, TellsEvents):
        ref.backend.events(ref.state_dir, each)
        return
    former = ref.backend.remains(ref.state_dir).machines
    while True:
        time.sleep(LOOKS_EVERY)
        now = ref.backend.remains(ref.state_dir).machines
        for event in changes(former, now, datetime.now(UTC).isoformat(timespec="milliseconds")):
            each(event)
        former = now


def changes(
    former: Mapping[str, MachineState], now: Mapping[str, MachineState], when: str
) -> tuple[Event, ...]:
    """What has happened between two looks at machines; pure."""
    words = {"running": "started", "stopped": "died", "absent": "removed"}
    return tuple(
        Event(
            time=when,
            machine=name,
            event="unpaused" if (before, state) == ("paused", "running") else words.get(state, state),
        )
        for name in dict.fromkeys([*former, *now])
        if (state := now.get(name, "absent")) != (before := former.get(name, "absent"))
    )


def kept_snapshots(ref: EnvironmentRef) -> tuple[SnapshotRecord, ...]:
    """The snapshots of an environment, oldest first."""
    from provision.backends import snapshots

    return snapshots.kept(ref.state_dir)


def save_snapshot(ref: EnvironmentRef, name: str, progress: Progress) -> None:
    """Keep machines and volumes as they are."""
    _taking_snapshots(ref).save_snapshot(ref.state_dir, progress, name)


def restore_snapshot(ref: EnvironmentRef, name: str, progress: Progress, *, timeout: float) -> None:
    """Have machines and volumes as they were, running and ready."""
    backend = _taking_snapshots(ref)
    environment = applied.kept(ref.state_dir)
    if environment is None:
        raise EnvironmentFailed(
            f"{ref.name} is not up in {ref.backend.name}", hint=f"{command('up')} brings it up; then restore"
        )
    backend.restore_snapshot(ref.state_dir, progress, name)
    ref.state_dir.forget_inventories()
    ref.backend.start(environment, ref.state_dir, progress, machine=None, timeout=timeout)


def delete_snapshot(ref: EnvironmentRef, name: str, progress: Progress) -> None:
    """Remove a snapshot."""
    _taking_snapshots(ref).delete_snapshot(ref.state_dir, progress, name)


def _delete_snapshots(ref: EnvironmentRef, progress: Progress) -> list[str]:
    names = [each.name for each in kept_snapshots(ref)]
    for name in names:
        delete_snapshot(ref, name, progress)
    return names


def _taking_snapshots(ref: EnvironmentRef) -> TakesSnapshots:
    from provision.backends.base import TakesSnapshots

    if not isinstance(ref.backend, TakesSnapshots):
        raise UsageError(f"{ref.backend.title} takes no snapshots of machines")
    return ref.backend


def by_id(identity: str, backend: str) -> EnvironmentRef:
    """An environment of this user by its id, whatever its spec says and wherever it is.

    Raises:
        UsageError: there is none.
    """
    known = next((each for each in known_environments() if each.id == identity), None)
    if known is None:
        raise UsageError(f"no environment has the id {identity}", hint="`provision list` shows them all")
    backends.require(backend)
    return EnvironmentRef(name=known.name, backend=backends.find(backend), state_dir=known.state_dir(backend))


def targets(ref: EnvironmentRef, machine: str | None) -> Mapping[str, Target]:
    """The running machines by name, or the named one."""
    return ref.backend.targets(ref.name, ref.state_dir, machine)


def target(ref: EnvironmentRef, machine: str | None, *, named_by: str = "--machine") -> Target:
    """A running machine: the one named, or the only one; `named_by` is how this verb names one.

    Raises:
        UsageError: there are several and none was named, or none has that name.
    """
    targets = ref.backend.targets(ref.name, ref.state_dir, machine)
    if len(targets) > 1:
        raise UsageError("say which machine", hint=f"{named_by}: {', '.join(sorted(targets))}")
    return next(iter(targets.values()))


def ports(ref: EnvironmentRef, machine: str | None) -> Mapping[str, Sequence[PortStatus]]:
    """The published ports of the running machines by name, or of the named one."""
    targets = ref.backend.targets(ref.name, ref.state_dir, machine)
    return {name: target.ports for name, target in targets.items()}


def lend(ref: EnvironmentRef, target: Target) -> None:
    """Give a machine whose spec forwards an SSH agent this person's agent."""
    ref.backend.lend(ref.state_dir, target)


def logs(
    ref: EnvironmentRef,
    services: Sequence[str],
    each_line: Callable[[str], None],
    *,
    machine: str | None,
    view: LogView,
) -> None:
    """Pass each line of the services' logs to `each_line`: of all machines, or of the named one."""
    ref.backend.logs(ref.name, ref.state_dir, services, machine=machine, view=view, each_line=each_line)


def restart(
    ref: EnvironmentRef, services: Sequence[str], machine: str | None, progress: Progress
) -> tuple[str, ...]:
    """Restart services, or all if none is named; return their names once they are ready.

    Raises:
        UsageError: no machine has a service of this name.
        EnvironmentFailed: one was not ready in its time.
    """
    with ref.state_dir.lock(progress):
        return _restart(ref, services, machine, progress)


def _restart(
    ref: EnvironmentRef, services: Sequence[str], machine: str | None, progress: Progress
) -> tuple[str, ...]:
    targets = ref.backend.targets(ref.name, ref.state_dir)
    if machine is not None:
        targets = {machine: target(ref, machine)}
    there = {name: _services(each) for name, each in targets.items()}
    unknown = [service for service in services if not any(service in names for names in there.values())]
    if unknown:
        raise UsageError(
            f"there is no service {unknown[0]}",
            hint=f"the services are {', '.join(sorted({s for names in there.values() for s in names}))}",
        )
    restarted = []
    for name, each in targets.items():
        wanted = [service for service in there[name] if not services or service in services]
        if wanted:
            with each, progress.step(f"restarting {', '.join(wanted)}{_of(name, targets)}"):
                ref.backend.restart(ref.state_dir, each, wanted)
                _wait_for(each, wanted, name if len(targets) > 1 or machine else None)
            restarted += wanted
    return tuple(restarted)


def _of(machine: str, targets: Mapping[str, Target]) -> str:
    return f" of {machine}" if len(targets) > 1 else ""


def _services(target: Target) -> list[str]:
    """The services that a machine was created with, as it reports itself."""
    return target.run(f"ls {guest_paths.SERVICES} 2>/dev/null", user="root").stdout.decode().split()


def _wait_for(target: Target, services: Sequence[str], machine: str | None) -> None:
    waited = target.run(f"{guest_paths.WAIT} {' '.join(services)}", user="root", timeout=LONGEST_START)
    if waited.code != 0:
        raise EnvironmentFailed(
            waited.stdout.decode("utf-8", "replace").strip(),
            hint=f"see {command('logs', *services, machine=machine)}",
        )


def sync(ref: EnvironmentRef, *, watch: bool, progress: Progress) -> int:
    """Copy folders that are not live into the machines; return how many there were."""
    return ref.backend.sync(ref.state_dir, progress, watch=watch)
