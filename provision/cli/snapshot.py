"""provision snapshot."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from provision.cli.options import format_option, timeout_option, with_request, with_request_and_words
from provision.cli.show import progress, say, table

if TYPE_CHECKING:
    from provision.backends.snapshots import SnapshotRecord
    from provision.engine import Request


@click.group("snapshot")
def command() -> None:
    """Save machines and volumes as they are, and restore them.

    A virtual machine of QEMU is saved with its memory and runs on from there; the services of a
    container start anew. Folders of this host are no part of it.
    """


def _name(words: tuple[str, ...]) -> str:
    if len(words) != 1:
        raise click.UsageError("Name one snapshot: provision snapshot save|restore|delete [SPEC] NAME")
    return words[0]


@command.command("save")
@with_request_and_words("NAME", at_least=1)
def save(request: Request, words: tuple[str, ...]) -> None:
    """Keep machines and volumes as they are now; they run on."""
    from provision import engine

    name = _name(words)
    engine.save_snapshot(engine.resolve(request), name, progress())
    say(f"saved {name}")


@command.command("restore")
@with_request_and_words("NAME", at_least=1)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before replacing what is there.")
@timeout_option
def restore(request: Request, words: tuple[str, ...], yes: bool, timeout: float) -> None:  # noqa: FBT001 - click's flag
    """Put machines and volumes back as they were saved; what they hold now is lost."""
    from provision import engine
    from provision.backends import snapshots

    name = _name(words)
    ref = engine.resolve(request)
    record = snapshots.find(ref.state_dir, name)
    if not yes:
        say(f"this replaces {_contents(record)} with what was saved at {record.taken}", err=True)
        say("what they hold now will be lost", err=True)
        if not sys.stdin.isatty():
            raise click.UsageError("There is no terminal to ask on. Use --yes to replace it.")
        click.confirm("Restore it?", abort=True, err=True)
    engine.restore_snapshot(ref, name, progress(), timeout=timeout)
    say(f"restored {name}: {_contents(record)} are as they were at {record.taken}")


@command.command("list")
@with_request
@format_option
def list_snapshots(request: Request, form: str) -> None:
    """List the snapshots, oldest first."""
    from provision import engine

    ref = engine.resolve(request)
    found = engine.kept_snapshots(ref)
    if form == "json":
        listed = [{"name": each.name, "taken": each.taken, "machines": list(each.machines)} for each in found]
        click.echo(json.dumps({"name": ref.name, "backend": ref.backend.name, "snapshots": listed}, indent=2))
        return
    table(["SNAPSHOT", "TAKEN", "MACHINES"], [(e.name, e.taken, " ".join(e.machines)) for e in found])


@command.command("delete")
@with_request_and_words("NAME", at_least=1)
def delete(request: Request, words: tuple[str, ...]) -> None:
    """Remove a snapshot."""
    from provision import engine

    name = _name(words)
    engine.delete_snapshot(engine.resolve(request), name, progress())
    say(f"deleted {name}")


def _contents(record: SnapshotRecord) -> str:
    """What a restore replaces, in words."""
    machines = f"the files of {', '.join(record.machines)}"
    return (
        f"{machines} and the volumes {', '.join(record.volumes)}"
        if record.volumes
        else f"{machines} and their volumes"
    )
