"""From a spec file to its Environment: reads it, checks it against the schema, builds it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from provision.spec.demands import nothing
from provision.spec.layers import for_backend, stack
from provision.spec.machines import members
from provision.spec.problems import Problems
from provision.spec.reading import read
from provision.spec.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provision.model import Environment
    from provision.spec.demands import Allows
    from provision.spec.tree import Node


def load(
    path: Path,
    *,
    backend: str,
    settings: Mapping[str, str] | None = None,
    name: str | None = None,
    base: str | None = None,
    local: bool = True,
    host: Mapping[str, str] | None = None,
    allows: Allows = nothing,
) -> Environment:
    """The environment that a spec describes, for one backend.

    Args:
        path: the spec.
        backend: whose `backends` keys are merged over it.
        settings: values of `--set`, over those of `vars`.
        name: instead of the spec's own name.
        base: a base of the catalogue instead of the spec's own.
        local: lay NAME.local.yaml over it where that is there.
        host: the host's variables; `os.environ` unless given.
        allows: what the person allowed of what the spec wants beyond its machines.

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
        host=os.environ if host is None else host, allows=allows, problems=problems,
    )  # fmt: skip
    whole = stack(reading.documents)
    options = contract.option_keys(backend)
    contract.check(whole, problems)
    found = members(
        reading, backend=backend, options=options, problems=problems,
        judge=lambda machine, called: contract.check_machine(machine, called, problems),
    )  # fmt: skip
    scope = Scope(
        problems=problems, variables=reading.variables, project=reading.project,
        demands=reading.demands, backend=backend,
    )  # fmt: skip
    if base is not None:
        found = tuple(replace(each, root=_on_base(each.root, base)) for each in found)
    environment = build(
        found, name=reading.variables.name, description=scope.fields(whole).text("description"),
        secrets=scope.fields(for_backend(reading.documents, backend, options)[0]).entries("secrets"),
        several=reading.machines is not None, spec=path, layers=reading.laid_over, scope=scope,
        registry=scope.fields(whole).node("registry"),
    )  # fmt: skip
    problems.raise_all(environment.demands)
    return environment


def _on_base(root: Node, base: str) -> Node:
    """A machine's keys with another base."""
    if not isinstance(root.value, dict):
        return root
    place = root.value.get("base", root)
    return root.with_value({**root.value, "base": place.with_value(base)})
