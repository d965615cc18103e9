"""provision ssh-config."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request
from provision.cli.show import progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.engine import EnvironmentRef, Request
    from provision.target import Target


@click.command("ssh-config")
@with_request
@machine_option
@click.option(
    "--host", metavar="NAME", help="Call the machine so; default: its name. With -m where there are several."
)
def command(request: Request, machine: str | None, host: str | None) -> None:
    """Print what ssh needs to reach the running machines, for ssh -F or ~/.ssh/config."""
    from provision import engine
    from provision.sshd.config import block

    ref = engine.resolve(request)
    with progress().wait("checking what is running"):
        targets = engine.targets(ref, machine)
    if host is not None and len(targets) > 1:
        raise click.UsageError("--host names one machine: select it with -m.")
    if host is not None and (not host or not host.isprintable() or set(host) & set(' *?!,"#')):
        raise click.BadParameter(f"{host!r} is not a name for a host", param_hint="--host")
    click.echo("\n\n".join(block(host or name, options_for(ref, target)) for name, target in targets.items()))


def options_for(ref: EnvironmentRef, target: Target) -> Mapping[str, str]:
    """What ssh is told of a machine; its way in works from any folder."""
    from provision.sshd.config import options

    # Without -P, a folder `provision` where ssh is called would be run instead.
    proxy = [sys.executable, "-P", "-m", "provision", "ssh-proxy", ref.state_dir.id]
    proxy += ["-b", ref.backend.name, "-m", target.machine]
    if state := os.environ.get("PROVISION_STATE_DIR"):
        proxy = ["env", f"PROVISION_STATE_DIR={os.path.abspath(state)}", *proxy]  # noqa: PTH100 - as the state reads it
    unique = f"{target.machine}.{ref.state_dir.unique_name}.{ref.backend.name}.provision"
    return options(proxy, user=target.user, unique=unique)
