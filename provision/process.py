"""The one way to run a command on the host; nothing else imports subprocess."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from provision import log
from provision.errors import EXIT_SIGNALLED, HostLacks, ProvisionError
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

EVIDENCE_LINES = 25
ANSWERS_WITHIN = 20.0  # seconds, for a command that only looks
SILENT_FOR = 30.0  # seconds before a program that did not answer is run again
CANCELED = "Canceled: context canceled"  # how buildx ends its output when it is interrupted
ENDS_WITHIN = 5.0  # seconds, for a command whose work inside a machine has ended
KILLED_AFTER = 15.0  # seconds, for a command that is told to end with this process
_ENDABLE: set[subprocess.Popen[bytes]] = set()  # what runs now and ends with this process
_silent: dict[tuple[str, str], tuple[float, HostLacks]] = {}  # what did not answer: when, and the error
# Variables by which a program takes another project, file, option or target than the one that it
# is given. What stays: which engine, with whose credentials, and where its user keeps things
# (DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, LIBVIRT_DEFAULT_URI, VAGRANT_HOME, SSH_AUTH_SOCK);
# what can only refuse (DOCKER_CONTENT_TRUST); and how the host loads its programs (PATH, LD_*,
# PYTHON*), which provision itself has obeyed by now.
_WITHHELD_FAMILIES = (
    "BUILDKIT_",  # progress in another format; another builder
    "BUILDX_",  # a builder whose images are not in the engine; git's details in an image
    "COMPOSE_",  # another file, project, profile or .env
    "EXPERIMENTAL_BUILDKIT_",  # a policy that replaces what a Dockerfile names
    "PYTEST_",  # options and plugins of the tests that provision is run by
    "RSYNC_",  # another quoting, another folder for halves
    "VAGRANT_",  # another folder, Vagrantfile or provider
    "BASH_FUNC_",  # functions in the place of the programs that a script names
)
_WITHHELD = frozenset({
    "DOCKER_BUILDKIT", "DOCKER_DEFAULT_PLATFORM",  # another builder, another architecture
    "SOURCE_DATE_EPOCH",  # buildx makes a build argument of it
    "TAR_OPTIONS", "APT_CONFIG", "SSH",  # SSH: a port, to the script of a QEMU machine
    "BASH_ENV", "ENV", "BASHOPTS", "SHELLOPTS", "CDPATH", "POSIXLY_CORRECT",  # how scripts run
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE", "GIT_PREFIX",  # in a hook: that repository, whatever folder git is asked of
})  # fmt: skip
_KEPT = frozenset({
    "BUILDX_CONFIG",
    "VAGRANT_HOME", "VAGRANT_SERVER_URL", "VAGRANT_CLOUD_TOKEN", "VAGRANT_WSL_ENABLE_WINDOWS_ACCESS",
})  # fmt: skip
ProcessFailed = subprocess.CalledProcessError  # what libraries that run commands raise
TimeoutExpired = subprocess.TimeoutExpired


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A command that has finished."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


class CommandFailed(ProvisionError):
    """A command on the host exited with a code other than 0."""

    def __init__(self, argv: Sequence[str], code: int, output: str, hint: str = "") -> None:
        self.argv = tuple(argv)
        self.code = code
        super().__init__(
            f"{shlex.join(argv)} exited with code {code}",
            evidence=output.rstrip().splitlines()[-EVIDENCE_LINES:],
            hint=hint,
        )


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a command on the host: this process's, without variables that override us.

    `changes` override it, and can restore what is withheld.
    """
    ours = {name: value for name, value in os.environ.items() if not is_withheld(name)}
    return {**ours, **(changes or {})}


def is_withheld(name: str) -> bool:
    """Whether a variable would make a command use something other than its arguments."""
    return name not in _KEPT and (name in _WITHHELD or name.startswith(_WITHHELD_FAMILIES))


