"""A graph drawn in layers: a machine stands above those that it needs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from provision.page.graph import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.page.graph import Graph, Node, Part

WIDTH, HEAD, LINE, FOOT = 236, 44, 24, 10  # of a card, in pixels
HOST_WIDTH, HOST_HEIGHT = 140, 40
ACROSS, DOWN, EDGE = 36, 64, 16  # between cards, between layers, around all
BEND = 20  # what an arrow that passes a layer takes of its width
CHARACTER, SMALL = 7.4, 6.2  # the width of one, in a card's title and in its lines
SWEEPS = 4


@dataclass(kw_only=True)
class Box:
    """A card, the host, or (with no node) the bend of an arrow in a layer that it passes."""

    name: str
    layer: int
    width: float
    height: float
    node: Node | None = None
    x: float = 0
    y: float = 0
    above: list[Box] = field(default_factory=list)
    below: list[Box] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """Of its width."""
        return self.x + self.width / 2


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a card."""

    kind: str
    name: str
    detail: str
    y: float


@dataclass(frozen=True, kw_only=True)
class Card:
    """A machine as it is drawn; `stacked` where it stands for several."""

    x: float
    y: float
    width: float
    height: float
    title: str
    base: str
    stacked: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """An arrow as it is drawn: the path of a curve, and where its label stands."""

    path: str
    label: str
    label_x: float
    label_y: float
    label_width: float
    published: bool


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """All of it, with its size."""

    width: float
    height: float
    title: str
    host: Card | None
    cards: tuple[Card, ...]
    arrows: tuple[Arrow, ...]


def draw(graph: Graph) -> Drawing:
    """Lay a graph out."""
    layers = _layers(graph)
    boxes = {name: _box(graph, name, layer) for name, layer in layers.items()}
    rows: list[list[Box]] = [[] for _ in range(max(layers.values(), default=0) + 1)]
    for box in boxes.values():
        rows[box.layer].append(box)
    chains = []
    for edge in graph.edges:
        chain = [boxes[edge.source]]
        for layer in range(layers[edge.source] + 1, layers[edge.target]):
            chain.append(Box(name="", layer=layer, width=BEND, height=0))
            rows[layer].append(chain[-1])
        chain.append(boxes[edge.target])
        for upper, lower in pairwise(chain):
            upper.below.append(lower)
            lower.above.append(upper)
        chains.append((edge, chain))
    _order(rows)
    width, height = _place(rows)
    return Drawing(
        width=width,
        height=height,
        title=f"{graph.name}: machines, ports and needs",
        host=_card(boxes[HOST]) if HOST in boxes else None,
        cards=tuple(_card(box) for box in boxes.values() if box.node is not None),
        arrows=tuple(_arrow(chain, edge.label, published=edge.source == HOST) for edge, chain in chains),
    )


def _layers(graph: Graph) -> Mapping[str, int]:
    """How deep each machine stands: below everything that needs it, or that reaches it."""
    published = any(edge.source == HOST for edge in graph.edges)
    depth = {node.name: int(published) for node in graph.nodes}  # the host stands alone on top
    if published:
        depth[HOST] = 0
    for _ in graph.nodes:  # a path is not longer than this; needs have no circle
        for edge in graph.edges:
            depth[edge.target] = max(depth[edge.target], depth[edge.source] + 1)
    return depth


def _box(graph: Graph, name: str, layer: int) -> Box:
    node = next((each for each in graph.nodes if each.name == name), None)
    if node is None:
        return Box(name=name, layer=layer, width=HOST_WIDTH, height=HOST_HEIGHT)
    lines = len(node.parts)
    return Box(name=name, layer=layer, width=WIDTH, height=HEAD + LINE * lines + (FOOT if lines else 0),
               node=node)  # fmt: skip


