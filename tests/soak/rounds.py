"""Rounds of one soak: a command is struck at a random moment; then all that must hold is looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.conftest import Project

PATIENCE = 600.0  # seconds, for a command that nothing strikes
PROVISION = ["env", "--default-signal=INT,HUP,TERM", sys.executable, "-m", "provision"]
SIGNALS = {
    "kill": (signal.SIGKILL, False),
    "kill of its group": (signal.SIGKILL, True),
    "terminate": (signal.SIGTERM, False),
    "Ctrl-C": (signal.SIGINT, True),
    "hang-up": (signal.SIGHUP, False),
}
LASTS = {"up": 5.0, "down": 3.0, "stop": 3.0, "start": 3.0, "restart": 2.0, "snapshot save": 3.0,
         "snapshot restore": 5.0, "snapshot delete": 1.0, "gc --yes": 2.0}  # fmt: skip


UP: tuple[str, ...] = ("up", "--no-verify", "--yes")
SAVE: tuple[str, ...] = ("snapshot", "save", "one")
VERBS: tuple[tuple[str, ...], ...] = (
    ("down",), ("down", "--volumes"), ("down", "--volumes", "--images"), ("stop",), ("start",),
    ("restart",), ("gc", "--yes"), SAVE,
)  # fmt: skip
OF_SNAPSHOTS: tuple[tuple[str, ...], ...] = (
    *(("snapshot", "restore", "one", "--yes"),) * 2,
    ("snapshot", "delete", "one"),
)
VERSIONS = (0, 0, 1, 1, 2)  # of the spec, the third needs a build


class Finding(AssertionError):
    """Something does not hold after a kill."""


@dataclass(frozen=True, kw_only=True)
class Struck:
    """A command that was struck: what it was, by what and after how long, and how it ended."""

    words: tuple[str, ...]
    by: str
    after: float
    in_time: bool
    code: int
    output: str

    def __str__(self) -> str:
        ended = f"exit {self.code}" if self.in_time else "it had ended before"
        return f"{' '.join(self.words)}: {self.by} after {self.after:.2f} s, {ended}"


@dataclass
class Soak:
    """One environment that is struck again and again.

    A form of the environment (containers, machines) adds what only it knows.
    """

    project: Project
    random: Random
    temporary: Path
    # Of this run alone: what images another one needs stays.
    name: str = field(default_factory=lambda: f"soak{os.getpid()}")
    version: int = 0
    written: int = 0
    thrown: bool = False  # a struck command may have removed some volumes, as it was told
    snapshot: tuple[int, int] | None = None  # what was written and the version when it was saved
    verbs: tuple[tuple[str, ...], ...] = VERBS
    lasts: dict[str, float] = field(default_factory=lambda: dict(LASTS))
    settles_within: ClassVar[float] = 60.0  # for what a killed command began in an engine

    # --- what a form adds

    def spec(self, version: int) -> str:
        """The spec in one of its versions."""
        raise NotImplementedError

    def truth(self) -> Mapping[str, str]:
        """The state of each machine as its engine says it, in the words of `status`."""
        raise NotImplementedError

    def strikes(self) -> Mapping[str, Callable[[subprocess.Popen[str]], None]]:
        """What may strike a command beside a signal, by name."""
        return {}

    def things(self) -> list[str]:
        """All that the engine still has of the environment."""
        raise NotImplementedError

    @property
    def version_script(self) -> str:
        """Text for `sh` that prints words about the version of a machine."""
        raise NotImplementedError

    def require_version(self, said: list[str]) -> None:
        """Raise Finding where a machine that says so is not of the spec as it is now."""
        raise NotImplementedError

    # --- a round

    def round(self) -> Struck:
        """Strike one command, look, and go on with `up` or `down`.

        Raises:
            Finding: something did not hold.
        """
        there = bool(self.truth())
        words = self._choose(there=there)
        struck = self.strike(words)
        try:
            self._judge(struck)
            self.require_true_status()
            if self.random.random() < 0.6:
                self.recover_up()
            else:
                self.recover_down()
        except AssertionError as error:
            said = struck.output[-2000:]
            raise Finding(f"after {struck}:\n{error}\n--- its own output:\n{said}") from error
        return struck

    def _choose(self, *, there: bool) -> tuple[str, ...]:
        choices: list[tuple[str, ...]] = [UP] * 3
        if there:
            choices += self.verbs
            if self.snapshot is not None:
                choices += OF_SNAPSHOTS
        words = self.random.choice(choices)
        if words == UP:
            self.set_version(self.random.choice(VERSIONS))
        if words == SAVE and self.snapshot is not None:
            self.good("snapshot", "delete", "one", codes=(0, 2))
            self.snapshot = None
        if words == ("start",):
            self.good("stop")
        return words

    def set_version(self, version: int) -> None:
        """Write the spec in one of its versions."""
        self.version = version
        self.project.spec(self.spec(version))

    def strike(self, words: tuple[str, ...]) -> Struck:
        """Start a command, and strike it at a random moment of the time that it took before."""
        verb = " ".join(words[:2]) if words[0] in ("snapshot", "gc") else words[0]
        ways: dict[str, Callable[[subprocess.Popen[str]], None]] = {
            name: partial(_send, number=number, group=group) for name, (number, group) in SIGNALS.items()
        }
        ways |= self.strikes()
        by = self.random.choice(list(ways))
        delay = self.random.uniform(0.0, self.lasts[verb])
        child = self.begin(*words)
        begun, in_time = time.monotonic(), False
        try:
            child.wait(delay)
            self.lasts[verb] = max(0.5, 0.5 * self.lasts[verb] + 0.5 * (time.monotonic() - begun))
        except subprocess.TimeoutExpired:
            in_time = True
            ways[by](child)
        output = self._finish(child)
        return Struck(words=words, by=by, after=delay, in_time=in_time, code=child.returncode, output=output)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own; what it says goes to a file, which nobody closes."""
        output = (self.temporary.parent / "output").open("w+")
        child = subprocess.Popen(
            [*PROVISION, *words], cwd=self.project.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        output.close()
        return child

    def _finish(self, child: subprocess.Popen[str]) -> str:
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            raise Finding(f"a struck command did not end within {PATIENCE:g} s") from None
        return (self.temporary.parent / "output").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of every command."""
        return {**os.environ, "PROVISION_BACKEND": self.project.backend, **self.project.environment}

    def good(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command that must succeed."""
        done = subprocess.run(
            [*PROVISION, *words], cwd=self.project.folder, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode not in codes:
            said = f"{done.stdout}{done.stderr}"
            raise Finding(f"provision {' '.join(words)} ended with {done.returncode}:\n{said}")
        return f"{done.stderr}{done.stdout}" if "-v" in words else done.stdout

    # --- what must hold

    def _judge(self, struck: Struck) -> None:
        """What the command itself may say."""
        self.thrown = self.thrown or "--volumes" in struck.words
        if "Traceback" in struck.output:
            raise Finding("it showed a traceback")
        if struck.by in SIGNALS:
            number = SIGNALS[struck.by][0]
            refused = {2} if struck.words[:2] == ("snapshot", "restore") else set()  # the spec has changed
            if struck.code not in {0, -number, 128 + number} | refused:
                raise Finding(f"it ended with {struck.code}, not with {128 + number}")
        if struck.code == 0 and struck.words[:2] == ("snapshot", "save"):
            self.snapshot = (self.written, self.version)
        if struck.words[:2] == ("snapshot", "save"):
            self._look_at_snapshots()
        if struck.words[:2] == ("snapshot", "delete") or "--volumes" in struck.words:
            self._look_at_snapshots()

    def _look_at_snapshots(self) -> None:
        listed = json.loads(self.good("snapshot", "list", "--format", "json"))["snapshots"]
        if not listed:
            self.snapshot = None
        elif self.snapshot is None:
            self.snapshot = (self.written, self.version)

    def require_true_status(self) -> None:
        """`status` says what the engine says; both may move for a moment."""
        deadline = time.monotonic() + self.settles_within
        while True:
            before = dict(self.truth())
            told = self.told()
            if dict(self.truth()) == before == told:
                return
            if time.monotonic() > deadline:
                raise Finding(f"status says {told}, the engine {before}")
            time.sleep(0.5)

    def told(self) -> dict[str, str]:
        """The states of the machines that `status` says are there."""
        machines = json.loads(self.good("status", "--format", "json"))["machines"]
        same = {"unhealthy": "running", "starting": "running", "not answering": "running"}
        return {each["name"]: same.get(each["state"], each["state"])
                for each in machines if each["state"] != "absent"}  # fmt: skip

    def recover_up(self) -> None:
        """`up` succeeds, with the spec as it is or with another; the machines are what it says."""
        if self.random.random() < 0.3:
            self.set_version(self.random.choice(VERSIONS))
        said = self.good("up", "--no-verify", "--yes", "-v")
        told = self.told()
        if set(told.values()) != {"running"}:
            raise Finding(f"after up: {told}, {dict(self.truth())}; it said:\n{said}")
        if self.random.random() < 0.3:
            self.require_nothing_to_do()
        self.written += 1
        self.require_same(self.good("exec", "-m", "db", "-u", "root", "--", "sh", "-c", self.script()))

    def require_nothing_to_do(self) -> None:
        """`plan` has nothing to do after `up`."""
        answer: dict[str, Any] = json.loads(self.good("plan", "--format", "json", codes=(0, 10)))
        actions = {each["name"]: each["action"] for each in answer["machines"]}
        if answer["build"] or set(actions.values()) - {"none", "wait"}:
            raise Finding(f"after up, plan says {actions}, {answer['build']}")

    def script(self) -> str:
        """What tells the machine's version and what was written; then it writes the next number.

        It is written where it has to outlive the machine, twice, and into the machine's own files.
        """
        files = "/srv/one/number /srv/two/number /opt/number"
        return f"""
            {self.version_script}
            for file in {files}; do cat $file 2>/dev/null || echo none; done
            for file in {files}; do echo {self.written} >$file; done; sync"""

    def require_same(self, said: str) -> None:
        """The machine is of the spec's version, and what was written is of one moment.

        That is the moment of the last `up`, or of the snapshot that was restored.
        """
        *version, one, two, own = said.split()
        self.require_version(version)
        thrown, self.thrown = self.thrown, False
        if (one != two and not thrown) or own not in ("none", one, two):
            raise Finding(f"volumes have {one} and {two}, the machine has {own}")
        allowed = {str(self.written - 1), "none"} | ({str(self.snapshot[0])} if self.snapshot else set())
        if not {one, two} <= allowed:
            raise Finding(f"volumes have {one} and {two}, written was {allowed}")

    def recover_down(self) -> None:
        """`down` succeeds, and what it promises to remove is gone."""
        everything = self.random.random() < 0.5
        self.good("down", *(["--volumes", "--images"] if everything else []))
        if self.told():
            raise Finding(f"after down: {self.told()}")
        self.set_version(self.version)
        if everything:
            self.snapshot = None
            self.require_nothing_left()
        elif left := [each for each in self.things() if each.startswith(("container", "network"))]:
            raise Finding(f"after down: {left}")

    def remove(self) -> None:
        """Remove all of it, whatever was found."""
        with suppress(Finding):
            self.good("down", "--volumes", "--images", codes=tuple(range(256)))

    def require_nothing_left(self) -> None:
        """Nothing is left anywhere: in the engine, of processes, in the state, of temporary files."""
        deadline = time.monotonic() + self.settles_within
        while left := [*self.things(), *self.processes(), *self.files()]:
            if time.monotonic() > deadline:
                raise Finding("left after down --volumes --images:\n  " + "\n  ".join(left))
            time.sleep(1)

    def processes(self) -> list[str]:
        """Processes that were started for the environment."""
        state, found = self.project.environment["PROVISION_STATE_DIR"], []
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.environ().get("PROVISION_STATE_DIR") == state and each.pid != os.getpid():
                    found.append(f"process {each.pid} {' '.join(each.cmdline())}")
        return found

    def files(self) -> list[str]:
        """Files and folders that are left of the environment."""
        identity = self.project.state_dir(self.name)
        found = [str(path) for path in self.temporary.iterdir()]
        found += [str(identity.folder.parent)] if identity.folder.parent.exists() else []
        for place in (Path(f"/tmp/provision-{os.getuid()}"), Path(f"/dev/shm/provision-{os.getuid()}")):
            if place.is_dir():
                found += [str(path) for path in place.iterdir() if identity.id in path.name]
        return found


def _send(child: subprocess.Popen[str], *, number: signal.Signals, group: bool) -> None:
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(child.pid, number)
