"""Services: what keeps running, what waits for what, what each has of its own."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: services
base: debian:12
env: {FROM_SPEC: "a b"}
users: {app: {}}
services:
  second:
    script: |
      test -e /run/first/ready
      echo second begins
      exec sleep infinity
    needs: [first]
  first:
    script: |
      echo "first begins with $FROM_SPEC and $OWN"
      echo $$ > /run/first/pid
      echo "and says so where it opens it" > /dev/stdout
      stat -Lc %h /dev/stdout > /run/first/names
      sleep 1
      touch /run/first/ready
      exec sleep infinity
    env: {OWN: "it's own"}
    user: app
    runtime_dirs: [/run/first]
    limits: {nofile: 512, core: unlimited}
    ready: {script: test -e /run/first/ready}
  never:
    script: |
      echo one >> /var/tmp/never
      exit 0
    restart: never
  failing:
    script: |
      echo one >> /var/tmp/failing
      test "$(wc -l < /var/tmp/failing)" -ge 3 || exit 1
      exec sleep infinity
    restart: on-failure
    ready: {script: test "$(wc -l < /var/tmp/failing)" -ge 3}
setup:
  - {name: after, script: test -e /run/first/ready}
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    # `never` ends at once, which is no reason to call the machine failed in this test.
    shared.spec(SPEC.replace("exit 0\n    restart: never", "exec sleep infinity\n    restart: never"))
    shared.up()
    return shared


def pid(project: Project) -> str:
    return project.inside("cat /run/first/pid").strip()


def test_a_service_waits_until_its_needs_are_ready(up: Project) -> None:
    assert "second begins" in up.good("logs", "second")


def test_logs_are_kept_apart(up: Project) -> None:
    first = up.good("logs", "first")
    assert "first begins with a b and it's own" in first
    assert up.good("logs", "--tail", "1", "second").splitlines() == ["second | second begins"]
    assert up.good("logs", "--since", "0s", "first") == ""
    stamped = up.good("logs", "--timestamps", "second")
    assert re.search(
        r"^second \| \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z second begins$", stamped, re.MULTILINE
    )
    assert "second begins" not in first


def test_a_service_can_open_its_stdout_by_name(up: Project) -> None:
    """As nginx and postfix do, the one only where what it opens has a name."""
    assert "and says so where it opens it" in up.good("logs", "first")
    assert up.inside("cat /run/first/names") == "1\n"


def test_a_service_has_its_user_environment_and_limits(up: Project) -> None:
    process = pid(up)
    status = up.inside(f"cat /proc/{process}/status", user="root")
    user = up.inside("id -u app").strip()
    assert f"Uid:\t{user}" in status
    limits = up.inside(f"cat /proc/{process}/limits", user="root")
    assert "512" in next(line for line in limits.splitlines() if line.startswith("Max open files"))


def test_a_service_that_fails_is_started_again(up: Project) -> None:
    assert up.inside("wc -l < /var/tmp/failing").strip() == "3"


def test_a_killed_service_comes_back(up: Project) -> None:
    before = pid(up)
    up.inside(f"kill -9 {before}", user="root")
    for _ in range(100):
        time.sleep(0.2)
        now = pid(up)
        if now and now != before:
            break
    else:
        pytest.fail("the service did not come back")


def test_restart_begins_anew_those_that_are_named(up: Project) -> None:
    before, other = pid(up), up.good("logs", "second").count("second begins")
    assert up.good("restart", "first").strip() == "restarted: first"
    assert pid(up) != before
    assert up.good("logs", "second").count("second begins") == other
    said = up.good("restart")
    assert set(said.strip().removeprefix("restarted: ").split(", ")) == {
        "second",
        "first",
        "never",
        "failing",
    }
    assert up.good("logs", "second").count("second begins") == other + 1
    assert up.run("restart", "frist").code == 2
