"""Addresses of other hosts that ssh reaches, such as ssh://me@big:2222."""

from __future__ import annotations

from urllib.parse import urlsplit

from provision import runtime

SHARED_FOR = 60  # seconds that a shared connection stays after its last use


def ssh_words(address: str, *options: str) -> tuple[str, ...] | None:
    """The program and options by which ssh reaches a host, and that host; None for another scheme. Pure.

    `docker` uses the same words, so ssh's own configuration and agent apply.
    """
    parts = urlsplit(address)
    if parts.scheme != "ssh" or not parts.hostname:
        return None
    user = ("-l", parts.username) if parts.username else ()
    port = ("-p", str(parts.port)) if parts.port else ()
    return ("ssh", *options, *user, *port, "--", parts.hostname)


def sharing() -> tuple[str, ...]:
    """Options of ssh by which its calls to a host share one connection, so that only the first logs in.

    Whoever has ControlPath in their own configuration loses nothing by ours.

    Raises:
        HostLacks: somebody else has the folder for sockets.
    """
    socket = runtime.sockets() / "mux-%C"
    options = ("ControlMaster=auto", f"ControlPath={socket}", f"ControlPersist={SHARED_FOR}")
    return tuple(word for option in options for word in ("-o", option))
