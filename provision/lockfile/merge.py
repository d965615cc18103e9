"""What machines told, merged into a lock; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed
from provision.lockfile.model import BaseLock, Lock, MachineLock, fingerprint
from provision.lockfile.needs import asks_of, base_key, repositories_of
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from provision.lockfile.model import Installed
    from provision.model import Machine

    Packages = Mapping[str, str | Mapping[str, tuple[str, ...]]]


KERNEL = "kernel"  # what frees the kernels, beside packages


@dataclass(frozen=True, kw_only=True)
class Take:
    """One machine as it was made: what the spec says of it, what it told, where its base is from."""

    machine: Machine
    form: str
    installed: Installed
    base: BaseLock


def empty(tool: str) -> Lock:
    """A lock of nothing."""
    return Lock(tool=tool, machines={}, bases={})


def released(lock: Lock, packages: Collection[str] | None) -> Lock:
    """The lock without these packages, so that others may take their place; None: without anything."""
    if packages is None:
        return empty(lock.tool)

    def one(base: BaseLock) -> BaseLock:
        kept = {name: version for name, version in base.packages.items() if name not in packages}
        return replace(base, packages=kept, kernels={} if KERNEL in packages else base.kernels)

    bases = {
        name: {architecture: one(base) for architecture, base in architectures.items()}
        for name, architectures in lock.bases.items()
    }
    return replace(lock, bases=bases)


def merge(former: Lock, takes: Sequence[Take], tool: str) -> Lock:
    """The lock after machines were made: what they have, and what it has of forms that were not made.

    Another architecture stays while a machine asks for the same. Another form stays while no
    version changed that it has too. What machines no longer have goes, as do machines that are not
    among `takes`.

    Raises:
        EnvironmentFailed: one machine has a package in two versions in two forms.
    """
    groups: dict[tuple[str, str], list[Take]] = {}
    for take in takes:
        groups.setdefault((take.machine.group, base_key(take.machine.base)), []).append(take)
    _refuse_two_versions(groups)
    unchanged = {
        (base, architecture)
        for base, architecture in {
            (key[1], take.installed.architecture) for key, g in groups.items() for take in g
        }
        if not _changes(former, takes, base, architecture)
    }
    machines: dict[str, dict[str, MachineLock]] = {}
    for (name, base), those in groups.items():
        known = former.machines.get(name, {}).get(base)
        machines.setdefault(name, {})[base] = _machine(known, those, unchanged, base)
    bases: dict[str, dict[str, BaseLock]] = {}
    for base in sorted({key[1] for key in groups}):
        architectures = {
            architecture
            for bases_of in machines.values()
            if base in bases_of
            for architecture in bases_of[base].installed
        }
        for architecture in sorted(architectures):
            own = [
                t
                for t in takes
                if base_key(t.machine.base) == base and t.installed.architecture == architecture
            ]
            known_base = former.bases.get(base, {}).get(architecture)
            if not own and known_base:
                bases.setdefault(base, {})[architecture] = known_base
            elif own:
                others = _others(machines, base, architecture, own)
                bases.setdefault(base, {})[architecture] = _base(known_base, own, others=others)
    lock = Lock(tool=tool, machines=machines, bases=bases)
    return former if replace(lock, tool=former.tool) == former else lock


def dropped(former: Lock, lock: Lock) -> tuple[str, ...]:
    """The forms that were locked and are no longer, of machines that are still there, in words."""
    found = []
    for name, bases in sorted(former.machines.items()):
        for base, known in sorted(bases.items()):
            now = lock.machines.get(name, {}).get(base)
            for architecture, forms in sorted(known.installed.items()):
                left = now.installed.get(architecture, {}) if now else {}
                found += [
                    f"{name} on {base}, {architecture}, as {form} is no longer locked: lock it there again"
                    for form in sorted(forms)
                    if now and form not in left
                ]
    return tuple(found)


def changes(former: Lock, lock: Lock) -> tuple[str, ...]:
    """What became of the packages, a line each, sorted: `jq 1.6 → 1.7`."""
    found = []
    for base, architectures in sorted(lock.bases.items()):
        for architecture, now in sorted(architectures.items()):
            was = former.bases.get(base, {}).get(architecture)
            if was is None:
                found.append(f"{base}, {architecture}: {len(now.packages)} packages")
                continue
            found += _package_changes(was.packages, now.packages)
            found += [
                f"the kernel of {form} {was.kernels[form].release} → {kernel.release}"
                for form, kernel in sorted(now.kernels.items())
                if form in was.kernels and was.kernels[form] != kernel
            ]
            if (was.digest, was.root) != (now.digest, now.root):
                found.append(f"the image of {base} changed")
    return tuple(found)


def _package_changes(was: Packages, now: Packages) -> Iterator[str]:
    for name in sorted({*was, *now}):
        one, other = _words(was.get(name)), _words(now.get(name))
        if one != other:
            yield (
                f"{name} {one} → {other}"
                if one and other
                else f"{name} {other} added"
                if other
                else (f"{name} {one} removed")
            )


def _words(version: str | Mapping[str, tuple[str, ...]] | None) -> str:
    return version if isinstance(version, str) else ", ".join(sorted(version or ()))


def _refuse_two_versions(groups: Mapping[tuple[str, str], Sequence[Take]]) -> None:
    for (name, _), those in groups.items():
        seen: dict[tuple[str, str], tuple[str, str]] = {}
        for take in those:
            for package, version in take.installed.packages.items():
                key = (take.installed.architecture, package)
                first = seen.setdefault(key, (version, take.form))
                if first[0] != version:
                    raise EnvironmentFailed(
                        f"machine {name} has {package} in two versions",
                        evidence=[f"{first[1]}: {first[0]}", f"{take.form}: {version}"],
                        hint=f"pin it in the spec: `packages: [{package}={first[0]}]`",
                    )


def _changes(former: Lock, takes: Sequence[Take], base: str, architecture: str) -> bool:
    """Whether a version of a package changed that was locked."""
    known = former.bases.get(base, {}).get(architecture)
    return known is not None and any(
        known.versions(take.machine.group).get(name, version) != version
        for take in takes
        if (base_key(take.machine.base), take.installed.architecture) == (base, architecture)
        for name, version in take.installed.packages.items()
    )


def _machine(
    known: MachineLock | None, those: Sequence[Take], unchanged: Collection[tuple[str, str]], base: str
) -> MachineLock:
    machine = those[0].machine
    asks, repositories = asks_of(machine), repositories_of(machine)
    installed: dict[str, dict[str, str]] = {}
    if known and (known.asks, known.repositories) == (asks, repositories):
        taken = {take.installed.architecture for take in those}
        for architecture, forms in known.installed.items():
            if architecture not in taken or (base, architecture) in unchanged:
                installed[architecture] = dict(forms)
    for take in those:
        own = installed.setdefault(take.installed.architecture, {})
        own[take.form] = fingerprint(take.installed.packages)
    return MachineLock(asks=asks, repositories=repositories, installed=installed)


def _others(
    machines: Mapping[str, Mapping[str, MachineLock]], base: str, architecture: str, own: Sequence[Take]
) -> bool:
    """Whether forms are still locked that were not made now: their packages are kept."""
    made = {(take.machine.group, take.form) for take in own}
    return any(
        (name, form) not in made
        for name, bases in machines.items()
        if base in bases
        for form in bases[base].installed.get(architecture, {})
    )


def _base(known: BaseLock | None, own: Sequence[Take], *, others: bool) -> BaseLock:
    found: dict[str, dict[str, set[str]]] = {}
    if known and others:
        every = {take.machine.group for take in own}
        for name, version in known.packages.items():
            versions = {version: every} if isinstance(version, str) else version
            found[name] = {each: set(groups) for each, groups in versions.items()}
    for take in own:
        for name, version in take.installed.packages.items():
            found.setdefault(name, {}).setdefault(version, set()).add(take.machine.group)
    packages: dict[str, str | Mapping[str, tuple[str, ...]]] = {
        name: next(iter(versions))
        if len(versions) == 1
        else {version: tuple(sorted(groups)) for version, groups in sorted(versions.items())}
        for name, versions in sorted(found.items())
    }
    kernels = dict(known.kernels) if known and others else {}
    kernels |= {take.form: take.installed.kernel for take in own if take.installed.kernel}
    first = own[0].base
    date = known.date if known and known.date and known.packages == packages else first.date
    return replace(first, packages=packages, date=date, kernels=kernels)
