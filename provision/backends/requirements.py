"""What machines require, and backends that cannot provide it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from provision.model import Capability, Environment, Machine

TITLES: Mapping[Capability, str] = {
    "kernel": "a kernel of its own",
    "systemd": "systemd",
    "kvm": "KVM inside",
    "gpu": "a GPU",
}

NO_FOLDERS = "none: the spec has no workspace and no mounts"

Reasons = dict["Capability", str]


def refuse(problems: Iterable[Problem]) -> None:
    """Raise SpecError with these problems, if there are any."""
    refused = list(problems)
    if refused:
        raise SpecError(refused)


def unmet(
    environment: Environment, lacks: Callable[[Machine], Mapping[Capability, str]], hint: str
) -> Iterator[Problem]:
    """What machines require and their backend can never give them, each at its place.

    Args:
        environment: what the spec describes.
        lacks: the capabilities that a machine cannot have there, each with the reason.
        hint: what to do instead.
    """
    for machine in environment.machines:
        reasons = lacks(machine)
        for requirement in machine.requires:
            if requirement.name in reasons:
                title = TITLES[requirement.name]
                yield Problem(
                    f"{machine.name} requires {title}: {reasons[requirement.name]}", requirement.origin, hint
                )


def cannot(environment: Environment, lacks: Callable[[Machine], Mapping[Capability, str]]) -> tuple[str, ...]:
    """What of what the machines require a backend can never give, each with the reason."""
    return tuple(
        f"{TITLES[requirement.name]}: {reason}"
        for machine in environment.machines
        for requirement in machine.requires
        if (reason := lacks(machine).get(requirement.name))
    )


def volumes_kept(environment: Environment) -> str:
    """What outlives `down`, in words."""
    volumes = [volume.name for machine in environment.machines for volume in machine.volumes]
    return f"the volumes {', '.join(volumes)}" if volumes else "nothing: the spec has no volumes"


def folders_of(environment: Environment) -> bool:
    """Whether a machine sees a folder or file of the host."""
    return any(machine.workspace or machine.mounts for machine in environment.machines)


def required(environment: Environment) -> frozenset[Capability]:
    """All that any machine requires."""
    return frozenset(each.name for machine in environment.machines for each in machine.requires)
