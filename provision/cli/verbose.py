"""`-v`: every command that provision runs, and what the engine prints, on stderr. `-q`: no progress."""

from __future__ import annotations

import click

from provision import log

QUIET = "provision.quiet"
VERBOSE = "provision.verbose"


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
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(VERBOSE))


def _turn_on(context: click.Context, _parameter: click.Parameter, level: int) -> None:
    if not level:
        return
    from provision.log_listener import listen
    from provision.progress import visible

    def show(message: str) -> None:
        """Write to stderr; what of a line others wrote can steer no terminal."""
        click.echo(click.style(visible(message), dim=True), err=True)

    context.meta[VERBOSE] = True
    for logger in (log.COMMANDS, log.SCRIPTS)[:level]:
        listen(logger, show)