def _order(rows: Sequence[list[Box]]) -> None:
    """Have each stand near those that it is joined with: a few sweeps by their mean place."""

    def mean(neighbours: Sequence[Box], row: Sequence[Box], own: float) -> float:
        places = {id(box): (number + 0.5) / len(row) for number, box in enumerate(row)}
        known = [places[id(box)] for box in neighbours]
        return sum(known) / len(known) if known else own

    for _ in range(SWEEPS):
        for upper, lower in pairwise(rows):
            keys = {id(b): mean(b.above, upper, (n + 0.5) / len(lower)) for n, b in enumerate(lower)}
            lower.sort(key=lambda box: keys[id(box)])
        for lower, upper in pairwise(rows[::-1]):
            keys = {id(b): mean(b.below, lower, (n + 0.5) / len(upper)) for n, b in enumerate(upper)}
            upper.sort(key=lambda box: keys[id(box)])


def _place(rows: Sequence[Sequence[Box]]) -> tuple[float, float]:
    """Give each its place, the rows centred; the size of all."""
    widths = [sum(box.width for box in row) + ACROSS * (len(row) - 1) for row in rows]
    whole = max(widths, default=0)
    y: float = EDGE
    for row, width in zip(rows, widths, strict=True):
        x = EDGE + (whole - width) / 2
        tallest = max((box.height for box in row), default=0)
        for box in row:
            box.x, box.y = x, y
            box.height = box.height or tallest  # of a bend: all of the layer
            x += box.width + ACROSS
        y += tallest + DOWN
    return whole + 2 * EDGE, y - DOWN + EDGE


def _card(box: Box) -> Card:
    node = box.node
    if node is None:
        return Card(x=box.x, y=box.y, width=box.width, height=box.height, title=box.name, base="",
                    stacked=False, lines=())  # fmt: skip
    count = f" × {node.count}" if node.count > 1 else ""  # noqa: RUF001 - the sign of times
    room = box.width - 24 - len(node.base) * SMALL - 12
    return Card(
        x=box.x,
        y=box.y,
        width=box.width,
        height=box.height,
        title=_fitting(node.name, room - len(count) * CHARACTER, CHARACTER) + count,
        base=node.base,
        stacked=node.count > 1,
        lines=tuple(_line(part, box, number) for number, part in enumerate(node.parts)),
    )


def _line(part: Part, box: Box, number: int) -> Line:
    room = box.width - 52
    name = _fitting(part.name, room, SMALL)
    left = room - len(name) * SMALL - 8
    detail = _fitting(part.detail, left, SMALL) if left > 4 * SMALL else ""
    return Line(kind=part.kind, name=name, detail=detail, y=box.y + HEAD + LINE * number)


def _fitting(text: str, room: float, character: float) -> str:
    """As much of a text as there is room for."""
    most = max(int(room / character), 1)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _arrow(chain: Sequence[Box], label: str, *, published: bool) -> Arrow:
    first, last = chain[0], chain[-1]
    start = (_spread(first, chain[1], first.below), first.y + first.height)
    end = (_spread(last, chain[-2], last.above), last.y)
    points = [start]
    for bend in chain[1:-1]:
        points += [(bend.middle, bend.y), (bend.middle, bend.y + bend.height)]
    points.append(end)
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    for number in range(0, len(points) - 1, 2):
        (x, y), (to_x, to_y) = points[number], points[number + 1]
        half = (y + to_y) / 2
        path += f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
        if number + 2 < len(points):
            path += f"L{points[number + 2][0]:.1f} {points[number + 2][1]:.1f}"
    return Arrow(
        path=path,
        label=label,
        label_x=end[0],
        label_y=end[1] - DOWN / 2 + 2,
        label_width=len(label) * SMALL + 18,
        published=published,
    )


def _spread(box: Box, other: Box, joined: Sequence[Box]) -> float:
    """Where at a card's edge an arrow begins or ends: several stand side by side, in their order."""
    ordered = sorted(joined, key=lambda each: each.middle)
    place = next(number for number, each in enumerate(ordered) if each is other)
    return box.middle + (place - (len(ordered) - 1) / 2) * min(28, box.width / (len(ordered) + 1))
