"""A command in a machine on this process's own terminal; a signal that ends this process ends it too."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.errors import ProvisionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.target import Target

STDIN = 0
GRACE = 10  # seconds between a signal and SIGKILL, as `docker stop` has it

# The shell stays as the command's parent: its text holds the name by which the command is found
# again, and it gives the exit code of a command that a signal ended, which ssh does not. What it
# says of that itself is not the command's: it has no stderr.
# An empty stdin is made empty inside: an engine can lose an end of input that comes at once
# (moby/moby#37870, containerd/containerd#4489), and the command would wait for ever.
_STARTED = ': {name};{stdin} trap : INT QUIT; exec 3>&2 2>/dev/null; (exec 2>&3 3>&-; exec "$@"); exit $?'

# Neither client tells a machine of a signal: `docker exec` and `ssh` end, their command runs on.
# Parents are signalled before their children: a shell whose child ends first goes on with its next command.
END = r"""
tree=$(grep -s ^PPid: /proc/[0-9]*/status | awk -F '[/:\t ]+' -v begun="$(
  grep -ls '{pattern}' /proc/[0-9]*/cmdline | cut -d / -f 3 | tr '\n' ' ')" '
  BEGIN { count = split(begun, order, " ") }
  { parent[$3] = $6 }
  END {
    for (i = 1; i <= count; i++) if (!(order[i] in tree)) {
      tree[order[i]]
      printf "%s ", order[i]
      for (pid in parent) if (parent[pid] == order[i]) order[++count] = pid
    }
  }')
living() { for pid in $tree; do grep -qs '^State:.[^Z]' "/proc/$pid/status" && return 0; done; return 1; }
kill -s {signal} $tree 2>/dev/null
left={tenths}
while [ "$left" -gt 0 ] && living; do sleep 0.1; left=$((left - 1)); done
! living || kill -s KILL $tree 2>/dev/null
true
"""


def run_attached(target: Target, words: Sequence[str], *, user: str, workdir: str, terminal: bool) -> int:
    """Run a command in a machine with this process's stdin, output and terminal; its exit code.

    A signal that interrupts this process goes to the command and everything it started;
    what is still running after GRACE seconds, or at a second signal, is killed.

    Raises:
        KeyboardInterrupt: a signal has interrupted it; the command has ended.
    """
    name = f"provision-{os.urandom(8).hex()}"

    def end(interrupt: KeyboardInterrupt) -> None:
        number = int(getattr(interrupt, "number", signal.SIGINT))
        for grace, chosen in ((GRACE, signal.Signals(number)), (0, signal.SIGKILL)):
            try:
                target.run(end_script(name, chosen, grace), user="root", timeout=GRACE * 2)
            except KeyboardInterrupt:
                continue
            except ProvisionError:
                pass  # the machine is gone, and the command with it
            return

    started = named(words, name, empty_stdin=_is_null(STDIN))
    return process.attach(target.enter(started, user=user, workdir=workdir, terminal=terminal), end)


def named(words: Sequence[str], name: str, *, empty_stdin: bool = False) -> list[str]:
    """A command that `end_script` finds by its name, as words to run in a machine."""
    stdin = " exec </dev/null;" if empty_stdin else ""
    return ["sh", "-c", _STARTED.format(name=name, stdin=stdin), "provision", *words]


def _is_null(descriptor: int) -> bool:
    """Whether a file descriptor is open on the null device, as stdin is in most CI jobs."""
    opened = os.fstat(descriptor)
    return stat.S_ISCHR(opened.st_mode) and opened.st_rdev == Path(os.devnull).stat().st_rdev


def end_script(name: str, chosen: signal.Signals, grace: int) -> str:
    """A script for `sh` that stops what was started under a name, with all its descendants."""
    pattern = f"{name[:-1]}[{name[-1]}]"  # which the search itself does not match
    return (
        END.replace("{pattern}", pattern)
        .replace("{signal}", chosen.name.removeprefix("SIG"))
        .replace("{tenths}", str(grace * 10))
    )
