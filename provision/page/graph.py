"""An environment as a graph: machines, what is in them, which needs which, what the host reaches. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from provision.model import bracketed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.model import Environment, Machine, Port, Probe

Kind = Literal["service", "volume", "workspace", "mount"]
HOST = "this host"
LOOPBACK = ("127.0.0.1", "::1")
MOST_PORTS = 3  # on one arrow


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something in a machine: a service and how it becomes ready, a volume or folder and where it is."""

    kind: Kind
    name: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine, or several equal ones."""

    name: str
    base: str
    count: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From a machine to one that it needs; from the host, to one that it reaches by the ports in `label`."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All of an environment; an edge from `HOST` is a published port."""

    name: str
    description: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph_of(environment: Environment) -> Graph:
    """The graph of an environment; equal machines are one node."""
    groups: dict[str, list[Machine]] = {}
    for machine in environment.machines:
        groups.setdefault(machine.group or machine.name, []).append(machine)
    group_of = {machine.name: group for group, members in groups.items() for machine in members}
    nodes = tuple(
        Node(name=group, base=members[0].base.name, count=len(members), parts=tuple(_parts(members[0])))
        for group, members in groups.items()
    )
    published = [
        Edge(source=HOST, target=group, label=_ports([port for each in members for port in each.ports]))
        for group, members in groups.items()
        if any(each.ports for each in members)
    ]
    needs = dict.fromkeys(
        Edge(source=group, target=group_of[need])
        for group, members in groups.items()
        for machine in members
        for need in machine.needs
        if need in group_of and group_of[need] != group
    )
    return Graph(
        name=environment.name,
        description=environment.description,
        nodes=nodes,
        edges=(*published, *needs),
    )


def _parts(machine: Machine) -> Iterator[Part]:
    for service in machine.services:
        yield Part(kind="service", name=service.name, detail=_ready(service.ready))
    for volume in machine.volumes:
        yield Part(kind="volume", name=volume.name, detail=volume.path)
    if machine.workspace:
        yield Part(kind="workspace", name=machine.workspace.path, detail=f"{machine.workspace.source.name}/")
    for mount in machine.mounts:
        yield Part(kind="mount", name=mount.path, detail=mount.source.name)


def _ready(probe: Probe | None) -> str:
    """How a service shows that it is ready, in a word or two."""
    if probe is None:
        return ""
    if probe.kind == "http":
        return (
            re.sub(r"^https?://(?:localhost|127\.0\.0\.1)(?=[:/])", "", probe.subject).rstrip("/") or "http"
        )
    return f":{probe.subject.rpartition(':')[2]}" if probe.kind == "tcp" else probe.kind


def _ports(ports: Sequence[Port]) -> str:
    shown = [_port(port) for port in ports[:MOST_PORTS]]
    more = len(ports) - MOST_PORTS
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _port(port: Port) -> str:
    where = "" if port.address in LOOPBACK else f"{bracketed(port.address)}:"
    protocol = "/udp" if port.protocol == "udp" else ""
    host = f"{where}{port.host}" if port.host else f"{where}free port"
    return f"{host} → {port.guest}{protocol}"


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, for Markdown pages that draw those."""
    names = {node.name: f"m{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart TB"]
    if any(edge.source == HOST for edge in graph.edges):
        lines.append(f'  host(["{HOST}"])')
    for node in graph.nodes:
        count = f" × {node.count}" if node.count > 1 else ""  # noqa: RUF001 - the sign of times
        title = _quoted(f"{node.name}{count} ({node.base})")
        lines.append(f"  subgraph {names[node.name]}[{title}]")
        for number, part in enumerate(node.parts):
            left, right = {"service": ("(", ")"), "volume": ("[(", ")]")}.get(part.kind, ("[/", "/]"))
            text = _quoted(f"{part.name} {part.detail}".strip())
            lines.append(f"    {names[node.name]}p{number}{left}{text}{right}")
        if not node.parts:
            lines.append(f"    {names[node.name]}p0({_quoted(node.name)})")
        lines.append("  end")
    for edge in graph.edges:
        label = f"|{_quoted(edge.label)}|" if edge.label else ""
        source = "host" if edge.source == HOST else names[edge.source]
        lines.append(f"  {source} -->{label} {names[edge.target]}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Text of a spec as a label: nothing in it is read as Mermaid or HTML."""
    return '"' + "".join(c if c.isalnum() or c in " ._/:-(),→×" else f"#{ord(c)};" for c in text) + '"'  # noqa: RUF001
