"""One verb on another host: its words, what it needs of this one, its ports."""

from __future__ import annotations

import base64
import io
import os
import shlex
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provision import forwarding, process
from provision.errors import UsageError
from provision.handover import project
from provision.handover.connection import UNREACHED, Connection
from provision.handover.program import Program, prepare
from provision.handover.there import NAME, VARIABLES
from provision.handover.words import translated
from provision.model import bracketed
from provision.quick_dataclasses import dataclass
from provision.state import StateDir, on_host
from provision.target import Target, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from provision.progress import Progress

# `cp` enters a machine there by `exec`, `diff` asks for its inventory; the others need no machine.
RUNS_HERE = frozenset({"cp", "diff", "outdated", "trust"})
TAKE_WORDS = frozenset({"exec", "shell", "ssh"})  # whose words, and standard input, are another program's
READ_THE_SPEC = frozenset({
    "validate", "explain", "plan", "up", "verify", "sync", "watch", "push", "pull", "render", "graph",
    "lock", "test", "compare",
})  # fmt: skip
START = frozenset({"up", "start", "restart", "unpause", "snapshot", "watch"})
END = frozenset({"stop", "down"})
# What the caller set for every call.
PASSED_ON = ("CI", "NO_COLOR", "PROVISION_PROVIDER", "PROVISION_ACCELERATOR", "PROVISION_REGISTRY")
RECORD = "variables"
FILES = ("-o", "--output", "--html", "--junit")  # options that name a file or folder to write


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
        writes: the project's files that the verb writes, besides those that its options name.
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
    writes: Sequence[Path] = ()


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
        UsageError: the verb would write outside of the project.
        HostLacks: the host is not reached, or lacks Python or provision.
        EnvironmentFailed: the project cannot be copied, or a port is taken here.
    """
    written = written_files(call, Path.cwd())
    session = _begin(elsewhere, call, progress)
    state_dir, program = session.state_dir, session.program
    if call.verb not in END and not program.is_this_host:
        forwarding.revive(state_dir)
    with session.copy.watching(progress) if call.verb == "watch" else nullcontext():
        code = session.run(show)
    for path in (*written, *call.writes):
        session.bring(path)
    if call.verb in END and code == 0:
        forwarding.end(state_dir)
        if call.verb == "down":
            state_dir.remove()
    elif call.verb in START:
        state_dir.save(RECORD, VariablesRecord(names=tuple(sorted(session.call.variables))))
        if not program.is_this_host:
            session.forward_ports(state_dir)
    return code


def enter(elsewhere: Elsewhere, call: Call, progress: Progress, machine: str | None) -> Target:
    """A machine on another host, for a verb that runs here; the only one if None is named.

    Raises:
        HostLacks: the host is not reached, or lacks Python or provision.
        EnvironmentFailed: the machine cannot be entered.
    """
    session = _begin(elsewhere, call, progress)
    named = ["-m", machine] if machine else []

    def start(
        words: Sequence[str],
        *,
        user: str,
        workdir: str,
        terminal: bool,  # noqa: ARG001 - the contract's word
    ) -> list[str]:
        who = ["-u", user] if user else []
        return session.words(["exec", *call.arguments, *named, *who, "-w", workdir, "--", *words])

    with progress.wait("checking what is running"):
        answer = process.run(start(["id", "-un"], user="", workdir="/", terminal=False), check=False)
    if answer.code != 0:
        lines = answer.stderr.strip().splitlines()
        raise Unreachable(f"machine {machine or call.environment} cannot be entered", evidence=lines[-5:])
    user = answer.stdout.strip()
    return Target(machine or call.environment, start, user=user, workdir="/", ports=())


def ask(elsewhere: Elsewhere, call: Call, progress: Progress, verb: str, *words: str) -> process.Completed:
    """What another verb prints there of the environment of a call, whatever its exit code.

    Raises:
        HostLacks: the host is not reached, or lacks Python or provision.
    """
    return _begin(elsewhere, call, progress).ask(verb, *words)


def _begin(elsewhere: Elsewhere, call: Call, progress: Progress) -> _Session:
    """Have the program and the project there."""
    connection = Connection(elsewhere.address)
    copy = project.Copy(call.project, connection)
    with progress.wait(f"connecting to {connection.host}"):
        program = prepare(connection, progress, mark_file=copy.mark_file)
    copy.found(program.mark)
    if call.verb in READ_THE_SPEC or not copy.is_there:
        copy.send(progress)
    state_dir = StateDir.of(
        call.project, call.environment, call.backend, call.spec, host=on_host(elsewhere.address)
    )
    return _Session(
        elsewhere=elsewhere, call=replace(call, variables=_needed(call, state_dir)), state_dir=state_dir,
        connection=connection, program=program, copy=copy,
    )  # fmt: skip


def _needed(call: Call, state_dir: StateDir) -> Collection[str]:
    if call.verb in READ_THE_SPEC:
        return call.variables
    record = state_dir.load_sound(RECORD, VariablesRecord)
    return {*call.variables, *(record.names if record else ())}


def written_files(call: Call, here: Path) -> tuple[Path, ...]:
    """What the options of a verb have it write, as paths of this host. Pure.

    Raises:
        UsageError: it is outside of the project, which alone is there.
    """
    found = []
    for at, word in enumerate(() if call.verb in TAKE_WORDS else call.words):
        option, equals, value = word.partition("=")
        if option not in FILES:
            continue
        named = value if equals else next(iter(call.words[at + 1 :]), "")
        path = Path(os.path.normpath(here / named))
        if Path(named).is_absolute() or not path.is_relative_to(call.project):
            raise UsageError(
                f"{option} names {named}, which is not in the project, and it alone is on the other host",
                hint=f"name a file below {call.project}, relative to where you are",
            )
        found.append(path)
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class _Session:
    """A call, and the host on which its verb runs."""

    elsewhere: Elsewhere
    call: Call
    state_dir: StateDir
    connection: Connection
    program: Program
    copy: project.Copy

    def run(self, show: Callable[[process.Completed], int] | None) -> int:
        """Run the verb there; its exit code."""
        script = self._script(self.call.words)
        if show is not None:
            return show(self.connection.run(script, check=False))
        on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        options = ["-t"] if on_terminal else [] if self.call.verb in TAKE_WORDS else ["-n"]
        # The verb ends when this process's ssh does, which the same signal ends.
        code = process.attach(self.connection.words(*options, script=script), lambda _interrupt: None)
        if code == UNREACHED:
            self.connection.run("true")  # says so, where that is why
        return code

    def bring(self, path: Path) -> None:
        """Have here what the verb has written there, in the copy of the project, if it has."""
        there = self.copy.folder / path.relative_to(self.call.project)
        words = shlex.join(["tar", "-C", str(there.parent), "-cf", "-", "--", there.name])
        answer = self.connection.run(f"[ ! -e {shlex.quote(str(there))} ] || {words} | base64")
        if answer.stdout:
            from provision.copying.unpack import unpack

            path.parent.mkdir(parents=True, exist_ok=True)
            unpack(io.BytesIO(base64.b64decode(answer.stdout)), path.parent)

    def ask(self, verb: str, *words: str) -> process.Completed:
        """What a verb prints there of this environment, whatever its exit code."""
        return self.connection.run(self._script([verb, *words, *self.call.arguments]), check=False)

    def words(self, words: Sequence[str]) -> list[str]:
        """The command of this host that runs a verb there."""
        return self.connection.words(script=self._script(words))

    def forward_ports(self, state_dir: StateDir) -> None:
        """Forward the ports that the machines have there, at the same numbers here."""
        import json

        answer = self.ask("status", "--format", "json")
        if answer.code != 0:
            return  # the verb has already printed why
        places = [
            f"{bracketed(port['address'])}:{port['host']}"
            for machine in json.loads(answer.stdout)["machines"]
            for port in machine["ports"]
            if port["protocol"] == "tcp"
        ]
        forwarding.forward(state_dir, [f"{place}:{place}" for place in places])

    def _script(self, words: Sequence[str]) -> str:
        """What `sh` runs there: a verb, in the folder of the copy in which the caller is."""
        folder, here = self.call.project, Path(os.path.realpath(Path.cwd()))
        below = here.relative_to(folder) if here.is_relative_to(folder) else Path()
        named = {NAME: self.elsewhere.name} if self.elsewhere.name else {}
        passed_on = (*PASSED_ON, *self.call.variables)
        kept = {name: os.environ[name] for name in passed_on if name in os.environ}
        handed = self.connection.leave({**kept, **self.call.settings, **self.elsewhere.variables, **named})
        verb = self.program.command(
            translated(words, folder=folder, here=here, host=self.elsewhere.name, backend=self.call.backend)
        )
        return (
            f"cd {shlex.quote(str(self.copy.folder / below))} && PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin"
            f" {VARIABLES}={shlex.quote(handed)} exec {verb}"
        )
