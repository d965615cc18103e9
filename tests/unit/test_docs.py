"""The page of the format is made of the schema, and the specs in the README are valid."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from provision.spec.load import load

ROOT = Path(__file__).parent.parent.parent
PRINTED = [
    block
    for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    if "version: 1" in block
]


def test_the_page_of_the_format_is_current() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "spec-page"))["page"]()
    assert (ROOT / "docs" / "spec.md").read_text("utf-8") == page, "make docs writes it anew"


def test_the_published_schema_has_each_backends_own_keys() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "spec-page"))["schema"]()
    published = (ROOT / "schemas" / "environment.schema.json").read_text("utf-8")
    assert published == made, "make docs writes it anew"


@pytest.mark.parametrize("text", PRINTED, ids=[re.findall("name: (.*)", each)[0] for each in PRINTED])
def test_a_spec_in_the_readme_is_valid(tmp_path: Path, text: str) -> None:
    for source in re.findall(r"(?:template|source|pytest): ([\w./]+\.\w+)", text):
        (tmp_path / "envs" / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "envs" / source).touch()
    (tmp_path / ".git").mkdir()
    spec = tmp_path / "envs" / "spec.yaml"
    spec.parent.mkdir(exist_ok=True)
    spec.write_text(text, "utf-8")
    load(spec, backend="docker", host={})
