"""Volumes of a real machine: in the workspace, whose they are, and that they keep what is in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

OWNER = 2345

FILES = {"data/from-host": "host\n", "work/package.json": "{}\n"}

SPEC = """
version: 1
name: kept
base: debian:12
workspace: {source: work, path: /workspace, user: dev}
users:
  dev: {uid: host}
  app: {}
files:
  /workspace/node_modules: {dir: true}
  /workspace/packages/web/node_modules/.seed: {content: "built\\n", owner: dev}
mounts: {/workspace/config: {source: data}}
volumes:
  nm: /workspace/node_modules
  web: /workspace/packages/web/node_modules
  cache: {path: /workspace/.cache, owner: app, mode: "0770"}
  data: {path: /data, owner: app, mode: "0750"}
  plain: /srv/plain
  builds: /home/dev/.cache/go-build
setup:
  - {name: install, user: dev, script: echo installed >node_modules/mark}
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    for path in ("work", "work/package.json"):
        os.chown(shared.folder / path, OWNER, OWNER)
    shared.up()  # and verify: it asks for owners and modes
    return shared


@pytest.mark.parametrize(
    ("path", "owned"),
    [
        ("/workspace/node_modules", "dev dev 755"),
        ("/workspace/packages/web/node_modules", "dev dev 755"),
        ("/workspace/.cache", "app app 770"),
        ("/data", "app app 750"),
        ("/srv/plain", "root root 755"),
        ("/home/dev/.cache/go-build", "dev dev 755"),
    ],
)
def test_a_volume_belongs_to_whom_the_spec_says(up: Project, path: str, owned: str) -> None:
    assert up.inside(f"mountpoint -q {path} && stat -c '%U %G %a' {path}").strip() == owned


def test_what_leads_to_a_volume_in_a_home_is_its_users(up: Project) -> None:
    assert up.inside("stat -c '%U %G' /home/dev/.cache /srv").split() == ["dev", "dev", "root", "root"]


def test_a_volume_in_the_workspace_has_what_the_build_left(up: Project) -> None:
    assert up.inside("cat packages/web/node_modules/.seed") == "built\n"
    assert up.inside("cat config/from-host package.json") == "host\n{}\n"


def test_what_is_made_on_the_host_is_the_workspace_owners_and_empty(up: Project) -> None:
    work = up.folder / "work"
    made = ("node_modules", "packages", "packages/web", "packages/web/node_modules", ".cache", "config")
    assert {path: (work / path).stat().st_uid for path in made} == dict.fromkeys(made, OWNER)
    assert list((work / "node_modules").iterdir()) == []


def test_volumes_in_the_workspace_outlive_a_stop_and_down(up: Project) -> None:
    up.inside("echo mine >node_modules/kept")
    up.good("stop")
    up.up("--no-verify")
    assert up.inside("cat node_modules/kept node_modules/mark") == "mine\ninstalled\n"
    up.good("down")
    up.up("--no-verify")
    assert up.inside("cat node_modules/kept; stat -c %U node_modules") == "mine\ndev\n"


def test_an_owner_that_is_not_so_is_said(up: Project) -> None:
    up.inside("chown root /data", user="root")
    failed = [check for check, outcome in up.checks().items() if outcome == "failed"]
    assert failed == ["volume data"]
    up.inside("chown app /data; chmod 0750 /data", user="root")
