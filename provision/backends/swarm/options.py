"""The keys of `backends.swarm` that only this backend knows, and what a person sets for every environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from provision import spec
from provision.oci.reference import choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Environment, Machine
    from provision.state import StateDir

REGISTRY, NODES = "PROVISION_SWARM_REGISTRY", "PROVISION_SWARM_NODES"
RECORD = "swarm"


@dataclass(frozen=True, kw_only=True)
class SwarmOptions:
    """What a spec, or a person's own configuration, says for a Swarm alone.

    Args:
        registry: where images are pushed, and the nodes pull them.
        nodes: the address of each node's engine.
        network: virtual addresses, or those of the tasks themselves.
        folders: whether the workspace and mounts are on this engine's node alone.
        constraints: which nodes may run the machine.
        volume_driver: of its volumes, where every node reaches the same data.
        volume_options: of that driver; alone, of `local`.
    """

    registry: str = ""
    nodes: Mapping[str, str] = field(default_factory=dict)
    network: Literal["auto", "vip", "dnsrr"] = "auto"
    folders: Literal["local", "shared"] = "local"
    constraints: Sequence[str] = field(default_factory=list)
    volume_driver: str = ""
    volume_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def shares_volumes(self) -> bool:
        """Whether every node reaches the same volumes."""
        return bool(self.volume_driver or self.volume_options)


@dataclass(frozen=True, kw_only=True)
class SwarmRecord:
    """What the last `up` was told of the Swarm: the verbs that read no spec need it.

    `homes` is the node that keeps the volumes or folders of each service, by its name.
    """

    registry: str
    nodes: Mapping[str, str]
    homes: Mapping[str, str]
    images: tuple[str, ...] = ()


def options_of(machine: Machine) -> SwarmOptions:
    """The options of a machine; the schema has checked their types."""
    return SwarmOptions(**machine.options)  # type: ignore[arg-type]


def registry_of(environment: Environment) -> str:
    """The registry that an environment's nodes pull from; empty where nobody named one.

    One that is named for a Swarm counts first: its address alone will do, and engines may reach
    a registry by another name than this host. Else it is the person's own for `push` and `pull`.
    Not the spec's: `up` pushes here, and no spec may make it send anything.
    """
    named = (options_of(machine).registry for machine in environment.machines)
    own = os.environ.get(REGISTRY) or next(filter(None, named), "")
    if own:
        return own
    shared = choose(os.environ, "", spec.registry_settings(os.environ).repository)
    return str(shared[1]) if shared else ""


def node_addresses(environment: Environment | None, state_dir: StateDir) -> Mapping[str, str]:
    """Where the nodes' engines answer, by their names: as the variable, the spec or the last `up` says."""
    record = state_dir.load_sound(RECORD, SwarmRecord)
    known = dict(record.nodes) if record else {}
    for machine in environment.machines if environment else ():
        known |= options_of(machine).nodes
    return {**known, **parse_nodes(os.environ.get(NODES, ""))}


def parse_nodes(text: str) -> Mapping[str, str]:
    """`NAME=ADDRESS,NAME=ADDRESS` as a map; pure."""
    pairs = (entry.partition("=") for entry in text.split(","))
    return {name.strip(): address.strip() for name, _, address in pairs if name.strip() and address.strip()}
