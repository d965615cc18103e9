"""Inventories as versioned JSON: facts by section and subject."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping  # noqa: TC003 - the loader reads the types of the fields
from dataclasses import asdict
from typing import TYPE_CHECKING

from provision import records, runtime
from provision.errors import UsageError
from provision.inventory.model import Fact, Inventory
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


LEVEL = 6  # of compression: a tenth of a second, a tenth of the size


@dataclass(frozen=True, kw_only=True)
class MachineRecord:
    """One machine: section → subject → attribute → value."""

    backend: str
    taken: str
    unknown: tuple[str, ...]
    options: tuple[str, ...] = ()
    facts: Mapping[str, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True, kw_only=True)
class InventoryRecord:
    """The machines of an environment, by name."""

    name: str
    machines: Mapping[str, MachineRecord]


def as_json(name: str, inventories: Iterable[Inventory]) -> str:
    """The inventories of an environment's machines as text, the same for equal ones."""
    record = InventoryRecord(name=name, machines={each.machine: _recorded(each) for each in inventories})
    return json.dumps({"version": records.VERSION, **asdict(record)}, indent=1) + "\n"


def write(path: Path, name: str, inventories: Iterable[Inventory]) -> None:
    """Write them to a file, making its folder if need be.

    Raises:
        UsageError: the file cannot be written.
    """
    text = as_json(name, inventories)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="give -o another file"
        ) from error


def load(path: Path) -> Mapping[str, Inventory]:
    """The inventories in a file, by machine.

    Raises:
        UsageError: it is not there, damaged, or of another version.
    """
    hint = f"take it again: `provision inventory -o {path}`"
    try:
        record = records.load(path, InventoryRecord)
    except records.DamagedRecord as error:
        raise UsageError(f"{path} is not a readable inventory: {error.reason}", hint=hint) from error
    if record is None:
        raise UsageError(f"there is no file {path}", hint=hint)
    return {
        machine: Inventory(
            machine=machine,
            backend=found.backend,
            taken=found.taken,
            unknown=found.unknown,
            options=found.options,
            facts=tuple(
                Fact(section=section, subject=subject, attributes=attributes)
                for section, subjects in found.facts.items()
                for subject, attributes in subjects.items()
            ),
        )
        for machine, found in record.machines.items()
    }


def keep(path: Path, inventory: Inventory) -> None:
    """Keep one machine's inventory in a file, compressed; whole or not at all."""
    runtime.private(path.parent)
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(gzip.compress(as_json(inventory.machine, [inventory]).encode(), LEVEL, mtime=0))
    os.replace(beside, path)  # noqa: PTH105 - the atomic one


def _recorded(inventory: Inventory) -> MachineRecord:
    facts: dict[str, dict[str, Mapping[str, str]]] = {}
    for fact in inventory.facts:
        facts.setdefault(fact.section, {})[fact.subject] = fact.attributes
    return MachineRecord(
        backend=inventory.backend,
        taken=inventory.taken,
        unknown=inventory.unknown,
        options=inventory.options,
        facts=facts,
    )
