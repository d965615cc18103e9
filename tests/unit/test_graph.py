"""An environment as a drawing: what stands where, and that nothing in it is read as code."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from provision.page import pages
from provision.page.drawing import draw
from provision.page.graph import HOST, Edge, Graph, Node, Part, graph_of, mermaid
from provision.spec import load
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.page.drawing import Card

SHOP = """\
flowchart TB
  host(["this host"])
  subgraph m0["db (debian:12)"]
    m0p0("postgresql script")
    m0p1[("data /var/lib/postgresql")]
  end
  subgraph m1["cache (debian:12)"]
    m1p0("redis :6379")
  end
  subgraph m2["app TIMES 2 (debian:12)"]
    m2p0("shop :8000")
  end
  subgraph m3["web (debian:12)"]
    m3p0("nginx :80")
  end
  host -->|"free port → 80"| m3
  m2 --> m0
  m2 --> m1
  m3 --> m2
""".replace("TIMES", "\N{MULTIPLICATION SIGN}")
EVIL = 'a"]; click m0 "javascript:1" <script>alert(1)</script> `x` %%{init}%% ${{ x }}\n&amp;'


def node(name: str, parts: int = 1) -> Node:
    return Node(
        name=name, base="debian:12", count=1,
        parts=tuple(Part(kind="service", name=f"s{n}", detail=":80") for n in range(parts)),
    )  # fmt: skip


def graph(needs: Mapping[str, Sequence[str]], published: Sequence[str] = ()) -> Graph:
    edges = [Edge(source=HOST, target=name, label="8080 → 80") for name in published]
    edges += [Edge(source=source, target=target) for source, targets in needs.items() for target in targets]
    return Graph(
        name="x", description="", nodes=tuple(node(n, i % 4) for i, n in enumerate(needs)), edges=tuple(edges)
    )


GRAPHS = {
    "one": graph({"a": []}),
    "one that is published": graph({"a": []}, ["a"]),
    "a chain": graph({"a": ["b"], "b": ["c"], "c": []}, ["a"]),
    "an arrow past a layer": graph({"a": ["b", "c"], "b": ["c"], "c": []}, ["a", "c"]),
    "many": graph(
        {
            **{f"a{n}": [f"b{(n * 3) % 5}", f"c{n % 3}"] for n in range(6)},
            **{f"b{n}": [f"c{n % 3}"] for n in range(5)},
            **{f"c{n}": [] for n in range(3)},
        },
        ["a0", "b3", "c1"],
    ),
    "one that nothing reaches": graph({"a": ["b"], "b": [], "c": ["b"]}, ["a", "b"]),
    "strangers": graph({"a": [], "b": [], "c": []}),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_cards_do_not_overlap_and_lie_inside(name: str) -> None:
    drawing = draw(GRAPHS[name])
    cards: list[Card] = [*drawing.cards, *([drawing.host] if drawing.host else [])]
    for one, other in combinations(cards, 2):
        apart = (
            one.x + one.width <= other.x or other.x + other.width <= one.x
            or one.y + one.height <= other.y or other.y + other.height <= one.y
        )  # fmt: skip
        assert apart, (one, other)
    for card in cards:
        assert card.x >= 0
        assert card.x + card.width <= drawing.width
        assert card.y >= 0
        assert card.y + card.height <= drawing.height


@pytest.mark.parametrize("name", GRAPHS)
def test_every_arrow_leads_down_through_no_card(name: str) -> None:
    drawing = draw(GRAPHS[name])
    assert len(drawing.arrows) == len(GRAPHS[name].edges)
    for arrow in drawing.arrows:
        places = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)(?=[A-Z]|$)", arrow.path)]
        assert len(places) > 1, arrow.path
        heights = [y for _, y in places]
        assert heights == sorted(heights)
        crossed = [
            card.title for card in drawing.cards for x, y in places[1:-1]
            if card.x < x < card.x + card.width and card.y < y < card.y + card.height
        ]  # fmt: skip
        assert crossed == []


@pytest.mark.parametrize("name", GRAPHS)
def test_the_host_stands_alone_on_top(name: str) -> None:
    drawing = draw(GRAPHS[name])
    assert (drawing.host is not None) == any(edge.source == HOST for edge in GRAPHS[name].edges)
    if drawing.host:
        assert all(card.y > drawing.host.y + drawing.host.height for card in drawing.cards)


def test_the_shop_as_mermaid() -> None:
    environment = load(ROOT / "envs" / "shop.yaml", backend="docker", host={})
    assert mermaid(graph_of(environment)) == SHOP


def hostile() -> Graph:
    return Graph(
        name=EVIL, description=EVIL, edges=(Edge(source=HOST, target=EVIL, label=EVIL),),
        nodes=(Node(name=EVIL, base=EVIL, count=2, parts=(Part(kind="volume", name=EVIL, detail=EVIL),)),),
    )  # fmt: skip


def test_nothing_in_a_label_is_read_as_mermaid() -> None:
    text = mermaid(hostile())
    assert len(text.splitlines()) == 6
    labels = re.sub(r'"[^"]*"', "", text)
    assert "script" not in labels
    assert "click" not in labels
    assert not re.search(
        r'[<>`%&$]|(?<!\[)"(?=\])', re.sub(r"-->", "", text).replace('"]', "").replace('")', "")
    )


def test_an_image_of_hostile_names_is_an_image() -> None:
    image = ET.fromstring(pages.svg(hostile()))
    names = {element.tag.rpartition("}")[2] for element in image.iter()}
    assert "script" not in names
    assert any("alert(1)" in (element.text or "") for element in image.iter())
