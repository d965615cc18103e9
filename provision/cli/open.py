"""provision open."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from provision.cli.options import with_request_and_words
from provision.cli.port import parse, select
from provision.cli.show import progress, say
from provision.errors import EnvironmentFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provision.engine import Request
    from provision.model import PortStatus

SECURE = (443, 8443)  # what listens there speaks HTTPS


@click.command("open", options_metavar="[SPEC] [OPTIONS]")
@with_request_and_words("[MACHINE] [PORT]")
@click.option("--print", "only_print", is_flag=True, help="Print the URL and open no browser.")
def command(request: Request, words: tuple[str, ...], only_print: bool) -> None:  # noqa: FBT001 - click's flag
    """Open a published port in the browser, and print its URL.

    Without PORT: the first that speaks HTTP. In CI, and where nobody looks, no browser is opened.
    """
    from provision import engine
    from provision.cli.up import speaks_http

    machine, wanted = parse(words)
    ref = engine.resolve(request)
    with progress().wait("checking what is running"):
        published = engine.ports(ref, machine)
    url = choose(published, wanted, lambda port: speaks_http(port.address, port.host))
    if url is None:
        what = f"port {wanted[0]}" if wanted else "no port"
        reason = (
            f"{what} of {machine or ref.name} is not published"
            if wanted
            else f"{what} of {ref.name} speaks HTTP"
        )
        ports = sorted(
            {port.guest for ports in published.values() for port in ports if port.protocol == "tcp"}
        )
        raise EnvironmentFailed(reason, hint=f"published: {', '.join(map(str, ports)) or 'no port at all'}")
    show_url(url, only_print=only_print)


def show_url(url: str, *, only_print: bool) -> None:
    """Print a URL, and open it in the browser unless it is only to be printed, or nobody looks."""
    say(url)
    if not only_print and os.environ.get("CI") != "true" and sys.stdout.isatty():
        click.launch(url)


def choose(
    published: Mapping[str, Sequence[PortStatus]],
    wanted: tuple[int, str] | None,
    speaks: Callable[[PortStatus], bool],
) -> str | None:
    """The URL of the wanted port, or of the first that speaks HTTP; None where there is none. Pure.

    Args:
        published: the ports of each machine.
        wanted: number and protocol of the one that was named.
        speaks: whether a port speaks HTTP; not asked of the wanted one.
    """
    ports = [port for each in published.values() for port in select(each, wanted) if port.protocol == "tcp"]
    chosen = next((port for port in ports if wanted or port.guest in SECURE or speaks(port)), None)
    if chosen is None:
        return None
    return f"{'https' if chosen.guest in SECURE else 'http'}://{chosen.endpoint}/"
