"""Every problem of a spec, collected before any is reported."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from provision.errors import Problem, SpecError
from provision.files import read_regular
from provision.model import Origin
from provision.progress import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provision.model import Demand
    from provision.spec.tree import Node

FEW = 20
MOST = 200  # problems that anybody wants to see: no more are looked for
COMPARED = 300  # names among which the nearest one is looked for
SHOWN = 2 * 1024 * 1024  # bytes of a file of which the wrong line is shown


class Budget:
    """What is left of the limits for reading one spec; each reader takes from it.

    `seconds` of the processor for expressions and templates; `values` of all its files, and
    of all its machines once they are written out; `files` that it is read from; `machines`;
    characters that are `filled` in; bytes of the `content` of its machines' files.
    """

    def __init__(self) -> None:
        self.seconds = 4.0
        self.values = 20_000
        self.written_out = 40_000
        self.files = 200
        self.machines = 99
        self.filled = 32 * 1024**2
        self.content = 512 * 1024**2


class Problems:
    """Collects problems while a spec is read, so that all are reported at once."""

    def __init__(self) -> None:
        self.budget = Budget()
        self.added = 0  # how often one was, duplicates too
        self._found: dict[tuple[Origin, str], Problem] = {}
        self._places: set[Origin] = set()

    def add(self, message: str, at: Node | Origin, hint: str = "", demand: Demand | None = None) -> None:
        """Add one problem, a sentence without a full stop; duplicates are dropped.

        `demand` is what the person's word would allow.
        """
        origin = at if isinstance(at, Origin) else at.origin
        self.added += 1
        self._places.add(origin)
        self._found.setdefault((origin, message), Problem(message, origin, hint, demand))
        if demand is None and sum(each.demand is None for each in self._found.values()) >= MOST:
            self.raise_all()

    def at(self, node: Node) -> bool:
        """Whether there is a problem at this place, or at its key."""
        return node.origin in self._places or node.key_origin in self._places

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_all(self, demands: Sequence[Demand] = ()) -> None:
        """Raise the problems, if any, with what the spec wants beyond its machines.

        Raises:
            SpecError: there are problems; they come by file, line and column.
        """
        if self._found:
            raise SpecError(sorted(self._found.values(), key=lambda problem: problem.origin), demands)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    return _nearest(word, tuple(known))


@lru_cache(maxsize=1024)  # one slip may stand in a thousand places
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(word, known[:COMPARED], n=1, cutoff=0.6)
    folded = [other for other in known if other.lower() == word.lower()]
    return next(iter([*folded, *close]), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the most similar known word, or lists the words if there are few."""
    words = sorted(known)
    close = nearest(word, words)
    if close is not None:
        return f"did you mean {close}?"
    return f"known: {', '.join(words[:FEW])}{', …' if len(words) > FEW else ''}"


def render_problems(problems: Iterable[Problem]) -> str:
    """Each problem with the user's own line and a caret under the wrong place.

    Files are read again, so a file that has changed or gone shows no line.
    """
    lines: dict[str, list[str]] = {}
    shown = []
    for problem in problems:
        origin = problem.origin
        if origin.file not in lines:
            try:
                text, _ = read_regular(Path(origin.file), largest=SHOWN)
                lines[origin.file] = text.decode("utf-8").splitlines()
            except (OSError, ValueError):
                lines[origin.file] = []
        shown.append(_block(problem, lines[origin.file]))
    return "\n\n".join(shown)


def _block(problem: Problem, lines: list[str]) -> str:
    origin = problem.origin
    text = [visible(f"{origin}: {problem.message}")]
    if 0 < origin.line <= len(lines):
        number = str(origin.line)
        line = lines[origin.line - 1].replace("\t", " ")
        begin = max(0, origin.column - 60)
        text.append(f"  {number} | {_visible_column_by_column(line[begin : begin + 100])}")
        text.append(f"  {' ' * len(number)} | {' ' * (origin.column - 1 - begin)}^")
    if problem.hint:
        text.append(visible(f"  hint: {problem.hint}"))
    return "\n".join(text)


def _visible_column_by_column(line: str) -> str:
    """A line made visible, one character for each, so that the caret is under the right one."""
    return "".join(character if visible(character) == character else "\ufffd" for character in line)
