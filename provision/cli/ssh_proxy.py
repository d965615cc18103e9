"""provision ssh-proxy: what ssh runs as its ProxyCommand; not for people."""

from __future__ import annotations

import click

from provision.cli.options import backend_option, machine_option


@click.command("ssh-proxy", hidden=True)
@click.argument("identity", metavar="ID")
@backend_option
@machine_option
def command(identity: str, backend: str, machine: str | None) -> None:
    """Serve one connection of ssh on stdin and stdout."""
    from provision import engine
    from provision.sshd import serve_streams

    ref = engine.by_id(identity, backend)
    target = engine.target(ref, machine)
    engine.lend(ref, target)
    with target:
        serve_streams(target)
