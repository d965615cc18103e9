"""One ssh connection for all that `docker` asks of an engine on another host.

`docker` starts an ssh for each connection to such an engine, several for one command, and each logs in anew:
most of a second. An `ssh` of ours, found before the host's own, has them share a connection, which ends a
minute after the last of them. Every other use of ssh passes through it unchanged.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil

from provision import runtime

FOLDER = "shared-ssh-"
KEPT = 60  # seconds
# As `docker` calls it; whoever has ControlPath in their own configuration loses nothing by ours.
SCRIPT = """\
#!/bin/sh
case $* in
*" docker system dial-stdio")
  exec {ssh} -o ControlMaster=auto -o ControlPath={socket} -o ControlPersist={kept} "$@" ;;
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
    paths = os.environ.get("PATH", "").split(os.pathsep)
    found = shutil.which("ssh", path=os.pathsep.join(path for path in paths if FOLDER not in path))
    if found is None:
        return  # `docker` says so
    folder = runtime.sockets() / f"{FOLDER}{hashlib.sha256(found.encode()).hexdigest()[:8]}"
    if str(folder) in paths[:1]:
        return
    script = runtime.private(folder) / "ssh"
    socket = shlex.quote(str(runtime.sockets() / "mux-%C"))
    text = SCRIPT.format(ssh=shlex.quote(found), socket=socket, kept=KEPT)
    if not script.exists() or script.read_text() != text:
        beside = script.with_suffix(f".{os.getpid()}")
        beside.write_text(text)
        beside.chmod(0o700)
        beside.replace(script)
    os.environ["PATH"] = os.pathsep.join([str(folder), *(path for path in paths if FOLDER not in path)])
