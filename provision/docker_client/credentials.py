"""What Docker keeps for a registry: a login, in config.json or with a credential helper; certificates."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Mapping

HUB = "docker.io"
CERTIFICATES = Path("/etc/docker/certs.d")


@dataclass(frozen=True, kw_only=True)
class Login:
    """A user and password, or an identity token in the place of the password."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def login_for(host: str) -> Login | None:
    """The login for a registry by its host, with its port; None where there is none.

    Raises:
        HostLacks: a credential helper failed.
    """
    from docker import auth  # slow: 0.2 s
    from docker.errors import DockerException

    try:
        found: Mapping[str, Any] | None = auth.load_config().resolve_authconfig(None if host == HUB else host)
    except DockerException as error:
        raise HostLacks(
            f"your login for the registry {host} cannot be read",
            evidence=[str(error)],
            hint=f"docker logout {host}; docker login {host}",
        ) from error
    if not found:
        return None
    return Login(
        user=str(found.get("username") or found.get("Username") or ""),
        password=str(found.get("password") or found.get("Password") or ""),
        token=str(found.get("identitytoken") or found.get("IdentityToken") or ""),
    )


def certificate_folders(variables: Mapping[str, str]) -> tuple[Path, ...]:
    """The rootless engine's folder, then the system's."""
    home = variables.get("XDG_CONFIG_HOME") or (f"{variables['HOME']}/.config" if "HOME" in variables else "")
    return (*([Path(home) / "docker" / "certs.d"] if home else []), CERTIFICATES)
