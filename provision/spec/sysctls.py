"""The kernel parameters of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.model import Sysctl

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from provision.spec.scope import Scope
    from provision.spec.tree import Node

# Each container has its own of these, as a machine has: of messages, shared memory and network.
_OF_A_CONTAINER = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem",
    "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
)  # fmt: skip
_FAMILIES = ("net.", "fs.mqueue.")


def read_sysctls(nodes: Mapping[str, Node], required: Collection[str], scope: Scope) -> tuple[Sysctl, ...]:
    """The parameters; kernel-wide ones only if the machine `requires` a kernel of its own."""
    sysctls = []
    for name, node in nodes.items():
        if isinstance(node.value, bool) or not isinstance(node.value, str | int):
            continue  # the schema has said so
        if "." in name and not is_of_a_container(name) and "kernel" not in required:
            scope.problems.add(
                f"{name} belongs to the whole kernel, which a container shares with its host",
                node.key_origin,
                "add `requires: [kernel]`: the machine then gets a kernel of its own, with `-b vm`",
            )
        sysctls.append(Sysctl(name=name, value=" ".join(str(node.value).split()), origin=node.key_origin))
    return tuple(sysctls)


def is_of_a_container(name: str) -> bool:
    """Whether each container has its own value, so that an engine can set it."""
    return name in _OF_A_CONTAINER or name.startswith(_FAMILIES)
