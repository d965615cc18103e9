"""up, status, exec, logs, down: the life of an environment, on every backend alike."""

from __future__ import annotations

import json
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: life
base: debian:12
packages: [nginx-light]
env: {GREETING: hello}
files:
  /etc/nginx/sites-enabled/default: {content: "server { listen 8080; root /var/www/html; }\\n"}
  /var/www/html/index.html: {content: "one\\n"}
run:
  - {name: first, script: date +%s%N > /opt/first}
  - {name: last, script: echo one > /opt/last}
services:
  web:
    command: nginx -g "daemon off;"
    ready: {http: "http://localhost:8080/"}
setup:
  - {name: count, script: echo run >> /opt/setup-runs}
ports: ["8080"]
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.up()
    return shared


def published(project: Project) -> int:
    return int(next(p["host"] for p in project.state()["ports"] if p["guest"] == 8080))


def test_status_tells_machines_ports_and_services(up: Project) -> None:
    answer = up.run("status", "--format", "json").json()
    assert answer["name"] == "life"
    assert answer["backend"] == up.backend
    machine = answer["machines"][0]
    assert machine["name"] == "life"
    assert machine["state"] == "running"
    assert machine["services"] == [{"name": "web", "state": "running"}]
    assert [(p["guest"], p["address"], p["protocol"]) for p in machine["ports"]] == [
        (8080, "127.0.0.1", "tcp"),
    ]


def test_list_tells_the_ports_of_what_runs(up: Project) -> None:
    environments = up.run("list", "--format", "json").json()["environments"]
    listed = next(each for each in environments if each["id"] == up.state_dir("life").id)
    assert [(p["guest"], p["host"]) for p in listed["machines"][0]["ports"]] == [(8080, published(up))]
    assert f"127.0.0.1:{published(up)}→8080/tcp" in up.good("list")


def test_port_tells_where_the_host_reaches_one(up: Project) -> None:
    place = f"127.0.0.1:{published(up)}"
    assert up.good("port", "8080").strip() == place
    assert up.good("port", "life", "8080/tcp").strip() == place
    assert up.good("port").strip() == f"8080/tcp -> {place}"
    assert up.run("port", "8080", "--format", "json").json() == {
        "name": "life",
        "backend": up.backend,
        "ports": [
            {
                "machine": "life",
                "guest": 8080,
                "host": published(up),
                "address": "127.0.0.1",
                "protocol": "tcp",
            }
        ],
    }
    said = up.run("port", "8080/udp")
    assert (said.code, said.stdout) == (1, "")
    assert "port 8080/udp of life is not published" in said.stderr
    assert "hint: published: 8080/tcp" in said.stderr
    assert up.run("port", "nobody").code == 2


def test_a_published_port_answers_on_loopback(up: Project) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{published(up)}/") as page:
        assert page.read() == b"one\n"


def test_exec_gives_exit_code_stdin_and_environment(up: Project) -> None:
    assert up.run("exec", "--", "sh", "-c", "exit 7").code == 7
    assert up.raw("exec", "--", "cat", stdin=b"\x00\xffbytes\r\n") == b"\x00\xffbytes\r\n"
    assert up.inside('printf %s "$GREETING"') == "hello"
    assert up.good("exec", "-u", "www-data", "--", "id", "-un").strip() == "www-data"
    assert up.good("exec", "--", "printf", "%s|", "a b", "$HOME", "--", "-u") == "a b|$HOME|--|-u|"


def test_shell_reads_commands_from_a_pipe(up: Project) -> None:
    assert up.good("shell", stdin=b"echo from $GREETING\n").strip() == "from hello"


def planned(project: Project) -> str:
    return str(project.plan()["machines"][0]["action"])


def test_up_again_changes_nothing(up: Project) -> None:
    assert planned(up) == "none"
    before = up.inside("cat /opt/first; stat -c %Y /proc/1")
    assert "(no changes)" in up.up()
    assert up.inside("cat /opt/first; stat -c %Y /proc/1") == before
    assert up.inside("cat /opt/setup-runs") == "run\n"


def test_a_plan_writes_nothing(up: Project) -> None:
    folder = up.state_dir("life").folder
    up.spec(SPEC.replace("echo one > /opt/last", "echo never > /opt/last"))

    def files() -> dict[str, int]:
        """All but what a running machine writes itself."""
        found = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "qemu")
        return {str(path): path.stat().st_mtime_ns for path in found}

    before = files()
    assert before
    assert up.run("plan").code == 10
    assert files() == before
    up.spec(SPEC)


