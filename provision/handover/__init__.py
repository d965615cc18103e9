"""Virtual machines on another host: the verb runs there, by ssh, with this very program.

A machine of QEMU or libvirt consists of files, sockets and processes of its host: disks, logs, locks, a
network. So none of that is steered from afar. The project is copied there, provision too unless that host
has it, and the verb runs there as it would here; its output, its exit code and its ports come back
(docs/adr/0027-machines-elsewhere-by-provision-there.md).
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provision import forwarding, process
from provision.errors import UsageError
from provision.handover import project
from provision.handover.connection import UNREACHED, Connection
from provision.handover.program import Program, prepare
from provision.handover.there import NAME, VARIABLES
from provision.hints import command
from provision.model import bracketed
from provision.quick_dataclasses import dataclass
from provision.state import StateDir, on_host

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from provision.progress import Progress

# The verbs that run there. The others write files beside the spec, or are about both hosts.
VERBS = frozenset({
    "validate", "explain", "plan", "up", "verify", "status", "exec", "shell", "ssh", "cp", "port", "open",
    "restart", "logs", "top", "events", "inventory", "sync", "watch", "stop", "start", "snapshot", "pause",
    "unpause", "down", "push", "pull",
})  # fmt: skip
INSTEAD = {"ssh-config": f"{command('ssh')} logs in to its machines"}
TAKE_WORDS = frozenset({"exec", "shell", "ssh"})  # whose words belong to another program
READS = TAKE_WORDS | {"cp"}  # the caller's standard input
READ_THE_SPEC = frozenset({"validate", "explain", "plan", "up", "verify", "sync", "watch", "push", "pull"})
START = frozenset({"up", "start", "restart", "unpause", "snapshot", "watch"})
END = frozenset({"stop", "down"})
PASSED_ON = ("CI", "NO_COLOR")
RECORD = "variables"
FILES = ("-o", "--output", "--html", "--junit")  # options that name a file to write


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Another host for virtual machines.

    Args:
        address: how ssh reaches it, such as ssh://me@big.
        name: its name in the user's configuration, for hints; empty where it has none.
        variables: what is set for the verb there.
    """

    address: str
    name: str = ""
    variables: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the command line.

    Args:
        verb: its name.
        words: all words of the command line, the verb first.
        spec: the spec's file.
        project: the project's folder.
        backend: the backend's name.
        environment: the environment's name.
        arguments: those by which another verb means the same environment.
        variables: the names of those that the spec reads of this host.
        settings: variables of this tool's own, which are set there.
    """

    verb: str
    words: Sequence[str]
    spec: Path
    project: Path
    backend: str
    environment: str
    arguments: Sequence[str]
    variables: Collection[str]
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class VariablesRecord:
    """The names of this host's variables that the environment needed when it last came up, for `start`."""

    names: tuple[str, ...]


def hand_over(
    elsewhere: Elsewhere, call: Call, progress: Progress, *, show: Callable[[process.Completed], int] | None
) -> int:
    """Run a verb on another host, and have its ports here; the verb's exit code.

    Args:
        elsewhere: the host.
        call: the verb.
        progress: told of what takes long before it.
        show: shows what the verb printed, and returns the exit code; it has this process's streams if None.

    Raises:
        UsageError: the verb does not run on another host, or writes a file there.
        HostLacks: the host is not reached, or lacks Python or provision.
        EnvironmentFailed: the project cannot be copied, or a port is taken here.
    """
    require_handed_over(call, elsewhere)
    connection = Connection(elsewhere.address)
    copy = project.Copy(call.project, connection)
    with progress.wait(f"connecting to {connection.host}"):
        program = prepare(connection, progress, asking=copy.question)
    copy.found(program.answer)
    if call.verb in READ_THE_SPEC or not copy.is_there:
        copy.send(progress)
    state_dir = StateDir.of(
        call.project, call.environment, call.backend, call.spec, host=on_host(elsewhere.address)
    )
    call = replace(call, variables=_needed(call, state_dir))
    if call.verb not in END and not program.is_this_host:
        forwarding.revive(state_dir)
    with copy.watching(progress) if call.verb == "watch" else copy.still():
        code = _run(connection, program, copy, elsewhere, call, show)
    if call.verb in END and code == 0:
        forwarding.end(state_dir)
        if call.verb == "down":
            state_dir.remove()
    elif call.verb in START:
        state_dir.save(RECORD, VariablesRecord(names=tuple(sorted(call.variables))))
        if not program.is_this_host:
            _forward(connection, program, copy, elsewhere, call, state_dir)
    return code


def _needed(call: Call, state_dir: StateDir) -> Collection[str]:
    if call.verb in READ_THE_SPEC:
        return call.variables
    record = state_dir.load_sound(RECORD, VariablesRecord)
    return {*call.variables, *(record.names if record else ())}