def find(program: str) -> str | None:
    """The path of a program of the host, or None."""
    from shutil import which

    return which(program)


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Completed:
    """Run a command, wait until it has finished, and return its output.

    Args:
        argv: the words of the command; no shell reads them.
        check: raise CommandFailed where the exit code is not 0.
        stdin: bytes for its standard input; nothing to read otherwise.
        cwd: where it runs.
        env: variables that override those of `environment`.
        timeout: seconds, after which the command is killed and CommandFailed raised.

    Raises:
        HostLacks: the program is not there.
        CommandFailed: it failed, or took longer than the timeout.
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment(env),
        )
    except FileNotFoundError as error:
        raise _missing(argv, error) from error
    with child, _endable(child), _logged(argv, child):
        try:
            raw_stdout, raw_stderr = child.communicate(stdin, timeout)
        except subprocess.TimeoutExpired as error:
            child.kill()  # and no more is read: a child of its own may hold the pipes
            child.wait()
            output = _text(error.stdout or b"") + _text(error.stderr or b"")
            raise CommandFailed(argv, -9, output, f"it took longer than {timeout:g} s") from error
        except BaseException:
            child.kill()
            raise
    stdout, stderr = _text(raw_stdout), _text(raw_stderr)
    if check and child.returncode != 0:
        raise CommandFailed(argv, child.returncode, stderr or stdout)
    return Completed(argv=tuple(argv), code=child.returncode, stdout=stdout, stderr=stderr)


def ask(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, within: float | None = None
) -> Completed:
    """Run a command that changes nothing, and return its output, whatever its exit code.

    After a timeout, the same error is raised for SILENT_FOR seconds without running the program again.

    Args:
        argv: program and arguments.
        env: variables, in addition to this process's.
        within: seconds that it may take; else ANSWERS_WITHIN.

    Raises:
        HostLacks: the program is not there, or did not answer in time.
    """
    if lacking := _silence(argv[0]):
        raise lacking
    timeout = ANSWERS_WITHIN if within is None else within
    try:
        return run(argv, check=False, env=env, timeout=timeout)
    except CommandFailed as error:
        lacking = HostLacks(
            f"{shlex.join(argv)} did not answer within {timeout:g} s",
            evidence=error.evidence,
            hint="the daemon behind it accepts connections but does not answer: restart it",
        )
        _silent[_daemon(argv[0])] = (time.monotonic(), lacking)
        raise lacking from error


def is_silent(program: str) -> bool:
    """Whether `ask` would raise at once, because the program timed out a moment ago."""
    return _silence(program) is not None


def _silence(program: str) -> HostLacks | None:
    when, lacking = _silent.get(_daemon(program), (0.0, None))
    return lacking if time.monotonic() - when < SILENT_FOR else None


def _daemon(program: str) -> tuple[str, str]:
    """The daemon that a program talks to: with another DOCKER_HOST, it is another one."""
    return program, os.environ.get("DOCKER_HOST", "")


def stream(
    argv: Sequence[str],
    each_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command and pass each line that it prints on stdout or stderr to `each_line`.

    Raises:
        HostLacks: the program is not there.
        CommandFailed: it failed; the evidence is its last lines.
    """
    last: deque[str] = deque(maxlen=EVIDENCE_LINES)
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment(env),
        )
    except FileNotFoundError as error:
        raise _missing(argv, error) from error
    assert child.stdout is not None  # noqa: S101 - stdout=PIPE promises it
    log.debug(log.COMMANDS, "$ %s # running", shlex.join(argv))
    try:
        with child.stdout, _endable(child), _logged(argv, child):
            for raw in child.stdout:
                line = _text(raw).rstrip("\n")
                last.append(line)
                log.debug(log.COMMANDS, "  %s", line)
                each_line(line)
            code = child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if code != 0:
        raise CommandFailed(argv, code, "\n".join(last))


def feed(argv: Sequence[str], write: Callable[[IO[bytes]], None]) -> None:
    """Run a command whose standard input `write` writes, and wait until it has finished.

    Raises:
        HostLacks: the program is not there.
        CommandFailed: it failed; the evidence is what it printed.
    """
    from tempfile import TemporaryFile

    with TemporaryFile() as printed:  # nobody reads a pipe while `write` writes
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=printed, stderr=subprocess.STDOUT, env=environment()
            )
        except FileNotFoundError as error:
            raise _missing(argv, error) from error
        assert child.stdin is not None  # noqa: S101 - stdin=PIPE promises it
        with _endable(child), _logged(argv, child):
            try:
                with suppress(BrokenPipeError), child.stdin as stream:  # its exit code says more
                    write(stream)
                code = child.wait()
            except BaseException:
                child.kill()
                child.wait()
                raise
        printed.seek(0)
        output = _text(printed.read())
    if code != 0:
        raise CommandFailed(argv, code, output)


def was_interrupted(error: CommandFailed) -> bool:
    """Whether a command ended for an interrupt that it got itself: as who heeds one says it, or by it."""
    last_line = error.evidence[-1] if error.evidence else ""  # buildx exits with 1 then
    return error.code in (EXIT_SIGNALLED + signal.SIGINT, -signal.SIGINT) or last_line.endswith(CANCELED)


