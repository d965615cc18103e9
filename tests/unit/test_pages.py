"""The pages of --html: one file, no network, nothing of a machine read as code."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from provision.comparison import Comparison
from provision.errors import UsageError
from provision.inventory.model import Difference
from provision.measure.model import Cell, Form, Host, Report
from provision.measure.rows import ROWS
from provision.model import Result
from provision.page import pages
from provision.page.drawing import draw
from provision.page.graph import HOST, Edge, Graph, Node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}\u202e\udcff\x1b[2J"
GRAPH = draw(
    Graph(
        name=EVIL,
        description="",
        nodes=(Node(name="web", base=EVIL, count=2, parts=()),),
        edges=(Edge(source=HOST, target="web", label=EVIL),),
    )
)
VOID = {"meta", "link", "input", "br", "img"}


def comparison(text: str = EVIL) -> Report:
    def form(backend: str, noun: str, times: float) -> Form:
        cells = {
            row.name: Cell(text=text, note=text) if row.unit == "text"
            else Cell(values=(times * 1.5, times, times * 1.1), note="" if times > 1 else text)
            for row in ROWS
        }  # fmt: skip
        return Form(backend=backend, noun=noun, heading=noun.title(), cells=cells, caveats=(text,))

    return Report(
        name=text, machine=text, machines=2, host=Host(system=text, processor=text, cpus=1, memory=1 << 30),
        taken="2026-11-27", seconds=1, rows=ROWS,
        forms=(form("docker", "a container", 1), form("vm", "a vm", 20)),
    )  # fmt: skip


def differences(text: str = EVIL) -> Comparison:
    found = [
        Difference(machine=machine, section="files", subject=text, attribute=attribute, left=left, right=text,
                   reason=reason)
        for machine in ("web", "db")
        for attribute, left in (("", None), ("mode", text))
        for reason in (None, text)
    ]  # fmt: skip
    return Comparison(name=text, left="docker", right="vm", differences=tuple(found))


def results(text: str = EVIL) -> dict[str, list[Result]]:
    def one(outcome: str) -> list[Result]:
        return [Result(machine="web", check=text, outcome=outcome, message=text, seconds=0.1)]  # type: ignore[arg-type]

    return {"docker": one("passed"), "vm": one("failed"), "vm debian:13": one("skipped"), text: []}


PAGES: dict[str, Callable[[], str]] = {
    "compare": lambda: pages.of_comparison(comparison(), GRAPH),
    "diff": lambda: pages.of_differences(differences(), GRAPH),
    "test": lambda: pages.of_test(EVIL, results(), GRAPH, [differences()]),
}


class Elements(HTMLParser):
    """Every element with its attributes; those that are not closed in order are `unclosed`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)
        self.unclosed += self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unclosed.append(tag)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_nothing_but_itself(name: str) -> None:
    text = PAGES[name]()
    page = Elements(text)
    assert page.unclosed == []
    reaching = [
        (tag, attribute, value)
        for tag, attributes in page.found
        for attribute, value in attributes.items()
        if attribute in ("src", "href", "action", "data", "xlink:href")
        and not str(value).startswith("data:,")
    ]
    assert reaching == []
    assert not re.search(r"@import|url\((?!#)", text)


@pytest.mark.parametrize("name", PAGES)
def test_what_machines_say_is_text(name: str) -> None:
    text = PAGES[name]()
    page = Elements(text)
    assert [tag for tag, _ in page.found].count("script") == 1
    assert [tag for tag, _ in page.found if tag == "img"] == []
    assert [a for _, attributes in page.found for a in attributes if a.startswith("on")] == []
    assert "alert(1)" in text
    assert "{{ 7*7 }}" in text
    for steering in ("\u202e", "\udcff", "\x1b"):
        assert steering not in text


@pytest.mark.parametrize("name", PAGES)
def test_a_page_allows_its_own_script_alone(name: str) -> None:
    text = PAGES[name]()
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in text or f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_bars_of_a_row_are_on_one_scale() -> None:
    row = next(row for row in ROWS if row.name == "ready")
    measured = pages.measured(comparison("x"), row)
    short, long = measured.bars
    assert [bar.width for bar in measured.bars] == [
        pytest.approx(100 * 1.1 / 30, abs=0.01),
        pytest.approx(73.33),
    ]
    assert (short.best, long.best) == (True, False)
    assert long.high == 100
    assert measured.verdict == "A Container: 20 times as quick"


def test_a_page_that_cannot_be_written_is_an_error_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError) as raised:
        pages.write(tmp_path / "file" / "page.html", "x")
    assert str(tmp_path / "file" / "page.html") in raised.value.message


def test_bytes_of_no_text_can_be_written(tmp_path: Path) -> None:
    pages.write(tmp_path / "new" / "page.html", "a\udcffb")
    assert (tmp_path / "new" / "page.html").read_bytes() == b"a\\udcffb"
