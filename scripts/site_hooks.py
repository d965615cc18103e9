"""Lets the pages of the site link to files of the repository outside docs/, as they do in the repository.

Such a file becomes a part of the site, below repository/; so `mkdocs build --strict` checks these links,
and those of README and the other pages at the top, too. Other files are left out.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = "repository/"
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/ that a page links to, and those that these link to."""
    waiting = list(TOP)
    for file in files.documentation_pages():
        waiting += _outside(f"docs/{file.src_uri}")
    done: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in done or not (ROOT / path).is_file():
            continue
        done.add(path)
        waiting += _outside(path) if path.endswith(".md") else ()
        files.append(
            File.generated(
                config,
                f"{OUTSIDE}{path}",
                abs_src_path=str(ROOT / path),
                inclusion=InclusionLevel.NOT_IN_NAV,
            )
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Point each link at the place that its file has in the site."""
    here = page.file.src_uri
    source = _source(here)

    def moved(match: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(source), match[1]))  # noqa: PTH118, PTH120
        place = target.removeprefix("docs/") if target.startswith("docs/") else f"{OUTSIDE}{target}"
        return os.path.relpath(place, os.path.dirname(here))  # noqa: PTH120

    return LINK.sub(moved, markdown)


def _source(uri: str) -> str:
    return uri.removeprefix(OUTSIDE) if uri.startswith(OUTSIDE) else f"docs/{uri}"


def _outside(path: str) -> list[str]:
    folder = os.path.dirname(path)  # noqa: PTH120
    text = (ROOT / path).read_text("utf-8")
    targets = (os.path.normpath(os.path.join(folder, link[1])) for link in LINK.finditer(text))  # noqa: PTH118
    return [target for target in targets if not target.startswith(("docs/", ".."))]
