"""One ssh connection for all that `docker` asks of an engine on another host.

`docker` starts an ssh for each connection to such an engine, several for one command, and each logs in anew:
most of a second. An `ssh` of ours, found before the host's own, has them share a connection, which ends a
minute after the last of them. Every other use of ssh passes through it unchanged.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from provision import process, runtime
from provision.ssh_address import sharing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

FOLDER = "shared-ssh-"
# As `docker` calls it.
SCRIPT = """\
#!/bin/sh
case $* in
*" docker system dial-stdio")
  exec {ssh} {sharing} "$@" ;;
esac
exec {ssh} "$@"
"""


def share_connections(address: str) -> None:
    """Have the commands that this process starts share a connection to an engine, if that is reached by ssh.

    Raises:
        HostLacks: somebody else has the folder for sockets.
    """
    if not address.startswith("ssh://"):
        return
    from shutil import which

    paths = os.environ.get("PATH", "").split(os.pathsep)
    found = which("ssh", path=os.pathsep.join(path for path in paths if FOLDER not in path))
    if found is None:
        return  # `docker` says so
    folder = runtime.sockets() / f"{FOLDER}{hashlib.sha256(found.encode()).hexdigest()[:8]}"
    if str(folder) in paths[:1]:
        return
    script = runtime.private(folder) / "ssh"
    text = SCRIPT.format(ssh=shlex.quote(found), sharing=shlex.join(sharing()))
    if not script.exists() or script.read_text() != text:
        beside = script.with_suffix(f".{os.getpid()}")
        beside.write_text(text)
        beside.chmod(0o700)
        beside.replace(script)
    os.environ["PATH"] = os.pathsep.join([str(folder), *(path for path in paths if FOLDER not in path)])


@contextmanager
def reachable(address: str) -> Iterator[str]:
    """An address at which Docker's library reaches an engine: that needs another ssh library for ssh://.

    `docker` itself carries each connection then, from a socket in a folder of its own.
    """
    if not address.startswith("ssh://"):
        yield address
        return
    from tempfile import TemporaryDirectory
    from threading import Thread

    with (
        TemporaryDirectory(prefix=runtime.TEMPORARY, dir=runtime.SOCKETS) as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        listener.bind(f"{folder}/engine")
        listener.listen()
        carriers: list[Popen[bytes]] = []
        Thread(target=_carry, args=(listener, carriers), daemon=True).start()
        try:
            yield f"unix://{folder}/engine"
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # which ends the thread
            for carrier in carriers:
                process.kill(carrier)


def _carry(listener: socket.socket, carriers: list[Popen[bytes]]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            carriers.append(process.start_on(connection, ["docker", "system", "dial-stdio"]))
