"""A spec tried: environments brought up in every backend and variation, verified, compared, taken down."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from provision import backends, engine
from provision.errors import ProvisionError, SpecError
from provision.model import Result
from provision.progress import Labelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.engine import Request
    from provision.model import Environment
    from provision.progress import Progress


def variations(asked: Request, names: Sequence[str]) -> tuple[str, Mapping[str, Request]]:
    """The environment's name, and what `test` makes of its spec: its matrix, else one for each backend.

    Args:
        asked: what is asked of all of them.
        names: the backends, where the spec's matrix names none.
    """
    from provision import spec

    for backend in names:
        backends.require(backend)
    name, found = spec.variations(
        asked.spec, backends=names, settings=asked.settings, name=asked.name, local=asked.local,
        allows=engine.trust_of(asked).allows,
    )  # fmt: skip
    counts = Counter(each.backend for each in found)
    numbers: Counter[str] = Counter()
    made = {}
    for each in found:
        numbers[each.backend] += 1
        several = counts[each.backend] > 1
        made[str(each)] = replace(
            asked,
            backend=each.backend,
            name=f"{name[:37]}-{numbers[each.backend]}" if several else asked.name,
            base=each.base,
            settings={**asked.settings, **dict(each.settings)},
        )
    return name, made


def run(
    own: str,
    asked: Mapping[str, Request],
    progress: Progress,
    *,
    keep: bool,
    timeout: float,
    offline: bool,
) -> Mapping[str, tuple[Result, ...]]:
    """Bring environments up, in several backends at the same time, verify each, take them down.

    Args:
        own: the name of the spec's environment: the machine that is named so is it in all of them.
        asked: what is asked of each, by how it is called; those of one backend come one by one.
        progress: told what happens, each line with its environment's name.
        keep: leave them up.
        timeout: seconds for each to become ready.
        offline: fail at once where something would have to be fetched.

    Returns:
        each one's results; one that did not come up has a failed one that says why.
    """
    environments = {name: engine.load(each) for name, each in asked.items()}
    for name in list(environments)[1:]:  # no two can have the same port of the host
        environments[name] = _with_free_ports(environments[name])
    verifying = threading.Lock()  # a user's pytest files run in this process

    def one(name: str) -> tuple[Result, ...]:
        environment, backend = environments[name], asked[name].backend
        said = Labelled(progress, name)
        begun = time.monotonic()
        try:
            engine.up(environment, backend, said, rebuild=False, timeout=timeout, offline=offline)
            with verifying:
                return _named(own, environment.name, engine.verify(environment, backend))
        except ProvisionError as error:
            problems = error.problems if isinstance(error, SpecError) else ()
            message = "\n".join([error.message, *error.evidence, *(str(each.message) for each in problems)])
            seconds = time.monotonic() - begun
            return (Result(machine=own, check="up", outcome="failed", message=message, seconds=seconds),)
        finally:
            if not keep:
                engine.down(engine.resolve(asked[name]), said, volumes=True, images=False)

    def in_turn(names: Sequence[str]) -> Mapping[str, tuple[Result, ...]]:
        return {name: one(name) for name in names}

    groups: dict[str, list[str]] = {}
    for name, each in asked.items():
        groups.setdefault(each.backend, []).append(name)
    with ThreadPoolExecutor(len(groups)) as pool:
        found = [pair for made in pool.map(in_turn, groups.values()) for pair in made.items()]
    return {name: dict(found)[name] for name in asked}


def _with_free_ports(environment: Environment) -> Environment:
    """The environment on ports of the host that are free when it comes up."""
    machines = tuple(
        replace(machine, ports=tuple(replace(port, host=None) for port in machine.ports))
        for machine in environment.machines
    )
    return replace(environment, machines=machines)


def _named(own: str, name: str, results: Sequence[Result]) -> tuple[Result, ...]:
    """The results of an environment's one machine under the name that it has in all of them."""
    return tuple(replace(each, machine=own) if each.machine == name else each for each in results)
