"""provision logs."""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from provision.cli.options import machine_option, with_request_and_words
from provision.progress import visible

if TYPE_CHECKING:
    from provision.engine import Request

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGO = re.compile(r"(\d+[smhd])+")
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
_PLAIN = "\x1b[0m"


def _moment(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    """A time of the epoch, from how long ago it was, or from a date."""
    if text is None:
        return None
    if _AGO.fullmatch(text):
        return time.time() - sum(int(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"\d+[smhd]", text))
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither how long ago, as 90s, 10m, 1h30m or 2d, nor a time, as 2026-11-27T08:00:00"
        ) from None


def _lines(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """How many lines; `all` as Compose has it."""
    if text is None or text == "all":
        return None
    if not text.isascii() or not text.isdigit():
        raise click.BadParameter(f"{text!r} is neither a number of lines nor all")
    return int(text)


@click.command("logs", options_metavar="[SPEC] [OPTIONS]")
@with_request_and_words("[SERVICE]…")
@machine_option
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines.")
@click.option("-n", "--tail", metavar="N", callback=_lines, help="Only the last N lines of each machine.")
@click.option("--since", metavar="TIME", callback=_moment,
              help="Only lines since then: 10m, 1h30m, 2d ago, or 2026-11-27T08:00:00.")  # fmt: skip
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written, in UTC.")
def command(
    request: Request,
    words: tuple[str, ...],
    machine: str | None,
    follow: bool,  # noqa: FBT001 - click's flag
    tail: int | None,
    since: float | None,
    timestamps: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Show the output of all services, or of the named ones; `setup` counts as one."""
    from provision import engine
    from provision.backends.log_view import LogView

    shown = _for_a_terminal if sys.stdout.isatty() else str
    engine.logs(
        engine.resolve(request),
        words,
        lambda line: click.echo(shown(line), color=True),
        machine=machine,
        view=LogView(follow=follow, tail=tail, since=since, timestamps=timestamps),
    )


def _for_a_terminal(line: str) -> str:
    """A service's line with its colours; whatever else would steer the terminal is shown by its number."""
    parts = _COLOUR.split(line)
    shown = "".join(part if _COLOUR.fullmatch(part) else visible(part) for part in parts)
    return shown + _PLAIN if len(parts) > 1 else shown
