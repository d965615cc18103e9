"""Which certificates a registry is checked with: as Docker's, or the one of your configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from provision.errors import HostLacks

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM = Path("/etc/docker/certs.d")


def authority(host: str, configured: Path | None, *, folders: tuple[Path, ...] = ()) -> Path | None:
    """The file with the certificates of those who may sign a registry's; None for the system's own.

    Args:
        host: of the registry, with its port.
        configured: what the person's configuration names, which comes first.
        folders: instead of Docker's; each has a folder for each registry, with files that end with .crt.

    Raises:
        HostLacks: the configured file is not there.
    """
    if configured is not None:
        if not configured.is_file():
            raise HostLacks(
                f"{configured} is not there",
                hint="it is the `ca` of `registry` in your configuration: name the CA's certificate in PEM",
            )
        return configured
    for folder in folders or _docker_folders(os.environ):
        if found := sorted((folder / host).glob("*.crt")):
            return found[0]
    return None


def _docker_folders(variables: Mapping[str, str]) -> tuple[Path, ...]:
    """The rootless daemon's folder, then the system's."""
    home = variables.get("XDG_CONFIG_HOME") or (f"{variables['HOME']}/.config" if "HOME" in variables else "")
    return (*([Path(home) / "docker" / "certs.d"] if home else []), SYSTEM)
