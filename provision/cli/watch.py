"""provision watch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from provision.cli.options import completing, timeout_option, with_request
from provision.cli.show import progress, show_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from threading import Thread

    from provision.engine import Request
    from provision.model import Environment

    Signature = Mapping[Path, object]

AGAIN = 1000  # milliseconds after which it looks, told of a change or not
QUIET_FOR = 0.3  # seconds without a change: an editor, or git, writes several files


@click.command("watch")
@with_request
@click.option("--no-verify", is_flag=True, help="Do not verify the environment each time it is up.")
@click.option("--yes", is_flag=True, help="Do not ask before a virtual machine's disk is thrown away.")
@timeout_option
def command(
    request: Request,
    no_verify: bool,  # noqa: FBT001 - click's flags
    yes: bool,  # noqa: FBT001
    timeout: float,
) -> None:
    """Bring the environment up, and again whenever its spec or a file that it names changes.

    What changed is applied as `up` does. While the spec is wrong, it says so and waits.
    Folders that are not live are copied into the machines whenever something in them changes.
    Ctrl-C ends it; the machines stay up.
    """
    known: set[Path] = set()
    shown = progress()
    copying: Thread | None = None
    while True:
        known, before, is_up = _try(request, known, verifies=not no_verify, yes=yes, timeout=timeout)
        if is_up and not (copying and copying.is_alive()):
            copying = _copying(request)
        count = len(before)
        shown.note(f"watching {count} file{'' if count == 1 else 's'}: Ctrl-C ends it, the machines stay up")
        changed = next(_changes(before))
        names = ", ".join(path.name for path in changed[:3]) + (" and more" if len(changed) > 3 else "")
        shown.note(f"{names} changed")


def _copying(request: Request) -> Thread:
    """Copy folders that are not live, at each change, until this process ends; ends at once where all are."""
    from threading import Thread

    from provision import engine
    from provision.errors import ProvisionError

    def copy() -> None:
        try:
            engine.sync(engine.resolve(request), watch=True, progress=progress())
        except ProvisionError as error:  # the next `up` begins it again
            show_error(error)

    thread = Thread(target=copy, name="copying folders", daemon=True)
    thread.start()
    return thread


def _try(
    request: Request, known: set[Path], *, verifies: bool, yes: bool, timeout: float
) -> tuple[set[Path], Signature, bool]:
    """Bring up what is described now, or say why not.

    Returned are the files that it consists of, their state before, and whether it is up.
    """
    from provision import files
    from provision.cli.trust import load_asking
    from provision.cli.up import bring_up
    from provision.errors import ProvisionError

    begun = time.monotonic()
    files_of = set(known) or {request.spec.absolute()}
    before = _signature(files_of)
    is_up = False
    try:
        with completing(request):
            with files.noting() as read:
                try:
                    environment = load_asking(request)
                finally:
                    # Of a broken spec some files were not reached: the former ones count too.
                    files_of = read | files_of
            files_of = read | _named(environment)
            before = {**_signature(files_of), **{path: s for path, s in before.items() if path in files_of}}
            bring_up(request, environment, begun, verifies=verifies, yes=yes, timeout=timeout)
            is_up = True
    except ProvisionError as error:
        show_error(error)
        before = {**_signature(files_of), **before}
    return files_of, before, is_up


def _named(environment: Environment) -> set[Path]:
    """The files that are read when the environment comes up, beside those of its spec."""
    secrets = {secret.file for machine in environment.machines for secret in machine.secrets if secret.file}
    mounts = {mount.source for machine in environment.machines for mount in machine.mounts}
    return {path.absolute() for path in (*secrets, *(path for path in mounts if path.is_file()))}


def _signature(paths: set[Path]) -> Signature:
    """What tells whether files, or what is in folders, are others than before."""
    return {path: _state(path) for path in paths}


def _state(path: Path) -> object:
    try:
        if path.is_dir():
            return sorted(entry.name for entry in path.iterdir())
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _changes(before: Signature) -> Iterator[list[Path]]:
    """The paths that are others than before, once they rest for a moment."""
    from watchfiles import watch

    paths = set(before)
    folders = {path.parent for path in paths if path.parent.is_dir()}
    folders |= {path for path in paths if path.is_dir()}
    # The system tells at once of a change, and a look now and then finds what it does not tell of.
    for _ in watch(*folders, recursive=False, rust_timeout=AGAIN, yield_on_timeout=True):
        now = _signature(paths)
        if changed := sorted(path for path in paths if now[path] != before[path]):
            while True:
                time.sleep(QUIET_FOR)
                later = _signature(paths)
                if later == now:
                    break
                now = later
            yield changed
