"""The page of the format is made of the schema, and is the one that would be made now."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_page_of_the_format_is_current() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "spec-page"))["page"]()
    assert (ROOT / "docs" / "spec.md").read_text("utf-8") == page, "make docs writes it anew"
