"""Inventories of running machines, and how two differ: `provision inventory` and `diff`."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provision import backends, engine, inventory
from provision.backends.machines import side_by_side
from provision.errors import EnvironmentFailed, UsageError
from provision.hints import command
from provision.inventory import record
from provision.inventory.compare import compare
from provision.inventory.rules import shipped
from provision.quick_dataclasses import dataclass
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provision.engine import Request
    from provision.inventory.model import Difference, Inventory
    from provision.model import Environment, Machine

    # (backend, machine or None for all) → the inventories of a form on another host; None: it is on this one
    Inventories = Callable[[str, str | None], Mapping[str, Inventory] | None]

SINCE = "since up"  # the left side of a machine that is compared with itself


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison: its name, and the inventories of its machines."""

    name: str
    inventories: Mapping[str, Inventory]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two sides differ, machine by machine."""

    name: str
    left: str
    right: str
    differences: tuple[Difference, ...]

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """The differences that no rule explains."""
        return tuple(each for each in self.differences if each.reason is None)


def take(request: Request, machine: str | None = None) -> tuple[str, Mapping[str, Inventory]]:
    """The environment's name, and an inventory of each of its machines, or of the one that is named.

    Raises:
        Unreachable: a machine is not running, or does not answer.
        UsageError: no machine has that name.
    """
    environment = engine.load(request, looking=True)
    machines = [each for each in environment.machines if machine in (None, each.name, each.group)]
    if not machines:
        raise UsageError(
            f"no machine is called {machine}",
            hint=f"the machines are {', '.join(each.name for each in environment.machines)}",
        )
    return environment.name, inventories_of(environment, request.backend, machines)


def inventories_of(
    environment: Environment, backend: str, machines: Sequence[Machine], *, aside: bool = False
) -> Mapping[str, Inventory]:
    """An inventory of each of these machines, taken side by side; `aside`: it yields to all else there.

    Raises:
        Unreachable: one is not running, or does not answer.
    """
    targets = backends.find(backend).targets(environment.name, engine.state_of(environment, backend))

    def one(machine: Machine) -> Inventory:
        if machine.name not in targets:
            raise Unreachable(
                f"machine {machine.name} of {environment.name} is not running in {backend}",
                hint=f"{command('up', '-b', backend)} starts it",
            )
        with targets[machine.name] as target:
            return inventory.take(target, machine, backend, aside=aside)

    return {each.machine: each for each in side_by_side(one, machines)}


def differ(request: Request, between: tuple[str, str] | None, elsewhere: Inventories) -> Comparison:
    """Compare two sides: the forms that are up, or what `between` names.

    A name is a backend, a machine of the environment, or a file that holds an inventory.

    Args:
        request: the environment.
        between: the names of the sides.
        elsewhere: what gives the inventories of a form on another host.

    Raises:
        EnvironmentFailed: there are no two forms up to compare.
        Unreachable: a machine that is compared does not answer.
        UsageError: a name is none of these, or both sides have no machine in common.
    """
    return compare_sides(*_sides(request, between, elsewhere))


def compare_sides(name: str, left: Side, right: Side) -> Comparison:
    """Compare the machines of two sides by the rules for two forms.

    Raises:
        UsageError: they do not have the same machines.
    """
    pairs = _pairs(left, right)
    rules = shipped()
    return Comparison(
        name=name,
        left=left.name,
        right=right.name,
        differences=tuple(each for one, other in pairs for each in compare(one, other, rules)),
    )


def _sides(
    request: Request, between: tuple[str, str] | None, elsewhere: Inventories
) -> tuple[str, Side, Side]:
    known = functools.cache(elsewhere)
    names = between or _forms_up(request, known)
    if names[0] == names[1]:
        raise UsageError(f"{names[0]} is compared with itself", hint="--between takes two different names")
    environment = engine.resolve(request).name
    left, right = side_by_side_of(request, names, known)
    return environment, left, right


def side_by_side_of(request: Request, names: Sequence[str], elsewhere: Inventories) -> tuple[Side, ...]:
    """The sides by their names, inventoried in parallel."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(names)) as pool:
        return tuple(pool.map(lambda name: _side(request, name, elsewhere), names))


def _side(request: Request, name: str, elsewhere: Inventories) -> Side:
    def taken(request: Request, machine: str | None) -> Mapping[str, Inventory]:
        found = elsewhere(request.backend, machine)
        return take(request, machine)[1] if found is None else found

    if name in backends.names():
        return Side(name=name, inventories=taken(replace(request, backend=name), None))
    if Path(name).suffix or "/" in name or Path(name).exists():
        return Side(name=name, inventories=record.load(Path(name)))
    try:
        return Side(name=name, inventories=taken(request, name))
    except UsageError as error:
        raise UsageError(
            f"{name} is not a backend, a machine of this environment or a file",
            hint=f"--between takes two of: {', '.join(backends.names())}, a machine, a file of `-o`",
        ) from error


def _forms_up(request: Request, elsewhere: Inventories) -> tuple[str, str]:
    """The two backends in which the environment is up."""
    up = []
    for name in backends.names():
        ref = engine.resolve(replace(request, backend=name))
        try:
            is_elsewhere = elsewhere(name, None) is not None
        except Unreachable:
            continue  # it is on another host, and not up there
        if is_elsewhere:
            up.append(name)
            continue
        if name not in backends.offered() and not ref.state_dir.folder.is_dir():
            continue  # it was never up there, and this host may have no such engine
        if "running" in ref.backend.remains(ref.state_dir).machines.values():
            up.append(name)
    if len(up) < 2:
        missing = next(name for name in backends.offered() if name not in up)
        raise EnvironmentFailed(
            f"{ref.name} is up only in {up[0]}: there is nothing to compare it with"
            if up
            else f"{ref.name} is not up in any backend: there is nothing to compare",
            hint=f"{command('up', '-b', missing)} starts it in {missing}",
        )
    return up[0], up[1]


def _pairs(left: Side, right: Side) -> Sequence[tuple[Inventory, Inventory]]:
    """Pairs of machines with the same name; if each side has only one, those two."""
    if len(left.inventories) == len(right.inventories) == 1:
        return [(next(iter(left.inventories.values())), next(iter(right.inventories.values())))]
    lone = left.inventories.keys() ^ right.inventories.keys()
    if lone:
        raise UsageError(
            f"machine {min(lone)} is only in {left.name if min(lone) in left.inventories else right.name}",
            hint="compare sides that have the same machines, or one machine of each",
        )
    return [(left.inventories[name], right.inventories[name]) for name in left.inventories]
