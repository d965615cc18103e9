"""The needs of services and machines: every name exists, and there are no circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.spec.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from provision.model import Origin
    from provision.spec.problems import Problems
    from provision.spec.tree import Node


def refuse_unknown_needs(
    name: str, needs: Sequence[tuple[str, Node]], known: Collection[str], what: str, problems: Problems
) -> None:
    """Add a problem for each need that is not in `known`; `what` is service or machine."""
    for need, place in needs:
        if need not in known:
            others = [other for other in known if other != name]
            problems.add(
                f"{name} needs {need}, which is not a {what}",
                place,
                did_you_mean(need, others) if others else f"there is no other {what}",
            )


def refuse_circle(
    needs: Mapping[str, Sequence[str]], origins: Mapping[str, Origin], what: str, problems: Problems
) -> None:
    """Add a problem for a circle of needs, at the first one in it."""
    done: set[str] = set()
    for first in needs:
        trail: list[str] = []
        stack: list[tuple[str, int]] = [(first, 0)]
        while stack:
            name, depth = stack.pop()
            done.update(trail[depth:])  # everything behind them was looked at
            del trail[depth:]
            if name in trail:
                circle = [*trail[trail.index(name) :], name]
                problems.add(
                    f"{what}s need each other in a circle: {' → '.join(circle)}",
                    origins[first],
                    "remove one of these needs",
                )
                return
            if name in done:
                continue
            trail.append(name)
            stack += [(need, depth + 1) for need in needs[name] if need in needs]
        done.update(trail)
