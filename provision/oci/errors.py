"""What goes wrong with a registry, each with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.errors import ProvisionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.oci.reference import Repository


class RegistryFailed(ProvisionError):
    """A registry did not give or take what it was asked for; `reason` is the cause in a few words."""

    def __init__(self, message: str, reason: str, *, evidence: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, evidence=[reason, *evidence], hint=hint)
        self.reason = reason


class Damaged(RegistryFailed):
    """What a registry gave is not what its digest says, or nothing that provision wrote."""


def unreachable(repository: Repository, reason: str) -> RegistryFailed:
    """No answer came, or the connection was cut."""
    return RegistryFailed(
        f"the registry {repository.host} does not answer",
        reason,
        hint=f"check its name and your network: curl https://{repository.address}/v2/",
    )


def untrusted(repository: Repository, reason: str) -> RegistryFailed:
    """Its certificate is of nobody whom this host trusts."""
    return RegistryFailed(
        f"the certificate of the registry {repository.host} is not trusted",
        reason,
        hint=f"put its CA, for Docker and for provision, into /etc/docker/certs.d/{repository.host}/ca.crt",
    )


def forbidden(repository: Repository, reason: str, *, user: str) -> RegistryFailed:
    """It wants a login, another one, or gives this one less; `user` is whose was sent, if any."""
    said = f"as {user}" if user else "without a login"
    return RegistryFailed(
        f"the registry {repository.host} refuses access to {repository.path} {said}",
        reason,
        hint=f"log in: docker login {repository.host}",
    )
