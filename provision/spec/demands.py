"""What a spec wants from the host beyond its machines, checked against what is allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from provision.hints import command
from provision.model import Demand, Origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provision.model import Word
    from provision.spec.problems import Problems
    from provision.spec.tree import Node

Allows: TypeAlias = "Callable[[Demand], bool]"


def nothing(_demand: Demand) -> bool:
    """Allow nothing."""
    return False


def everything(_demand: Demand) -> bool:
    """Allow everything, for verbs that only look at what exists."""
    return True


def shown(text: str) -> str:
    """A text from the spec on one line, without control characters."""
    return text if text.isprintable() and not text.startswith('"') else json.dumps(text)


class Demands:
    """A list that grows while a spec is read, like its problems.

    Args:
        allows: what the person allowed.
        problems: takes each demand that is refused, unless the spec can do without it.
    """

    def __init__(self, allows: Allows, problems: Problems) -> None:
        self._allows = allows
        self._problems = problems
        self._found: dict[tuple[Origin, str], Demand] = {}
        self._own_files: set[str] = set()

    def except_from(self, file: Path) -> None:
        """Ask nothing for what stands in a file: it is the person's own configuration."""
        self._own_files.add(str(file))

    def ask(self, word: Word, what: str, at: Node | Origin, message: str, advice: str) -> bool:
        """Whether something is allowed; if not, a problem.

        Args:
            word: the kind of trust.
            what: exactly what, in one line; the person's answer is kept for it.
            at: where the spec says so.
            message: the problem, without a full stop.
            advice: how to do without.
        """
        demand = self._record(word, what, at, "")
        if demand is None or demand.given:
            return True
        hint = f"{advice}, or allow it: --allow {word}, or {command('trust')}"
        self._problems.add(message, demand.origin, hint, demand)
        return False

    def offer(self, word: Word, what: str, at: Node | Origin, otherwise: str) -> bool:
        """Whether something is allowed that the spec can do without; `otherwise` says what happens then."""
        demand = self._record(word, what, at, otherwise)
        return demand is None or demand.given

    def found(self) -> tuple[Demand, ...]:
        """All demands, by their place."""
        return tuple(sorted(self._found.values(), key=lambda demand: (demand.origin, demand.what)))

    def _record(self, word: Word, what: str, at: Node | Origin, otherwise: str) -> Demand | None:
        origin = at if isinstance(at, Origin) else at.origin
        if origin.file in self._own_files:
            return None
        demand = Demand(word=word, what=what, origin=origin, otherwise=otherwise)
        demand = replace(demand, given=self._allows(demand))
        return self._found.setdefault((origin, f"{word} {what}"), demand)
