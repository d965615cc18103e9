"""Rule 7: checks and readiness need nothing inside, so they work on a machine that has nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: bare
base: debian:12
packages: [redis-server]
services:
  cache: {command: redis-server --port 7000, user: redis, ready: {tcp: 7000}}
checks:
  - {port: 7000}
  - {process: redis-server}
"""


def test_7_checks_and_readiness_need_nothing_inside(shared: Project) -> None:
    shared.up()
    asking = "curl wget nc netstat" + (" ss ps" if shared.backend == "docker" else "")
    assert shared.inside(f"for program in {asking}; do command -v $program; done; true") == ""
    assert set(shared.checks().values()) == {"passed"}
