"""What nobody needs any more on this host, and what goes where caches have a limit."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from provision import backends, engine, leftovers, spec
from provision.backends.base import KeepsCaches, Weighs
from provision.engine import EnvironmentRef
from provision.errors import HostLacks, ProvisionError
from provision.hints import command
from provision.quick_dataclasses import dataclass
from provision.spec.quantities import shown_size
from provision.state import is_gone, known_environments, state_folders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from provision.backends.base import Backend, Cached, Remains
    from provision.progress import Progress
    from provision.state import KnownEnvironment

GRACE = 600.0  # seconds for which what was just made or used stays: an `up` may be about to start from it
RUNS = ("running", "starting", "unhealthy", "paused", "not answering")


@dataclass(frozen=True, kw_only=True)
class GoneEnvironment:
    """An environment in one backend whose project folder was removed; `size` in bytes, if it is known."""

    ref: EnvironmentRef
    remains: Remains
    size: int | None


@dataclass(frozen=True, kw_only=True)
class Unneeded:
    """Something cached that may go, and why."""

    backend: str
    cached: Cached
    reason: str


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A file or folder that a killed command left; `size` in bytes."""

    kind: str
    path: Path
    size: int


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """What `gc` would remove; `notes` say what it leaves although it looks unneeded."""

    environments: tuple[GoneEnvironment, ...] = ()
    cached: tuple[Unneeded, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many things."""
        return len(self.environments) + len(self.cached) + len(self.leftovers)

    @property
    def size(self) -> int:
        """The bytes of all whose size is known."""
        return (
            sum(each.size or 0 for each in self.environments)
            + sum(each.cached.size for each in self.cached)
            + sum(each.size for each in self.leftovers)
        )


def choose(
    cached: Sequence[Cached], *, now: float, limit: int | None, unrecorded: bool = False
) -> tuple[tuple[Cached, str], ...]:
    """What of the caches may go, each with the reason; pure.

    What a machine is made of stays, and so does what was used a moment ago. Of the rest goes
    what no environment needs, then, while all of it takes more than the limit, the oldest.

    Args:
        cached: all that there is.
        now: seconds since the epoch.
        limit: bytes, None for none.
        unrecorded: also what no environment known to this user ever had.
    """
    settled = [each for each in cached if not each.in_use and now - each.used > GRACE]
    unneeded = [each for each in settled if not each.needed_by and (each.recorded or unrecorded)]
    going = [
        (each, "no environment needs it" if each.recorded else "no environment known here has had it")
        for each in unneeded
    ]
    if limit is None:
        return tuple(going)
    staying = [each for each in cached if each.recorded and each not in unneeded]
    total = sum(each.size for each in staying)
    for each in sorted((each for each in settled if each in staying), key=lambda one: one.used):
        if total <= limit:
            break
        going.append((each, "the caches are over their limit"))
        total -= each.size
    return tuple(going)


def find_garbage(*, unrecorded: bool = False) -> Garbage:
    """What `gc` would remove; changes nothing.

    An environment counts as gone if its record is in this state folder and its project folder
    was removed. Environments that are recorded in other state folders keep what they need.

    Raises:
        SpecError: the limit in the person's configuration is wrong.
    """
    limit = spec.cache_limit(os.environ)
    notes: list[str] = []
    gone = tuple(_gone(notes))
    there, removed = _environments()
    names = {name.rpartition(" ")[2] for each in gone for name in each.remains.built}
    unneeded: list[Unneeded] = []
    files: list[Leftover] = []
    caches: list[tuple[str, Cached]] = []
    for name in backends.names():
        backend = backends.find(name)
        if not isinstance(backend, KeepsCaches):
            continue
        try:
            caches += [(name, each) for each in backend.cached(there, removed) if each.name not in names]
        except HostLacks as error:
            notes.append(f"what {name} keeps was not looked at: {error.message}")
        files += [_leftover("half-made", path) for path in backend.half_made()]
    found = choose([each for _, each in caches], now=time.time(), limit=limit, unrecorded=unrecorded)
    owners = {id(each): name for name, each in caches}
    unneeded = [Unneeded(backend=owners[id(each)], cached=each, reason=why) for each, why in found]
    files += [_leftover("dead socket", path) for path in leftovers.dead_sockets()]
    files += [_leftover("build folder", path) for path in leftovers.build_folders()]
    unknown = [each for _, each in caches if not each.recorded and not each.in_use]
    if unknown and not unrecorded:
        total = shown_size(sum(each.size for each in unknown))
        notes.append(
            f"{len(unknown)} images ({total}) were built by provision, for environments that are not"
            " recorded here: `provision gc --all` lists them too"
        )
    return Garbage(environments=gone, cached=tuple(unneeded), leftovers=tuple(files), notes=tuple(notes))


def _gone(notes: list[str]) -> Iterator[GoneEnvironment]:
    """Those of this state folder whose project was removed; of one that runs only a note."""
    for known in known_environments():
        if known.record is None:
            notes.append(
                f"{known.name}-{known.id} stays, for its record is damaged:"
                f" {command('down', known.id)} removes it"
            )
            continue
        state_dirs = {name: known.state_dir(name) for name in known.backends if name in backends.names()}
        project = next((each.project for each in state_dirs.values()), None)
        if project is None or not is_gone(project):
            continue
        for name, state_dir in state_dirs.items():
            backend = backends.find(name)
            if state_dir.host != backends.host_of(backend):
                where = state_dir.address or "this host"
                notes.append(f"{known.name}-{known.id} stays in {name}: it is on {where}")
                continue
            try:
                remains = backend.remains(state_dir)
            except ProvisionError as error:
                notes.append(f"{known.name}-{known.id} stays in {name}: {error.message}")
                continue
            running = [machine for machine, state in remains.machines.items() if state in RUNS]
            if running:
                words = f"{command('down', known.id)} --volumes --images"
                notes.append(
                    f"{known.name}-{known.id} runs in {name}, though its folder {project} is gone:"
                    f" {words} removes it"
                )
                continue
            ref = EnvironmentRef(name=known.name, backend=backend, state_dir=state_dir)
            yield GoneEnvironment(ref=ref, remains=remains, size=_size(ref))


def _size(ref: EnvironmentRef) -> int | None:
    if not isinstance(ref.backend, Weighs):
        return None
    try:
        return ref.backend.environment_usage([ref.state_dir])[ref.state_dir.id].disk
    except ProvisionError:
        return None


def _environments() -> tuple[list[KnownEnvironment], list[KnownEnvironment]]:
    """Those that keep what they need, and those of this state folder whose project was removed.

    Those of other state folders keep all of it: whether they are gone is said there.
    """
    from pathlib import Path

    from provision.resources import state

    there: list[KnownEnvironment] = []
    gone: list[KnownEnvironment] = []
    for folder in state_folders():
        for known in known_environments(folder):
            removed = folder == state() and known.record is not None and is_gone(Path(known.record.project))
            (gone if removed else there).append(known)
    return there, gone


def _leftover(kind: str, path: Path) -> Leftover:
    return Leftover(kind=kind, path=path, size=leftovers.size(path))


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was removed, and in words what could not be."""

    count: int
    failed: tuple[str, ...]


def collect(garbage: Garbage, progress: Progress) -> Collected:
    """Remove exactly what was found; what is needed again by now stays."""
    done, failed = 0, []
    for gone in garbage.environments:
        project = gone.ref.state_dir.project
        if project is not None and not is_gone(project):
            continue  # it came back
        try:
            engine.down(gone.ref, progress, volumes=True, images=True)
            done += 1
        except ProvisionError as error:
            failed.append(f"{gone.ref.state_dir.unique_name}: {error.message}")
    for name in dict.fromkeys(each.backend for each in garbage.cached):
        going = [each.cached for each in garbage.cached if each.backend == name]
        backend = backends.find(name)
        left = _discard(backend, going, progress)
        failed += [f"{each.kind} {each.name} is still there: something uses it" for each in left]
        done += len(going) - len(left)
    for leftover in garbage.leftovers:
        if leftovers.remove(leftover.path):
            done += 1
        else:
            failed.append(f"{leftover.path} cannot be removed: check who owns it")
    return Collected(count=done, failed=tuple(failed))


def _discard(backend: Backend[Any], going: Sequence[Cached], progress: Progress) -> list[Cached]:
    """Remove cached things; those that are still there."""
    assert isinstance(backend, KeepsCaches)  # noqa: S101 - they were found in it
    with progress.step(f"removing what {backend.name} keeps and nobody needs"):
        backend.discard(going)
    there, gone = _environments()
    names = {each.name for each in backend.cached(there, gone)}
    return [each for each in going if each.name in names]


def keep_limit(progress: Progress) -> None:
    """Remove the oldest of the caches that nothing is made of, where they are over the person's limit."""
    limit = spec.cache_limit(os.environ)
    if limit is None:
        return
    there, gone = _environments()
    caches: list[tuple[Backend[Any], Cached]] = []
    for name in backends.names():
        backend = backends.find(name)
        if isinstance(backend, KeepsCaches):
            try:
                caches += [(backend, each) for each in backend.cached(there, gone)]
            except ProvisionError:
                continue  # an engine that this environment does not need
    chosen = choose([each for _, each in caches], now=time.time(), limit=limit)
    if sum(each.size for _, each in caches if each.recorded) <= limit:
        return
    going = {id(each) for each, _ in chosen}
    for acting in dict.fromkeys(backend.name for backend, _ in caches):
        own = [each for backend, each in caches if backend.name == acting and id(each) in going]
        if own:
            left = _discard(backends.find(acting), own, progress)
            freed = shown_size(sum(each.size for each in own if each not in left))
            progress.note(f"the caches were over {shown_size(limit)}: removed {len(own) - len(left)}"
                          f" that nothing uses ({freed})")  # fmt: skip
