"""Two inventories and the rules → differences; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from provision.inventory.model import Difference
from provision.registry import form_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.inventory.model import Fact, Inventory
    from provision.inventory.rules import Rule

PACKAGES = "packages"
ANY = "any"
OWNERS = "packages"  # an attribute that says where a file is from, not what it is


def compare(left: Inventory, right: Inventory, rules: Sequence[Rule]) -> tuple[Difference, ...]:
    """How two machines differ, in the order of their facts; each difference with its reason, if any."""
    explaining = _Explaining(left, right, rules)
    return tuple(explaining.explained(each) for each in _differences(left, right))


def _differences(left: Inventory, right: Inventory) -> Iterator[Difference]:
    lefts = {(fact.section, fact.subject): fact for fact in left.facts}
    rights = {(fact.section, fact.subject): fact for fact in right.facts}
    unknown = {*left.unknown, *right.unknown}
    keys = [*lefts, *(key for key in rights if key not in lefts)]
    sections = list(dict.fromkeys(section for section, _ in keys))
    for section, subject in sorted(keys, key=lambda key: (sections.index(key[0]), key[1])):
        ours, theirs = lefts.get((section, subject)), rights.get((section, subject))
        if ours is not None and theirs is not None:
            yield from _of_attributes(left.machine, ours, theirs, unknown)
            continue
        yield Difference(
            machine=left.machine,
            section=section,
            subject=subject,
            left=ours.summary if ours else None,
            right=theirs.summary if theirs else None,
        )


def _of_attributes(machine: str, ours: Fact, theirs: Fact, unknown: set[str]) -> Iterator[Difference]:
    for name in dict.fromkeys((*ours.attributes, *theirs.attributes)):
        mine, other = ours.attributes.get(name), theirs.attributes.get(name)
        if mine != other and name != OWNERS and f"{ours.section}.{name}" not in unknown:
            yield Difference(
                machine=machine,
                section=ours.section,
                subject=ours.subject,
                attribute=name,
                left=mine,
                right=other,
            )


class _Explaining:
    """The rules, and what they must know of both machines."""

    def __init__(self, left: Inventory, right: Inventory, rules: Sequence[Rule]) -> None:
        self._backends = (form_of(left.backend), form_of(right.backend))
        self._options = {*left.options, *right.options}
        self._rules = rules
        self._lefts = {(fact.section, fact.subject): fact for fact in left.facts}
        self._rights = {(fact.section, fact.subject): fact for fact in right.facts}
        self._brought: frozenset[str] = frozenset()
        self._brought = frozenset(
            each.subject
            for each in _differences(left, right)
            if each.section == PACKAGES and not each.attribute and self.explained(each).reason
        )

    def explained(self, difference: Difference) -> Difference:
        """The difference with the reason of the first rule that explains it."""
        rule = next((rule for rule in self._rules if self._explains(rule, difference)), None)
        return replace(difference, reason=rule.reason) if rule else difference

    def _explains(self, rule: Rule, it: Difference) -> bool:
        left, right = self._backends
        matched = rule.subject.fullmatch(it.subject)
        if it.section not in rule.sections or matched is None:
            return False
        if left == right and not rule.same_form:
            return False
        if (rule.option and rule.option not in self._options) or rule.unset in self._options:
            return False
        if not it.attribute:
            own, others = (self._lefts, self._rights) if it.right is None else (self._rights, self._lefts)
            attributes = own[it.section, it.subject].attributes
            return (
                rule.only in (ANY, left if it.right is None else right)
                and (rule.counterpart is None or (it.section, matched.expand(rule.counterpart)) in others)
                and all(each.fullmatch(attributes.get(name, "")) for name, each in rule.having.items())
                and (not rule.package or self._are_brought(attributes.get(OWNERS, "").split()))
            )
        if rule.attribute is None or not rule.attribute.fullmatch(it.attribute):
            return False
        return all(
            pattern.fullmatch(value or "")
            for backend, value in ((left, it.left), (right, it.right))
            if (pattern := rule.values.get(backend)) is not None
        )

    def _are_brought(self, packages: Sequence[str]) -> bool:
        return bool(packages) and self._brought.issuperset(packages)
