"""Backend options that weaken a machine's isolation need the word `privileges`.

A backend's own module `privileges` knows which do: its function `ask_for_privileges`
gets the machine's fields, the backend's own options, the machine's name and the scope.
Without such a module, each option needs it that the backend's schema does not call harmless.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from provision import registry
from provision.spec.demands import shown

if TYPE_CHECKING:
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

ADVICE = "leave it out"


def ask_for_privileges(fields: Fields, options: Node, machine: str, scope: Scope) -> None:
    """Require permission for each option that weakens a machine's isolation.

    Args:
        fields: of the machine.
        options: what only the backend knows of.
        machine: its name, which equal ones share: an answer for one holds for no other.
        scope: knows the backend, and takes what is refused.
    """
    own = registry.own_module(scope.backend, "privileges")
    judge = own.ask_for_privileges if own else _by_schema
    judge(fields, scope.fields(options), machine, scope)


def ask(name: str, part: Node, node: Node, machine: str, scope: Scope, *, form: str = "machine") -> None:
    """Ask for a key, or an item of its list, with its value.

    Args:
        name: the key's full name in the spec.
        part: what is asked for: the key's value, or an item of it.
        node: the key's value.
        machine: the machine's name.
        scope: takes what is refused.
        form: what the backend makes of a machine, as a word.
    """
    what = f"machine {machine}: {shown(name)}: {json.dumps(part.plain_data(), sort_keys=True)}"
    message = f"{shown(name)} can reach beyond the {form} {machine}"
    scope.demands.ask("privileges", what, node.key_origin if part is node else part, message, ADVICE)


def _by_schema(_fields: Fields, options: Fields, machine: str, scope: Scope) -> None:
    """Ask for each option that the backend's schema does not call harmless."""
    for key, schema in registry.options_schema(scope.backend).items():
        node = options.node(key)
        if node is not None and schema.get("x-harmless") is not True:
            ask(f"backends.{scope.backend}.{key}", node, node, machine, scope)
