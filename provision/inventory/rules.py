"""The rules that explain why two inventories differ; they stand in rules.yaml and drift.yaml."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEYS = {
    "section", "subject", "only", "having", "package", "counterpart", "attribute", "values", "option",
    "unset", "same_form", "reason",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rule:
    r"""What it explains, and why that is as it should be.

    Args:
        sections: of the fact, any of them.
        subject: a pattern that all of the subject must match.
        only: the backend whose machine alone has the thing, or `any`; None for a rule about an attribute.
        having: a pattern for some of that thing's attributes.
        package: that thing must come with packages that are explained themselves.
        counterpart: the subject that the other machine must have instead, in the same section; \1 is
            what the first group of `subject` matched.
        attribute: a pattern for the attribute's name.
        values: a pattern for the value in each backend's machine, where not every value will do.
        option: the spec must set this key for one of the backends alone.
        unset: the spec must not set this key, which has no default that both forms share.
        same_form: it also explains a difference between two machines of one backend.
        reason: a sentence's end after "because".
    """

    sections: tuple[str, ...]
    subject: re.Pattern[str]
    only: str | None
    having: Mapping[str, re.Pattern[str]]
    package: bool
    counterpart: str | None
    attribute: re.Pattern[str] | None
    values: Mapping[str, re.Pattern[str]]
    option: str | None
    unset: str | None
    same_form: bool
    reason: str


@functools.cache
def shipped() -> tuple[Rule, ...]:
    """The rules that come with provision, for two forms of a machine."""
    return _of_file("rules.yaml")


@functools.cache
def of_drift() -> tuple[Rule, ...]:
    """Those for one machine at two times: what changes while it lives."""
    return _of_file("drift.yaml")


def _of_file(name: str) -> tuple[Rule, ...]:
    import yaml

    return read_rules(yaml.safe_load(Path(__file__).with_name(name).read_text("utf-8")))


def read_rules(entries: Iterable[Mapping[str, object]]) -> tuple[Rule, ...]:
    """Rules as they stand in a YAML file.

    Raises:
        ValueError: one says too little or too much.
    """
    return tuple(map(_rule, entries))


def _rule(entry: Mapping[str, object]) -> Rule:
    unknown = entry.keys() - _KEYS
    if unknown or not entry.get("reason") or ("only" in entry) == ("attribute" in entry):
        raise ValueError(f"a rule has a reason, and either `only` or `attribute`: {dict(entry)}")
    return Rule(
        sections=_names(entry["section"]),
        subject=_pattern(entry["subject"]),
        only=str(entry["only"]) if "only" in entry else None,
        having=_patterns(entry.get("having", {})),
        package=bool(entry.get("package")),
        counterpart=str(entry["counterpart"]) if "counterpart" in entry else None,
        attribute=_pattern(entry["attribute"]) if "attribute" in entry else None,
        values=_patterns(entry.get("values", {})),
        option=str(entry["option"]) if "option" in entry else None,
        unset=str(entry["unset"]) if "unset" in entry else None,
        same_form=bool(entry.get("same_form")),
        reason=str(entry["reason"]),
    )


def _patterns(written: object) -> Mapping[str, re.Pattern[str]]:
    assert isinstance(written, dict)  # noqa: S101 - our own file
    return {str(name): _pattern(value) for name, value in written.items()}


def _pattern(written: object) -> re.Pattern[str]:
    """One pattern, or any of several."""
    several = written if isinstance(written, list) else [written]
    return re.compile("|".join(f"(?:{each})" for each in several), re.DOTALL)


def _names(written: object) -> tuple[str, ...]:
    return tuple(map(str, written)) if isinstance(written, list) else (str(written),)
