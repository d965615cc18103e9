"""`provision test`: brings a spec up in every backend and variation, verifies, compares, removes it.

They have names and ports of their own: what the spec's own environment has is not touched.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import backends, engine, jobs, resources, shards
from provision.comparison import Side, compare_sides, inventories_of
from provision.errors import ProvisionError, SpecError, UsageError
from provision.hints import command
from provision.lock import hold
from provision.model import Result
from provision.progress import Labelled
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from provision.comparison import Comparison
    from provision.engine import Request
    from provision.inventory.model import Inventory
    from provision.model import Environment, Machine, Port
    from provision.progress import Progress
    from provision.shards import Shard
    from provision.state import StateDir

IDEMPOTENT = "second up changes nothing"
LONGEST_NAME = 41
MOMENT = 0.2  # seconds within which an interrupt is noticed
MARK = "trial"  # the file that marks an environment as one of a test, however the test ended


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of one environment that was tried; `inventories` of its machines, where they were taken."""

    results: tuple[Result, ...]
    inventories: Mapping[str, Inventory] | None = None
    came_up: bool = True


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One environment to try: the request for its spec, and the name that it has meanwhile.

    Its machine keeps the name that it has in the spec's own environment.
    """

    request: Request
    name: str

    def load(self) -> Environment:
        """The environment, on ports of the host that are free when it comes up."""
        return replace(with_free_ports(engine.load(self.request)), name=self.name)

    def resolve(self) -> engine.EnvironmentRef:
        """The environment by its name."""
        return engine.resolve(replace(self.request, name=self.name))

    @property
    def variation(self) -> tuple[str | None, tuple[tuple[str, str], ...]]:
        """What it has in common with its other forms: the base and the variables."""
        return self.request.base, tuple(sorted(self.request.settings.items()))


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which environments of a spec are to be tried; `notes` say which they are, where it is not all."""

    trials: Mapping[str, Trial]
    notes: tuple[str, ...] = ()


def variations(request: Request, names: Sequence[str]) -> tuple[str, Mapping[str, Trial]]:
    """The environment's name, and what `test` makes of its spec: its matrix, else one for each backend.

    Args:
        request: the request that all of them share.
        names: the backends, where the spec's matrix names none.
    """
    from provision import spec

    for backend in names:
        backends.require(backend)
    name, found = spec.variations(
        request.spec, backends=names, settings=request.settings, name=request.name, local=request.local,
        allows=engine.trust_of(request).allows,
    )  # fmt: skip
    counts = Counter(each.backend for each in found)
    numbers: Counter[str] = Counter()
    made = {}
    for each in found:
        numbers[each.backend] += 1
        number = numbers[each.backend] if counts[each.backend] > 1 else None
        settings = {**request.settings, **dict(each.settings)}
        own = replace(request, backend=each.backend, base=each.base, settings=settings)
        made[str(each)] = Trial(request=own, name=name_of(name, number))
    return name, made


def name_of(name: str, number: int | None = None, end: str = "-test") -> str:
    """What the environment `name` is called while it is tried; one of several has a number."""
    end = end if number is None else f"{end}-{number}"
    return name[: LONGEST_NAME - len(end)].rstrip("-") + end


def select(
    own: str, trials: Mapping[str, Trial], *, shard: Shard | None, rerun_failed: bool, together: bool
) -> Selection:
    """The environments of a shard, or those that failed in the last run, or those that are both.

    Args:
        own: the name of the spec's environment.
        trials: all environments of the spec, by how they are called.
        shard: which of the shares; None: all.
        rerun_failed: only what failed.
        together: the forms of a variation are compared, so they are never separated.

    Raises:
        UsageError: there is no last run.
    """
    groups = _forms(trials) if together else [[called] for called in trials]
    chosen: Sequence[Sequence[str]] = groups
    notes: list[str] = []

    def note(title: str, before: Sequence[Sequence[str]]) -> None:
        count, whole = sum(map(len, chosen)), sum(map(len, before))
        notes.append(f"{title}: {count or 'none'} of {whole} environment{'' if whole == 1 else 's'}")

    if shard:
        chosen = shards.in_shard(groups, shard)
        note(f"shard {shard}", groups)
    if rerun_failed:
        before, last = chosen, shards.recall(_last_run(trials, own), own)
        chosen = shards.failed_in(last, chosen)
        note("failed in the last run", before)
    selected = {called for group in chosen for called in group}
    return Selection(
        trials={called: trial for called, trial in trials.items() if called in selected},
        notes=tuple(notes),
    )


