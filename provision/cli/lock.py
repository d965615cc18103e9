"""provision lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from provision.cli.options import completed, timeout_option, with_request_and_backends
from provision.cli.show import progress, say
from provision.errors import UsageError
from provision.hints import command as command_of

if TYPE_CHECKING:
    from provision.engine import Request


@click.command("lock")
@with_request_and_backends("A backend to lock; repeat it for several.", words="[SPEC] [PACKAGE]...")
@click.option("--check", is_flag=True, help="Make nothing; exit code 1 if the spec needs another lock.")
@click.option("--upgrade", is_flag=True, help="Take newer versions: of the named packages, else of all.")
@timeout_option
def command(
    request: Request,
    names: tuple[str, ...],
    words: tuple[str, ...],
    check: bool,  # noqa: FBT001 - click's contract
    upgrade: bool,  # noqa: FBT001
    timeout: float,
) -> None:
    """Write NAME.lock.yaml beside the spec: the versions of everything its machines are made of.

    It brings the spec up in each backend as NAME-lock, reads what is installed, and takes it down.
    Versions that are locked already stay, unless --upgrade frees them. Another architecture or
    backend is added to the lock. Commit the lock: `up` uses it, `up --frozen` insists on it.
    """
    from provision import lockfile, locking

    if words and not upgrade:
        raise UsageError(
            "packages are named only with --upgrade",
            hint=f"{command_of('lock', '--upgrade', *words)} takes newer versions of them",
        )
    if check and upgrade:
        raise UsageError("--check and --upgrade exclude each other", hint="leave one of them out")
    path = lockfile.path_of(request.spec)
    if check:
        reasons = locking.check(request, names)
        for reason in reasons:
            say(reason)
        if reasons:
            say(f"the spec needs another lock; {completed(command_of('lock'), request)} writes it", bold=True)
            raise click.exceptions.Exit(1)
        say(f"{path} fits the spec", bold=True)
        return
    chosen, notes = _usable(names)
    found = locking.take(
        request, chosen, progress(), upgrade=(words or None) if upgrade else (), timeout=timeout
    )
    for note in (*notes, *found.notes):
        say(note)
    for change in found.changes:
        say(f"  {change}")
    count = sum(len(base.packages) for bases in found.lock.bases.values() for base in bases.values())
    done = "is written" if found.written else "is up to date"
    say(f"{path} {done}: {count} packages, {' and '.join(chosen)}", bold=True)


def _usable(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The backends to lock: those that were named, or those of all that this host can use."""
    from provision import locking

    source = click.get_current_context().get_parameter_source("names")
    if source is not click.core.ParameterSource.DEFAULT:
        return names, ()
    return locking.usable(names)
