"""python -m provision.relay LISTEN TARGET: hands each connection to one socket on to another, as this user.

A machine gets the folder of LISTEN mounted, read-only. TARGET is a link to the person's SSH agent,
looked at for each connection, so an agent that starts again under another path is found. The
relay is needed for the agent's own sake too: it answers nobody but its user. It ends once LISTEN
is gone, or another's.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from pathlib import Path

LOOKS_EVERY = 1.0  # seconds
CHUNK = 65536


def serve(listen: Path, target: Path) -> None:
    """Take connections until the socket is no longer this process's."""
    beside = listen.with_name(f".{os.getpid()}")
    beside.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(beside))
        beside.chmod(0o666)  # whoever can enter the folder: nobody else of the host
        server.listen()
        own = beside.stat().st_ino
        beside.replace(listen)
        while _inode(listen) == own:
            if select.select([server], [], [], LOOKS_EVERY)[0]:
                client, _ = server.accept()
                threading.Thread(target=_hand_on, args=(client, target), daemon=True).start()


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def _hand_on(client: socket.socket, target: Path) -> None:
    with client, socket.socket(socket.AF_UNIX) as agent:
        try:
            agent.connect(os.path.realpath(target))
            other = {client: agent, agent: client}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    chunk = ready.recv(CHUNK)
                    if not chunk:
                        return
                    other[ready].sendall(chunk)
        except OSError:
            return  # the client sees that nobody answers


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
