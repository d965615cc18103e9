"""`-v`: every command that provision runs, and what the engine prints, on stderr. `-q`: no progress."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

QUIET = "provision.quiet"
HOST, INSIDE = "provision.process", "provision.target"


def add_option(command: click.Command) -> click.Command:
    """Give a verb `-v`, also written `--verbose`."""
    option = click.Option(
        ["-v", "--verbose"],
        count=True,
        is_eager=True,
        expose_value=False,
        callback=_turn_on,
        help="Show every command and its output; -vv: also those inside the machines.",
    )
    quiet = click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_silence,
        help="Show no progress: only the answer, and errors.",
    )
    taken = {word for each in command.params for word in each.opts}
    command.params += [each for each in (option, quiet) if not taken & set(each.opts)]
    return command


def is_quiet() -> bool:
    """Whether the user wants no progress."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(QUIET))


def _silence(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's contract
    context.meta[QUIET] = wanted


def is_on() -> bool:
    """Whether the user requested it."""
    return any(isinstance(handler, _Shown) for handler in logging.getLogger(HOST).handlers)


def _turn_on(_context: click.Context, _parameter: click.Parameter, level: int) -> None:
    loggers: Sequence[str] = (HOST, INSIDE)[:level]
    for name in loggers:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(_Shown())


class _Shown(logging.Handler):
    """Writes to stderr; what of a line others wrote can steer no terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        from provision.progress import visible

        click.echo(click.style(visible(record.getMessage()), dim=True), err=True)
