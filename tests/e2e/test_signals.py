"""Signals and streams: what a verb does when it is interrupted, unread, or has nothing to read from."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from provision.cli import VERBS
from tests.conftest import Project, brought_up, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120
SPEC = """
version: 1
name: signals
base: debian:12
services: {one: {command: sleep infinity}}
"""
PROVISION = ["env", "--default-signal=INT,HUP,TERM", sys.executable, "-m", "provision"]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with brought_up(tmp_path_factory.mktemp("signals") / "project", "docker", SPEC) as project:
        yield project


def begun(project: Project, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROVISION, *words],
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


# --- exec

INSIDE = {
    "one program": "echo begun; exec sleep 86399",
    "with children": "sleep 86399 & echo begun; sleep 86399; echo never",
    "a child that ignores it": "(trap '' INT TERM HUP; echo begun; sleep 86399); echo never",
    "one that takes it for success": "trap 'exit 0' INT TERM HUP; echo begun; sleep 86399 & wait",
}


@pytest.mark.parametrize("all_of_them", [False, True], ids=["provision alone", "the process group"])
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        *(("one program", how) for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)),
        *((kind, signal.SIGTERM) for kind in list(INSIDE)[1:]),
    ],
)
def test_exec_that_a_signal_ends_is_no_success_and_leaves_nothing(
    up: Project, kind: str, how: signal.Signals, all_of_them: bool
) -> None:
    running = begun(up, "exec", "--", "sh", "-c", INSIDE[kind])
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        (os.killpg if all_of_them else os.kill)(running.pid, how)
        stdout, stderr = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 128 + how, stderr
    assert "never" not in stdout
    assert "Traceback" not in stderr
    assert up.inside("grep -l 'sleep.8639[9]' /proc/[0-9]*/cmdline 2>/dev/null || true") == ""


def test_a_second_signal_kills_at_once(up: Project) -> None:
    running = begun(up, "exec", "--", "sh", "-c", "trap '' TERM; echo begun; while :; do sleep 0.1; done")
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        os.kill(running.pid, signal.SIGTERM)
        time.sleep(1)  # the first is on its way, and is given ten seconds
        os.kill(running.pid, signal.SIGTERM)
        _, stderr = running.communicate(timeout=PATIENCE)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 128 + signal.SIGTERM, stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 42", 42), ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("kill -INT $$", 130)],
)
def test_the_exit_code_is_the_commands_own(up: Project, script: str, code: int) -> None:
    said = up.run("exec", "--", "sh", "-c", script)
    assert (said.code, said.all) == (code, "")


def test_a_command_is_a_program_and_no_word_of_a_shell(up: Project) -> None:
    assert up.good("exec", "--", "echo", r"a\nb", "$HOME", "'") == "a\\nb $HOME '\n"
    said = up.run("exec", "--", "no-such-program")
    assert said.code == 127
    assert "no-such-program" in said.stderr


@pytest.mark.parametrize("closed", ["</dev/null", "<&-"])
def test_an_empty_stdin_is_empty_inside_whatever_the_engine_forwards(up: Project, closed: str) -> None:
    """An engine can lose an end of input that comes at once; the command would wait for ever."""
    script = f"{sys.executable} -m provision exec -- readlink /proc/self/fd/0 {closed}"
    said = subprocess.run(
        ["bash", "-c", script], cwd=up.folder, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert said.stdout == "/dev/null\n"


def test_a_stdin_with_content_reaches_the_command(up: Project) -> None:
    script = f"printf 'a\\nb' | {sys.executable} -m provision exec -- cat"
    said = subprocess.run(
        ["bash", "-c", script], cwd=up.folder, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert said.stdout == "a\nb"


# --- interrupted before it has begun

IMPORTED = ["click", "bz2", "provision.cli", "provision.cli.validate", "provision.spec", "yaml", "jsonschema"]
INTERRUPTING = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("INTERRUPTED_AT"):
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", IMPORTED)
def test_an_interrupt_during_an_import_shows_no_traceback(
    project: Project, tmp_path: Path, module: str
) -> None:
    """The finder of modules is where a slow disk would keep it waiting."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(INTERRUPTING)
    project.spec(SPEC)
    said = subprocess.run(
        [*PROVISION, "validate"],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "INTERRUPTED_AT": module},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert said.returncode in (-signal.SIGINT, 128 + signal.SIGINT), said.stderr
    assert "Traceback" not in said.stderr
    assert said.stdout == ""


# --- streams that are closed, full, or unread

