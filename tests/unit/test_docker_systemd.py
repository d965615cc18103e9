"""systemd in a container: which engines, cgroups and kernels allow it, and what is said of the others."""

from __future__ import annotations

import platform
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from provision.backends.docker import systemd
from provision.docker_client import queries

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("cgroups", "engine", "kernel", "named", "said"),
    [
        ("2", "28.0.1", "6.1.0-28-amd64", False, ""),
        ("2", "30.0.0-rc.1", "5.10.0", False, ""),
        ("2", "26.1.5+dfsg1", "6.1.0", False, "this engine is 26.1.5"),
        ("1", "26.1.5", "6.1.0", True, ""),
        ("1", "26.1.5", "6.1.0", False, "hierarchy name=systemd"),
        ("1", "28.0.0", "5.10.0-32-amd64", True, "a kernel before 5.17"),
    ],
)
def test_what_a_host_allows(
    cgroups: str,
    engine: str,
    kernel: str,
    named: bool,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    answer = SimpleNamespace(cgroups=cgroups, version=engine)
    monkeypatch.setattr(queries, "engine", lambda: answer)
    monkeypatch.setattr(platform, "release", lambda: kernel)
    monkeypatch.setattr(systemd, "NAMED", tmp_path if named else tmp_path / "none")
    found = systemd.lacking()
    assert (said in found) if said else found == ""
