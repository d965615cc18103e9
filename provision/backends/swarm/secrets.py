"""Native secrets of a Swarm: none can be changed, so each is named by its content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from provision import secrets
from provision.backends.swarm.render import secret_variable, secrets_variable
from provision.docker_client import swarm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.backends.swarm.render import Group
    from provision.model import Environment
    from provision.state import StateDir

_LONGEST = 40  # letters of a secret's own name; Swarm takes 64 with what is around it


def wanted(environment: Environment) -> Mapping[str, str]:
    """What the Swarm is to call each secret with the value that the host has now, by its name in the spec.

    Raises:
        SpecError: the host lacks one of them.
    """
    found: dict[str, str] = {}
    for machine in environment.machines:
        for name, value in secrets.values(machine).items():
            found.setdefault(name, _name(environment, name, value))
    return found


def _name(environment: Environment, name: str, value: bytes) -> str:
    """A name that says nothing of the value: the hash is a slow one, for names are shown to many."""
    salt = f"{environment.id}\0{name}".encode()
    hashed = hashlib.scrypt(value, salt=salt, n=1 << 14, r=8, p=1, dklen=6)
    short = name if len(name) <= _LONGEST else hashlib.sha256(name.encode()).hexdigest()[:_LONGEST]
    return f"{environment.id}.{short}.{hashed.hex()}"


def variables(groups: tuple[Group, ...], names: Mapping[str, str]) -> Mapping[str, str]:
    """What stack.yaml is told of them: how each is called, and what stands for all of a service's. Pure."""
    told = {secret_variable(name): full for name, full in names.items()}
    for group in groups:
        if group.first.secrets:
            told[secrets_variable(group.name)] = stands_for(group, names)
    return told


def stands_for(group: Group, names: Mapping[str, str]) -> str:
    """A text that changes with the value of any secret of a service. Pure."""
    full = sorted(names[secret.name] for secret in group.first.secrets)
    return hashlib.sha256("\n".join(full).encode()).hexdigest()[:12] if full else ""


def create(
    environment: Environment, names: Mapping[str, str], there: Mapping[str, object], labels: Mapping[str, str]
) -> None:
    """Create those that the Swarm lacks."""
    done = set(there)
    for machine in environment.machines:
        for secret in machine.secrets:
            full = names[secret.name]
            if full not in done:
                swarm.create_secret(full, secrets.value_of(secret), labels)
                done.add(full)


def remove_former(state_dir: StateDir, label: str, keep: set[str]) -> None:
    """Remove the environment's secrets that no machine gets any more; one in use stays."""
    former = sorted(set(swarm.secrets(f"{label}={state_dir.id}")) - keep)
    if former:
        swarm.remove_secrets(former)
