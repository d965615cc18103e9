"""Several machines: their order, their names, their network; each on its own, all together."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.conftest import make_project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

# Answers on a port with a line: `serve PORT COMMAND…`; perl is in every Debian.
SERVE = """\
#!/usr/bin/perl
use IO::Socket::INET;
$SIG{CHLD} = 'IGNORE';
my $port = shift;
my $listen = IO::Socket::INET->new(LocalPort => $port, Listen => 9, ReuseAddr => 1) or die $!;
while (my $client = $listen->accept) {
    my $line = `@ARGV`;
    print $client "HTTP/1.0 200 OK\\r\\nContent-Length: " . length($line) . "\\r\\n\\r\\n$line";
    close $client;
}
"""
FILES = {
    "serve": SERVE,
    "serving.yaml": """
        vars: {port: 7000}
        files: {/usr/local/bin/serve: {source: serve, mode: "0755"}}
    """,
}
SPEC = """
version: 1
name: fleet
base: debian:12
env: {FLEET: "${{ env.name }}"}
machines:
  db:
    extends: serving.yaml
    hostname: db.example.org
    aliases: [database]
    services:
      store:
        command: serve ${{ vars.port }} cat /var/tmp/state
        ready: {tcp: "${{ vars.port }}"}
    setup:
      - {name: migrate, script: "sleep 3; echo migrated > /var/tmp/state"}
    volumes: {data: /srv/data}
  web:
    extends: serving.yaml
    vars: {port: 8080}
    count: 2
    needs: [db]
    env: {NUMBER: "${{ machine.index }}"}
    services:
      web:
        script: |
          echo "I am $NUMBER of $FLEET"
          bash -c 'exec 3<>/dev/tcp/db/7000 && cat <&3' > /var/tmp/seen
          exec serve 8080 hostname
        ready: {tcp: "${{ vars.port }}"}
    ports: ["8080"]
