"""provision pull."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, lock_options, with_request
from provision.cli.show import progress, say
from provision.spec.quantities import shown_size

if TYPE_CHECKING:
    from provision.backends.base import Pulled
    from provision.engine import Request


@click.command("pull")
@lock_options
@with_request
@click.option("--memory", is_flag=True, help="Fetch the saved states of QEMU machines, too.")
@format_option
def command(request: Request, form: str, memory: bool) -> None:  # noqa: FBT001 - click's flag
    """Fetch what the machines are made of from the registry, as far as it is not here.

    `up` does that too, and builds what the registry does not have; this fails then.
    """
    from provision import engine, sharing

    environment = engine.load(request)
    state_dir = engine.state_of(environment, request.backend)
    pulled = sharing.pull(environment, request.backend, state_dir, progress(), memory=memory)
    if form == "json":
        click.echo(json.dumps({"pulled": [_data(each) for each in pulled]}, indent=2))
        return
    for each in pulled:
        received = f": {shown_size(each.received)} received" if each.received is not None else ""
        say(f"{each.item.title} is here{received}")
    if not pulled:
        say("everything is here")


def _data(pulled: Pulled) -> dict[str, object]:
    return {
        "kind": pulled.item.kind,
        "what": pulled.item.title,
        "architecture": pulled.item.architecture,
        "digest": pulled.digest,
        "size": pulled.size,
        "received": pulled.received,
    }
