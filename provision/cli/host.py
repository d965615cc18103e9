"""`--host`: the machines of this call are on another host, which the user's configuration names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from provision.backends import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_option(command: click.Command) -> click.Command:
    """Give a verb `--host`, unless it has an option of this name."""
    option = click.Option(
        ["--host"],
        envvar=HOST,
        metavar="NAME",
        is_eager=True,
        expose_value=False,
        callback=_choose,
        help="Use the engine of this host of your configuration; or $PROVISION_HOST.",
    )
    if not any("--host" in each.opts for each in command.params):
        command.params.append(option)
    return command


def chosen() -> str:
    """The host that was chosen for this call; empty for this one."""
    return os.environ.get(HOST, "")


def _choose(_context: click.Context, _parameter: click.Parameter, name: str | None) -> None:
    """Have this process, and each that it starts, use the engine of the host."""
    if not name:
        return
    os.environ["DOCKER_HOST"] = address_of(name, _engines())
    os.environ[HOST] = name


def address_of(name: str, engines: Mapping[str, str]) -> str:
    """The engine of a host; UsageError if none is called so. Pure."""
    from provision.errors import UsageError

    if name not in engines:
        known = f"known: {', '.join(sorted(engines))}; " if engines else ""
        raise UsageError(
            f"your configuration has no host {name}",
            hint=f"{known}add it to ~/.config/provision/config.yaml:"
            f" hosts: {{{name}: {{docker: ssh://USER@{name}}}}}",
        )
    return engines[name]


def _engines() -> Mapping[str, str]:
    from provision.spec.personal import engines
    from provision.spec.reading import configuration

    path = configuration(os.environ)
    return engines(path) if path is not None else {}
