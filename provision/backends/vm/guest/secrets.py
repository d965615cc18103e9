"""Secrets on their way into a virtual machine: through the open connection into its memory.

They are gone when it is switched off, so they are brought again at every start. Until then
its services wait, also after a boot that `provision` knows nothing of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import guest_paths, lent, process, secrets
from provision.backends.vm.guest import ssh
from provision.recipe.proxy import proxy_files
from provision.rendering import RenderedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Environment, Machine
    from provision.state import StateDir

# One that has just booted had no secrets: its services begin by themselves once it has them.
RENEW = f"""
if [ -e {guest_paths.DELIVERED} ]; then
  {guest_paths.SECRETS} && systemctl restart --no-block provision.target
else
  {guest_paths.SECRETS} && {{ timeout 300 systemctl is-system-running --wait >/dev/null 2>&1 || true; }}
fi
"""


def push_proxy(state_dir: StateDir, environment: Environment, machine: Machine) -> None:
    """Lay the proxy into the machine: it is the environment's, and no image has it."""
    if machine.proxy is not None:
        ssh.write(state_dir, machine.name, proxy_files(machine, environment.names), guest_paths.KEPT_PROXY)


def push_identity(state_dir: StateDir, machine: Machine) -> None:
    """Lay the person's name for git into the machine: it is no part of what the machine is made of."""
    if machine.workspace is not None and machine.workspace.identity:
        content = lent.identity(machine).encode()
        ssh.write(
            state_dir, machine.name, {"gitconfig": RenderedFile(content=content)}, guest_paths.KEPT_IDENTITY
        )


def push(state_dir: StateDir, machine: Machine) -> None:
    """Write the values into the machine, for root alone: `apply` and `secrets` take them from there.

    Raises:
        SpecError: the host lacks one of them.
        CommandFailed: the machine does not answer.
    """
    if machine.secrets:
        brought = {name: RenderedFile(content=value) for name, value in secrets.values(machine).items()}
        ssh.write(state_dir, machine.name, brought, secrets.BROUGHT, mode="0700")


def install(state_dir: StateDir, machine: Machine) -> None:
    """Have the machine put what was brought where it is read; its services begin then."""
    if machine.secrets:
        process.run(ssh.command(state_dir, machine.name, [guest_paths.SECRETS]))


def renew(state_dir: StateDir, machine: Machine) -> None:
    """Give a running machine the host's present values; services restart if theirs differ."""
    push(state_dir, machine)
    process.run(ssh.command(state_dir, machine.name, ["sh", "-c", RENEW]))


def stale(state_dir: StateDir, machine: Machine) -> Sequence[str]:
    """The secrets of which a running machine has another value than the host."""
    if not machine.secrets:
        return ()
    question = secrets.Question(machine)
    answer = process.run(
        ssh.command(state_dir, machine.name, ["sh", "-c", question.script]), check=False
    )  # fmt: skip
    return question.stale(answer.stdout)
