"""The nouns of inventories: facts by section and subject, and differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, order=True)
class Fact:
    """One thing that is in a machine: a package, a user, a path, a variable; what holds of it, by name."""

    section: str
    subject: str
    attributes: Mapping[str, str]

    @property
    def summary(self) -> str:
        """Its attributes on one line."""
        return ", ".join(
            value if name == "value" else f"{name} {value}" for name, value in self.attributes.items()
        )


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Everything that is in one machine at one time.

    `unknown` are the attributes, as `SECTION.ATTRIBUTE`, that the machine has no tool to tell:
    where one is missing, that says nothing. `options` are the keys that its spec sets for this
    backend alone, and those of its `resources`, such as `resources.memory`.
    """

    machine: str
    backend: str
    taken: str
    unknown: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One attribute of one thing in which two machines differ.

    `attribute` is empty where only one machine has the thing: the other side is None then.
    `reason` explains it; None where no rule does.
    """

    machine: str
    section: str
    subject: str
    attribute: str = ""
    left: str | None
    right: str | None
    reason: str | None = None
