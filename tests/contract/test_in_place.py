"""What is applied to a running machine gives the same machine as a new one, in each backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
    version: 1
    name: place
    base: debian:12
    users: {{app: {{}}}}
    files:
      /srv/app/message: {{content: "{message}\\n", owner: app, mode: "0640"}}
    services:
      web:
        user: app
        script: |
          echo "$MESSAGE" >/run/web/message
          while :; do sleep 60 & wait; done # {message}
        runtime_dirs: [/run/web]
        env: {{MESSAGE: "{message}"}}
        ready: {{script: 'grep -q {message} /srv/app/message && grep -q {message} /run/web/message'}}
      other: {{command: sleep 1000000}}
    setup:
      - {{name: first, every: up, script: 'echo {message} >/var/tmp/first'}}
      {more}
"""
MORE = "- {name: second, every: up, script: 'cat /var/tmp/first >/var/tmp/second'}"


def _boot(project: Project) -> str:
    """What tells this machine from one that was created or booted anew."""
    return project.inside("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1; hostname")


def _told(project: Project) -> str:
    return project.inside("cat /run/web/message").strip()


def test_what_is_changed_in_place_is_as_a_new_machine(own: Project) -> None:
    own.spec(SPEC.format(message="one", more=""))
    own.up()
    before, machine = _boot(own), own.state()["name"]
    own.inside("echo mine >/var/tmp/mine")
    own.spec(SPEC.format(message="two", more=MORE))
    assert own.actions() == {machine: "change"}
    own.up()
    assert _boot(own) == before, "it is the same machine"
    assert own.inside("cat /var/tmp/mine").strip() == "mine"
    assert own.inside("cat /srv/app/message", user="root").strip() == "two"
    assert own.inside("stat -c '%U:%G %a' /srv/app/message", user="root").strip() == "app:app 640"
    assert _told(own) == "two"
    assert own.inside("cat /var/tmp/second").strip() == "two"
    assert own.actions() == {machine: "none"}
    own.inside("rm /var/tmp/mine")
    own.good("inventory", "-o", str(own.folder / "in-place.json"))

    own.good("stop")
    assert own.actions() == {machine: "start"}
    own.up()
    assert _told(own) == "two"
    assert own.actions() == {machine: "none"}

    own.good("down")
    own.up()
    assert _boot(own) != before
    between = ("--between", str(own.folder / "in-place.json"), own.backend)
    differences = own.run("diff", *between, "--format", "json").json()["differences"]
    differing = {each["subject"] for each in differences if each["reason"] is None}
    assert differing <= {"/etc/hosts"}, "a new machine may have another address, and nothing else"
    records = "ls /var/lib/provision/steps; find /usr/lib/provision -type f | sort | xargs sha256sum"
    fresh = own.inside(records, user="root")

    own.spec(SPEC.format(message="one", more=MORE))
    own.up()
    own.spec(SPEC.format(message="two", more=MORE))
    assert own.actions() == {machine: "change"}
    own.up()
    assert own.inside(records, user="root") == fresh
