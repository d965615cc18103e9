"""The entry point: runs the command line and turns every error into a message and an exit code."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # what `signal` wraps, in 5 ms: too late for what follows

# While modules are still imported, an interrupt ends the program as the system does: without words.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import errno
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.errors import ProvisionError

# What a host says of its disk to any program that writes; everything else is a bug of ours.
REFUSALS = {
    errno.ENOSPC: "make room there (`provision gc` shows what nobody needs), then try again",
    errno.EDQUOT: "this user's disk quota is used up: make room, then try again",
    errno.EROFS: "the disk is read-only: work in a folder that you can write to",
    errno.EACCES: "give this user access, or work in a folder that belongs to them",
}
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run `provision` with this process's arguments, then exit."""
    # A short run keeps almost every object until it exits. To look for garbage among them costs a
    # tenth of the run while modules are imported, and another tenth at exit.
    gc.set_threshold(50_000)
    _open_streams()
    code = _run()
    code = _flush() or code
    gc.freeze()
    sys.exit(code)


def _run() -> int:
    """Run the verb and return its exit code; an error that it raised has been printed."""
    import click

    from provision.errors import ProvisionError
    from provision.handover.there import begin

    _handle_signals()
    begin()
    stdout = sys.stdout
    try:
        code = _run_verb()
    except ProvisionError as error:
        return _refuse(error)
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        # click has put its own Abort in the interrupt's place
        interrupt = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        notes = getattr(interrupt, "__notes__", ())
        return _interrupted(int(getattr(interrupt, "number", signal.SIGINT)), notes)
    except click.ClickException as error:
        from provision.cli.habits import hint

        _say(error)
        if known := hint(error):
            _say(f"hint: {known}")
        return error.exit_code
    except BrokenPipeError:
        return 0  # whoever read us has seen enough
    except SystemExit as left:  # from the shell's completion, or for a reader who went away
        gone = sys.stdout is not stdout  # click has put another in its place then
        return 0 if gone or not isinstance(left.code, int) else left.code
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        if error.errno == errno.ENOSPC:
            full = ProvisionError(
                f"the disk is full: {where}{error.strerror}", evidence=_room(), hint=REFUSALS[error.errno]
            )
            return _refuse(full)
        return _refuse(ProvisionError(f"{where}{error.strerror}", hint=REFUSALS[error.errno]))
    return code if isinstance(code, int) else 0


def _run_verb() -> object:
    """Run the verb; what fails because a signal ended it counts as interrupted.

    Commands in other threads end with it, and Python itself raises a RuntimeError for an interrupt
    that arrives while it creates a class.
    """
    import click

    from provision.cli import commands
    from provision.errors import Interrupted

    try:
        return commands.main(prog_name="provision", standalone_mode=False)
    except (click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        if _Received.signal:
            raise Interrupted(_Received.signal) from error
        raise


def _room() -> list[str]:
    """What is free where provision writes."""
    import shutil
    import tempfile

    from provision import resources

    lines = []
    for what, folder in (("state", resources.state()), ("cache", resources.cache()),
                         ("temporary files", tempfile.gettempdir())):  # fmt: skip
        with suppress(OSError):
            there = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
            lines.append(f"{shutil.disk_usage(there).free >> 20} MiB are free for {what} in {folder}")
    return lines


def _open_streams() -> None:
    """Open the standard streams that the caller closed, on nothing.

    Otherwise the next file would get their number, and children would write into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            os.set_inheritable(number, True)  # noqa: FBT003 - the standard library's parameter
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a terminal may lack ✓


def _flush() -> int:
    """Flush the streams; return an exit code if that failed."""
    code = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # What cannot be written must not be tried again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if error.errno in REFUSALS:
                _say(f"error: the output could not be written: {error.strerror}")
                code = 1
    return code


def _handle_signals() -> None:
    """Let a terminating signal interrupt the verb, unless the caller ignores it."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _ignore_signals() -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


class _Received:
    """The signal that this process was told to end by, if any."""

    signal = 0


def _interrupted(number: int, notes: Sequence[str] = ()) -> int:
    """Say so, and what is left; the exit code."""
    from provision.errors import EXIT_SIGNALLED

    _ignore_signals()
    for line in ("interrupted", *notes):
        _say(line)
    return EXIT_SIGNALLED + number


def _interrupt(number: int, _frame: object) -> None:
    from provision.errors import Interrupted

    _Received.signal = number
    # The module may be about to be imported, and have nothing yet.
    if end_children := getattr(sys.modules.get("provision.process"), "end_children", None):
        end_children()
    raise KeyboardInterrupt if number == signal.SIGINT else Interrupted(number)


def _refuse(error: ProvisionError) -> int:
    from provision.cli.show import show_error

    with suppress(OSError):  # nobody may read it
        show_error(error)
    return error.exit_code


def _say(what: object) -> None:
    import click

    with suppress(OSError):  # nobody may read it
        if isinstance(what, click.ClickException):
            what.show()
        else:
            click.echo(str(what), err=True)


if __name__ == "__main__":
    main()
