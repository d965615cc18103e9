"""An environment in a Swarm of three real engines: its life, and nodes that are drained, killed, cut off."""

from __future__ import annotations

import json
import socket
import textwrap
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import sh, until
from tests.conftest import Project, Said, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cluster import Cluster, Node

pytestmark = pytest.mark.thorough
SERVER = """\
exec perl -MIO::Socket::INET -e '
$s = IO::Socket::INET->new(Listen => 5, LocalPort => $ARGV[0], ReuseAddr => 1);
while ($c = $s->accept) { print $c "HTTP/1.0 200 OK\\r\\n\\r\\n$ENV{SAYS}\\n"; close $c }' """
SPEC = """
version: 1
name: shop
base: debian:12
secrets: {pass: {env: SHOP_PASS}}
machines:
  db:
    secrets: [pass]
    volumes: {data: /srv/data}
    services:
      db:
        script: |
          date >> /srv/data/starts
SERVER 5432
        ready: {tcp: 5432, timeout: 60s}
    backends: {swarm: {constraints: [node.hostname==node2]}}
  web:
    count: 2
    needs: [db]
    env: {SAYS: "blue", BRACES: "{{.Task.Slot}} $HOME"}
    ports: [{guest: 8080, address: 0.0.0.0}]
    resources: {cpus: 0.5, memory: 100MiB}
    services:
      web:
        script: |
SERVER 8080
        ready: {http: "http://localhost:8080/", timeout: 60s}
    checks:
      - {command: bash -c "exec 3<>/dev/tcp/db/5432; grep -q HTTP <&3", timeout: 20s}
""".replace("SERVER", textwrap.indent(SERVER, " " * 10))


class Shop(Project):
    """The environment, and what is asked of it."""

    def machines(self) -> dict[str, dict[str, Any]]:
        status: Any = self.run("status", "--format", "json").json()
        return {machine["name"]: machine for machine in status["machines"]}

    def settled(self) -> bool:
        """Whether every machine runs, on a node that is there."""
        return all(machine["state"] == "running" for machine in self.machines().values())

    def place(self, cluster: Cluster, machine: str) -> Node:
        name = self.machines()[machine]["node"]
        return next(node for node in cluster.nodes if node.name == name)


@pytest.fixture(scope="module")
def _shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_project(tmp_path_factory.mktemp("shop") / "project", "swarm")
    shop = Shop(folder=made.folder, backend="swarm")
    shop.environment |= {"SHOP_PASS": "one", "PROVISION_ALLOW": "host-env,host-code,network"}
    try:
        yield shop
    finally:
        shop.good("down", "--volumes", "--images")
        assert cluster.nodes[0].docker("service", "ls", "--quiet") == ""
        assert cluster.nodes[0].docker("secret", "ls", "--quiet") == ""
        for node in cluster.nodes:
            assert node.docker("volume", "ls", "--quiet") == ""


@pytest.fixture
def shop(_shop: Shop) -> Shop:
    """Up, as SPEC says."""
    _shop.environment["SHOP_PASS"] = "one"
    _shop.spec(SPEC)
    _shop.up()
    return _shop


def changed(shop: Shop, former: str, now: str) -> None:
    assert former in SPEC
    shop.spec(SPEC.replace(former, now))


