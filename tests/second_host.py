"""A second host for the registry: a Docker engine of its own, empty, which reaches this host over a bridge.

It verifies certificates as any other host does: only addresses of the loopback are excepted from that.
Needs root, and the bridge of the host's engine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BRIDGE = "docker0"
ADDRESS = "172.17.0.1"  # this host's on the bridge
_OWN = "172.17.254.{}"
_INNER = "172.29.0.1/16"
WITHIN = 60.0


def reason_against() -> str:
    """Why there can be no second host here; empty if there can."""
    if os.geteuid() != 0 or not shutil.which("nsenter"):
        return "only root can give an engine a network of its own"
    found = subprocess.run(
        ["ip", "-4", "-o", "address", "show", BRIDGE], capture_output=True, text=True, check=False
    )
    return "" if f" {ADDRESS}/" in found.stdout else f"{BRIDGE} has not the address {ADDRESS}"


@contextmanager
def own_network() -> Iterator[tuple[list[str], str]]:
    """A network on the bridge; gives the words that run a command in it, and its address."""
    address = _OWN.format(os.getpid() % 250 + 2)
    space, outer, inner = f"second-{os.getpid()}", f"vs{os.getpid()}", f"vi{os.getpid()}"
    within = ["nsenter", f"--net=/run/netns/{space}"]
    _run("ip", "netns", "add", space)
    try:
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", space)
        _run("ip", "link", "set", outer, "master", BRIDGE, "up")
        _run(*within, "ip", "address", "add", f"{address}/16", "dev", inner)
        _run(*within, "ip", "link", "set", "lo", "up")
        _run(*within, "ip", "link", "set", inner, "up")
        _run(*within, "ip", "route", "add", "default", "via", ADDRESS)
        yield within, address
    finally:
        subprocess.run(["ip", "netns", "delete", space], check=False)
        subprocess.run(["ip", "link", "delete", outer], capture_output=True, check=False)


@contextmanager
def second_host(folder: Path, *, ca: Path | None = None, registry: str = "") -> Iterator[str]:
    """Run it; gives the address of its engine.

    Args:
        folder: for its data, which are removed at the end.
        ca: the certificate that its engine trusts for the registry.
        registry: the registry's host, with its port.
    """
    folder.mkdir(parents=True)
    socket, log = folder / "engine.sock", folder / "log"
    certificates = folder / "certs.d"
    certificates.mkdir()
    if ca:
        (certificates / registry).mkdir()
        shutil.copy(ca, certificates / registry / "ca.crt")
    script = (
        "mount --make-rprivate / && mkdir -p /etc/docker/certs.d"
        ' && mount --bind "$1" /etc/docker/certs.d && shift && exec dockerd "$@"'
    )
    try:
        with own_network() as (within, _), log.open("wb") as out:
            words = [*within, "unshare", "--mount", "sh", "-c", script, "sh", str(certificates),
                     "--host", f"unix://{socket}", "--data-root", str(folder / "data"),
                     "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"), "--bip", _INNER,
                     ]  # fmt: skip
            running = subprocess.Popen(words, stdout=out, stderr=out, start_new_session=True)
            try:
                _wait(f"unix://{socket}", running, log)
                yield f"unix://{socket}"
            finally:
                _end(f"unix://{socket}", running)
    finally:
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def _wait(address: str, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + WITHIN
    words = ["docker", "--host", address, "version"]
    while subprocess.run(words, capture_output=True, check=False).returncode != 0:
        assert running.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)


def _end(address: str, running: subprocess.Popen[bytes]) -> None:
    docker = ["docker", "--host", address]
    names = subprocess.run([*docker, "ps", "-aq"], capture_output=True, text=True, check=False).stdout.split()
    if names:
        subprocess.run([*docker, "rm", "--force", *names], capture_output=True, check=False)
    running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def _unmount(folder: Path) -> None:
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if (point := line.split()[1]).startswith(str(folder)):
            subprocess.run(["umount", "--lazy", point], check=False)