def end_children() -> None:
    """Terminate every running command, in all threads: an interrupt leaves nothing running.

    What has not ended after KILLED_AFTER is killed: `docker` waits for as long as its engine takes to
    cancel a build. A program that `attach` runs has the terminal, which tells it itself.
    """
    children = tuple(_ENDABLE)
    for child in children:
        with suppress(OSError):
            child.terminate()
    if children:
        killer = threading.Timer(KILLED_AFTER, _kill_all, [children])
        killer.daemon = True
        killer.start()


def _kill_all(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        with suppress(OSError):  # does nothing to one that has ended
            child.kill()


@contextmanager
def _logged(argv: Sequence[str], child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Log a command once it has ended: quoted for a shell, with its duration and exit code."""
    begun = time.monotonic()
    try:
        yield
    finally:
        code = child.poll()
        ended = "did not finish" if code is None else f"exit code {code}"
        log.info(log.COMMANDS, "$ %s # %.2f s, %s", shlex.join(argv), time.monotonic() - begun, ended)


@contextmanager
def _endable(child: subprocess.Popen[bytes]) -> Iterator[None]:
    _ENDABLE.add(child)
    try:
        yield
    finally:
        _ENDABLE.discard(child)


def attach(argv: Sequence[str], interrupted: Callable[[KeyboardInterrupt], None]) -> int:
    """Run a command on this process's own stdin, stdout and terminal; its exit code.

    Args:
        argv: the words of the command.
        interrupted: called when a signal interrupts the wait; it ends what the command
            started elsewhere. Then the command is ended, and the interrupt goes on.

    Raises:
        HostLacks: the program is not there.
    """
    try:
        child = subprocess.Popen(argv, env=environment())
    except FileNotFoundError as error:
        raise _missing(argv, error) from error
    log.info(log.COMMANDS, "$ %s # attached to this terminal", shlex.join(argv))
    try:
        code = child.wait()
    except KeyboardInterrupt as interrupt:
        interrupted(interrupt)
        try:
            child.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
    return code if code >= 0 else EXIT_SIGNALLED - code


def start(argv: Sequence[str], *, own_session: bool = False) -> subprocess.Popen[bytes]:
    """Start a command with three pipes, to talk to it.

    Args:
        argv: the words of the command; no shell reads them.
        own_session: a terminal's Ctrl-C does not reach it.

    Raises:
        HostLacks: the program is not there.
    """
    log.info(log.COMMANDS, "$ %s # started", shlex.join(argv))
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=own_session,
            env=environment(),
        )
    except FileNotFoundError as error:
        raise _missing(argv, error) from error


def start_on(connection: socket.socket, argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a command that reads and writes a connection; its errors are discarded.

    Raises:
        HostLacks: the program is not there.
    """
    log.info(log.COMMANDS, "$ %s # started on a connection", shlex.join(argv))
    try:
        return subprocess.Popen(
            argv,
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
    except FileNotFoundError as error:
        raise _missing(argv, error) from error


def start_on_terminal(argv: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command on a terminal of its own; also the descriptor of the terminal's other end.

    Raises:
        HostLacks: the program is not there.
    """
    import pty

    log.info(log.COMMANDS, "$ %s # started on a terminal", shlex.join(argv))
    screen, keys = pty.openpty()
    try:
        child = subprocess.Popen(
            argv, stdin=keys, stdout=keys, stderr=keys, start_new_session=True, env=environment()
        )
    except FileNotFoundError as error:
        os.close(screen)
        raise _missing(argv, error) from error
    finally:
        os.close(keys)
    return child, screen


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a command that was started, and read no more of it."""
    child.kill()
    with child:  # waits for it, and closes its pipes
        pass


def kill_session(child: subprocess.Popen[bytes]) -> None:
    """Kill a command that has its own session, with what it started; read no more of it."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    kill(child)


def detach(argv: Sequence[str]) -> None:
    """Start a command that outlives this process; its output is discarded.

    Raises:
        HostLacks: the program is not there.
    """
    log.info(log.COMMANDS, "$ %s # continues in the background", shlex.join(argv))
    try:
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/", env=environment(),
        )  # fmt: skip
    except FileNotFoundError as error:
        raise _missing(argv, error) from error


def _missing(argv: Sequence[str], error: FileNotFoundError) -> ProvisionError:
    if error.filename != argv[0]:
        return ProvisionError(f"{error.filename} does not exist: {shlex.join(argv)} cannot run in it")
    return HostLacks(f"the program {argv[0]} was not found", hint="`provision doctor` shows what to install")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
