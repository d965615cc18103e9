"""Another host, for tests: an sshd of their own on the loopback, and an `ssh` that knows it as `far`.

Its engine is this host's, but `docker` is told ssh://far, and must not rely on files of this host.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ADDRESS = "ssh://far"
SBIN = "/usr/sbin:/sbin:/usr/local/sbin"
CONFIGURATION = """\
Port {port}
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
SetEnv {variables}
"""
CLIENT = """\
Host {name}
  HostName {address}
  Port {port}
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
"""


@dataclass(frozen=True)
class FarHost:
    """The folder of its keys, and the variables with which `ssh far` and `docker` reach it."""

    folder: Path
    variables: Mapping[str, str]


def has_sshd() -> bool:
    """Whether this host has an sshd to run."""
    return shutil.which("sshd", path=f"{os.environ['PATH']}:{SBIN}") is not None


@contextmanager
def far_host(
    folder: Path,
    *,
    within: Sequence[str] = (),
    address: str = "127.0.0.1",
    variables: Mapping[str, str] | None = None,
    name: str = "far",
) -> Iterator[FarHost]:
    """Run the sshd while this lasts.

    Args:
        folder: for its files.
        within: words that begin the sshd's command, so that it runs in a network of its own.
        address: of that network.
        variables: what is set for commands that run there, in addition to PATH.
        name: what `ssh` calls it.
    """
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:{SBIN}")
    ssh = shutil.which("ssh")
    assert sshd, "there is no sshd: scripts/host-setup tests installs it"
    assert ssh
    folder.mkdir()
    for key in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    setting = " ".join(
        f"{variable}={value}" for variable, value in {"PATH": os.environ["PATH"], **(variables or {})}.items()
    )
    names = {"folder": folder, "port": port, "address": address, "variables": setting, "name": name}
    (folder / "sshd_config").write_text(CONFIGURATION.format(**names))
    (folder / "ssh_config").write_text(CLIENT.format(**names))
    host_key = (folder / "host_key.pub").read_text().rpartition(" ")[0]
    (folder / "known_hosts").write_text(f"[{address}]:{port} {host_key}\n")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {folder}/ssh_config "$@"\n')
    (programs / "ssh").chmod(0o755)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # noqa: PTH103 - what its package makes at boot
    with (folder / "sshd.log").open("wb") as log:
        words = [*within, sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for(address, port, server)
        own = {"PATH": f"{programs}:{os.environ['PATH']}", "DOCKER_HOST": f"ssh://{name}"}
        yield FarHost(folder=folder, variables=own)
    finally:
        server.terminate()
        server.wait()


def _wait_for(address: str, port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as call:
            if call.connect_ex((address, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sshd does not answer")