def test_a_change_converges_and_keeps_the_steps_before_it(up: Project) -> None:
    port, first = published(up), up.inside("cat /opt/first")
    changed = SPEC.replace("echo one > /opt/last", "echo two > /opt/last")
    up.spec(changed)
    assert planned(up) in ("recreate", "change")
    assert up.plan()["machines"][0]["cause"] == "step last changed"
    assert up.inside("cat /opt/last") == "one\n"
    up.up()
    assert up.inside("cat /opt/last") == "two\n"
    assert up.inside("cat /opt/first") == first
    assert published(up) == port
    assert "(no changes)" in up.up()


def test_logs_know_the_services(up: Project) -> None:
    urllib.request.urlopen(f"http://127.0.0.1:{published(up)}/").close()
    assert up.run("logs").code == 0
    said = up.run("logs", "nonsense")
    assert said.code == 1
    assert "there is no service nonsense" in said.stderr
    assert "the services are web" in said.stderr


def test_stop_keeps_what_is_there_and_up_goes_on_with_it(up: Project) -> None:
    up.inside("echo mine > /opt/mine", user="root")
    port = published(up)
    assert up.good("stop").strip() == "life is stopped"
    assert up.good("stop").strip() == "life was not running"
    machine = up.state()
    assert machine["state"] == "stopped"
    assert machine["services"] == [{"name": "web", "state": "stopped"}]
    assert planned(up) == "start"
    assert up.run("exec", "--", "true").code == 1
    assert up.run("port").code == 1
    assert up.run("stop", "-m", "nobody").code == 2
    up.up()
    assert up.inside("cat /opt/mine /opt/setup-runs") == "mine\nrun\n"
    assert published(up) == port
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
        assert page.read() == b"one\n"
    assert "(no changes)" in up.up()


def test_a_taken_port_is_refused_before_anything_is_built(own: Project) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        own.spec(f"""
            version: 1
            name: taken
            base: debian:12
            run: ["exit 1"]
            ports: ["{port}:80"]
        """)
        said = own.run("up")
    assert said.code == 1
    assert f"127.0.0.1:{port}/tcp (provision.yaml:6) is held by process" in said.stderr
    assert "building" not in said.stderr


def test_nothing_is_written_into_the_project(up: Project) -> None:
    assert sorted(path.name for path in up.folder.iterdir()) == [".git", "provision.yaml"]


def mine(project: Project, other: Project) -> dict[str, object]:
    """The environment as `list` tells it in another folder."""
    found = other.run("list", "--format", "json").json()["environments"]
    identity = project.state_dir("life").id
    return next(each for each in found if (each["id"], each["backend"]) == (identity, project.backend))


def test_a_damaged_record_is_an_error_and_down_works_from_anywhere(up: Project, project: Project) -> None:
    told = mine(up, project)
    assert (told["name"], told["state"], told["folder"]) == ("life", "running", str(up.folder))
    records = list(up.state_dir("life").folder.glob("*.json"))
    assert len(records) > 1
    for record in records:
        record.write_text('{"version": 0}')
    up.spec(SPEC.replace("echo one > /opt/last", "echo three > /opt/last"))
    said = up.run("up")
    assert said.code == 1, said.all
    assert "cannot be used: it has version 0, and this provision reads 1" in said.stderr
    assert f"provision down {up.state_dir('life').id}" in said.stderr
    assert project.good("down", up.state_dir("life").id, "-b", up.backend).strip() == "life is down"
    assert mine(up, project)["state"] == "down"
    up.up()
    assert up.inside("cat /opt/last") == "three\n"


def test_down_twice_is_fine_and_up_after_it_is_new(up: Project) -> None:
    assert up.good("down").strip() == "life is down"
    assert up.good("down").strip() == "life was not up"
    assert up.run("exec", "--", "true").code == 1
    assert up.state()["state"] == "absent"
    assert planned(up) == "create"
    assert up.state()["state"] == "absent"
    said = up.run("verify", "--format", "json")
    assert said.code == 1
    answer = json.loads(said.stdout)
    assert answer["failed"] == 1
    assert len(answer["checks"]) == 1
    up.up()
    assert up.inside("cat /opt/setup-runs") == "run\n"
