"""Where the engine of a task's node answers: a manager has no container of another node."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from provision.backends.container_entry import target_of
from provision.backends.swarm.options import NODES
from provision.docker_client import swarm
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.docker_client.swarm import Node, Service, Task
    from provision.target import Target


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The ways to the engines of a Swarm's nodes.

    Args:
        self_node: the id of the node whose engine `docker` uses.
        nodes: all members, by id.
        addresses: where a node's engine answers, by the node's name.
    """

    self_node: str
    nodes: Mapping[str, Node]
    addresses: Mapping[str, str]
    _asked: dict[str, str] = field(default_factory=dict)

    def why_not(self, node_id: str) -> str:
        """Why a node's engine cannot be reached; empty if it can."""
        if node_id == self.self_node:
            return ""
        node = self.nodes.get(node_id)
        name = node.name if node else node_id
        if name not in self.addresses:
            return f"no address of the engine of {name} is known"
        if name not in self._asked:
            self._asked[name] = swarm.answers(self.addresses[name])
        reason = self._asked[name]
        return f"the engine of {name} ({self.addresses[name]}): {reason}" if reason else ""

    def host(self, node_id: str) -> str:
        """The address for `docker --host`; empty where that is the engine it uses anyway.

        Raises:
            Unreachable: there is none, or it does not answer.
        """
        if reason := self.why_not(node_id):
            name = self.nodes[node_id].name if node_id in self.nodes else node_id
            raise Unreachable(reason, hint=hint(name))
        node = self.nodes.get(node_id)
        return "" if node_id == self.self_node or node is None else self.addresses[node.name]

    def target(self, machine: str, service: Service, task: Task) -> Target:
        """A machine whose task has a container.

        Raises:
            Unreachable: it has none yet, or its node's engine does not answer.
        """
        if not task.container:
            raise Unreachable(f"machine {machine} has no container yet: it is {task.state}")
        host = self.host(task.node)
        node = self.nodes.get(task.node)
        if not task.ports and not service.ports:
            # The managers learn of them after the task runs, and may forget them with their leader.
            task = replace(task, ports=swarm.ports_at(host, task.container))
        ports = swarm.ports_of(task, service, node.address if node else "")
        return target_of(task.container, service.labels, ports, machine=machine, host=host)


def hint(node: str) -> str:
    """How a person says where a node's engine answers."""
    return (
        f"say where it answers: export {NODES}={node}=ssh://{node}, or"
        f" `backends: {{swarm: {{nodes: {{{node}: ssh://{node}}}}}}}` in your configuration"
    )
