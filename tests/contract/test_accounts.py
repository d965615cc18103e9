"""Users and groups of a real machine: their ids, and those that the base or a package has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

OWNER, GROUP = 1234567, 7654

SPEC = """
version: 1
name: accounts
base: debian:12
workspace: {source: ., path: /workspace, user: dev}
packages: [redis-server]
groups:
  docker: {gid: 105}
  mail: {gid: 2008}
users:
  first: {groups: [team]}
  dev: {uid: host, groups: [docker]}
  other: {uid: 1000, groups: [docker, tools]}
  mixed: {uid: 4000, gid: host}
  dialer: {uid: 4001, gid: 20}
  deploy: {groups: [app], sudo: true}
  app: {}
  www-data: {home: /srv/www, groups: [app]}
  nobody: {uid: 4002}
  heir: {uid: 38}  # which the base has given to list
  list: {uid: 4003}
  redis: {shell: /bin/bash}
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    os.chown(shared.folder, OWNER, GROUP)
    shared.up()  # and verify: it asks for each id and group
    return shared


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("dev", f"{OWNER} {OWNER} dev"),
        ("other", "1000 1000 other"),
        ("mixed", f"4000 {GROUP} mixed"),
        ("dialer", "4001 20 dialout"),  # a group that the base has
        ("nobody", "4002 4002 nobody"),  # of the group nogroup in the base
        ("heir", "38 38 heir"),
        ("list", "4003 4003 list"),
        ("www-data", "33 33 www-data"),
    ],
)
def test_a_users_own_group_has_its_id(up: Project, user: str, ids: str) -> None:
    assert up.inside(f"echo $(id -u {user}) $(id -g {user}) $(id -gn {user})").strip() == ids


def test_ids_that_the_spec_leaves_open_are_free_ones_and_equal(up: Project) -> None:
    told = up.inside("for user in first deploy app; do echo $(id -u $user) $(id -g $user); done")
    assert [line.split() for line in told.splitlines()] == [[n, n] for n in ("1001", "1002", "1003")]


def test_a_group_that_only_a_user_names_is_a_system_group(up: Project) -> None:
    told = up.inside("for group in team tools; do getent group $group | cut -d: -f3; done")
    assert all(0 < int(number) < 1000 for number in told.split())
    assert up.inside("id -nG other").split() == ["other", "docker", "tools"]
    assert up.inside("id -nG deploy").split() == ["deploy", "app"]


def test_a_group_has_the_number_that_is_given_and_keeps_its_files(up: Project) -> None:
    assert up.inside("getent group docker mail | cut -d: -f1,3").split() == ["docker:105", "mail:2008"]
    assert up.inside("stat -c %G /var/mail").strip() == "mail"


def test_what_is_not_given_of_an_existing_user_is_kept(up: Project) -> None:
    told = up.inside("getent passwd www-data redis | cut -d: -f1,6,7")
    assert told.split() == ["www-data:/srv/www:/usr/sbin/nologin", "redis:/var/lib/redis:/bin/bash"]
    assert up.inside("stat -c %U /srv/www").strip() == "www-data"
    assert 0 < int(up.inside("id -u redis")) < 1000
    assert "app" in up.inside("id -nG www-data").split()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("groups: {docker: {gid: 20}}", "10: group docker cannot have gid 20: in debian:12 it is dialout's"),
        ("users: {dev: {uid: 20}}", "9: group dev cannot have gid 20: in debian:12 it is dialout's"),
        ("users: {dev: {uid: 33}}", "9: user dev cannot have uid 33: in debian:12 it is www-data's"),
    ],
)
def test_an_id_of_the_base_is_refused_by_both_names(own: Project, line: str, said: str) -> None:
    own.spec(f"version: 1\nname: clash\nbase: debian:12\n{line}\n")
    refused = own.run("up")
    assert refused.code == 2, refused.all
    assert f"provision.yaml:4:{said}" in refused.all
