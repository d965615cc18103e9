"""The rules that explain why two forms of one machine differ; they stand in rules.yaml."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KEYS = {"section", "subject", "only", "attribute", "values", "package", "same_form", "reason"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What it explains, and why that is as it should be.

    Args:
        section: of the fact.
        subject: a pattern that all of the subject must match.
        only: the backend whose machine alone has the thing; None for a rule about an attribute.
        attribute: a pattern for the attribute's name.
        values: a pattern for the value in each backend's machine, where not every value will do.
        package: the thing must come with a package that is explained itself.
        same_form: it also explains a difference between two machines of one backend.
        reason: a sentence's end after "because".
    """

    section: str
    subject: re.Pattern[str]
    only: str | None
    attribute: re.Pattern[str] | None
    values: Mapping[str, re.Pattern[str]]
    package: bool
    same_form: bool
    reason: str


@functools.cache
def shipped() -> tuple[Rule, ...]:
    """The rules that come with provision."""
    import yaml

    path = Path(__file__).with_name("rules.yaml")
    return read_rules(yaml.safe_load(path.read_text("utf-8")))


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
    values = entry.get("values", {})
    assert isinstance(values, dict)  # noqa: S101 - a file of ours
    return Rule(
        section=str(entry["section"]),
        subject=_pattern(entry["subject"]),
        only=str(entry["only"]) if "only" in entry else None,
        attribute=_pattern(entry["attribute"]) if "attribute" in entry else None,
        values={str(backend): _pattern(value) for backend, value in values.items()},
        package=bool(entry.get("package")),
        same_form=bool(entry.get("same_form")),
        reason=str(entry["reason"]),
    )


def _pattern(written: object) -> re.Pattern[str]:
    """One pattern, or any of several."""
    several = written if isinstance(written, list) else [written]
    return re.compile("|".join(f"(?:{each})" for each in several), re.DOTALL)
