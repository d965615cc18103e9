"""Where the engine is that `docker` uses: on this host, or on another one.

It follows the order of `docker`: DOCKER_HOST, then DOCKER_CONTEXT, then the context in its configuration,
then the default. A context's address is read from the file in which `docker` keeps it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = "unix:///var/run/docker.sock"
HERE = ("localhost", "127.0.0.1", "::1", "")


def address_in(variables: Mapping[str, str], home: Path) -> str | None:
    """The engine's address, such as unix:///var/run/docker.sock; None if only `docker` could tell.

    Args:
        variables: the process's environment.
        home: the user's home folder.
    """
    if host := variables.get("DOCKER_HOST"):
        return host
    folder = Path(variables.get("DOCKER_CONFIG") or home / ".docker")
    context = variables.get("DOCKER_CONTEXT")
    if not context:
        try:
            context = json.loads((folder / "config.json").read_bytes()).get("currentContext", "")
        except FileNotFoundError:
            context = ""
        except (OSError, ValueError, AttributeError):
            return None  # `docker` says what is wrong with it
    if context in ("", "default"):
        return LOCAL
    kept = folder / "contexts" / "meta" / hashlib.sha256(str(context).encode()).hexdigest() / "meta.json"
    try:
        return str(json.loads(kept.read_bytes())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def other_host(address: str | None) -> str:
    """The address if it is that of an engine on another host, which sees none of this host's files; else ''.

    A local socket, and TCP on the loopback, are taken for this host, as are those of Docker Desktop and the
    like: their virtual machines share this host's folders and forward its ports. Pure.
    """
    if address is None:
        return ""
    parts = urlsplit(address)
    if parts.scheme == "ssh":
        return address
    if parts.scheme in ("tcp", "http", "https") and (parts.hostname or "") not in HERE:
        return address
    return ""


def elsewhere() -> str:
    """The address of the engine that this process uses if it is on another host; empty otherwise."""
    return other_host(address_in(os.environ, Path.home()))
