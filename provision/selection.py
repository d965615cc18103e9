"""Container or virtual machine: compares them for a spec on this host, and chooses one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provision import backends, engine
from provision.backends import ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.base import Capabilities
    from provision.engine import Request
    from provision.model import Demand, Environment

PREFERENCE = ("docker", "vm")  # a container is there in a second, and costs less
NOUNS = {"docker": "a container", "vm": "a virtual machine"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen backend, and the reason in a sentence without a full stop."""

    backend: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What every backend gives a spec on this host, the choice, and what needs the person's word."""

    name: str
    capabilities: Mapping[str, Capabilities]
    choice: Choice
    demands: Mapping[str, Sequence[Demand]]
    notes: tuple[str, ...] = ()
    """What is in the way here now, and checks that are skipped."""


def explain(request: Request) -> Explanation:
    """Ask every backend what it would offer; what is not allowed is only reported.

    Raises:
        SpecError: the spec is wrong.
    """
    environments = {name: engine.load(replace(request, backend=name), looking=True) for name in PREFERENCE}
    capabilities = {name: _capabilities(environment, name) for name, environment in environments.items()}
    trust = engine.trust_of(request)
    demands = {
        name: tuple(replace(demand, given=trust.allows(demand)) for demand in environment.demands)
        for name, environment in environments.items()
    }
    notes = [
        line
        for name, environment in environments.items()
        for line in (
            *_ports_in_use(environment, name),
            *engine.skipped(replace(environment, demands=demands[name]), name),
        )
    ]
    return Explanation(
        name=environments["docker"].name,
        capabilities=capabilities,
        choice=_choose(capabilities),
        demands=demands,
        notes=tuple(dict.fromkeys(notes)),
    )


def _ports_in_use(environment: Environment, backend: str) -> Sequence[str]:
    """The host's ports that the spec names and others hold; those that it had itself may be its own."""
    state_dir = engine.state_of(environment, backend)
    had = {
        (host, name.rpartition("/")[2])
        for place in (state_dir, *state_dir.siblings())
        if place.id == state_dir.id
        for name, host in ports.kept(place).items()
    }
    return ports.notes_on_ports(environment, state_dir, had)


def choose(request: Request) -> Choice:
    """The backend for a spec: a container where it can meet the spec on this host."""
    environment = engine.load(replace(request, backend="docker"), looking=True)
    container = _capabilities(environment, "docker")
    if not container.cannot and not container.lacks:
        return _choose({"docker": container})
    machine = _capabilities(engine.load(replace(request, backend="vm"), looking=True), "vm")
    return _choose({"docker": container, "vm": machine})


def _capabilities(environment: Environment, backend: str) -> Capabilities:
    return backends.find(backend).describe(environment, engine.state_of(environment, backend))


def chosen_before(request: Request) -> str | None:
    """The one backend in which the environment has a place already; None where none or several have."""
    refs = [engine.resolve(replace(request, backend=name)) for name in PREFERENCE]
    here = [ref.backend.name for ref in refs if ref.state_dir.rendering.is_dir()]
    return here[0] if len(here) == 1 else None


def _choose(capabilities: Mapping[str, Capabilities]) -> Choice:
    container = capabilities["docker"]
    if not container.cannot and not container.lacks:
        return Choice(
            backend="docker", reason="a container meets every requirement and costs less than a machine"
        )
    machine = capabilities["vm"]
    if container.cannot and not machine.cannot:
        return Choice(backend="vm", reason=f"a container cannot provide {container.cannot[0]}")
    if not machine.cannot and not machine.lacks:
        return Choice(backend="vm", reason=f"Docker is not usable on this host: {container.lacks[0]}")
    wanting = [(*each.cannot, *each.lacks)[0] for each in (container, machine)]
    return Choice(backend="docker", reason=f"neither backend is usable on this host: {'; '.join(wanting)}")
