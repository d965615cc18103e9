"""The machine's side of a copy: what is there, and its `tar` that packs and unpacks."""

from __future__ import annotations

import io
import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from provision import process
from provision.attach import end_script, named
from provision.copying.unpack import CHUNK
from provision.errors import EnvironmentFailed, ProvisionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from provision.copying.places import Kind
    from provision.target import Target

LAST_WORDS = 8192  # bytes of what tar says
LAST_LINES = 10
ENDS_WITHIN = 2  # seconds, for what has nothing more to do
NOT_FOUND = 127  # the exit code of a shell for a program that is not there
# GNU tar ends with 1 for these, and the archive is good.
HARMLESS = ("file changed as we read it", "socket ignored", "File removed before we read it")

# A path comes as octal numbers: no client has to carry bytes that are no text. The `x` keeps
# a newline at its end.
LOOK = """{path}
if [ -z "{follow}" ] && [ -L "$P" ]; then echo link
elif [ -d "$P" ]; then echo folder
elif [ -f "$P" ]; then echo file
elif [ -e "$P" ]; then echo special
else echo none; fi
readlink -f "$P"
"""
PACK = """{folder}
cd "$P" || exit 1
{path}
exec tar -cf - -- "$P"
"""
# A folder that is there stays as it is, also where it is a link to one; busybox knows no such words.
UNPACK = """{folder}
cd "$P" || exit 1
set --
case $(tar --version 2>&1 </dev/null) in *GNU*) set -- --no-overwrite-dir --keep-directory-symlink;; esac
exec tar -xpf - {owners} "$@"
"""


def look_inside(target: Target, path: str, user: str, *, follow: bool) -> tuple[Kind, str]:
    """What is there, and the path without links; that is empty where not even its folder is there."""
    script = LOOK.format(path=assigned(path), follow="yes" if follow else "")
    kind, _, resolved = target.run(script, user=user).stdout.partition(b"\n")
    if kind not in (b"folder", b"file", b"link", b"special", b"none"):
        raise EnvironmentFailed(f"{target.machine} did not say what {path} is")
    return kind.decode(), os.fsdecode(resolved.removesuffix(b"\n"))  # type: ignore[return-value]


def assigned(path: str) -> str:
    """Words for `sh` that put a path into P; plain ASCII whatever its bytes."""
    octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(path))
    return f"P=$(printf '{octal}x'); P=${{P%x}}"


def packing(folder: str, path: str) -> str:
    """The script that packs one path of a folder to stdout."""
    return PACK.format(folder=assigned(folder), path=assigned(path))


@contextmanager
def running(target: Target, script: str, user: str) -> Iterator[Tar]:
    """A script that runs `tar` inside; it has ended when this ends, whatever ends this."""
    name = f"provision-{os.urandom(8).hex()}"
    words = named(["sh", "-c", script], name)
    tar = Tar(
        process.start(target.enter(words, user=user, workdir="/", terminal=False)), target.machine, user
    )
    try:
        yield tar
    except BaseException:
        if tar.is_running:  # it would stay inside: no client tells a machine that it has ended
            with suppress(ProvisionError):
                target.run(end_script(name, signal.SIGTERM, ENDS_WITHIN), user="root")
        raise
    finally:
        tar.close()


class Tar:
    """A `tar` that runs in a machine: its pipes, and what it says."""

    def __init__(self, child: Popen[bytes], machine: str, user: str) -> None:
        assert child.stdin and child.stdout and child.stderr  # noqa: S101, PT018 - three pipes
        self.stdin: IO[bytes] = _Whole(child.stdin)  # type: ignore[assignment]
        self.stdout = child.stdout
        self._child, self._machine, self._user = child, machine, user
        self._said = b""
        self._listener = threading.Thread(target=self._listen, args=(child.stderr,), daemon=True)
        self._listener.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.poll() is None

    def drain(self) -> None:
        """Say that nothing more comes, and wait until it has said all."""
        assert self._child.stdin  # noqa: S101 - likewise
        with suppress(BrokenPipeError):
            self._child.stdin.close()
        while self.stdout.read(CHUNK):
            pass

    def has_failed(self) -> bool:
        """Whether it has ended, with an error."""
        with suppress(process.TimeoutExpired):
            return self._child.wait(ENDS_WITHIN) != 0
        return False

    def finish(self, message: str) -> tuple[str, ...]:
        """Wait until it has ended; what it said that does no harm.

        Raises:
            EnvironmentFailed: with this message, where it failed.
        """
        code = self._child.wait()
        self._listener.join(ENDS_WITHIN)
        lines = [line for line in self._said.decode("utf-8", "replace").splitlines() if line.strip()]
        if code == 0 or (code == 1 and lines and all(_is_harmless(line) for line in lines)):
            return tuple(lines)
        hint = ""
        if code == NOT_FOUND:
            hint = f"{self._machine} has no tar: add tar to its `packages`"
        elif any("ermission denied" in line for line in lines):
            hint = other_user(self._user)
        raise EnvironmentFailed(
            f"{message}: tar in {self._machine} ended with code {code}",
            evidence=lines[-LAST_LINES:],
            hint=hint,
        )

    def close(self) -> None:
        """End it."""
        self._child.kill()
        for pipe in (self._child.stdin, self.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._child.wait()
        self._listener.join(ENDS_WITHIN)

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            while piece := stderr.read(CHUNK):
                self._said = (self._said + piece)[-LAST_WORDS:]


def other_user(user: str) -> str:
    """The hint where a user may not do or see something inside; empty for root."""
    return "" if user == "root" else f"this was done as user {user}; with `-u root` it is done as root"


def _is_harmless(line: str) -> bool:
    return any(words in line for words in HARMLESS)


class _Whole(io.RawIOBase):
    """A pipe that takes all of what it is given."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__()
        self._pipe = pipe

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        sent = 0
        while sent < len(view):
            sent += self._pipe.write(view[sent:]) or 0
        return sent
