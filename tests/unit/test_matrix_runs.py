"""What a spec is called while it is tried."""

from __future__ import annotations

import re

import pytest

from provision.matrix import LONGEST_NAME, name_of


@pytest.mark.parametrize("number", [None, 1, 9, 10, 123])
@pytest.mark.parametrize("name", ["a", "dev", "a-b", "x" * 41, "x" * 35 + "-" + "y" * 5, "x" * 33 + "-" * 8])
def test_its_name_is_valid_and_never_the_environments_own(name: str, number: int | None) -> None:
    found = name_of(name, number)
    assert found != name
    assert re.fullmatch(r"[a-z][a-z0-9-]*", found)
    assert len(found) <= LONGEST_NAME
    assert "--" not in found or "--" in name