def meanwhile(ask: Callable[[], Said], says: str, *, within: float = 90) -> Said:
    """What an answer was once it said something, which may not stay so."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        said = ask()
        if says in said.all:
            return said
    raise AssertionError(f"never said {says!r}; last: {said.all}")


def test_machines_run_on_several_nodes_and_know_each_other(shop: Shop) -> None:
    assert shop.actions() == {"db": "none", "web-1": "none", "web-2": "none"}
    machines = shop.machines()
    assert machines["db"]["node"] == "node2"
    assert len({machines["web-1"]["node"], machines["web-2"]["node"]}) == 2
    assert machines["web-1"]["services"] == [{"name": "web", "state": "running"}]
    assert shop.inside_of("web-2", 'hostname; echo "$BRACES"') == "web-2\n{{.Task.Slot}} $HOME\n"
    assert shop.inside_of("db", "cat /run/secrets/pass; stat -c %a /run/secrets/pass") == "one400\n"
    assert "blue" in shop.inside_of("db", "bash -c 'exec 3<>/dev/tcp/web/8080; cat <&3'")
    assert shop.run("verify").code == 0


def test_what_is_needed_was_ready_before(shop: Shop, cluster: Cluster) -> None:
    """A task of web was not even planned before db was healthy."""
    shop.good("down")
    shop.up()
    stack = cluster.nodes[0].docker("service", "ls", "--format", "{{.Name}}").split()
    db, web = sorted(stack)

    def times(service: str, key: str) -> list[str]:
        ids = cluster.nodes[0].docker("service", "ps", "--quiet", service).split()
        found = json.loads(cluster.nodes[0].docker("inspect", *ids))
        return [task["Status"]["Timestamp"] if key == "ready" else task["CreatedAt"] for task in found]

    assert max(times(db, "ready")) < min(times(web, "created"))


def test_a_port_answers_on_the_node_of_its_machine(shop: Shop) -> None:
    place = shop.good("port", "web-1", "8080").strip()
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        assert connection.makefile("rb").read().endswith(b"blue\n")


def test_verbs_reach_the_node_of_a_task(shop: Shop) -> None:
    for machine in ("web-1", "web-2"):
        assert shop.run("exec", "-m", machine, "--", "sh", "-c", "exit 7").code == 7
    assert shop.good("shell", "-m", "web-2", stdin=b"echo $SAYS\n").strip() == "blue"
    before = shop.inside_of("db", "wc -l </srv/data/starts")
    shop.good("restart", "-m", "db", "db")
    assert int(shop.inside_of("db", "wc -l </srv/data/starts")) == int(before) + 1
    assert shop.run("logs", "-m", "web-1").code == 0


def test_a_node_out_of_reach_is_told(shop: Shop, cluster: Cluster) -> None:
    away = ",".join(f"{node.name}=unix:///nowhere.sock" for node in cluster.nodes)
    env = {"PROVISION_SWARM_NODES": away}
    said = shop.run("exec", "-m", "db", "--", "true", env=env)
    assert said.code == 1
    assert "the engine of node2 (unix:///nowhere.sock)" in said.stderr
    assert "PROVISION_SWARM_NODES=node2=ssh://node2" in said.stderr
    status = shop.run("status", env=env)
    assert status.code == 0
    assert "db: the engine of node2" in status.stdout
    assert shop.run("verify", env=env).code == 1
    assert shop.run("logs", env=env).code == 0  # the managers fetch them


def test_an_update_rolls_and_a_failing_one_goes_back(shop: Shop) -> None:
    changed(shop, 'SAYS: "blue"', 'SAYS: "green"')
    assert shop.actions() == {"db": "none", "web-1": "recreate", "web-2": "recreate"}
    shop.up()
    assert {shop.inside_of(name, "echo $SAYS") for name in ("web-1", "web-2")} == {"green\n"}
    green = shop.folder.joinpath("provision.yaml").read_text()
    shop.spec(green.replace("green", "red").replace('http://localhost:8080/", timeout: 60s',
                                                    'http://localhost:9/", timeout: 5s'))  # fmt: skip
    said = shop.run("up")
    assert said.code == 1
    assert "was not ready within 5 s" in said.stderr
    assert "the Swarm runs again what it ran before" in said.stderr
    until("both to run again", shop.settled)
    assert {shop.inside_of(name, "echo $SAYS") for name in ("web-1", "web-2")} == {"green\n"}
    shop.spec(green)
    assert shop.actions() == {"db": "none", "web-1": "none", "web-2": "none"}


def test_a_secret_is_rotated(shop: Shop, cluster: Cluster) -> None:
    former = cluster.nodes[0].docker("secret", "ls", "--format", "{{.Name}}").split()
    shop.environment["SHOP_PASS"] = "two"
    assert shop.actions() == {"db": "refresh", "web-1": "none", "web-2": "none"}
    shop.up()
    assert shop.inside_of("db", "cat /run/secrets/pass") == "two"
    now = cluster.nodes[0].docker("secret", "ls", "--format", "{{.Name}}").split()
    assert len(now) == 1
    assert now != former


def test_count_is_scaled(shop: Shop) -> None:
    def ids() -> set[str]:
        return {shop.inside_of(name, "cat /proc/1/stat | cut -d' ' -f22") for name in ("web-1", "web-2")}

    before = ids()
    changed(shop, "count: 2", "count: 3")
    assert shop.actions() == {"db": "none", "web-1": "none", "web-2": "none", "web-3": "create"}
    shop.up()
    assert shop.inside_of("web-3", "hostname") == "web-3\n"
    assert ids() == before
    shop.spec(SPEC)
    assert shop.actions()["web-3"] == "remove"
    shop.up()
    assert set(shop.machines()) == {"db", "web-1", "web-2"}
    assert ids() == before


def test_stop_start_and_down_keep_volumes(shop: Shop, cluster: Cluster) -> None:
    said = shop.run("stop", "-m", "web-1")
    assert said.code == 2
    assert "web-1 is one of 2 replicas" in said.stderr
    shop.good("stop")
    assert {machine["state"] for machine in shop.machines().values()} == {"stopped"}
    shop.good("start")
    assert shop.settled()
    starts = shop.inside_of("db", "wc -l </srv/data/starts")
    shop.good("down")
    assert cluster.nodes[0].docker("service", "ls", "--quiet") == ""
    shop.up()
    assert int(shop.inside_of("db", "wc -l </srv/data/starts")) > int(starts)


def test_what_is_not_its_own_stays(shop: Shop, cluster: Cluster) -> None:
    first = cluster.nodes[0]
    first.docker("service", "create", "--detach", "--name", "stranger", "debian:12", "sleep", "9")
    try:
        shop.good("down")
        assert first.docker("service", "ls", "--format", "{{.Name}}") == "stranger\n"
    finally:
        first.docker("service", "rm", "stranger")


# --- nodes that go


def test_a_drained_node_is_left(shop: Shop, cluster: Cluster) -> None:
    node = next(n for n in (shop.place(cluster, "web-1"), shop.place(cluster, "web-2")) if n.name != "node2")
    cluster.nodes[0].docker("node", "update", "--availability", "drain", node.name)
    try:
        until("no machine on it", lambda: node.name not in {m["node"] for m in shop.machines().values()})
        until("all to run", shop.settled)
        until("all checks to pass", lambda: shop.run("verify").code == 0)
        assert shop.actions() == {"db": "none", "web-1": "none", "web-2": "none"}
    finally:
        cluster.nodes[0].docker("node", "update", "--availability", "active", node.name)


def test_a_killed_node_is_told_and_its_machines_run_elsewhere(shop: Shop, cluster: Cluster) -> None:
    """Node 3 alone may go: node 1 is asked, and node 2 keeps the volume of db."""
    node = cluster.nodes[2]
    until("a machine on it", lambda: moved_to(shop, cluster, node))
    node.kill()
    try:
        said = meanwhile(lambda: shop.run("verify"), "does not answer")
        assert said.code == 1
        until("all to run elsewhere", lambda: shop.settled() and node.name not in places(shop))
        until("all checks to pass", lambda: shop.run("verify").code == 0)
    finally:
        cluster.restart(node)


def test_a_machine_with_volumes_waits_for_its_node(shop: Shop, cluster: Cluster) -> None:
    node = cluster.nodes[1]
    starts = shop.inside_of("db", "wc -l </srv/data/starts")
    node.kill()
    try:
        said = meanwhile(lambda: shop.run("status"), "the Swarm finds no place for it")
        assert "db: the Swarm finds no place for it: no suitable node" in said.stdout
        assert shop.run("verify").code == 1
        assert "db is bound to the node node2, which is down" in shop.run("plan").all
    finally:
        cluster.restart(node)
    until("all to run", shop.settled, patience=120)
    assert int(shop.inside_of("db", "wc -l </srv/data/starts")) > int(starts)
    until("all checks to pass", lambda: shop.run("verify").code == 0)


def test_a_node_that_is_cut_off_comes_back(shop: Shop, cluster: Cluster) -> None:
    node = cluster.nodes[2]
    until("a machine on it", lambda: moved_to(shop, cluster, node))
    node.cut()
    try:
        until("its machine to run elsewhere",
              lambda: shop.settled() and node.name not in places(shop), patience=120)  # fmt: skip
        until("all checks to pass", lambda: shop.run("verify").code == 0)
        assert "web" in node.docker("ps", "--format", "{{.Names}}"), "it runs on, where nobody sees it"
    finally:
        node.mend()
    until("the node to be back", lambda: cluster.state(node) == "ready", patience=120)
    until("what ran there to end", lambda: "web" not in node.docker("ps", "--format", "{{.Names}}"))
    until("all checks to pass", lambda: shop.run("verify").code == 0)
    assert sh("docker", "--host", cluster.nodes[0].host, "node", "ls").count("Ready") == 3


def places(shop: Shop) -> set[str]:
    return {machine.get("node", "") for machine in shop.machines().values()}


def moved_to(shop: Shop, cluster: Cluster, node: Node) -> bool:
    """Whether a machine runs on a node; a forced update spreads them over those that are there."""
    if node.name in places(shop):
        return True
    services = cluster.nodes[0].docker("service", "ls", "--format", "{{.Name}}").split()
    web = next(name for name in services if name.endswith("_web"))
    cluster.nodes[0].docker("service", "update", "--force", web)
    return False
