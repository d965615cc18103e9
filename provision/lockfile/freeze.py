"""Environment and lock → the environment with its versions pinned, and where the lock does not fit; pure."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING

from provision.lockfile.needs import asks_of, base_key, repositories_of
from provision.model import PackageLock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from provision.lockfile.model import BaseLock, Lock
    from provision.model import Base, Environment, Machine

# What `uname -m` and Python say, as Debian says it; all else is called the same.
_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "ARM64": "arm64", "i686": "i386"}


def architecture(name: str | None = None) -> str:
    """This host's architecture, or the named one, as Debian says it."""
    name = name or platform.machine()
    return _ARCHITECTURES.get(name, name)


def misfits(
    environment: Environment, lock: Lock, *, architecture: str | None = None, form: str | None = None
) -> tuple[str, ...]:
    """Why a lock is not for an environment, a sentence each.

    Args:
        environment: of the spec, in one backend.
        lock: as it was read.
        architecture: of the machines; None does not ask whether it is locked for that.
        form: of them, `docker` or `vm-qemu`; None does not ask.
    """
    return tuple(
        dict.fromkeys(
            reason
            for machine in environment.machines
            for reason in _misfits(machine, called(environment, machine, lock), lock, architecture, form)
        )
    )


def called(environment: Environment, machine: Machine, lock: Lock) -> str:
    """What a machine is called in a lock: a single one as its spec, whatever `--name` says."""
    if not environment.several and machine.group not in lock.machines and len(lock.machines) == 1:
        return next(iter(lock.machines))
    return machine.group


def _misfits(
    machine: Machine, name: str, lock: Lock, architecture: str | None, form: str | None
) -> Iterator[str]:
    base = base_key(machine.base)
    bases = lock.machines.get(name)
    if bases is None:
        yield f"machine {name} is not locked"
        return
    locked = bases.get(base)
    if locked is None:
        yield f"machine {name} is locked on {', '.join(sorted(bases))}, not on {base}"
        return
    asks = asks_of(machine)
    yield from (f"machine {name} asks for {each}" for each in asks if each not in locked.asks)
    yield from (f"machine {name} no longer asks for {each}" for each in locked.asks if each not in asks)
    if repositories_of(machine) != locked.repositories:
        yield f"the repositories of machine {name} changed"
    if architecture is None or form is None:
        return
    forms = locked.installed.get(architecture)
    if not forms or architecture not in lock.bases.get(base, {}):
        there = ", ".join(sorted(locked.installed)) or "no architecture"
        yield f"machine {name} is locked for {there}, not for {architecture}"
    elif form not in forms:
        yield f"machine {name} is locked as {', '.join(sorted(forms))}, not as {form}"


def freeze(
    environment: Environment,
    lock: Lock,
    *,
    file: str,
    architecture: str,
    form: str,
    exact: bool,
    free: Collection[str] | None = (),
) -> Environment:
    """The environment with the lock's versions.

    Args:
        environment: of the spec.
        lock: as it was read.
        file: the lock's name, for messages.
        architecture: of the machines.
        form: of them.
        exact: the lock fits, so nothing that is not in it may be installed.
        free: packages whose versions are not held; None frees all, and the bases too.
    """
    if free is None:
        return environment

    def one(machine: Machine) -> Machine:
        base = lock.bases.get(base_key(machine.base), {}).get(architecture)
        if base is None:
            return machine
        name = called(environment, machine, lock)
        locked = lock.machines.get(name, {}).get(base_key(machine.base))
        own = {_name(package.name, package.architecture) for package in machine.packages if package.version}
        held = base.versions(name)
        if not exact:  # what the spec says wins
            held = {name: version for name, version in held.items() if name not in {*free, *own}}
        installed = locked.installed.get(architecture, {}).get(form, "") if locked else ""
        return replace(
            machine,
            base=pinned_base(machine.base, base),
            lock=PackageLock(
                file=file,
                versions=held,
                exact=exact,
                dates=tuple(sorted({each for each in (base.date, base.made) if each}, reverse=True)),
                kernel=base.kernels[form].release if form in base.kernels else "",
                installed=installed if exact else "",
            ),
        )

    return replace(environment, machines=tuple(map(one, environment.machines)))


def pinned_base(base: Base, locked: BaseLock) -> Base:
    """The base by the digest of the image that was pulled; one that was made keeps its name."""
    if not locked.digest or "@" in base.image:
        return base
    repository, colon, tag = base.image.rpartition(":")
    name = repository if colon and "/" not in tag else base.image
    return replace(base, image=f"{name}@{locked.digest}")


def _name(name: str, architecture: str | None) -> str:
    return f"{name}:{architecture}" if architecture else name
