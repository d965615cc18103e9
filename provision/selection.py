"""Container or virtual machine: compares them for a spec on this host, and chooses one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision import backends, engine
from provision.backends import ports
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.base import Capabilities
    from provision.engine import Request
    from provision.model import Demand, Environment


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
    """What is in the way here now, where `up` looks before it builds, and checks that are skipped."""


def explain(request: Request) -> Explanation:
    """Ask every backend what it would offer; what is not allowed is only reported.

    Raises:
        SpecError: the spec is wrong.
    """
    environments = {
        name: engine.load(replace(request, backend=name), looking=True) for name in _offered(request)
    }
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
            *_looked_for(environment),
            *engine.skipped(replace(environment, demands=demands[name]), name),
        )
    ]
    return Explanation(
        name=next(iter(environments.values())).name,
        capabilities=capabilities,
        choice=_choose(capabilities),
        demands=demands,
        notes=tuple(dict.fromkeys(notes)),
    )


def _looked_for(environment: Environment) -> tuple[str, ...]:
    """Where `up` looks before it builds; nobody is asked."""
    from provision import sharing
    from provision.oci.reference import VARIABLE

    registry = sharing.registry_of(environment)
    if registry is None:
        return ()
    named = {"variable": f"${VARIABLE}", "spec": "the spec", "configuration": "your configuration"}
    place = f"{registry.repository}, which {named[registry.source]} names"
    return (f"before anything is built, it is looked for in {place}",)


def _offered(request: Request) -> Sequence[str]:
    """The backends that are compared; one that has to be named, where the person named it."""
    offered = backends.offered()
    return offered if request.backend in offered else (*offered, request.backend)


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
    """The backend for a spec: the preferred one of those that can meet it on this host."""
    capabilities: dict[str, Capabilities] = {}
    for name in _offered(request):
        environment = engine.load(replace(request, backend=name), looking=True)
        capabilities[name] = _capabilities(environment, name)
        if not capabilities[name].cannot and not capabilities[name].lacks:
            break  # the others cost more
    return _choose(capabilities)


def _capabilities(environment: Environment, backend: str) -> Capabilities:
    return backends.find(backend).describe(environment, engine.state_of(environment, backend))


def chosen_before(request: Request) -> str | None:
    """The one backend in which the environment has a place already; None where none or several have."""
    refs = [engine.resolve(replace(request, backend=name)) for name in backends.names()]
    here = [ref.backend.name for ref in refs if ref.state_dir.rendering.is_dir()]
    return here[0] if len(here) == 1 else None


def _choose(capabilities: Mapping[str, Capabilities]) -> Choice:
    """The first that meets the spec here, else the first that could; the preferred one comes first."""
    preferred, *others = capabilities
    first = capabilities[preferred]
    backend = backends.find(preferred)
    if not first.cannot and not first.lacks:
        return Choice(backend=preferred, reason=f"{backend.noun} meets every requirement and costs least")
    for name in others:
        other = capabilities[name]
        if first.cannot and not other.cannot:
            return Choice(backend=name, reason=f"{backend.noun} cannot provide {first.cannot[0]}")
        if not other.cannot and not other.lacks:
            return Choice(
                backend=name, reason=f"{backend.title} is not usable on this host: {first.lacks[0]}"
            )
    reasons = "; ".join((*each.cannot, *each.lacks)[0] for each in capabilities.values())
    return Choice(backend=preferred, reason=f"no backend is usable on this host: {reasons}")
