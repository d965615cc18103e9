"""Every environment of this user, in each backend, even if its folder or spec is gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import backends
from provision.backends.base import Remains, RunsElsewhere, Weighs
from provision.engine import EnvironmentRef
from provision.errors import ProvisionError, UsageError
from provision.hints import command
from provision.quick_dataclasses import dataclass
from provision.state import StateDir, environments, is_gone, known_environments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provision.backends.base import Backend, EnvironmentUsage
    from provision.model import Environment

NOTHING = Remains(machines={}, volumes=(), built=())


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An environment in one backend; `problem` says why what there is of it is not known."""

    ref: EnvironmentRef
    created: str
    remains: Remains
    problem: str
    usage: EnvironmentUsage | None = None

    @property
    def memory(self) -> int | None:
        """The bytes of memory that its running machines take; None if none runs, or it cannot be seen."""
        from provision.measure.host import memory

        if self.usage is None or not self.usage.processes:
            return None
        found = memory(self.usage.processes)
        return None if isinstance(found, str) else found.proportional

    @property
    def state(self) -> str:
        """The state of its machines, in a word or two."""
        states = list(self.remains.machines.values())
        if self.problem:
            return "unknown"
        if not states:
            return "down"
        if len(set(states)) == 1:
            return states[0]
        return ", ".join(f"{states.count(each)} {each}" for each in sorted(set(states)))

    @property
    def missing(self) -> str:
        """What is gone of where it was described: its folder, or its spec."""
        project, spec = self.ref.state_dir.project, self.ref.state_dir.spec
        if project is None:
            return "its record is damaged"
        if is_gone(project):
            return "its folder is gone"
        return "its spec is gone" if spec is not None and not spec.exists() else ""


def list_environments() -> tuple[Listed, ...]:
    """All of them, by name; changes nothing."""
    found = sorted(
        (_listed(ref, created) for ref, created in _refs()),
        key=lambda each: (each.ref.name, each.ref.state_dir.id, each.ref.backend.name),
    )
    usage = _usage(found)
    return tuple(
        replace(each, usage=usage.get((each.ref.backend.name, each.ref.state_dir.id))) for each in found
    )


def _usage(listed: Sequence[Listed]) -> Mapping[tuple[str, str], EnvironmentUsage]:
    """What each takes, by backend and id, of backends that can tell."""
    found: dict[tuple[str, str], EnvironmentUsage] = {}
    for backend in {each.ref.backend.name: each.ref.backend for each in listed if not each.problem}.values():
        own = [each.ref.state_dir for each in listed if each.ref.backend.name == backend.name]
        if isinstance(backend, Weighs):
            try:
                usage = backend.environment_usage(own)
            except ProvisionError:
                continue  # its engine answered a moment ago; the sizes are a nicety
            found |= {(backend.name, identity): each for identity, each in usage.items()}
    return found


def left_behind(environment: Environment) -> tuple[EnvironmentRef, ...]:
    """Environments of this name whose folder is gone, because it was renamed or removed."""
    return tuple(
        each.ref
        for each in list_environments()
        if each.ref.name == environment.name
        and each.ref.state_dir.id != environment.id
        and each.ref.state_dir.project is not None
        and not each.ref.state_dir.project.exists()
        and (each.remains.machines or each.remains.volumes)
    )


def find_environments(word: str, backend: str | None = None) -> tuple[EnvironmentRef, ...]:
    """An environment by its name or id, in each backend that has something of it, or in one.

    Raises:
        UsageError: there is none, or several have this name.
    """
    refs = [
        ref
        for ref, _ in _refs()
        if word in (ref.name, ref.state_dir.id, ref.state_dir.unique_name)
        and backend in (None, ref.backend.name)
    ]
    folders = {ref.state_dir.id: ref.state_dir.project for ref in refs}
    here = {ref.state_dir.id for ref in refs if not is_elsewhere(ref)}
    if refs and not here:
        first = refs[0]
        address = first.state_dir.address or "this host"
        if first.state_dir.address and isinstance(first.backend, RunsElsewhere):
            raise UsageError(
                f"{word} is on {address}, which knows it by its spec alone",
                hint=f"name the spec, and the host as you did for up: {first.state_dir.spec} --host NAME",
            )
        raise UsageError(
            f"{word} is on {address}, and another engine is selected",
            hint=f"`export DOCKER_HOST={first.state_dir.address}` selects it, or --host NAME"
            if first.state_dir.address
            else "`unset DOCKER_HOST DOCKER_CONTEXT PROVISION_HOST` selects this host's",
        )
    refs = [ref for ref in refs if ref.state_dir.id in here]
    folders = {identity: folder for identity, folder in folders.items() if identity in here}
    if not refs:
        raise UsageError(
            f"no environment is called {word}" + (f" in {backend}" if backend else ""),
            hint="`provision list` shows them all; to name a spec, include its extension: `down dev.yaml`",
        )
    if len(folders) > 1:
        raise UsageError(
            f"{len(folders)} environments are called {word}",
            evidence=[
                f"{identity}  {folder or '(its record is damaged)'}" for identity, folder in folders.items()
            ],
            hint=f"choose one by its id, for example {command('down', min(folders))}",
        )
    return tuple(refs)


def _refs() -> Iterator[tuple[EnvironmentRef, str]]:
    """Every environment in every backend, and when it was made."""
    known = known_environments()
    for name in backends.names():
        backend = backends.find(name)
        here = {each.id: each for each in known if name in each.backends}
        for each in here.values():
            state_dir = each.state_dir(name)
            created = each.record.created if each.record else ""
            yield EnvironmentRef(name=each.name, backend=backend, state_dir=state_dir), created
        for identity, (called, project) in _of_engine(backend).items():
            if identity not in here:
                folder = environments() / f"{called}-{identity}" / name
                state_dir = StateDir(
                    folder=folder, name=called, id=identity, project=Path(project) if project else None,
                    host=backends.host_of(backend),
                )  # fmt: skip
                yield EnvironmentRef(name=called, backend=backend, state_dir=state_dir), ""


def _of_engine(backend: Backend[Any]) -> Mapping[str, tuple[str, str]]:
    try:
        return backend.engine_environments()
    except ProvisionError:
        return {}


def is_elsewhere(ref: EnvironmentRef) -> bool:
    """Whether its machines are on a host that its backend does not reach now."""
    return ref.state_dir.host != backends.host_of(ref.backend)


def _listed(ref: EnvironmentRef, created: str) -> Listed:
    if is_elsewhere(ref):
        where = ref.state_dir.address or "this host"
        return Listed(ref=ref, created=created, remains=NOTHING, problem=f"it is on {where}")
    try:
        return Listed(ref=ref, created=created, remains=ref.backend.remains(ref.state_dir), problem="")
    except ProvisionError as error:
        return Listed(ref=ref, created=created, remains=NOTHING, problem=error.message)