def failed(runs: Mapping[str, Run], comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The environments with a check that did not pass, or with an unexplained difference from another."""
    different = {each for found in comparisons if found.unexplained for each in (found.left, found.right)}
    return tuple(
        called
        for called, run in runs.items()
        if called in different or any(result.outcome != "passed" for result in run.results)
    )


def remember(
    own: str, trials: Mapping[str, Trial], runs: Mapping[str, Run], failed_ones: Collection[str]
) -> None:
    """Record what became of the environments that were tried, of all that the spec has."""
    shards.remember(_last_run(trials, own), runs, failed_ones, trials)


def run(
    own: str,
    trials: Mapping[str, Trial],
    progress: Progress,
    *,
    at_once: int | None,
    keep: bool,
    timeout: float,
    offline: bool,
    inventories: bool,
) -> Mapping[str, Run]:
    """Bring environments up, several at the same time, verify each, take them down.

    What an earlier test that was killed has left is taken down first. Another test of the
    same environment is waited for.

    Args:
        own: the name of the spec's environment.
        trials: what is tried, by how it is called; at least one.
        progress: told what happens, each line with its environment's name.
        at_once: how many at the same time; None: as many as this host has room for.
        keep: leave them up.
        timeout: seconds for each to become ready.
        offline: fail at once where something would have to be fetched.
        inventories: take those of the machines, for `compared`, where a variation has several forms.

    Returns:
        what became of each; one that did not come up has a failed result that says why, as has one
        that lacks a check of its other forms.

    Raises:
        UsageError: a person has an environment of such a name.
    """
    environments = {called: trial.load() for called, trial in trials.items()}
    project = next(iter(environments.values())).project
    with hold(lock_of(project, own), progress, holder=lambda: f"another {command('test')} of {own}"):
        for trial in trials.values():
            require_ours(trial.name, trial.resolve().state_dir)
        at_once = min(at_once or _room_for(trials, environments, progress), len(trials))
        runs = _run(
            own, trials, environments, progress,
            at_once=at_once, keep=keep, timeout=timeout, offline=offline, inventories=inventories,
        )  # fmt: skip
    return with_missing(trials, runs)


def with_missing(trials: Mapping[str, Trial], runs: Mapping[str, Run]) -> Mapping[str, Run]:
    """The runs, with a failed result for each check that only other forms of a variation have."""
    completed = dict(runs)
    for forms in _forms(trials):
        there = [called for called in forms if runs[called].came_up]
        owners = {(each.machine, each.check): called for called in there for each in runs[called].results}
        for called in there:
            mine = {(each.machine, each.check) for each in runs[called].results}
            missing = tuple(
                Result(machine=machine, check=check, outcome="failed", seconds=0.0,
                       message=f"{owner} has this check, {called} does not")
                for (machine, check), owner in owners.items()
                if (machine, check) not in mine
            )  # fmt: skip
            completed[called] = replace(runs[called], results=(*runs[called].results, *missing))
    return completed


def compared(trials: Mapping[str, Trial], runs: Mapping[str, Run]) -> tuple[Comparison, ...]:
    """How the forms of each variation differ, where it came up in several backends."""
    groups = [
        [Side(name=called, inventories=found) for called in forms if (found := runs[called].inventories)]
        for forms in _forms(trials)
    ]
    return tuple(
        compare_sides(trials[sides[0].name].name, sides[0], other) for sides in groups for other in sides[1:]
    )


def _forms(trials: Mapping[str, Trial]) -> list[list[str]]:
    """The environments, those together that are forms of one variation."""
    groups: dict[object, list[str]] = {}
    for called, trial in trials.items():
        groups.setdefault(trial.variation, []).append(called)
    return list(groups.values())


def _room_for(
    trials: Mapping[str, Trial], environments: Mapping[str, Environment], progress: Progress
) -> int:
    """How many of the environments this host has room for at the same time."""

    def load(called: str) -> jobs.Load:
        supports = backends.find(trials[called].request.backend).supports
        return jobs.total([
            jobs.load_of(machine.resources, virtual="kernel" in supports(machine))
            for machine in environments[called].machines
        ])  # fmt: skip

    host = jobs.host_load()
    number = jobs.choose_jobs([load(called) for called in trials], host)
    if len(trials) > 1:
        progress.note(
            f"{number} of {len(trials)} environments at a time: {host.cores:g}"
            f" core{'' if host.cores == 1 else 's'}, {host.memory / 1024**3:.1f} GiB of memory to use"
        )
    return number


def _run(
    own: str,
    trials: Mapping[str, Trial],
    environments: Mapping[str, Environment],
    progress: Progress,
    *,
    at_once: int,
    keep: bool,
    timeout: float,
    offline: bool,
    inventories: bool,
) -> Mapping[str, Run]:
    forms = _forms(trials) if inventories else []
    to_compare = {called for several in forms if len(several) > 1 for called in several}
    verifying = threading.Lock()  # a user's pytest files run in this process
    interrupted = threading.Event()
    given_up = Run(results=(), came_up=False)

    def one(called: str) -> Run:
        if interrupted.is_set():
            return given_up
        trial, environment, backend = trials[called], environments[called], trials[called].request.backend
        labelled = Labelled(progress, called)
        begun = time.monotonic()
        ref = trial.resolve()
        try:
            take_down(ref, labelled)
            claim(ref.state_dir)
            engine.up(environment, backend, labelled, rebuild=False, timeout=timeout, offline=offline)
            if interrupted.is_set():
                return given_up
            with verifying:
                results = engine.verify(environment, backend, progress=labelled)
            if interrupted.is_set():
                return given_up
            again = _up_again(own, environment, backend, labelled, timeout=timeout, offline=offline)
            if called not in to_compare:
                return Run(results=(*results, again))
            with labelled.step("taking the inventory"):
                found = inventories_of(environment, backend, environment.machines)
            return Run(results=(*results, again), inventories=found)
        except ProvisionError as error:
            problems = error.problems if isinstance(error, SpecError) else ()
            message = "\n".join([error.message, *error.evidence, *(str(each.message) for each in problems)])
            seconds = time.monotonic() - begun
            failed = Result(machine=own, check="up", outcome="failed", message=message, seconds=seconds)
            return Run(results=(failed,), came_up=False)
        finally:
            if not keep:
                engine.down(ref, labelled, volumes=True, images=False)

    with ThreadPoolExecutor(at_once) as pool:
        running = {called: pool.submit(one, called) for called in trials}
        try:
            left: Collection[Future[Run]] = running.values()
            while left:
                # A signal may reach another thread; this one sees it when it wakes.
                ended, left = wait(left, timeout=MOMENT, return_when=FIRST_EXCEPTION)
                for each in ended:
                    each.result()
            return {called: each.result() for called, each in running.items()}
        except BaseException:
            # What is up is taken down; nothing more is begun.
            interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _up_again(
    own: str, environment: Environment, backend: str, progress: Progress, *, timeout: float, offline: bool
) -> Result:
    """Bring up what is up already, and check that nothing changes."""
    begun = time.monotonic()
    plan = engine.up(environment, backend, progress, rebuild=False, timeout=timeout, offline=offline)
    lines = [f"{action}: {name}" for name, action in plan.actions.items() if action not in ("none", "wait")]
    return Result(
        machine=own,
        check=IDEMPOTENT,
        outcome="failed" if plan.changes else "passed",
        message="\n".join([f"a second {command('up')} changed what was up:", *lines]) if plan.changes else "",
        seconds=time.monotonic() - begun,
    )


def lock_of(project: Path, own: str) -> Path:
    """Held for a whole test: two of one environment would take each other's down."""
    folder = resources.cache() / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    known_by = hashlib.sha256(f"{project}\0{own}".encode()).hexdigest()[:16]
    return folder / f"{known_by}.lock"


def _last_run(trials: Mapping[str, Trial], own: str) -> Path:
    """The record of what became of a spec's environments."""
    from provision import spec

    project = spec.project_of(next(iter(trials.values())).request.spec)
    return lock_of(project, own).with_suffix(".json")


def claim(state_dir: StateDir) -> None:
    """Mark an environment as one of a test, before anything of it is made."""
    state_dir.make()
    (state_dir.folder / MARK).touch()


def is_ours(state_dir: StateDir) -> bool:
    """Whether an environment was claimed."""
    return (state_dir.folder / MARK).exists()


def take_down(ref: engine.EnvironmentRef, progress: Progress) -> None:
    """Remove what exists of a test's environment, except images and disks."""
    if is_ours(ref.state_dir):
        engine.down(ref, progress, volumes=True, images=False)


def require_ours(name: str, state_dir: StateDir, verb: str = "test") -> None:
    """Raise UsageError if a person made the environment that this verb would take down."""
    if state_dir.rendering.exists() and not is_ours(state_dir):
        raise UsageError(
            f"the environment {name} is not from {command(verb)}, and a {verb} would remove it",
            hint=f"choose another name: {command(verb, '--name', 'NAME')} uses NAME-{verb}",
        )


def with_free_ports(environment: Environment) -> Environment:
    """The environment on ports of the host that are free when it comes up."""

    def once(machine: Machine) -> tuple[Port, ...]:
        free = [replace(port, host=None) for port in machine.ports]
        return tuple({(port.guest, port.protocol, port.address): port for port in free}.values())

    machines = tuple(replace(machine, ports=once(machine)) for machine in environment.machines)
    return replace(environment, machines=machines)
