"""Who is warned that a live workspace cannot be written to inside."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.machines import warn_of_roots
from tests.conftest import make_project

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """
version: 1
name: dev
base: debian:12
users: {dev: {}}
workspace: {source: ., path: /work, user: USER}
"""
ROOTLESS = "does not belong to user dev, who cannot write to it"
CASES = {
    "the engine is rootless": ("dev", 1000, 0o755, True, ROOTLESS),
    "it is rootless, and the user is root": ("root", 1000, 0o755, True, ""),
    "it is rootless, and all may write": ("dev", 1000, 0o777, True, ""),
    "the folder is root's": ("dev", 0, 0o755, False, "is owned by root; user dev cannot write to it"),
    "the folder is a user's": ("dev", 1000, 0o755, False, ""),
}


class Notes:
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.text = ""

    def note(self, line: str) -> None:
        self.text += f"{line}\n"


@pytest.mark.parametrize("case", CASES)
def test_a_workspace_that_cannot_be_written_to_is_said(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, owner, mode, rootless, expected = CASES[case]
    project = make_project(tmp_path / "project", "docker")
    machines = spec.load(project.spec(SPEC.replace("USER", user)), backend="docker").machines
    status = os.stat_result((mode, 1, 1, 1, owner, owner, 0, 0, 0, 0))
    monkeypatch.setattr(type(project.folder), "stat", lambda *_, **__: status)
    notes = Notes()
    warn_of_roots(machines, notes, is_rootless=lambda: rootless)  # type: ignore[arg-type]
    assert expected in notes.text
    assert bool(notes.text) == bool(expected)
