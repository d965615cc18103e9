"""An SSH server on the host's side of a machine: sessions, files and forwards go the way `exec` goes.

So `ssh`, `scp`, `sftp`, `rsync` and editors reach containers and virtual machines alike, and
nothing is added to an image. It listens nowhere: ssh starts it as its ProxyCommand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provision.target import Target


def serve_streams(target: Target) -> None:
    """Serve the one connection that stdin and stdout are, until it ends."""
    from provision.sshd.server import serve

    serve(target)
