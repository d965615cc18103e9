"""Services, setup and steps that fail, each on the machine that the one before left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Project


def test_a_service_that_ends_for_good_fails_up_with_its_last_lines(shared: Project) -> None:
    shared.spec("""
        version: 1
        name: trial
        base: debian:12
        services:
          good: {command: sleep infinity}
          once: {script: "echo my last words; exit 3", restart: never}
    """)
    said = shared.run("up")
    assert said.code == 1
    assert "service once of machine trial exited" in said.stderr
    assert "my last words" in said.stderr


def test_a_service_that_is_never_ready_fails_up_with_its_probe(shared: Project) -> None:
    shared.spec("""
        version: 1
        name: trial
        base: debian:12
        services:
          slow:
            script: "echo I take my time; exec sleep infinity"
            ready: {tcp: 9999, timeout: 2s}
    """)
    said = shared.run("up")
    assert said.code == 1
    assert "service slow of machine trial was not ready" in said.stderr
    assert "localhost:9999 does not answer" in said.stderr
    assert "I take my time" in said.stderr


def test_a_setup_that_fails_is_told_and_taken_up_again(shared: Project) -> None:
    text = """
        version: 1
        name: trial
        base: debian:12
        workspace: {source: ., path: /workspace}
        setup:
          - {name: one, script: echo one >> /var/tmp/ran}
          - name: two
            script: "echo two >> /var/tmp/ran; test -e /workspace/go || { echo not yet; exit 5; }"
    """
    shared.spec(text)
    said = shared.run("up")
    assert said.code == 1
    assert "setup of machine trial failed: two with exit code 5" in said.stderr
    assert "not yet" in said.stderr
    shared.write("go", "")
    shared.up()
    assert shared.inside("cat /var/tmp/ran").split() == ["one", "two", "two"]


def test_a_step_that_fails_is_named_with_its_output(shared: Project) -> None:
    shared.spec("""
        version: 1
        name: trial
        base: debian:12
        run:
          - {name: fine, script: "true"}
          - {name: broken, script: "echo the reason; exit 4"}
    """)
    said = shared.run("up")
    assert said.code == 1
    assert "the step broken exited with code 4" in said.stderr
    assert "the reason" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_service_that_was_stopped_is_started_by_up(shared: Project) -> None:
    shared.spec("""
        version: 1
        name: trial
        base: debian:12
        services:
          one: {script: "echo $$ > /run/one; exec sleep infinity", restart: never}
          two: {command: sleep infinity}
    """)
    shared.up()
    shared.inside("kill $(cat /run/one)", user="root")
    assert shared.checks()["service one"] == "failed"
    deadline = time.monotonic() + 60  # the engine notices at its next look
    while "(no changes)" in shared.run("up", "--no-verify").stdout and time.monotonic() < deadline:
        if shared.checks()["service one"] == "passed":
            break
        time.sleep(1)
    assert shared.checks()["service one"] == "passed"


def test_a_build_that_fails_leaves_the_machine_that_runs(own: Project) -> None:
    text = """
        version: 1
        name: trial
        base: debian:12
        run:
          - {name: good, script: echo built > /var/tmp/built}
        services:
          idle: {command: sleep infinity}
    """
    own.spec(text)
    own.up()
    own.inside("echo mine > /var/tmp/mine")
    own.spec(text.replace("services:", "  - {name: bad, script: echo it breaks; exit 7}\n        services:"))
    for words in (["up"], ["up", "--rebuild"]):
        said = own.run(*words)
        assert said.code == 1, said.all
        assert "it breaks" in said.stderr
        assert own.state()["state"] == "running"
        assert own.inside("cat /var/tmp/mine") == "mine\n"


def test_a_machine_without_services_and_setup_has_its_workspace_and_volumes(own: Project) -> None:
    own.write("inside.txt", "of the host\n")
    own.spec("""
        version: 1
        name: trial
        base: debian:12
        workspace: {source: ., path: /work}
        volumes: {data: /srv/data}
        backends: {vm: {memory: off}}
    """)
    own.up()
    assert own.inside("cat inside.txt; pwd") == "of the host\n/work\n"
    assert own.inside("echo kept >/srv/data/file; findmnt -n -o TARGET /srv/data") == "/srv/data\n"
    if own.backend == "vm":  # a reboot from inside loses nothing
        own.run("exec", "--", "systemctl", "reboot")
        own.up()
        assert own.inside("cat inside.txt /srv/data/file") == "of the host\nkept\n"
        # What cannot be attached is told with its own lines, and mended by the next up.
        own.inside("sed -i '2i echo it breaks here >&2; exit 9' /usr/lib/provision/attach", user="root")
        own.run("exec", "--", "systemctl", "reboot")
        said = own.run("up")
        assert said.code == 1, said.all
        assert "the folders and volumes of machine trial could not be attached" in said.stderr
        assert "it breaks here" in said.stderr
