"""The person's SSH agent in a virtual machine: a socket inside that the open connection brings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import guest_paths, lent, process
from provision.backends.vm.guest import ssh
from provision.errors import ProvisionError
from provision.lock import exclusive

if TYPE_CHECKING:
    from provision.state import StateDir

HELPER = guest_paths.AGENT
_FOLDER = lent.SOCKET.rpartition("/")[0]
# Whoever ssh enters as makes the socket. Its user may not be made yet: then `attach` gives it to them.
_ROOM = f"""set -eu
folder={_FOLDER}
mkdir -p "$folder"
chown "${{SUDO_USER:-root}}" "$folder"
chmod 0711 "$folder"
rm -f {lent.SOCKET}
"""


def lend(state_dir: StateDir, machine: str) -> None:
    """Have the agent that this process has inside, as long as the connection is open; quiet where it cannot.

    Each call leads to the agent of its own session: the last one holds.
    """
    agent = lent.agent()
    if agent is None:
        return
    # By a link: the connection cancels a forward, and leads to one, by both of its ends.
    link = ssh.agent_link(state_dir, machine)
    forward = ["-R", f"{lent.SOCKET}:{link}"]
    with exclusive(link.with_suffix(".lock")):
        try:
            beside = link.with_suffix(".new")
            beside.unlink(missing_ok=True)
            beside.symlink_to(agent.absolute())
            beside.replace(link)
            process.run(ssh.control(state_dir, machine, "cancel", forward), check=False)
            process.run(ssh.command(state_dir, machine, ["sh", "-c", _ROOM]))
            process.run(ssh.control(state_dir, machine, "forward", forward))
            give = f"if [ -x {HELPER} ]; then {HELPER}; fi"
            process.run(ssh.command(state_dir, machine, ["sh", "-c", give]))
        except ProvisionError:
            return  # the machine does not answer: whoever comes for it says so
