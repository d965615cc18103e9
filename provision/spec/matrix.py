"""The variations of `provision test`: every combination in `matrix`."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from provision.model import Variation
from provision.spec import contract
from provision.spec.demands import nothing
from provision.spec.layers import stack
from provision.spec.problems import Problems
from provision.spec.reading import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provision.spec.demands import Allows
    from provision.spec.tree import Node


def variations(
    path: Path,
    *,
    backends: Sequence[str],
    settings: Mapping[str, str],
    name: str | None = None,
    local: bool = True,
    host: Mapping[str, str] | None = None,
    allows: Allows = nothing,
) -> tuple[str, tuple[Variation, ...]]:
    """The environment's name, and each variation once, in the order of the spec.

    Args:
        path: the spec.
        backends: for items that name none; where the spec has no matrix, these are all that varies.
        settings: values of `--set`.
        name: instead of the spec's own.
        local: NAME.local.yaml counts.
        host: the host's variables; `os.environ` unless given.
        allows: what the person allowed.

    Raises:
        SpecError: the spec is wrong.
        UsageError: there is no such file, or a setting names no variable.
    """
    problems = Problems()
    reading = read(
        path, backend=backends[0], settings=settings, name=name, local=local,
        host=os.environ if host is None else host, allows=allows, problems=problems,
    )  # fmt: skip
    root = stack(reading.documents)
    contract.check(root, problems)
    problems.raise_all()
    matrix = root.value.get("matrix") if isinstance(root.value, dict) else None
    items = matrix.value if matrix is not None and isinstance(matrix.value, list) else []
    combinations = [each for item in items for each in _combinations(item, backends)]
    combinations = combinations or [Variation(backend=backend) for backend in backends]
    return reading.variables.name, tuple(dict.fromkeys(combinations))


def _combinations(item: Node, backends: Sequence[str]) -> list[Variation]:
    fields = item.value if isinstance(item.value, dict) else {}
    wanted = [str(value) for value in _values(fields.get("backend"))] or list(backends)
    bases: list[str | None] = [str(value) for value in _values(fields.get("base"))]
    settings = [_settings(value) for value in _values(fields.get("vars"))]
    return [
        Variation(backend=backend, base=base, settings=values)
        for base, values, backend in itertools.product(bases or [None], settings or [()], wanted)
    ]


def _values(node: Node | None) -> list[object]:
    if node is None:
        return []
    value = node.plain_data()
    return value if isinstance(value, list) else [value]


def _settings(value: object) -> tuple[tuple[str, str], ...]:
    pairs = value.items() if isinstance(value, dict) else ()
    return tuple((name, str(each).lower() if isinstance(each, bool) else str(each)) for name, each in pairs)
