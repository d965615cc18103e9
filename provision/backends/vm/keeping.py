"""What this host keeps of virtual machines: what they take, and disks and boxes for their next start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provision.backends.base import Cached, EnvironmentUsage
from provision.backends.vm import drivers
from provision.backends.vm.driver import MakesArtifacts, Measurable
from provision.leftovers import size as taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from provision.backends.vm.image.store import ArtifactStore
    from provision.state import KnownEnvironment, StateDir

VM = "vm"
_OF_AN_IMAGE = re.compile(r"[0-9a-f]{32}")
_OF_A_BASE = re.compile(r"(?:base-)?(?P<base>.+)-[0-9a-f]{8,64}(?:\.box)?")


def environment_usage(state_dirs: Sequence[StateDir]) -> Mapping[str, EnvironmentUsage]:
    """What environments take, by their id: their folder, and disks that only they use; of QEMU all of it."""
    users: dict[str, set[str]] = {}
    for each in state_dirs:
        for driver in _makers():
            for name in driver.artifacts(each):
                users.setdefault(name, set()).add(each.id)
    found = {}
    for each in state_dirs:
        own = sum(
            taken(driver.store.folder / name)
            for driver in _makers()
            for name in driver.artifacts(each)
            if users[name] == {each.id}
        )
        found[each.id] = EnvironmentUsage(processes=_processes(each), disk=taken(each.folder) + own)
    return found


def _processes(state_dir: StateDir) -> tuple[int, ...]:
    for driver in map(drivers.find, drivers.names()):
        if isinstance(driver, Measurable) and driver.machines(state_dir):
            return driver.footprint(state_dir).processes or ()
    return ()


def cached(environments: Sequence[KnownEnvironment]) -> tuple[Cached, ...]:
    """Disks and boxes in the cache folder: those of images, those of bases.

    Args:
        environments: those whose project is there: they need what their machines are made of.
    """
    needed: dict[str, list[str]] = {}
    for each in environments:
        state_dir = each.state_dir(VM)
        for driver in _makers():
            for name in driver.artifacts(state_dir):
                needed.setdefault(name, []).append(state_dir.unique_name)
    return tuple(found for store in _stores() for found in _of_store(store, needed))


def discard(artifacts: Sequence[Cached]) -> None:
    """Remove them, and the hypervisors' copies of boxes."""
    names = {each.name for each in artifacts}
    for store in _stores():
        for path in _kept(store.folder):
            if path.name not in names:
                continue
            for driver in _makers():
                if driver.store is store:
                    driver.forget_artifact(store.get(path.name))
            if path.is_file():
                path.unlink(missing_ok=True)
            else:
                store.get(path.name).release(path / "nobody")


def _of_store(store: ArtifactStore, needed: Mapping[str, Sequence[str]]) -> Iterator[Cached]:
    newest: dict[str, str] = {}
    kept = sorted(_kept(store.folder), key=_used)
    for path in kept:
        if match := _OF_A_BASE.fullmatch(path.name):
            newest[match["base"]] = path.name
    for path in kept:
        match = _OF_A_BASE.fullmatch(path.name)
        # One of a base is for every environment; a newer one of the same base supersedes it.
        serves = ("any environment",) if match and newest[match["base"]] == path.name else ()
        yield Cached(
            kind=store.kind,
            name=path.name,
            size=taken(path),
            used=_used(path),
            in_use=store.get(path.name).claimed,
            needed_by=(*needed.get(path.name, ()), *serves),
        )


def _kept(folder: Path) -> Iterator[Path]:
    """What is whole in a store's folder."""
    for path in folder.glob("*"):
        whole = path.is_dir() or path.suffix == ".box"
        if whole and (_OF_AN_IMAGE.fullmatch(path.name) or _OF_A_BASE.fullmatch(path.name)):
            yield path


def _used(path: Path) -> float:
    """When it was last claimed, or made."""
    return max((each.lstat().st_mtime for each in (path, path / "users") if each.exists()), default=0.0)


def half_made() -> tuple[Path, ...]:
    """What builds left half-made that nobody goes on with."""
    return tuple(path for store in _stores() for path in store.half_made())


def _makers() -> tuple[MakesArtifacts, ...]:
    found = map(drivers.find, drivers.names())
    return tuple(driver for driver in found if isinstance(driver, MakesArtifacts))


def _stores() -> tuple[ArtifactStore, ...]:
    return tuple({driver.store.within: driver.store for driver in _makers()}.values())
