"""`provision lock`: makes a spec's machines under names of their own, and locks what is in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import __version__, backends, engine, lockfile
from provision.backends.machines import side_by_side
from provision.bases.image import provenance
from provision.bases.root import archive_time, can_make
from provision.errors import HostLacks, ProvisionError, UsageError
from provision.fetch_errors import FetchFailed
from provision.hints import command
from provision.installed import read_installed
from provision.lock import hold
from provision.lockfile import BaseLock
from provision.lockfile.merge import KERNEL, Take, changes, dropped, empty, merge, released
from provision.matrix import claim, lock_of, name_of, require_ours, take_down, variations, with_free_ports
from provision.progress import Labelled
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from provision.engine import Request
    from provision.lockfile import Lock
    from provision.matrix import Trial
    from provision.model import Base, Environment, Machine
    from provision.progress import Progress

END = "-lock"


@dataclass(frozen=True, kw_only=True)
class Locked:
    """What became of a lock: its file, what changed in it, what a person should know."""

    path: Path
    lock: Lock
    written: bool
    changes: tuple[str, ...]
    notes: tuple[str, ...]


def trials_of(request: Request, names: Sequence[str]) -> Mapping[str, Trial]:
    """What is locked of a spec: it in each backend, on each base of its matrix."""
    return _trials(request, names)[1]


def check(request: Request, names: Sequence[str]) -> tuple[str, ...]:
    """Why the spec needs another lock, a sentence each; nothing where it fits. Makes nothing."""
    request = replace(request, local=False)
    path = lockfile.path_of(request.spec)
    lock = lockfile.load(path)
    if lock is None:
        return (f"there is no lock {path}",)
    reasons: list[str] = []
    wanted: set[tuple[str, str]] = set()
    _, trials, _ = _trials(request, names)
    for trial in trials.values():
        environment = engine.load_unlocked(trial.request, looking=True)
        wanted |= {
            (lockfile.called(environment, each, lock), lockfile.base_key(each.base))
            for each in environment.machines
        }
        reasons += lockfile.misfits(environment, lock)
    for machine, bases in sorted(lock.machines.items()):
        reasons += [
            f"the spec has no machine {machine} on {base}" for base in bases if (machine, base) not in wanted
        ]
    return tuple(dict.fromkeys(reasons))


def require_lock(request: Request) -> Lock:
    """The lock of a spec.

    Raises:
        UsageError: there is none.
    """
    path = lockfile.path_of(request.spec)
    lock = lockfile.load(path)
    if lock is None:
        raise UsageError(f"there is no lock {path}", hint=f"{command('lock')} writes it")
    return lock


def take(
    request: Request,
    names: Sequence[str],
    progress: Progress,
    *,
    upgrade: Collection[str] | None = (),
    timeout: float,
) -> Locked:
    """Make the machines of a spec in several backends, and lock what is installed in them.

    Versions that are locked already are kept where they can be had.

    Args:
        request: which spec; NAME.local.yaml is a person's, so it is not locked.
        names: the backends.
        progress: told what happens.
        upgrade: packages of which newer versions are taken; None: of all, and of the bases.
        timeout: seconds for each to become ready.

    Raises:
        UsageError: a package to upgrade is not locked.
    """
    request = replace(request, local=False, lock="not at all", name=None)
    path = lockfile.path_of(request.spec)
    former = lockfile.load(path) or empty(__version__)
    _require_locked(upgrade, former, path)
    own, trials, notes = _trials(request, names)
    for trial in trials.values():
        engine.load_unlocked(trial.request)  # what is wrong with a spec is said before anything is made
    kept = released(former, upgrade)
    takes: list[Take] = []
    project = engine.load_unlocked(next(iter(trials.values())).request).project
    with hold(
        lock_of(project, f"{own}{END}"), progress, holder=lambda: f"another {command('lock')} of {own}"
    ):
        for called, trial in trials.items():
            current = merge(kept, takes, __version__) if takes else kept
            said = Labelled(progress, called) if len(trials) > 1 else progress
            takes += _of_trial(trial, current, said, file=path.name, upgrade=upgrade, timeout=timeout)
    lock = merge(former, takes, __version__)
    return Locked(
        path=path,
        lock=lock,
        written=lockfile.save(path, lock),
        changes=changes(former, lock),
        notes=(*notes, *dropped(former, lock)),
    )


def _trials(request: Request, names: Sequence[str]) -> tuple[str, Mapping[str, Trial], tuple[str, ...]]:
    """What is made: the spec in each backend, on each base of its matrix; and what is not locked."""
    own, found = variations(request, names)
    base_settings = tuple(sorted(request.settings.items()))
    chosen: dict[str, Trial] = {}
    left: list[str] = []
    seen: set[tuple[str, str | None]] = set()
    numbers: Counter[str] = Counter()
    several = Counter(trial.request.backend for trial in found.values())
    for called, trial in found.items():
        backend, key = trial.request.backend, (trial.request.backend, trial.request.base)
        if trial.variation[1] != base_settings:
            left.append(called)
        if key in seen:
            continue
        seen.add(key)
        numbers[backend] += 1
        number = numbers[backend] if several[backend] > 1 else None
        shown = f"{backend} {trial.request.base}" if trial.request.base else backend
        chosen[shown] = replace(
            trial,
            request=replace(trial.request, settings=request.settings),
            name=name_of(own, number, END),
        )
    notes = [f"not locked, since its variables are another's: {called}" for called in left]
    return own, chosen, tuple(notes)


def _require_locked(upgrade: Collection[str] | None, lock: Lock, path: Path) -> None:
    known = {name for bases in lock.bases.values() for base in bases.values() for name in base.packages}
    unknown = sorted({*(upgrade or ())} - known - {KERNEL})
    if unknown:
        from difflib import get_close_matches

        near = get_close_matches(unknown[0], known, 3)
        raise UsageError(
            f"{path} has no package {unknown[0]}",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else f"{command('lock')} adds what the spec asks for",
        )


def _of_trial(
    trial: Trial,
    current: Lock,
    progress: Progress,
    *,
    file: str,
    upgrade: Collection[str] | None,
    timeout: float,
) -> list[Take]:
    backend, ref = trial.request.backend, trial.resolve()
    asked = engine.load_unlocked(trial.request)
    form, architecture = engine.form_of(replace(asked, name=trial.name), backend)
    held = lockfile.freeze(asked, current, file=file, architecture=architecture, form=form, exact=False)
    environment = replace(with_free_ports(held), name=trial.name)
    require_ours(trial.name, ref.state_dir, "lock")
    try:
        take_down(ref, progress)
        claim(ref.state_dir)
        if upgrade is None:
            _refresh(asked, progress)
        # The builder's caches may hold what was the newest once.
        rebuild = upgrade is None or bool(upgrade)
        engine.up(environment, backend, progress, rebuild=rebuild, timeout=timeout)
        with progress.step("reading what is installed"):
            return _takes(asked, environment, backend, form)
    finally:
        engine.down(ref, progress, volumes=True, images=False)


def _refresh(environment: Environment, progress: Progress) -> None:
    """Have today's images of the bases."""
    from provision.bases.image import refresh_image

    for base in {machine.base.image: machine.base for machine in environment.machines}.values():
        refresh_image(base, progress)


