"""Images and disks that a team shares through a registry: looked for before a build, pushed by a verb."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from provision import backends, spec
from provision.backends.base import Finding, PlannedPull, Shares, SharesMemory
from provision.errors import HostLacks, ProvisionError, UsageError
from provision.hints import command
from provision.oci.reference import EXAMPLE, VARIABLE, choose
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.backends.base import Pulled, Pushed, Shareable
    from provision.model import Environment
    from provision.oci.model import Manifest
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.state import StateDir

Policy = Literal["never", "missing", "always"]
POLICIES: tuple[Policy, ...] = ("never", "missing", "always")  # Compose's words


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a registry said about one thing; `manifest` None: it has it not, or `failure` says why not."""

    item: Shareable
    manifest: Manifest | None = None
    failure: ProvisionError | None = None


def registry_of(
    environment: Environment, *, host: Mapping[str, str] | None = None, writes: bool = False
) -> Registry | None:
    """The registry of an environment: $PROVISION_REGISTRY, the spec's if that is allowed, your own.

    Args:
        environment: what the spec describes.
        host: the host's variables; `os.environ` unless given.
        writes: whether it is going to be pushed to.

    Raises:
        SpecError: what your configuration says of registries is wrong.
        UsageError: the variable names no repository.
    """
    return _registry(environment.registry, host, writes=writes)


def _registry(of_spec: str, host: Mapping[str, str] | None, *, writes: bool) -> Registry | None:
    variables = os.environ if host is None else host
    settings = spec.registry_settings(variables)
    chosen = choose(variables, of_spec, settings.repository)
    if chosen is None:
        return None
    source, repository = chosen
    from provision.oci.registry import Registry  # few have one

    return Registry(
        repository=repository, source=source, ca=settings.ca,
        verify=settings.verify, sign=settings.sign, memory=settings.memory, writes=writes,
    )  # fmt: skip


def examine(host: Mapping[str, str] | None = None) -> Finding | None:
    """Whether your own registry answers, for `doctor`; None where you have named none.

    Raises:
        SpecError: what your configuration says of registries is wrong.
    """
    registry = _registry("", host, writes=False)
    if registry is None:
        return None
    subject, signed = str(registry.repository), ""
    if registry.verify or registry.sign:
        from provision.oci import signing

        signed = "; signatures by cosign"
        if not signing.is_installed():
            return Finding(
                subject=subject, usable=False, detail="there is no cosign, which its keys are for",
                hint=signing.INSTALL,
            )  # fmt: skip
    try:
        registry.find("latest")
    except ProvisionError as error:
        return Finding(subject=subject, usable=False, detail=_reason(error), hint=error.hint)
    return Finding(subject=subject, usable=True, detail=f"it answers, and lets you pull{signed}")


def require_registry(environment: Environment, *, writes: bool = False) -> Registry:
    """The registry of an environment.

    Raises:
        UsageError: it has none.
    """
    registry = registry_of(environment, writes=writes)
    if registry is not None:
        return registry
    refused = [demand for demand in environment.demands if demand.word == "registry" and not demand.given]
    if refused:
        raise UsageError(
            f"the registry of {environment.name} is not allowed: {refused[0].what}",
            hint=f"allow it: --allow registry, or {command('trust')}",
        )
    raise UsageError(
        f"{environment.name} has no registry",
        hint=f"name one: `registry: {EXAMPLE}` in the spec or in your configuration, or ${VARIABLE}",
    )


def planned_pulls(environment: Environment, backend: str, state_dir: StateDir) -> tuple[PlannedPull, ...]:
    """What `up` would pull, or why it builds what it looked for; only asks."""
    registry, acting = registry_of(environment), backends.find(backend)
    if registry is None or not isinstance(acting, Shares):
        return ()
    wanted = acting.to_pull(environment, state_dir, always=False)
    return tuple(
        PlannedPull(
            name=answer.item.name,
            what=answer.item.title,
            source=str(registry.repository),
            found=answer.manifest is not None,
            reason=_why_not(answer),
        )
        for answer in look(registry, wanted)
    )


def look(registry: Registry, wanted: Sequence[Shareable]) -> tuple[Answer, ...]:
    """What a registry has of these; after it has failed once, it is not asked for the next."""
    answers: list[Answer] = []
    for item in wanted:
        failed = answers[-1].failure if answers else None
        answers.append(Answer(item=item, failure=failed) if failed else _look_for(registry, item))
    return tuple(answers)


def _look_for(registry: Registry, item: Shareable) -> Answer:
    try:
        return Answer(item=item, manifest=registry.find(item.tag, item.architecture))
    except ProvisionError as error:
        return Answer(item=item, failure=error)


def _why_not(answer: Answer) -> str:
    if answer.failure is not None:
        return _reason(answer.failure)
    return "" if answer.manifest else "it is not there"


def _reason(error: ProvisionError) -> str:
    return f"{error.message}{f' ({error.evidence[0]})' if error.evidence else ''}"


