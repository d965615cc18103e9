"""How a machine of QEMU reaches the world: through passt, which leaves out the host's loopback, or QEMU."""

from __future__ import annotations

import os
import platform
import re
import socket
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from provision import process, runtime
from provision.backends.vm.architecture import architecture
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    import subprocess

Network = Literal["passt", "user"]
OLDEST_QEMU = (7, 2)  # the first that takes a network from another program's socket
TRIAL_ENDS_WITHIN = 20.0  # seconds: a busy host is slow
BETWEEN = 0.02
OPEN = "a machine can reach services that listen only on the host's loopback"


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Why machines have QEMU's own network on this host, and what a person can do about it, if anything."""

    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason


def network() -> Network:
    """What machines that start now get."""
    return "user" if passt_lacks() else "passt"


@cache
def passt_lacks() -> Lack | None:
    """What passt lacks on this host; None if it works, which is tried."""
    if platform.system() != "Linux":
        return Lack(reason="passt is only for Linux")
    missing = [program for program in ("passt", "pasta") if process.find(program) is None]
    if missing:
        return Lack(
            reason=f"no {' and no '.join(missing)} command", hint="scripts/host-setup vm installs passt"
        )
    ours = architecture()
    if ours is None:
        return Lack(reason=f"machines are not available for {platform.machine()}")
    output = process.ask([ours.program, "--version"]).stdout
    version = re.search(r"version (\d+)\.(\d+)", output)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_QEMU:
        oldest = ".".join(map(str, OLDEST_QEMU))
        return Lack(reason=f"QEMU is older than {oldest}", hint=f"install QEMU {oldest} or newer")
    if failure := _trial():
        return Lack(
            reason=f"passt does not work on this host: {failure}",
            hint="it needs user namespaces and /dev/net/tun: ls -l /dev/net/tun",
        )
    return None


def _trial() -> str | None:
    """Start both as a machine's script does, connect, and see them end; the reason where they do not."""
    from tempfile import TemporaryDirectory

    root = os.geteuid() == 0
    # A short path, as a socket's must be; `gc` knows the folder's name, should this process be killed.
    with TemporaryDirectory(prefix=runtime.TEMPORARY, dir=runtime.SOCKETS) as folder:
        path = Path(folder, "passt")
        child = process.start(
            ["pasta", "-4", "-f", "-q", *(["--runas", "0", "--netns-only"] if root else []), "--config-net",
             "-a", "10.0.3.2", "-n", "24", "-g", "10.0.3.1", "--no-map-gw", "-T", "none", "-U", "none",
             "-t", "none", "-u", "none",
             "--", "passt", "-1", "-4", "-f", "-q", *(["--runas", "0"] if root else []), "-s", str(path)],
            own_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + TRIAL_ENDS_WITHIN
        while child.poll() is None and not path.exists() and time.monotonic() < deadline:
            time.sleep(BETWEEN)
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
        answered, reason = path.exists(), ""
        try:
            child.wait(max(BETWEEN, deadline - time.monotonic()))
        except process.TimeoutExpired:
            reason = f"it did not finish within {TRIAL_ENDS_WITHIN:g} s"
        code, stderr = child.poll(), _said(child)
        process.kill_session(child)  # one of the two may go on without the other, and hold the pipes
    if answered and code == 0:
        return None
    lines = [line for line in stderr.splitlines() if "syslog" not in line]
    return reason or (lines[-1] if lines else "no output")


def _said(child: subprocess.Popen[bytes]) -> str:
    """What a command has printed as errors by now."""
    assert child.stderr is not None  # noqa: S101 - it was started with three pipes
    os.set_blocking(child.stderr.fileno(), False)
    return (child.stderr.read() or b"").decode("utf-8", "replace")
