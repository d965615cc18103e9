"""A spec file to its Environment: read, checked against the schema, built."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provision.spec.layers import for_backend, stack
from provision.spec.problems import Problems
from provision.spec.reading import read
from provision.spec.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.model import Environment
    from provision.spec.tree import Node

OPTIONS = {
    "docker": ("init", "shm_size", "compose"),
    "vm": ("provider", "box", "build", "memory", "sync", "options"),
}


def load(
    path: Path,
    *,
    backend: str,
    settings: Mapping[str, str] | None = None,
    name: str | None = None,
    base: str | None = None,
    local: bool = True,
    host: Mapping[str, str] | None = None,
    allow_outside: bool = False,
) -> Environment:
    """The environment that a spec describes, for one backend.

    Args:
        path: the spec.
        backend: whose `backends` keys are laid over it.
        settings: values of `--set`, over those of `vars`.
        name: instead of the spec's own name.
        base: a base of the catalogue instead of the spec's own.
        local: lay NAME.local.yaml over it where that is there.
        host: the host's variables; `os.environ` unless given.
        allow_outside: sources may be outside the project folder.

    Raises:
        SpecError: everything that is wrong with it.
        UsageError: there is no such file, or a setting names no variable.
    """
    # What only a whole reading needs is not imported by `peek`, which every `exec` calls.
    from provision.spec import contract
    from provision.spec.build import build

    problems = Problems()
    reading = read(
        path, backend=backend, settings=settings or {}, name=name, local=local,
        host=os.environ if host is None else host, allow_outside=allow_outside, problems=problems,
    )  # fmt: skip
    contract.check(stack(reading.documents), problems)
    scope = Scope(
        problems=problems, variables=reading.variables, project=reading.project,
        allow_outside=allow_outside,
    )  # fmt: skip
    root, own = for_backend(reading.documents, backend, OPTIONS[backend])
    if base is not None and isinstance(root.value, dict):
        place = root.value.get("base", root)
        root = root.with_value({**root.value, "base": place.with_value(base)})
    environment = build(
        root, _options(own, backend, scope), name=reading.variables.name, spec=path,
        layers=reading.laid_over, scope=scope,
    )  # fmt: skip
    problems.raise_all()
    return environment


def _options(own: Node, backend: str, scope: Scope) -> dict[str, object]:
    """The backend's own options; `shm_size` in bytes."""
    fields = scope.fields(own)
    options = {key: fields.data(key) for key in OPTIONS[backend] if key in fields}
    if "shm_size" in options:
        options["shm_size"] = fields.size("shm_size")
    return options
