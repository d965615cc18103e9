"""The generated pages are current, and the specs that README and the pages print are valid."""

from __future__ import annotations

import html
import re
import runpy
from pathlib import Path

import pytest

from provision.cli import VERBS
from provision.spec.load import load

ROOT = Path(__file__).parent.parent.parent


def _name(text: str) -> str:
    return str(re.findall("name: (.*)", text)[0])


PAGES = ("README.md", "docs/index.md", "docs/machines.md")
PRINTED = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    if "version: 1" in block
]


def test_the_page_of_the_format_is_current() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "spec-page"))["page"]()
    assert (ROOT / "docs" / "spec.md").read_text("utf-8") == page, "make docs writes it anew"


def test_the_published_schema_has_each_backends_own_keys() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "spec-page"))["schema"]()
    published = (ROOT / "schemas" / "environment.schema.json").read_text("utf-8")
    assert published == made, "make docs writes it anew"


def test_the_list_of_decisions_is_current() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "spec-page"))["decisions"]()
    assert (ROOT / "docs" / "adr" / "index.md").read_text("utf-8") == page, "make docs writes it anew"


def test_the_page_of_the_verbs_lists_every_verb() -> None:
    table = (ROOT / "docs" / "verbs.md").read_text("utf-8").partition("Most verbs share")[0]
    listed = {word.split()[0] for cell in re.findall(r"^\| \[(`.*?`)\]", table, re.MULTILINE)
              for word in re.findall("`([^`]*)`", cell)}  # fmt: skip
    assert listed == set(VERBS)


def test_every_page_prints_the_spec_that_the_picture_shows() -> None:
    first = next(block for page, block in PRINTED if page == "README.md")
    drawn = (ROOT / "docs" / "images" / "first-run.svg").read_text("utf-8")
    words = re.sub(r"&#160;", " ", html.unescape(re.sub(r"<[^>]*>", "\n", drawn)))
    shown = {line.strip() for line in words.replace("\xa0", " ").splitlines()}
    assert {line.strip() for line in first.splitlines()} <= shown, "make picture draws it anew"
    assert first in (ROOT / "docs" / "index.md").read_text("utf-8")


@pytest.mark.parametrize(
    "text", [text for _, text in PRINTED], ids=[f"{page}-{_name(text)}" for page, text in PRINTED]
)
def test_a_printed_spec_is_valid(tmp_path: Path, text: str) -> None:
    for source in re.findall(r"(?:template|source|pytest): ([\w./]+\.\w+)", text):
        (tmp_path / "envs" / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "envs" / source).touch()
    (tmp_path / ".git").mkdir()
    spec = tmp_path / "envs" / "spec.yaml"
    spec.parent.mkdir(exist_ok=True)
    spec.write_text(text, "utf-8")
    load(spec, backend="docker", host={})
