"""The entry point: runs the command line and turns every error into its words and exit code."""

from __future__ import annotations

import errno
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

INTERRUPTED = 130
# What a host says of its disk to any program that writes; everything else is a bug of ours.
REFUSALS = {
    errno.ENOSPC: "make room on the disk, then try again",
    errno.EDQUOT: "this user's share of the disk is used up: make room, then try again",
    errno.EROFS: "the disk can only be read: work in a folder that can be written",
    errno.EACCES: "give this user the right to it, or work in a folder of its own",
}


def main() -> None:
    """Run `provision` with this process's arguments, then exit."""
    import click

    from provision.cli import commands
    from provision.cli.show import show_error
    from provision.errors import ProvisionError

    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell's background job has it
        signal.signal(signal.SIGINT, _interrupt)
    try:
        code = commands.main(prog_name="provision", standalone_mode=False)
    except ProvisionError as error:
        show_error(error)
        code = error.exit_code
    except click.exceptions.Exit as wanted:
        code = wanted.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has seen enough; nothing is left to say
        code = 0
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        show_error(ProvisionError(f"{where}{error.strerror}", hint=REFUSALS[error.errno]))
        code = ProvisionError.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    from provision import process

    process.end_children()
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
