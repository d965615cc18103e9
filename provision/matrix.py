"""`provision test`: brings a spec up in every backend and variation, verifies, compares, removes it.

They have names and ports of their own: what the spec's own environment has is not touched.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provision import backends, engine, resources
from provision.comparison import Side, compare_sides, inventories_of
from provision.errors import ProvisionError, SpecError, UsageError
from provision.hints import command
from provision.lock import hold
from provision.model import Result
from provision.progress import Labelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.comparison import Comparison
    from provision.engine import Request
    from provision.inventory.model import Inventory
    from provision.model import Environment, Machine, Port
    from provision.progress import Progress
    from provision.state import StateDir

IDEMPOTENT = "second up changes nothing"
LONGEST_NAME = 41
MARK = "trial"  # the file by which an environment is known for one of ours, whatever became of its test


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of one environment that was tried; `inventories` of its machines where it came up."""

    results: tuple[Result, ...]
    inventories: Mapping[str, Inventory] | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One environment to try: the request for its spec, and the name that it has meanwhile.

    Its machine keeps the name that it has in the spec's own environment.
    """

    request: Request
    name: str

    def load(self) -> Environment:
        """The environment, on ports of the host that are free when it comes up."""
        return replace(_with_free_ports(engine.load(self.request)), name=self.name)

    def resolve(self) -> engine.EnvironmentRef:
        """The environment by its name."""
        return engine.resolve(replace(self.request, name=self.name))


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
        request = replace(
            request,
            backend=each.backend,
            base=each.base,
            settings={**request.settings, **dict(each.settings)},
        )
        made[str(each)] = Trial(request=request, name=name_of(name, number))
    return name, made


def name_of(name: str, number: int | None = None, end: str = "-test") -> str:
    """What the environment `name` is called while it is tried; one of several has a number."""
    end = end if number is None else f"{end}-{number}"
    return name[: LONGEST_NAME - len(end)].rstrip("-") + end


def run(
    own: str,
    trials: Mapping[str, Trial],
    progress: Progress,
    *,
    keep: bool,
    timeout: float,
    offline: bool,
    inventories: bool,
) -> Mapping[str, Run]:
    """Bring environments up, in several backends at the same time, verify each, take them down.

    What an earlier test that was killed has left is taken down first. Another test of the
    same environment is waited for.

    Args:
        own: the name of the spec's environment.
        trials: what is tried, by how it is called; those of one backend come one by one.
        progress: told what happens, each line with its environment's name.
        keep: leave them up.
        timeout: seconds for each to become ready.
        offline: fail at once where something would have to be fetched.
        inventories: take those of the machines, for `compared`.

    Returns:
        what became of each; one that did not come up has a failed result that says why.

    Raises:
        UsageError: a person has an environment of such a name.
    """
    environments = {called: trial.load() for called, trial in trials.items()}
    project = next(iter(environments.values())).project
    with hold(lock_of(project, own), progress, holder=lambda: f"another {command('test')} of {own}"):
        for trial in trials.values():
            require_ours(trial.name, trial.resolve().state_dir)
        return _run(
            own, trials, environments, progress,
            keep=keep, timeout=timeout, offline=offline, inventories=inventories,
        )  # fmt: skip


def compared(trials: Mapping[str, Trial], runs: Mapping[str, Run]) -> tuple[Comparison, ...]:
    """How the forms of each variation differ, where it came up in several backends."""
    groups: dict[tuple[str | None, tuple[tuple[str, str], ...]], list[Side]] = {}
    for called, trial in trials.items():
        found = runs[called].inventories
        if found is not None:
            key = (trial.request.base, tuple(sorted(trial.request.settings.items())))
            groups.setdefault(key, []).append(Side(name=called, inventories=found))
    return tuple(
        compare_sides(trials[sides[0].name].name, sides[0], other)
        for sides in groups.values()
        for other in sides[1:]
    )


def _run(
    own: str,
    trials: Mapping[str, Trial],
    environments: Mapping[str, Environment],
    progress: Progress,
    *,
    keep: bool,
    timeout: float,
    offline: bool,
    inventories: bool,
) -> Mapping[str, Run]:
    verifying = threading.Lock()  # a user's pytest files run in this process
    interrupted = threading.Event()

    def one(called: str) -> Run:
        trial, environment, backend = trials[called], environments[called], trials[called].request.backend
        said = Labelled(progress, called)
        begun = time.monotonic()
        ref = trial.resolve()
        try:
            if (ref.state_dir.folder / MARK).exists():
                engine.down(ref, said, volumes=True, images=False)
            ref.state_dir.make()
            (ref.state_dir.folder / MARK).touch()
            engine.up(environment, backend, said, rebuild=False, timeout=timeout, offline=offline)
            with verifying:
                results = engine.verify(environment, backend, progress=said)
            again = _up_again(own, environment, backend, said, timeout=timeout, offline=offline)
            if not inventories:
                return Run(results=(*results, again))
            with said.step("taking the inventory"):
                found = inventories_of(environment, backend, environment.machines)
            return Run(results=(*results, again), inventories=found)
        except ProvisionError as error:
            problems = error.problems if isinstance(error, SpecError) else ()
            message = "\n".join([error.message, *error.evidence, *(str(each.message) for each in problems)])
            seconds = time.monotonic() - begun
            failed = Result(machine=own, check="up", outcome="failed", message=message, seconds=seconds)
            return Run(results=(failed,))
        finally:
            if not keep:
                engine.down(ref, said, volumes=True, images=False)

    def in_turn(names: Sequence[str]) -> Mapping[str, Run]:
        return {called: one(called) for called in names if not interrupted.is_set()}

    groups: dict[str, list[str]] = {}
    for called, trial in trials.items():
        groups.setdefault(trial.request.backend, []).append(called)
    with ThreadPoolExecutor(len(groups)) as pool:
        running = [pool.submit(in_turn, names) for names in groups.values()]
        try:
            found = [pair for each in running for pair in each.result().items()]
        except BaseException:
            interrupted.set()  # what is up is taken down; nothing more is begun
            raise
    return {called: dict(found)[called] for called in trials}


def _up_again(
    own: str, environment: Environment, backend: str, progress: Progress, *, timeout: float, offline: bool
) -> Result:
    """Bring up what is up already: whether that leaves everything as it is."""
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


def require_ours(name: str, state_dir: StateDir, verb: str = "test") -> None:
    """Raise UsageError where a person made the environment that this verb would take down."""
    if state_dir.rendering.exists() and not (state_dir.folder / MARK).exists():
        raise UsageError(
            f"the environment {name} is not from {command(verb)}, and a {verb} would remove it",
            hint=f"choose another name: {command(verb, '--name', 'NAME')} uses NAME-{verb}",
        )


def _with_free_ports(environment: Environment) -> Environment:
    """The environment on ports of the host that are free when it comes up."""

    def once(machine: Machine) -> tuple[Port, ...]:
        free = [replace(port, host=None) for port in machine.ports]
        return tuple({(port.guest, port.protocol, port.address): port for port in free}.values())

    machines = tuple(replace(machine, ports=once(machine)) for machine in environment.machines)
    return replace(environment, machines=machines)
