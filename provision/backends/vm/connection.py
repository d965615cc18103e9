"""One ssh connection to each machine, kept open between commands."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shlex
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provision.rendering import RenderedFile
    from provision.workspace import Place

KEPT_OPEN = "600"  # seconds after the last command
CONFIGURATION = "ssh_config"
UNITS = "/var/lib/provision/units"
STOPS_WITHIN = 60.0
ENTER = "/usr/lib/provision/enter"


def command(place: Place, machine: str, words: Sequence[str], *, terminal: bool = False) -> list[str]:
    """The host's command that runs `words` in the machine as root."""
    return [
        "ssh", "-F", str(place.folder / CONFIGURATION), *_options(place, machine),
        "-tt" if terminal else "-T", machine, "sudo", "--", shlex.join(words),
    ]  # fmt: skip


def shell(place: Place, machine: str) -> str:
    """The same connection as rsync wants it: words without a space or quote, run in `place.folder`."""
    return " ".join(["ssh", "-F", CONFIGURATION, *_options(place, machine)])


def address(place: Place, machine: str) -> str | None:
    """The machine's own address, where the host reaches it by that and not through a forward."""
    try:
        text = (place.folder / CONFIGURATION).read_text()
    except OSError:
        return None
    found = re.search(rf"^Host {re.escape(machine)}$.*?^\s+HostName (\S+)$", text, re.MULTILINE | re.DOTALL)
    return found[1] if found and not found[1].startswith("127.") else None


def entered(
    place: Place, machine: str, words: Sequence[str], *, user: str, workdir: str, terminal: bool
) -> list[str]:
    """The host's command that runs `words` as a user, with the environment's variables."""
    return command(place, machine, [ENTER, user, workdir, *words], terminal=terminal)


def lay(place: Place, machine: str, files: Mapping[str, RenderedFile], folder: str) -> None:
    """Make a folder of the machine hold these files and nothing else.

    Raises:
        CommandFailed: the machine does not answer, or its disk is full.
    """
    quoted = shlex.quote(folder)
    script = f"rm -rf {quoted} && mkdir -p {quoted} && tar -x -C {quoted}"
    process.run(command(place, machine, ["sh", "-c", script]), stdin=_archive(files))


def follow(place: Place, machine: str, script: str, each_line: Callable[[str], None]) -> None:
    """Run text for `sh` in the machine as root, handing on each line it prints.

    Raises:
        CommandFailed: it failed, or the machine does not answer.
    """
    process.stream(command(place, machine, ["sh", "-c", script]), each_line)


def stop_services(place: Place, machine: str) -> None:
    """End the services as they should end, and have the volumes' data on their disks.

    A machine that does not answer is as good as switched off already.
    """
    script = f"xargs systemctl stop <{UNITS}; sync"
    with suppress(process.CommandFailed):
        process.run(command(place, machine, ["sh", "-c", script]), timeout=STOPS_WITHIN)


def close(place: Place, machine: str) -> None:
    """End the open connection: it leads to a machine that is gone, or will be."""
    socket = _socket(place, machine)
    if socket.exists():
        process.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", machine], check=False)


def _options(place: Place, machine: str) -> list[str]:
    """Opened once and kept; a machine that fell silent is given up after 30 s."""
    return ["-o", "ControlMaster=auto", "-o", f"ControlPersist={KEPT_OPEN}",
            "-o", f"ControlPath={_socket(place, machine)}", "-o", "ConnectTimeout=30",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6"]  # fmt: skip


def _socket(place: Place, machine: str) -> Path:
    """A short path: a socket's may have 108 bytes."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    own = folder / f"provision-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    return own / hashlib.sha256(f"{place.folder}\0{machine}".encode()).hexdigest()[:16]


def _archive(files: Mapping[str, RenderedFile]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, file in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(file.content)
            member.mode = 0o755 if file.executable else 0o644
            archive.addfile(member, io.BytesIO(file.content))
    return stream.getvalue()