def require_handed_over(call: Call, elsewhere: Elsewhere) -> None:
    """Raise UsageError where a verb, or what it is asked, is nothing for another host. Pure."""
    host = elsewhere.name or elsewhere.address
    if call.verb not in VERBS:
        raise UsageError(
            f"`provision {call.verb}` does not work with virtual machines on another host, here {host}",
            hint=INSTEAD.get(call.verb, "log in there, and run it in a clone of the project"),
        )
    ours = () if call.verb in TAKE_WORDS else call.words
    if option := next((word for word in ours if word.partition("=")[0] in FILES), None):
        raise UsageError(
            f"{option} would write a file on {host}",
            hint="leave it out, and redirect the output of the verb",
        )
    if call.verb == "cp":
        places = [word for word in call.words[1:] if word == "-" or not word.startswith("-")]
        if any(word != "-" and ":" not in word and not word.endswith((".yaml", ".yml")) for word in places):
            raise UsageError(
                f"the file would be one of {host}, as cp runs there",
                hint=f"copy a stream, an archive of tar: {command('cp', '-', 'MACHINE:FOLDER')} reads one,"
                f" and {command('cp', 'MACHINE:PATH', '-')} writes one",
            )


def translated(call: Call, words: Sequence[str], here: Path, host: str) -> tuple[str, ...]:
    """The words of a command line as they are right in the copy of a project, in the same folder of it. Pure.

    Args:
        call: whose project and backend it is.
        words: of the command line; `--host NAME` is left out, and `-b auto` replaced.
        here: the folder in which the caller is; outside of the project, the verb runs in its topmost one.
        host: the name.
    """
    rest = list(words)
    for words_of_host in (["--host", host], [f"--host={host}"]):
        at = next(
            (at for at in range(len(rest)) if rest[at : at + len(words_of_host)] == words_of_host), None
        )
        if host and at is not None:
            del rest[at : at + len(words_of_host)]
    kept: list[str] = []
    for at, word in enumerate(rest):
        if word == "--":
            return (*kept, *rest[at:])
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if value == "auto" and (option == "--backend" or rest[at - 1] in ("-b", "--backend")):
            value = call.backend
        kept.append(f"{option}{equals}{_inside(value, call.project, here)}")
    return tuple(kept)


def _inside(text: str, folder: Path, here: Path) -> str:
    """A path of the project relative to where the verb runs; every other text as it is."""
    base = here if here.is_relative_to(folder) else folder
    path = os.path.normpath(here / text) if text.endswith((".yaml", ".yml")) else text
    if path != str(folder) and not path.startswith(f"{folder}/"):
        return text
    return os.path.relpath(path, base)


def _script(
    connection: Connection,
    program: Program,
    copy: project.Copy,
    elsewhere: Elsewhere,
    call: Call,
    words: Sequence[str],
) -> str:
    """What `sh` runs there: a verb, in the folder of the copy in which the caller is."""
    here = Path(os.path.realpath(Path.cwd()))
    below = here.relative_to(call.project) if here.is_relative_to(call.project) else Path()
    named = {NAME: elsewhere.name} if elsewhere.name else {}
    kept = {name: os.environ[name] for name in (*PASSED_ON, *call.variables) if name in os.environ}
    handed = connection.leave({**kept, **call.settings, **elsewhere.variables, **named})
    return (
        f"cd {shlex.quote(str(copy.folder / below))} && PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin"
        f" {VARIABLES}={shlex.quote(handed)} exec"
        f" {program.command(translated(call, words, here, elsewhere.name))}"
    )


def _run(
    connection: Connection,
    program: Program,
    copy: project.Copy,
    elsewhere: Elsewhere,
    call: Call,
    show: Callable[[process.Completed], int] | None,
) -> int:
    """Run the verb there; its exit code."""
    script = _script(connection, program, copy, elsewhere, call, call.words)
    if show is not None:
        return show(connection.run(script, check=False))
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    options = ["-t"] if on_terminal else [] if call.verb in READS else ["-n"]
    # The verb ends when this process's ssh does, which the same signal ends.
    code = process.attach(connection.words(*options, script=script), lambda _interrupt: None)
    if code == UNREACHED:
        connection.run("true")  # says so, where that is why
    return code


def _forward(
    connection: Connection,
    program: Program,
    copy: project.Copy,
    elsewhere: Elsewhere,
    call: Call,
    state_dir: StateDir,
) -> None:
    """Forward the ports that the machines have there, at the same numbers here."""
    import json

    words = ["status", "--format", "json", *call.arguments]
    script = _script(connection, program, copy, elsewhere, call, words)
    answer = connection.run(script, check=False)
    if answer.code != 0:
        return  # the verb itself said why
    wanted = [
        f"{place}:{place}"
        for machine in json.loads(answer.stdout)["machines"]
        for port in machine.get("ports", ())
        if port.get("protocol", "tcp") == "tcp"
        for place in (f"{bracketed(port['address'])}:{port['host']}",)
    ]
    forwarding.forward(state_dir, wanted)
