"""The values of secrets: read from the host when they are delivered, stored nowhere.

A value never stands in an argument, a log or an error: it goes through a pipe into the
machine's memory, or through a file in the host's.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from typing import TYPE_CHECKING

from provision import guest_paths
from provision.errors import Problem, SpecError
from provision.files import read_regular, why

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Environment, Machine, Secret

LARGEST = 1024 * 1024  # bytes of a secret that is a file
INSIDE = "/run/secrets"
BROUGHT = guest_paths.DELIVERED_SECRETS  # where a machine finds them before it knows their owners


def require(environment: Environment) -> None:
    """Raise SpecError where a variable or a file of the host is missing; all of them at once."""
    if problems := missing(environment):
        raise SpecError(problems)


def missing(environment: Environment) -> Sequence[Problem]:
    """The secrets of which the host lacks the variable or the file."""
    secrets = {secret.name: secret for machine in environment.machines for secret in machine.secrets}
    return [problem for secret in secrets.values() if (problem := _problem(secret)) is not None]


def values(machine: Machine) -> Mapping[str, bytes]:
    """The value of each of the machine's secrets, as the host has it now.

    Raises:
        SpecError: one of them is not there.
    """
    problems = [problem for secret in machine.secrets if (problem := _problem(secret)) is not None]
    if problems:
        raise SpecError(problems)
    return {secret.name: value_of(secret) for secret in machine.secrets}


def value_of(secret: Secret) -> bytes:
    """The value of one."""
    if secret.file is not None:
        return read_regular(secret.file, largest=LARGEST, in_place=True)[0]
    return os.environb[os.fsencode(secret.variable or "")]


def _problem(secret: Secret) -> Problem | None:
    try:
        value_of(secret)
    except KeyError:
        return Problem(
            f"the secret {secret.name} comes from the host variable {secret.written}, which is not set",
            secret.origin,
            f"export {secret.written}=…, or take it from a file",
        )
    except OSError as error:
        return Problem(
            f"the secret {secret.name} cannot be read from {secret.written}: {why(error)}",
            secret.origin,
            f"looked for {secret.file}",
        )
    return None


class Question:
    """Asks a machine whether it holds the host's values, by hashes with a salt of this one asking.

    Args:
        machine: the machine.
    """

    def __init__(self, machine: Machine) -> None:
        salt = os.urandom(16)
        self._expected = {
            name: hashlib.sha256(salt.hex().encode() + value).hexdigest()
            for name, value in values(machine).items()
        }
        self.script = "\n".join(
            f"{{ printf %s {salt.hex()}; cat {shlex.quote(f'{INSIDE}/{name}')} 2>/dev/null; }} | sha256sum"
            for name in self._expected
        )
        """Text for `sh`, run by root in the machine."""

    def stale(self, answer: str) -> Sequence[str]:
        """The secrets of which the machine holds another value, or none, by what the script printed."""
        digests = [line.split(" ")[0] for line in answer.splitlines()] + [""] * len(self._expected)
        return [name for (name, digest), found in zip(self._expected.items(), digests, strict=False)
                if found != digest]  # fmt: skip
