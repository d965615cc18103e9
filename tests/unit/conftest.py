"""What unit tests share: none starts a program, unless it says that programs are what it is about."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _pure(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("processes") is None:
        request.getfixturevalue("no_processes")
