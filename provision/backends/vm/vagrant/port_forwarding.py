"""Ports forwarded by ssh: one process for each, whose id lies in a file as Vagrant leaves it there."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from provision import process
from provision.errors import EnvironmentFailed
from provision.model import bracketed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from psutil import Process

    from provision.model import PortStatus

PATIENCE = 15.0  # seconds that a young ssh has to reach the machine, slow under emulation
BETWEEN = 0.05
START = 60.0


def stop(pids: Path) -> None:
    """End every forward of a machine that does not run: it leads nowhere, and holds its port."""
    for file in pids.glob("ssh_*.pid"):
        forward = _process(file)
        if forward is not None:
            import psutil

            with suppress(psutil.Error):
                forward.terminate()
                forward.wait(timeout=5)
        file.unlink(missing_ok=True)


def lost(pids: Path, ports: Sequence[PortStatus]) -> Sequence[PortStatus]:
    """The ports that no living forward of ours listens on."""
    return [port for port in ports if not _listens(_file(pids, port), port.host)]


def ensure(pids: Path, ports: Sequence[PortStatus], configuration: Path, machine: str, address: str) -> None:
    """Make every port be forwarded, those that Vagrant left out too.

    Args:
        pids: the folder of the files that hold the forwards' ids.
        ports: what should be forwarded.
        configuration: an ssh configuration that reaches the machine by its name.
        machine: that name.
        address: the machine's own on its network, so that what listens on its loopback
            alone stays there, as in a container.

    Raises:
        EnvironmentFailed: a port is held by another, in the words of ssh.
    """
    deadline = time.monotonic() + PATIENCE
    missing = lost(pids, ports)
    while any(_process(_file(pids, port)) for port in missing) and time.monotonic() < deadline:
        time.sleep(BETWEEN)
        missing = lost(pids, ports)
    for port in missing:
        _forward(_file(pids, port), port, ["-F", str(configuration)], machine, address)


def _forward(file: Path, port: PortStatus, options: Sequence[str], machine: str, address: str) -> None:
    """Start an ssh that goes to the background once it listens, and note its id."""
    if stale := _process(file):
        stale.terminate()
    file.parent.mkdir(parents=True, exist_ok=True)
    socket = file.with_suffix(".socket")
    socket.unlink(missing_ok=True)
    # Named without its folder: the path of a socket may have 108 bytes.
    asking = ["-o", f"ControlPath={socket.name}"]
    started = process.run(
        ["ssh", *options, *asking, "-f", "-N", "-o", "ControlMaster=yes",
         "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=15",
         "-L", forwarding(port, address), machine],
        check=False,
        cwd=file.parent,
        timeout=START,
    )  # fmt: skip
    if started.code != 0:
        raise EnvironmentFailed(
            f"port {port.host} on the host cannot be forwarded to {port.guest} of machine {machine}",
            evidence=started.stderr.splitlines(),
            hint="stop what uses it, or choose another port in the spec or in NAME.local.yaml",
        )
    check = process.run(["ssh", *asking, "-O", "check", machine], cwd=file.parent)
    if identity := re.search(r"pid=(\d+)", check.stdout + check.stderr):
        file.write_text(identity[1])


def forwarding(port: PortStatus, address: str) -> str:
    """What ssh's -L takes: the host's side, then the machine's address and port."""
    return f"{port.endpoint}:{bracketed(address)}:{port.guest}"


def _file(pids: Path, port: PortStatus) -> Path:
    return pids / f"ssh_{port.host}.pid"


def _listens(file: Path, port: int) -> bool:
    import psutil

    forward = _process(file)
    try:
        return forward is not None and any(
            each.laddr[1] == port and each.status == psutil.CONN_LISTEN
            for each in forward.net_connections(kind="tcp")
        )
    except psutil.Error:
        return False


def _process(file: Path) -> Process | None:
    """The ssh process whose id is in the file; None if it is gone, or another process has its id now."""
    import psutil

    try:
        process_of_id = psutil.Process(int(file.read_text()))
        alive = process_of_id.status() != psutil.STATUS_ZOMBIE
        return process_of_id if alive and process_of_id.name() in ("ssh", "sudo") else None
    except (OSError, ValueError, psutil.Error):
        return None
