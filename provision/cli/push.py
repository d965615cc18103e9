"""provision push."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, lock_options, with_request
from provision.cli.show import progress, say
from provision.spec.quantities import shown_size

if TYPE_CHECKING:
    from provision.backends.base import Pushed
    from provision.engine import Request


@click.command("push")
@lock_options
@with_request
@click.option("--memory", is_flag=True, help="Store the saved states of QEMU machines, too.")
@format_option
def command(request: Request, form: str, memory: bool) -> None:  # noqa: FBT001 - click's flag
    """Store what the machines are made of in the registry, so that others need not build it.

    The images of containers, which `docker pull` takes too, or the disks of QEMU machines. Of a
    changed one, only what changed is sent. Nothing else pushes: `up` only looks.
    """
    from provision import engine, sharing

    environment = engine.load(request)
    state_dir = engine.state_of(environment, request.backend)
    pushed = sharing.push(environment, request.backend, state_dir, progress(), memory=memory)
    if form == "json":
        click.echo(json.dumps({"pushed": [_data(each) for each in pushed]}, indent=2))
        return
    for each in pushed:
        say(f"{each.reference}@{each.digest}", bold=True)
        if each.sent == 0:
            say("  it was there already")
        elif each.size is not None and each.sent is not None:
            say(f"  {shown_size(each.sent)} of {shown_size(each.size)} were sent, the rest was there")


def _data(pushed: Pushed) -> dict[str, object]:
    return {
        "kind": pushed.item.kind,
        "what": pushed.item.title,
        "architecture": pushed.item.architecture,
        "reference": pushed.reference,
        "digest": pushed.digest,
        "size": pushed.size,
        "sent": pushed.sent,
    }
