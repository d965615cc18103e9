"""Text → Environment: the spec, its schema, its layers, and every problem at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.spec.demands import everything, nothing
from provision.spec.load import load
from provision.spec.paths import project_folder as project_of
from provision.spec.problems import render_problems
from provision.spec.reading import find_spec, local_layer, peek

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.model import Variation
    from provision.spec.demands import Allows
    from provision.spec.personal import RegistrySettings

__all__ = [
    "cache_limit",
    "everything",
    "find_spec",
    "load",
    "peek",
    "project_of",
    "registry_settings",
    "render_problems",
    "schema",
    "tracked_layer",
    "variations",
]


def variations(
    path: Path,
    *,
    backends: Sequence[str],
    settings: Mapping[str, str],
    name: str | None = None,
    local: bool = True,
    allows: Allows = nothing,
) -> tuple[str, tuple[Variation, ...]]:
    """The environment's name, and what `provision test` makes of the spec; see `spec.matrix`."""
    from provision.spec import matrix

    return matrix.variations(
        path, backends=backends, settings=settings, name=name, local=local, allows=allows
    )


def cache_limit(host: Mapping[str, str]) -> int | None:
    """The bytes that caches may take by the person's own configuration; None for no limit.

    Raises:
        SpecError: what the configuration says of it is wrong.
    """
    from provision.spec import personal
    from provision.spec.reading import configuration

    path = configuration(host)
    return None if path is None else personal.cache_limit(path)


def registry_settings(host: Mapping[str, str]) -> RegistrySettings:
    """What the person's own configuration says of registries.

    Raises:
        SpecError: that is wrong.
    """
    from provision.spec import personal
    from provision.spec.reading import configuration

    path = configuration(host)
    return personal.RegistrySettings() if path is None else personal.registry_settings(path)


def tracked_layer(path: Path) -> Path | None:
    """The layer NAME.local.yaml of a spec, where git tracks it."""
    layer = local_layer(path)
    if layer is None:
        return None
    from provision.spec.tracked import is_tracked

    return layer if is_tracked(layer, project_of(path)) else None


def schema() -> str:
    """The text of the published schema."""
    from provision.spec.contract import text

    return text()
