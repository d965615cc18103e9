"""The base of a machine: a name of the catalogue, or an image that the spec brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from provision.model import Base

if TYPE_CHECKING:
    from provision.model import Family
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope

_NOTHING = Base(name="", family="apt", image="")  # stands in where there is a problem already


def read_base(fields: Fields, scope: Scope) -> Base:
    """The base; where it is wrong, one without an image, and a problem."""
    from provision.bases import catalogue as bases

    node = fields.node("base")
    if node is None:
        return _NOTHING
    inner = scope.fields(node)
    if "image" in inner and "name" not in inner:
        image = inner.text("image")
        family = cast("Family", inner.text("family", "apt"))
        return Base(name=image, family=family, image=image, box=inner.text("box") or None)
    name = node.value if isinstance(node.value, str) else inner.text("name")
    place = inner.node("name") or node
    if not name:
        return _NOTHING
    try:
        return bases.find(name, inner.text("snapshot") or None)
    except bases.UnknownBase as error:
        hint = f"did you mean {error.nearest[0]}? " if error.nearest else ""
        scope.problems.add(f"unknown base {name}", place, f"{hint}provision bases lists them all")
    except bases.NoSnapshot as error:
        snapshot = inner.node("snapshot") or place
        if not scope.problems.at(snapshot):
            scope.problems.add(str(error), snapshot, error.hint)
    return _NOTHING
