"""What someone changed in a machine since it became ready."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from provision.state import StateDir

if TYPE_CHECKING:
    from tests.conftest import Project

TOKEN = "the'value of a secret"
SPEC = """
    version: 1
    name: drift
    base: debian:12
    files: {/etc/own: {content: "x"}}
    secrets: {token: {env: DRIFT_TOKEN}}
    services: {web: {command: sleep infinity, env: {TOKEN: {secret: token}}}}
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.environment["DRIFT_TOKEN"] = TOKEN
    shared.up("--record")
    return shared


def drift(project: Project) -> dict[str, Any]:
    said = project.run("status", "--drift", "--format", "json")
    assert said.code == 0, said.all
    found: dict[str, Any] = said.json()["machines"][0]["drift"]
    return found


def changes(project: Project) -> list[str]:
    said = project.run("diff", "--since-up", "--format", "json")
    found = [each for each in said.json()["differences"] if each["reason"] is None]
    assert said.code == (1 if found else 0), said.all
    return [f"{each['section']} {each['subject']} {each['attribute']}".rstrip() for each in found]


def test_a_change_by_hand_is_told_until_it_is_undone_and_over_a_stop(up: Project) -> None:
    assert drift(up) == {"differences": 0, "reason": None}
    assert changes(up) == []
    up.inside("chmod 0600 /etc/own; mkdir -p /root/.cache/mine; touch /opt/new", user="root")
    assert changes(up) == ["files /etc/own mode", "files /opt/new"]
    assert "drifted (2)" in up.good("status", "--drift")
    said = up.run("diff", "--since-up")
    assert "/etc/own mode: 0644 → 0600" in said.stdout
    assert "/opt/new: new (kind file" in said.stdout
    up.good("stop")
    assert drift(up)["differences"] is None  # it does not run
    up.up("--no-verify")
    assert changes(up) == ["files /etc/own mode", "files /opt/new"]
    up.inside("chmod 0644 /etc/own; rm /opt/new", user="root")
    assert changes(up) == []


def test_no_value_of_a_secret_is_recorded(up: Project) -> None:
    path = StateDir.of(up.folder, "drift", up.backend).inventory_of("drift")
    text = gzip.decompress(path.read_bytes()).decode()
    assert "(secret token)" in text
    assert "value of a secret" not in text


def test_a_machine_made_anew_is_not_compared_with_the_one_before(up: Project) -> None:
    up.good("down")
    up.up("--no-verify")
    assert drift(up)["differences"] is None
    assert "`provision up --record` records one" in drift(up)["reason"]
    said = up.run("diff", "--since-up")
    assert said.code == 1
    assert "there is no inventory of drift from when it became ready" in said.stderr
    up.up("--record")
    assert drift(up) == {"differences": 0, "reason": None}
