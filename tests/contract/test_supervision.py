"""What supervises services: it ends all of one, starts it again, and says what became of it."""

from __future__ import annotations

import signal
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

# Its leader is a shell that waits for the server; a child of each kind goes its own way.
SERVER = """
      echo "$$" > /run/web/leader
      sleep 3001 &
      setsid sleep 3002 &
      (setsid sleep 3003 &)
      sh -c 'trap "echo told >> /var/tmp/told; exit" TERM; while :; do sleep 0.2; done' &
      perl -e 'use IO::Socket::INET; $0 = "server"; $s = IO::Socket::INET->new(LocalPort => 8080,
        Listen => 5, ReuseAddr => 1) or die "taken\\n"; while ($c = $s->accept) {
        while (<$c>) { last if /^\\r/ } print $c "HTTP/1.0 200 OK\\r\\n\\r\\n$$" }'
      echo "the server ended"
"""
SPEC = f"""
version: 1
name: supervised
base: debian:12
users: {{app: {{}}}}
files:
  /usr/lib/tmpfiles.d/ours.conf:
    content: |
      # a comment
      d /run/ours 0750 app app -
      f /run/ours/file 0640 root app - a line
      L /run/link - - - - ours/file
      d /var/lib/not-of-a-start - - - -
services:
  web:
    script: |{SERVER}
    user: app
    runtime_dirs: [/run/web]
    ready: {{http: "http://localhost:8080/"}}
  app:
    script: test -s /var/tmp/migrated && exec sleep infinity
    needs: [migrate]
  migrate:
    script: sleep 1; echo migrated >> /var/tmp/migrated
    oneshot: true
  once: {{script: "echo once", restart: never}}
"""

WHOLE = r"""
for stat in /proc/[0-9]*/stat; do
  words=$(tr '\0' ' ' < "${stat%stat}cmdline" 2>/dev/null) || continue
  case $words in
    "sleep 300"[123]* | server*) echo "${words% }" ;;
  esac
done | sort
"""
ALL = ["server", "sleep 3001", "sleep 3002", "sleep 3003"]


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.up()
    return shared


def whole(project: Project) -> list[str]:
    """The processes of the service web, by what they are called."""
    return project.inside(WHOLE, user="root").splitlines()


def leader(project: Project) -> str:
    return project.inside("cat /run/web/leader").strip()


def test_restart_ends_all_that_a_service_started(up: Project) -> None:
    before = leader(up)
    assert whole(up) == ALL
    up.good("restart", "web")
    assert leader(up) != before
    assert whole(up) == ALL
    assert "taken" not in up.good("logs", "web")
    assert "told" in up.inside("cat /var/tmp/told")


def test_a_leader_that_dies_takes_all_with_it(up: Project) -> None:
    before = leader(up)
    up.inside(f"kill -9 {before}", user="root")
    for _ in range(100):
        time.sleep(0.2)
        if leader(up) != before and up.state()["services"][0]["state"] == "running" and "server" in whole(up):
            break
    else:
        pytest.fail("the service did not come back")
    assert whole(up) == ALL
    assert "taken" not in up.good("logs", "web")


def test_a_service_hears_the_signals_that_a_shell_or_an_init_would_keep_from_it(up: Project) -> None:
    status = up.inside(f"cat /proc/{leader(up)}/status", user="root")
    ignored = int(next(line for line in status.splitlines() if line.startswith("SigIgn")).split()[1], 16)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        assert not ignored >> (number - 1) & 1, number


def test_what_ended_as_it_should_is_no_failure(up: Project) -> None:
    states = {service["name"]: service["state"] for service in up.state()["services"]}
    assert states == {"web": "running", "app": "running", "migrate": "ended", "once": "ended"}
    assert set(up.checks().values()) == {"passed"}


def test_a_oneshot_runs_again_at_each_start_and_not_at_each_up(up: Project) -> None:
    assert up.inside("wc -l < /var/tmp/migrated").strip() == "1"
    up.up()
    assert up.inside("wc -l < /var/tmp/migrated").strip() == "1"
    up.good("restart", "migrate")
    assert up.inside("wc -l < /var/tmp/migrated").strip() == "2"


def test_run_and_tmp_are_as_after_a_boot(up: Project) -> None:
    folders = up.inside(
        "stat -Lc '%a %U %n' /run/lock /var/lock /run/lock/subsys /run/user /tmp/.X11-unix /run/shm"
    )
    assert folders.splitlines() == [
        "1777 root /run/lock",
        "1777 root /var/lock",
        "755 root /run/lock/subsys",
        "755 root /run/user",
        "1777 root /tmp/.X11-unix",
        "1777 root /run/shm",
    ]
    made = up.inside("stat -c '%a %U %G %F' /run/ours /run/ours/file; cat /run/link", user="root")
    assert made.splitlines()[:2] == ["750 app app directory", "640 root app regular file"]
    assert made.splitlines()[2:] == ["a line"]


LATE = "{script: 'cut -d. -f1 /proc/uptime >>/var/tmp/asked; false', interval: 6s, timeout: 7s}"
FAILING = {
    "crashing": (
        "{script: 'echo cannot go on; exit 3'}",
        "service bad of machine failing keeps exiting with code 3",
    ),
    "failed": (
        "{script: 'echo cannot go on; exit 4', oneshot: true}",
        "service bad of machine failing exited with code 4",
    ),
    "background": (
        "{script: 'echo cannot go on; setsid sleep 3004 >/dev/null 2>&1 & exit 0', ready: {tcp: 8080}}",
        "service bad of machine failing exited with code 0 while another of its processes kept running",
    ),
    "late": (
        "{script: 'echo cannot go on; exec sleep infinity', ready: LATE}",
        "service bad of machine failing was not ready within 7 s",
    ),
}


def test_a_loop_of_crashes_is_seen_while_the_service_runs_for_a_moment(shared: Project) -> None:
    shared.good("down", "--volumes")
    shared.spec("version: 1\nname: failing\nbase: debian:12\nservices: {slow: {script: sleep 3; exit 3}}\n")
    shared.run("up")
    deadline = time.monotonic() + 240  # a busy host starts each of its processes late
    while shared.state()["services"][0]["state"] != "crashing" and time.monotonic() < deadline:
        time.sleep(1)
    seen = [shared.state()["services"][0]["state"] for _ in range(4)]
    assert seen == ["crashing"] * 4
    assert shared.run("verify").code == 1


def test_a_service_that_is_not_to_be_is_named_with_its_lines_once(shared: Project) -> None:
    """One machine is given one after the other, each in the place of the one before."""
    shared.good("down", "--volumes")
    for state, (service, message) in FAILING.items():
        shared.spec(
            "version: 1\nname: failing\nbase: debian:12\nservices:\n"
            f"  bad: {service.replace('LATE', LATE)}\n  good: {{command: sleep infinity}}\n"
        )
        said = shared.run("up")
        assert said.code == 1, said.all
        assert message in said.stderr
        assert said.stderr.count("cannot go on") == 1, said.stderr
        if state != "late":
            states = {each["name"]: each["state"] for each in shared.state()["services"]}
            assert states["good"] == "running"
    # Asked every six seconds, however often somebody waits for the answer.
    asked = [int(second) for second in shared.inside("cat /var/tmp/asked").split()]
    assert len(asked) > 1
    assert all(after - before > 4 for before, after in pairwise(asked))