def pull_before_up(
    environment: Environment, backend: str, state_dir: StateDir, progress: Progress, policy: Policy
) -> None:
    """Have what `up` would build, as far as the registry has it; whatever goes wrong, `up` builds."""
    if policy == "never":
        return
    registry, acting = registry_of(environment), backends.find(backend)
    if registry is None or not isinstance(acting, Shares):
        return
    wanted = acting.to_pull(environment, state_dir, always=policy == "always")
    _pull_found(acting, wanted, registry, state_dir, progress)
    if registry.memory and isinstance(acting, SharesMemory):  # it lies on a disk
        _pull_found(acting, acting.memory_to_pull(environment, state_dir), registry, state_dir, progress)


def _pull_found(
    acting: Shares, wanted: Sequence[Shareable], registry: Registry, state_dir: StateDir, progress: Progress
) -> None:
    """Pull what the registry has of these; and say why not of the others."""
    if not wanted:
        return
    with progress.wait(f"looking in {registry.repository}"):
        answers = look(registry, wanted)
    for answer in answers:
        if answer.manifest is None:
            progress.note(f"{answer.item.title} is not pulled from {registry.repository}: {_why_not(answer)}")
            continue
        try:
            _pull(acting, answer, registry, state_dir, progress)
        except ProvisionError as error:
            progress.note(
                f"{answer.item.title} could not be pulled from {registry.repository}: {_reason(error)}"
            )


def pull(
    environment: Environment, backend: str, state_dir: StateDir, progress: Progress, *, memory: bool = False
) -> tuple[Pulled, ...]:
    """Pull whatever the environment's machines are made of, and is not here.

    Args:
        environment: what the spec describes.
        backend: whose machines are meant.
        state_dir: the environment's.
        progress: told how far it is.
        memory: their saved states, too.

    Raises:
        RegistryFailed: it could not be.
        UsageError: there is no registry, it has it not, or the backend shares nothing.
    """
    registry, acting = require_registry(environment), _sharing(backend)
    of_memory = _sharing_memory(acting, backend) if memory else None
    with progress.wait("checking what is here"):
        wanted = acting.to_pull(environment, state_dir, always=False, any_state=True)
    pulled = _pull_all(environment, acting, wanted, registry, state_dir, progress)
    if of_memory is None:
        return pulled
    states = of_memory.memory_to_pull(environment, state_dir)
    return (*pulled, *_pull_all(environment, acting, states, registry, state_dir, progress))


def _pull_all(
    environment: Environment,
    acting: Shares,
    wanted: Sequence[Shareable],
    registry: Registry,
    state_dir: StateDir,
    progress: Progress,
) -> tuple[Pulled, ...]:
    """Pull these, and fail where the registry lacks one."""
    answers = look(registry, wanted)
    for answer in answers:
        if answer.failure is not None:
            raise answer.failure
    if lacking := [answer.item.title for answer in answers if answer.manifest is None]:
        raise UsageError(
            f"{registry.repository} does not have what {environment.name} is made of",
            evidence=[f"not there: {each}" for each in lacking],
            hint=f"{command('push')} where it is built; {command('up')} builds it here",
        )
    return tuple(_pull(acting, answer, registry, state_dir, progress) for answer in answers)


def _pull(
    acting: Shares, answer: Answer, registry: Registry, state_dir: StateDir, progress: Progress
) -> Pulled:
    assert answer.manifest is not None  # noqa: S101 - the callers have looked
    with progress.step(f"pulling {answer.item.title} from {registry.repository}"):
        registry.require_signed(answer.manifest.digest)
        return acting.pull(answer.item, answer.manifest, registry, state_dir, progress)


def push(
    environment: Environment, backend: str, state_dir: StateDir, progress: Progress, *, memory: bool = False
) -> tuple[Pushed, ...]:
    """Store what the environment's machines are made of in the registry.

    Args:
        environment: what the spec describes.
        backend: whose machines are meant.
        state_dir: the environment's.
        progress: told how far it is.
        memory: their saved states, too.

    Raises:
        RegistryFailed: it could not be stored.
        UsageError: there is no registry, nothing is built of this spec, or the backend shares nothing.
    """
    registry, acting = require_registry(environment, writes=True), _sharing(backend)
    with progress.wait("checking what is here"):
        of_memory = _sharing_memory(acting, backend) if memory else None
        items = acting.to_push(environment, state_dir)
        if of_memory is not None:
            items = (*items, *of_memory.memory_to_push(environment, state_dir))
    from provision.oci import signing

    if registry.sign and not signing.is_installed():
        raise HostLacks(
            "there is no cosign, which signs what is pushed by the key in your configuration",
            hint=f"{signing.INSTALL}, or take `sign` out of `registry` in your configuration",
        )
    pushed = []
    for item in items:
        with progress.step(f"pushing {item.title} to {registry.repository}"):
            done = acting.push(item, registry, state_dir, progress)
            registry.add_signature(done.digest)
            pushed.append(done)
    return tuple(pushed)


def _sharing(backend: str) -> Shares:
    acting = backends.find(backend)
    if not isinstance(acting, Shares):
        raise UsageError(f"{backend} shares nothing through a registry")
    return acting


def _sharing_memory(acting: Shares, backend: str) -> SharesMemory:
    if not isinstance(acting, SharesMemory):
        raise UsageError(
            f"machines of {backend} have no saved states to share",
            hint="only QEMU machines have: -b vm; or leave --memory out",
        )
    return acting