"""
ASK = 'exec 3<>"/dev/tcp/$0/$1" && timeout 5 tail -n 1 <&3'


@pytest.fixture(scope="module")
def fleet(shared: Project) -> Project:
    shared.spec(SPEC)
    shared.up()
    return shared


def inside(project: Project, machine: str, script: str) -> str:
    return project.good("exec", "-m", machine, "--", "bash", "-c", script)


def asked(project: Project, machine: str, host: str, port: int) -> str:
    return project.good("exec", "-m", machine, "--", "bash", "-c", ASK, host, str(port)).strip()


def states(project: Project) -> dict[str, str]:
    answer = json.loads(project.good("status", "--format", "json"))
    return {machine["name"]: machine["state"] for machine in answer["machines"]}


def lives(project: Project) -> dict[str, str]:
    """What changes of a machine when it or its service is begun anew."""
    script = "stat -c %Y /proc/1; grep -ls 'local/bin/[s]erve' /proc/[0-9]*/cmdline"
    return {name: inside(project, name, script) for name in states(project)}


def test_a_machine_starts_when_those_that_it_needs_are_ready_setup_included(fleet: Project) -> None:
    for name in ("web-1", "web-2"):
        assert inside(fleet, name, "tail -n 1 /var/tmp/seen").strip() == "migrated"


def test_each_is_reached_by_its_name_hostname_and_aliases(fleet: Project) -> None:
    for name in ("db", "db.example.org", "database"):
        assert asked(fleet, "web-1", name, 7000) == "migrated"
    for name in ("web-1", "web-2"):
        assert asked(fleet, "db", name, 8080) == name
        assert asked(fleet, name, name, 8080) == name
    assert asked(fleet, "db", "web", 8080) in ("web-1", "web-2")
    assert inside(fleet, "db", "hostname").strip() == "db.example.org"


def test_equal_machines_know_which_they_are(fleet: Project) -> None:
    for number in ("1", "2"):
        assert inside(fleet, f"web-{number}", "echo $NUMBER of $FLEET").strip() == f"{number} of fleet"


def test_status_and_links_have_all_of_them(fleet: Project) -> None:
    assert states(fleet) == {"db": "running", "web-1": "running", "web-2": "running"}
    answer = fleet.run("status", "-m", "web", "--format", "json").json()
    ports = {machine["name"]: machine["ports"][0]["host"] for machine in answer["machines"]}
    assert list(ports) == ["web-1", "web-2"]
    for name, port in ports.items():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            assert page.read().decode().strip() == name


def test_verbs_take_one_machine(fleet: Project) -> None:
    assert fleet.run("exec", "--", "true").code == 2
    assert "--machine: db, web-1, web-2" in fleet.run("exec", "--", "true").stderr
    assert "MACHINE:PATH: db, web-1, web-2" in fleet.run("cp", "provision.yaml", ":/tmp").stderr
    assert fleet.run("exec", "-m", "nobody", "--", "true").code == 2
    assert fleet.good("shell", "-m", "web-2", stdin=b"echo I am $NUMBER\n").strip() == "I am 2"
    said = fleet.good("logs", "-m", "web-2")
    assert "I am 2 of fleet" in said
    assert "I am 1 of fleet" not in said
    assert re.search(r"^web-1 \| I am 1 of fleet$", fleet.good("logs", "web"), re.MULTILINE)
    assert fleet.run("logs", "nonsense").code == 1
    asked_of = {c["machine"] for c in fleet.run("verify", "-m", "db", "--format", "json").json()["checks"]}
    assert asked_of == {"db"}
    said_of_all = fleet.run("verify", "--format", "json").json()
    assert {c["machine"] for c in said_of_all["checks"]} == {"db", "web-1", "web-2"}
    assert said_of_all["failed"] == 0


def test_up_again_changes_nothing(fleet: Project) -> None:
    before = lives(fleet)
    assert "(no changes)" in fleet.up()
    assert lives(fleet) == before


def test_another_environment_of_the_same_spec_is_a_world_of_its_own(
    fleet: Project, backend: str, tmp_path: Path
) -> None:
    before = lives(fleet)
    other = make_project(tmp_path / "other", backend)
    for path, content in FILES.items():
        other.write(path, content)
    other.spec(SPEC.partition("  web:")[0].replace("echo migrated", "echo other"))
    name = ("--name", "fleet-db")  # fleet's db is not fleet-db's, whatever is put between
    try:
        other.up(*name)
        assert other.good("exec", *name, "-m", "db", "--", "bash", "-c", ASK, "db", "7000").strip() == "other"
        assert other.run("exec", *name, "-m", "db", "--", "getent", "hosts", "web-1").code == 2
        assert asked(fleet, "web-1", "db", 7000) == "migrated"
        own = inside(fleet, "db", "hostname -I").split()
        for address in own if backend == "docker" else []:
            reached = other.run(
                "exec", *name, "-m", "db", "--", "timeout", "3", "bash", "-c", ASK, address, "7000"
            )
            assert reached.code != 0, reached.all
    finally:
        assert other.run("down", "--volumes", "--images", *name).code == 0
    assert states(fleet) == {"db": "running", "web-1": "running", "web-2": "running"}
    assert lives(fleet) == before


def test_a_change_of_one_machine_leaves_the_others_alone(fleet: Project) -> None:
    before = lives(fleet)
    fleet.spec(SPEC.replace("NUMBER: ", "NEW: value, NUMBER: "))
    plan = fleet.plan()["machines"]
    # One that is only waited for is not changed: on a busy host an answer may be late.
    changed = {each["name"] for each in plan if each["action"] not in ("none", "wait")}
    assert changed == {"web-1", "web-2"}
    assert {each["cause"] for each in plan if each["name"] in changed} == {"variable NEW added"}
    fleet.up()
    after = lives(fleet)
    assert after["db"] == before["db"]
    assert inside(fleet, "web-2", "echo $NEW").strip() == "value"


def test_a_machine_that_never_gets_ready_fails_up_by_name_and_those_that_need_it_wait(
    fleet: Project,
) -> None:
    broken = SPEC.replace(
        'command: serve ${{ vars.port }} cat /var/tmp/state\n        ready: {tcp: "${{ vars.port }}"}',
        'script: "echo my last words; exec sleep infinity"\n        ready: {tcp: 7000, timeout: 15s}',
    ).replace("I am $NUMBER", "Now I am $NUMBER")
    fleet.spec(broken)
    said = fleet.run("up")
    assert said.code == 1
    assert "service store of machine db was not ready" in said.stderr
    assert "my last words" in said.stderr
    assert "Now I am" not in fleet.run("logs", "-m", "web-1").all
    fleet.spec(SPEC)
    fleet.up()
    assert states(fleet) == {"db": "running", "web-1": "running", "web-2": "running"}


def test_a_machine_that_the_spec_has_no_more_is_removed(fleet: Project) -> None:
    fleet.spec(SPEC.replace("count: 2", "count: 1"))
    assert fleet.actions()["web-2"] == "remove"
    fleet.up()
    assert states(fleet) == {"db": "running", "web-1": "running"}
    assert fleet.run("exec", "-m", "web-2", "--", "true").code == 2


def test_down_takes_all_of_them_and_data_stay_until_they_are_given_up(fleet: Project) -> None:
    inside(fleet, "db", "echo kept > /srv/data/file")
    assert fleet.good("down").strip() == "fleet is down"
    assert set(states(fleet).values()) == {"absent"}
    assert fleet.good("down").strip() == "fleet was not up"
    fleet.up()
    assert inside(fleet, "db", "cat /srv/data/file").strip() == "kept"
