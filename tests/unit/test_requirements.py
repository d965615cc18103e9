"""What developers' tools are pinned to can be installed with every Python that provision takes."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
OLDEST = "3.11.2"  # Debian 12's


def test_every_pin_takes_the_oldest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert OLDEST in SpecifierSet(project["requires-python"])
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    refusing, found = [], 0
    for pin in pins:
        try:
            installed = distribution(pin.name)
        except PackageNotFoundError:  # for another system
            continue
        found += 1
        takes = installed.metadata.json.get("requires_python")
        if takes and OLDEST not in SpecifierSet(str(takes)):
            refusing.append(f"{pin}: needs Python {takes}")
    assert refusing == []
    assert found > len(pins) / 2