# Closed all at once, full and unread; each alone is asked by `make thorough`.
CLOSED = [
    "<&- >&- 2>&-",
    ">/dev/full",
    "2>&1 | true",
    *(
        pytest.param(streams, marks=pytest.mark.thorough)
        for streams in ("<&-", ">&-", "2>&-", "2>/dev/full", "| true")
    ),
]
WORDS = {
    "exec": "exec -- cat",
    "cp": "cp :/etc/hostname -",
    "logs": "logs one",
    "ssh": "ssh -- true",
    "snapshot": "snapshot list",
    "open": "open --help",
    "top": "top --once",
    "events": "events --for 1",
    "lock": "lock --check",
    "watch": "watch --help",
    "schema": "schema",
    "completion": "completion bash",
    "up": "up --no-verify",
    "test": "test -b nonsense",
    "compare": "compare -b nonsense",
    "bases": "bases list",
    "push": "push --help",
    "pull": "pull --help",
}
# Those that would take down what the others are asked about.
LAST = ["restart", "pause", "unpause", "stop", "start", "down"]


@pytest.mark.parametrize("streams", CLOSED)
def test_no_verb_stumbles_over_its_streams(up: Project, streams: str) -> None:
    up.up("--no-verify")
    failed = []
    for verb in [*(verb for verb in VERBS if verb not in LAST), *LAST]:
        words = WORDS.get(verb, verb)
        script = f"set -o pipefail; {sys.executable} -m provision {words} {streams}"
        said = subprocess.run(
            ["bash", "-c", script],
            cwd=up.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        # a full device is an error, as for any program; so is a wrong backend, or one form alone, anyway
        codes = {0, 1, 2} if "full" in streams or verb in ("test", "compare", "diff") else {0}
        if verb == "doctor":
            codes |= {3}
        if verb in ("lock", "outdated"):  # there is no lock
            codes |= {1, 2}
        if said.returncode not in codes or "Traceback" in said.stderr or "Exception" in said.stderr:
            failed.append((verb, said.returncode, said.stderr))
    assert failed == []


def test_nothing_is_written_where_a_closed_stream_was(project: Project) -> None:
    """The next file that is opened would take its number."""
    project.spec(SPEC)
    script = f"{sys.executable} -m provision render -o out >&- 2>&- <&-"
    subprocess.run(["bash", "-c", script], cwd=project.folder, timeout=PATIENCE, check=True)
    project.good("render", "-o", "again")
    written = {file.name: file.read_bytes() for file in (project.folder / "out").rglob("*") if file.is_file()}
    again = {file.name: file.read_bytes() for file in (project.folder / "again").rglob("*") if file.is_file()}
    assert written == again


@pytest.mark.parametrize("content", [b"\0\xff\xfe", b"no equals sign\n\"'\n=\n", b"A=${B:?not there}\n"])
def test_a_persons_own_env_file_is_nothing_to_us(up: Project, content: bytes) -> None:
    file = up.write(".env", content)
    try:
        for words in ("validate", "plan", "status", "up --no-verify", "down", "up --no-verify"):
            said = up.run(*words.split())
            assert said.code in (0, 10), said.all
            assert "Traceback" not in said.all
    finally:
        file.unlink()


# --- an engine that accepts and never answers

LOOKING = ["plan", "status", "verify", "exec -- true", "logs", "restart", "stop", "down", "up"]
LOOKING += ["doctor -b docker"]


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """The address of an engine that accepts every connection and says nothing."""
    path = tmp_path / "silent.sock"
    accepted = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(64)

        def accept() -> None:
            try:
                while True:
                    accepted.append(listening.accept()[0])
            except OSError:
                pass  # the test is over

        threading.Thread(target=accept, daemon=True).start()
        yield f"unix://{path}"
        listening.shutdown(socket.SHUT_RDWR)
    for connection in accepted:
        connection.close()


def test_an_engine_that_never_answers_is_asked_once_for_all_environments(
    tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    for name in ("one", "two", "three"):
        project = make_project(tmp_path / name, "docker")
        project.spec(SPEC)
        (project.state_dir(name).folder).mkdir(parents=True)
    said = project.run("list", "--format", "json", env={"DOCKER_HOST": silent})
    assert said.code == 0, said.all
    assert said.all.count("did not answer within") == 3, said.all


def test_an_engine_that_never_answers_is_told(project: Project, silent: str) -> None:
    project.spec(SPEC)
    env = {**os.environ, "DOCKER_HOST": silent, "PROVISION_BACKEND": "docker"}
    running = {
        words: subprocess.Popen(
            [*PROVISION, *words.split()],
            cwd=project.folder, env=env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for words in LOOKING
    }  # fmt: skip
    for words, child in running.items():
        stdout, stderr = child.communicate(timeout=PATIENCE)
        assert child.returncode == 3, (words, stdout, stderr)
        assert "Traceback" not in stderr, words
        if words.startswith("doctor"):
            assert "✗ Docker engine" in stdout
        else:
            assert "did not answer within" in stderr, words
            assert "hint:" in stderr, words
