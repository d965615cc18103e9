"""One ssh connection to each machine, kept open between commands."""

from __future__ import annotations

import hashlib
import io
import re
import shlex
from typing import TYPE_CHECKING

from provision import guest_paths, process, runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from provision.rendering import RenderedFile
    from provision.state import StateDir

KEPT_OPEN = "600"  # seconds after the last command
CONFIGURATION = "ssh_config"


def command(state_dir: StateDir, machine: str, words: Sequence[str], *, terminal: bool = False) -> list[str]:
    """The host's command that runs `words` in the machine as root."""
    return [
        "ssh", "-F", str(state_dir.folder / CONFIGURATION), *_options(state_dir, machine),
        "-tt" if terminal else "-T", machine, *become_root(state_dir, machine), shlex.join(words),
    ]  # fmt: skip


def control(state_dir: StateDir, machine: str, word: str, options: Sequence[str]) -> list[str]:
    """The host's command that tells the open connection something: to forward, to cancel."""
    configuration = str(state_dir.folder / CONFIGURATION)
    path = f"ControlPath={socket_path(state_dir, machine)}"
    return ["ssh", "-F", configuration, "-o", path, "-O", word, *options, machine]


def shell(state_dir: StateDir, machine: str) -> str:
    """The same connection as rsync wants it: words without a space or quote, run in `state_dir.folder`."""
    return " ".join(["ssh", "-F", CONFIGURATION, *_options(state_dir, machine)])


def address(state_dir: StateDir, machine: str) -> str | None:
    """The machine's own address, where the host reaches it by that and not through a forward."""
    host = _configured(state_dir, machine, "HostName")
    return host if host and not host.startswith("127.") else None


def become_root(state_dir: StateDir, machine: str) -> Sequence[str]:
    """The words that make the entering user root inside."""
    return () if _configured(state_dir, machine, "User") == "root" else ("sudo", "--")


def _configured(state_dir: StateDir, machine: str, name: str) -> str | None:
    """What the ssh configuration says of a machine."""
    try:
        text = (state_dir.folder / CONFIGURATION).read_text()
    except OSError:
        return None
    match = re.search(rf"^Host {re.escape(machine)}$.*?^\s+{name} (\S+)$", text, re.MULTILINE | re.DOTALL)
    return match[1] if match else None


def command_as(
    state_dir: StateDir, machine: str, words: Sequence[str], *, user: str, workdir: str, terminal: bool
) -> list[str]:
    """The host's command that runs `words` as a user, with the environment's variables."""
    return command(state_dir, machine, [guest_paths.ENTER, user, workdir, *words], terminal=terminal)


def write(
    state_dir: StateDir, machine: str, files: Mapping[str, RenderedFile], folder: str, *, mode: str = "0755"
) -> None:
    """Make a folder of the machine, of this mode, hold these files and nothing else.

    Raises:
        CommandFailed: the machine does not answer, or its disk is full.
    """
    quoted = shlex.quote(folder)
    script = f"rm -rf {quoted} && mkdir -p {quoted} && chmod {mode} {quoted} && tar -x -C {quoted}"
    process.run(command(state_dir, machine, ["sh", "-c", script]), stdin=_archive(files))


def stream(state_dir: StateDir, machine: str, script: str, each_line: Callable[[str], None]) -> None:
    """Run text for `sh` in the machine as root, handing on each line it prints.

    Raises:
        CommandFailed: it failed, or the machine does not answer.
    """
    process.stream(command(state_dir, machine, ["sh", "-c", script]), each_line)


def close(state_dir: StateDir, machine: str) -> None:
    """End the open connection: it leads to a machine that is gone, or will be."""
    control = socket_path(state_dir, machine)
    agent_link(state_dir, machine).unlink(missing_ok=True)
    if control.exists():
        process.run(["ssh", "-o", f"ControlPath={control}", "-O", "exit", machine], check=False)


def _options(state_dir: StateDir, machine: str) -> list[str]:
    """Opened once and kept; a machine that fell silent is given up after 30 s."""
    return ["-o", "ControlMaster=auto", "-o", f"ControlPersist={KEPT_OPEN}",
            "-o", f"ControlPath={socket_path(state_dir, machine)}", "-o", "ConnectTimeout=30",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6"]  # fmt: skip


def socket_path(state_dir: StateDir, name: str) -> Path:
    """The path of a socket of the environment: short, because it is limited to 108 bytes."""
    return runtime.sockets() / hashlib.sha256(f"{state_dir.folder}\0{name}".encode()).hexdigest()[:16]


def agent_link(state_dir: StateDir, machine: str) -> Path:
    """The link to the agent that the machine is lent."""
    return socket_path(state_dir, f"{machine}.agent")


def _archive(files: Mapping[str, RenderedFile]) -> bytes:
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, file in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(file.content)
            member.mode = 0o755 if file.executable else 0o644
            archive.addfile(member, io.BytesIO(file.content))
    return stream.getvalue()
