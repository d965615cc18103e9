"""The ten rules of "What makes the two forms the same", each asked of a real machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

VALUE = 'it\'s $5 "cash" `id` #{1+1} {{ x }} %s \\n\n\ttab 🎉'

FILES = {
    "inside.txt": "workspace\n",
    "own/run.txt": "",
}

SPEC = """
version: 1
name: rules
base: debian:12
workspace: {source: ., path: /workspace, user: dev}
env: {FROM_SPEC: spec}
packages: [redis-server, nginx-light]
users:
  dev: {uid: host, sudo: true}
files:
  /srv/shell: {content: "$HOME $(id) `id`\\n"}
  /var/lib/kept/from-build: {content: "built", owner: dev, group: dev, mode: "0640"}
run:
  - name: what-run-sees
    script: |
      ls -A /workspace > /opt/workspace-at-build 2>&1 || true
      env > /opt/env-at-build
      chown dev:dev /var/lib/kept
      id -un > /opt/user-of-run
      # As PostgreSQL's package does: a generator, which no `disable` reaches.
      generators=/lib/systemd/system-generators
      mkdir -p $generators
      printf '[Service]\\nExecStart=/bin/touch /opt/stray\\n' > /lib/systemd/system/stray.service
      printf '#!/bin/sh\\nmkdir -p $1/multi-user.target.wants\\n' > $generators/stray
      echo 'ln -s /lib/systemd/system/stray.service $1/multi-user.target.wants/' >> $generators/stray
      chmod +x $generators/stray
      pwd > /opt/folder-of-run
services:
  words:
    command: >-
      sh -c 'printf "%s\\n" "$0" "$@" > /run/words/said; exec sleep infinity'
      '$HOME' 'a b' '*' '`id`' '&& true'
    runtime_dirs: [/run/words]
    user: dev
  shell:
    script: |
      echo "$FROM_SPEC $((1 + 1))" > /run/shell/said
      trap 'echo stopped > /var/lib/kept/stopped; exit 0' TERM
      while :; do sleep 0.1; done
    user: dev
    runtime_dirs: [/run/shell]
setup:
  - name: what-setup-sees
    script: |
      cat inside.txt > /workspace/setup-saw
      id -un > /workspace/user-of-setup
      pwd > /workspace/folder-of-setup
volumes: {kept: /var/lib/kept}
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    os.chown(shared.folder, 1234, 1234)
    shared.up()
    return shared


def test_1_a_command_is_words_and_a_script_is_shell(up: Project) -> None:
    assert up.inside("cat /run/words/said") == "$HOME\na b\n*\n`id`\n&& true\n"
    assert up.inside("cat /run/shell/said") == "spec 2\n"
    assert up.inside("cat /srv/shell") == "$HOME $(id) `id`\n"


def test_2_only_the_services_of_the_spec_run(up: Project) -> None:
    running = up.inside("cat /proc/[0-9]*/comm 2>/dev/null; true", user="root").split()
    assert "redis-server" not in running
    assert "nginx" not in running
    assert "sleep" in running


def test_2_nothing_runs_because_a_package_generates_it(up: Project) -> None:
    assert up.inside("ls /opt/stray 2>/dev/null || echo nothing") == "nothing\n"


def test_4_run_never_sees_the_workspace_and_setup_does(up: Project) -> None:
    assert "inside.txt" not in up.inside("cat /opt/workspace-at-build")
    assert up.inside("cat /workspace/setup-saw") == "workspace\n"
    assert "FROM_SPEC" not in up.inside("cat /opt/env-at-build")


def test_5_an_empty_volume_takes_over_what_the_build_left(up: Project) -> None:
    assert up.inside("cat /var/lib/kept/from-build") == "built"
    told = up.inside("stat -c '%U %G %a' /var/lib/kept /var/lib/kept/from-build")
    assert told.splitlines() == ["dev dev 755", "dev dev 640"]


def test_6_uid_host_is_the_owner_of_the_workspace(up: Project) -> None:
    assert up.inside("id -u dev").strip() == "1234"
    up.inside("echo mine > /workspace/written")
    assert (up.folder / "written").stat().st_uid == 1234
    assert (up.folder / "setup-saw").stat().st_uid == 1234


def test_8_who_and_where(up: Project) -> None:
    assert up.inside("id -un; pwd").split() == ["dev", "/workspace"]
    assert up.inside("cat user-of-setup folder-of-setup").split() == ["dev", "/workspace"]
    assert up.inside("cat /opt/user-of-run /opt/folder-of-run").split() == ["root", "/"]
    assert up.inside("sudo -n id -un").strip() == "root"


def test_10_a_machine_knows_itself_by_its_name(up: Project) -> None:
    assert up.inside("hostname; cat /etc/hostname").split() == ["rules", "rules"]
    assert up.inside("getent hosts rules | head -n 1").split()[-1] == "rules"


@pytest.fixture(scope="module")
def again(up: Project) -> Project:
    """The same environment after `down` and `up`."""
    up.inside("touch /run/left /tmp/left; rm -f /var/lib/kept/stopped", user="root")
    up.inside("echo changed > /var/lib/kept/from-build")
    up.good("down")
    up.up("--no-verify")
    return up


def test_3_run_and_tmp_are_fresh_at_every_start(again: Project) -> None:
    assert again.inside("ls /run/left /tmp/left 2>/dev/null || echo none").strip() == "none"
    assert again.inside("stat -c '%U %a' /run/words").strip() == "dev 755"
    assert again.inside("stat -c %a /tmp").strip() == "1777"


def test_5_a_volume_outlives_down(again: Project) -> None:
    assert again.inside("cat /var/lib/kept/from-build") == "changed\n"


def test_9_a_stop_is_sigterm(again: Project) -> None:
    assert again.inside("cat /var/lib/kept/stopped").strip() == "stopped"
