"""Text → Environment: the spec, its schema, its layers, and everything wrong in it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.spec.load import load
from provision.spec.paths import project_folder as project_of
from provision.spec.problems import render_problems
from provision.spec.reading import find_spec, peek

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.model import Variation

__all__ = ["find_spec", "load", "peek", "project_of", "render_problems", "schema", "variations"]


def variations(
    path: Path,
    *,
    backends: Sequence[str],
    settings: Mapping[str, str],
    name: str | None = None,
    local: bool = True,
) -> tuple[str, tuple[Variation, ...]]:
    """The environment's name, and what `provision test` makes of the spec; see `spec.matrix`."""
    from provision.spec import matrix

    return matrix.variations(path, backends=backends, settings=settings, name=name, local=local)


def schema() -> str:
    """The text of the published schema."""
    from provision.spec.contract import text

    return text()