def _takes(asked: Environment, environment: Environment, backend: str, form: str) -> list[Take]:
    acting = backends.find(backend)
    targets = acting.targets(environment.name, engine.state_of(environment, backend))
    bases = {machine.base.image: _base(machine.base) for machine in environment.machines}
    as_asked = {machine.name: machine for machine in asked.machines}

    def one(machine: Machine) -> Take:
        with targets[machine.name] as target:
            installed = read_installed(target, kernel="kernel" in acting.supports(machine))
        base = replace(bases[machine.base.image], image=as_asked[machine.name].base.image)
        return Take(machine=as_asked[machine.name], form=form, installed=installed, base=base)

    return list(side_by_side(one, environment.machines))


def _base(base: Base) -> BaseLock:
    known = provenance(base)
    return BaseLock(
        image=base.image,
        digest=known.digest,
        mirror=known.mirror,
        made=known.made,
        root=known.root,
        date=_archive_date(base),
    )


def _archive_date(base: Base) -> str:
    """When the archive of a base last changed; empty where that cannot be asked."""
    if not can_make(base):
        return ""
    try:
        return f"{archive_time(base):%Y%m%dT%H%M%SZ}"
    except (HostLacks, FetchFailed):
        return ""


def usable(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of the backends that this host can use, and a note on each of the others.

    Raises:
        HostLacks: it can use none.
    """
    found, notes = [], []
    for name in names:
        acting = backends.find(name)
        try:
            works = acting.is_usable(acting.examine())
        except ProvisionError:
            works = False
        if works:
            found.append(name)
        else:
            notes.append(
                f"{name} is not usable on this host, so it is not locked: `provision doctor -b {name}`"
            )
    if not found:
        raise HostLacks(
            "no backend is usable on this host", evidence=notes, hint="`provision doctor` says why"
        )
    return tuple(found), tuple(notes)
