"""Secrets on the host's side: read when asked, compared under a salt, never shown."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from provision import secrets
from provision.errors import SpecError
from provision.spec import everything, load

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment

SPEC = """
version: 1
name: kept
base: debian:12
secrets:
  key: {env: UNIT_KEY}
  password: {file: password.txt}
services:
  web: {command: sleep 1, user: www-data, env: {KEY: {secret: key}}}
"""


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    (tmp_path / ".git").mkdir()
    (tmp_path / "kept.yaml").write_text(SPEC)
    (tmp_path / "password.txt").write_bytes(b"\xff it's\n")
    monkeypatch.setenv("UNIT_KEY", "unit-value")
    return load(tmp_path / "kept.yaml", backend="docker", allows=everything)


def test_the_model_holds_no_value(environment: Environment) -> None:
    assert "unit-value" not in repr(environment)
    assert secrets.values(environment.machines[0]) == {"key": b"unit-value", "password": b"\xff it's\n"}


def test_a_secret_is_its_services_users(environment: Environment) -> None:
    owners = {secret.name: secret.owner for secret in environment.machines[0].secrets}
    assert owners == {"key": "www-data", "password": "www-data"}


def test_what_is_missing_is_said_all_at_once(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.require(environment)
    monkeypatch.delenv("UNIT_KEY")
    (tmp_path / "password.txt").unlink()
    with pytest.raises(SpecError) as refused:
        secrets.require(environment)
    assert [(each.origin.line, each.message[:20]) for each in refused.value.problems] == [
        (6, "the secret key comes"),
        (7, "the secret password "),
    ]


@pytest.mark.processes
def test_a_question_is_answered_by_the_values_alone(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.setattr(secrets, "INSIDE", str(inside))
    machine = environment.machines[0]
    question, other = secrets.Question(machine), secrets.Question(machine)
    assert question.script != other.script, "each has a salt of its own"
    assert "unit-value" not in question.script

    def stale(asked: secrets.Question) -> list[str]:
        said = subprocess.run(["sh", "-c", asked.script], capture_output=True, check=False)
        return list(asked.stale(said.stdout.decode()))

    assert stale(question) == ["key", "password"]
    (inside / "key").write_bytes(b"unit-value")
    (inside / "password").write_bytes(b"\xff it's\n")
    assert stale(question) == []
    (inside / "key").write_bytes(b"another")
    assert stale(question) == ["key"]
    assert list(question.stale("")) == ["key", "password"]
