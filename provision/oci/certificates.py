"""Which certificates a registry is checked with: as Docker's, or the one of your configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provision.docker_client.credentials import certificate_folders
from provision.errors import HostLacks

if TYPE_CHECKING:
    from pathlib import Path


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
    for folder in folders or certificate_folders(os.environ):
        if found := sorted((folder / host).glob("*.crt")):
            return found[0]
    return None
