"""A Swarm of three real engines on one host, with a registry: each node a dockerd in a network namespace.

As a program it makes one to work with, until it is interrupted: `python -m tests.cluster FOLDER`. It needs
root, dockerd and docker-registry. Everything that it makes has names of its own and lies in its folder; the
host's own engine, its bridge and its rules are not touched, but for rules about the cluster's own bridge.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

PROGRAMS = ("dockerd", "docker", "docker-registry", "ip", "iptables", "nsenter", "unshare")
SUBNET = "10.213.77"  # of the nodes; .1 is this host, where the registry listens
REGISTRY_PORT = 5077
PATIENCE = 60.0  # seconds that an engine or a vote may take on a busy host
REGISTRY = """
version: 0.1
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: "%s"}
"""


def lacking() -> str:
    """Why no cluster can be made here; empty if one can."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    return "" if os.geteuid() == 0 else "it needs root"


def sh(*words: str, check: bool = True) -> str:
    """Run a command that must succeed; its stdout."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stderr or done.stdout}"
    return done.stdout


def until(what: str, true: object, *, patience: float = PATIENCE) -> None:
    """Wait until a question is answered with something true."""
    assert callable(true)
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, f"{what}: not within {patience:g} s"
        time.sleep(0.2)


@dataclass
class Node:
    """One engine, and its place on the network."""

    number: int
    cluster: str
    folder: Path
    engine: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        return f"node{self.number}"

    @property
    def namespace(self) -> str:
        return f"{self.cluster}-{self.number}"

    @property
    def link(self) -> str:
        return f"{self.cluster}h{self.number}"

    @property
    def address(self) -> str:
        return f"{SUBNET}.{10 + self.number}"

    @property
    def host(self) -> str:
        """Where its engine answers, for `docker --host`."""
        return f"unix://{self.folder}/d.sock"

    def docker(self, *words: str, check: bool = True) -> str:
        return sh("docker", "--host", self.host, *words, check=check)

    def answers(self) -> bool:
        words = ["docker", "--host", self.host, "version"]
        return subprocess.run(words, capture_output=True, check=False, timeout=20).returncode == 0

    @property
    def within(self) -> tuple[str, ...]:
        """Words that begin a command which runs in its network."""
        return ("nsenter", f"--net=/run/netns/{self.namespace}")

    def connect(self, bridge: str) -> None:
        """A namespace with one cable into the bridge."""
        sh("ip", "netns", "add", self.namespace)
        inner = f"{self.cluster}n{self.number}"
        sh("ip", "link", "add", self.link, "type", "veth", "peer", "name", inner)
        sh("ip", "link", "set", inner, "netns", self.namespace, "name", "eth0")
        sh("ip", "link", "set", self.link, "master", bridge, "up")
        within = ("ip", "-n", self.namespace)
        sh(*within, "addr", "add", f"{self.address}/24", "dev", "eth0")
        sh(*within, "link", "set", "eth0", "up")
        sh(*within, "link", "set", "lo", "up")
        sh(*within, "route", "add", "default", "via", f"{SUBNET}.1")

    def begin(self, registry: str) -> None:
        """Start its engine."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [
            "dockerd", "--host", self.host, "--data-root", f"{self.folder}/data",
            "--exec-root", f"{self.folder}/x", "--pidfile", f"{self.folder}/d.pid",
            "--bip", f"172.2{self.number}.0.1/16",
            "--default-address-pool", "base=172.31.0.0/16,size=24", "--insecure-registry", registry,
        ]  # fmt: skip
        inside = f"hostname {self.name}; exec {' '.join(words)}"
        with (self.folder / "log").open("ab") as log:
            # Not `ip netns exec`, which mounts another /sys: an engine finds no cgroups there.
            self.engine = subprocess.Popen(
                [*self.within, "unshare", "--uts", "sh", "-c", inside],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            )  # fmt: skip
        until(f"the engine of {self.name}", self.answers)

    def processes(self) -> list[int]:
        """All of this node: the engine, its containerd, shims, proxies, and what runs in containers."""
        marked = os.fsencode(f"{self.folder}/")
        listed: dict[int, tuple[int, bytes]] = {}
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                words = (place / "cmdline").read_bytes()
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                listed[int(place.name)] = (parent, words)
        found = {number for number, (_, words) in listed.items() if marked in words and number != os.getpid()}
        while more := {n for n, (parent, _) in listed.items() if parent in found} - found:
            found |= more
        return sorted(found - {os.getpid()})

    def kill(self) -> None:
        """End it as a power cut does: engine, shims and containers at once."""
        for _ in range(20):
            found = self.processes()
            if not found:
                break
            for number in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.1)
        if self.engine is not None:
            self.engine.wait()
            self.engine = None
        (self.folder / "d.pid").unlink(missing_ok=True)
        self.unmount()

    def unmount(self) -> None:
        """What the engine had mounted goes, as it does when a host's power does."""
        mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for path in sorted((p for p in mounted if p.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)

    def cut(self) -> None:
        """Pull its cable."""
        sh("ip", "link", "set", self.link, "down")

    def mend(self) -> None:
        """Plug its cable in again."""
        sh("ip", "link", "set", self.link, "up")


@dataclass
class Cluster:
    """Three managers that are workers too, and a registry that they reach.

    Args:
        folder: where all of its data goes.
        name: what its namespaces and links begin with; at most eight letters.
    """

    folder: Path
    name: str = "psw"
    nodes: list[Node] = field(default_factory=list)
    _registry: subprocess.Popen[bytes] | None = None

    @property
    def registry(self) -> str:
        return f"{SUBNET}.1:{REGISTRY_PORT}"

    @property
    def bridge(self) -> str:
        return f"{self.name}br"

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to work with it."""
        return {
            "DOCKER_HOST": self.nodes[0].host,
            "PROVISION_REGISTRY": f"{self.registry}/team/environments",
            "PROVISION_SWARM_NODES": ",".join(f"{node.name}={node.host}" for node in self.nodes),
        }

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _build(self) -> None:
        self.nodes = [Node(number, self.name, self.folder / f"n{number}") for number in (1, 2, 3)]
        self.close()  # of one that was killed before it could tidy up
        sh("ip", "link", "add", self.bridge, "type", "bridge")
        sh("ip", "addr", "add", f"{SUBNET}.1/24", "dev", self.bridge)
        sh("ip", "link", "set", self.bridge, "up")
        for rule in self._rules():
            sh("iptables", "--wait", *rule[:2], "--insert", *rule[2:])
        self._begin_registry()
        for node in self.nodes:
            node.connect(self.bridge)
            node.begin(self.registry)
        first, *others = self.nodes
        first.docker(
            "swarm", "init", "--advertise-addr", first.address, "--data-path-addr", first.address,
            "--default-addr-pool", "10.214.0.0/16",
        )  # fmt: skip
        token = first.docker("swarm", "join-token", "--quiet", "manager").strip()
        for node in others:
            node.docker(
                "swarm", "join", "--token", token, "--advertise-addr", node.address,
                "--data-path-addr", node.address, f"{first.address}:2377",
            )  # fmt: skip
        until("all managers to be reachable", lambda: self.managers() == len(self.nodes))

    def _rules(self) -> Iterator[Sequence[str]]:
        """The nodes may use this host's network, as containers do."""
        yield ("--table", "filter", "FORWARD", "--in-interface", self.bridge, "--jump", "ACCEPT")
        yield ("--table", "filter", "FORWARD", "--out-interface", self.bridge, "--jump", "ACCEPT")
        yield ("--table", "nat", "POSTROUTING", "--source", f"{SUBNET}.0/24",
               "!", "--out-interface", self.bridge, "--jump", "MASQUERADE")  # fmt: skip

    def _begin_registry(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "registry.yml"
        configuration.write_text(REGISTRY % (self.folder / "registry", self.registry))
        with (self.folder / "registry.log").open("ab") as log:
            self._registry = subprocess.Popen(
                ["docker-registry", "serve", str(configuration)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def managers(self) -> int:
        """How many managers the others reach; none while they choose a leader."""
        listed = self.nodes[0].docker("node", "ls", "--format", "{{.ManagerStatus}}", check=False)
        return sum(line in ("Leader", "Reachable") for line in listed.splitlines())

    def state(self, node: Node, *, seen_by: Node | None = None) -> str:
        """What a manager says of a node: ready, down; empty while the managers choose a leader."""
        told = (seen_by or self.nodes[0]).docker("node", "inspect", node.name, check=False)
        found = json.loads(told or "[]")
        return str(found[0]["Status"]["State"]) if found else ""

    def restart(self, node: Node) -> None:
        """Start a node that was killed, and wait until the others have it back."""
        node.begin(self.registry)
        until(f"{node.name} to be back", lambda: self.state(node) == "ready")
        until("all managers to be reachable", lambda: self.managers() == len(self.nodes))

    def load(self, image: str) -> None:
        """Give the first node, which builds, an image of the host's own engine."""
        own = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE, env=own) as saved:
            words = ["docker", "--host", self.nodes[0].host, "load"]
            subprocess.run(words, stdin=saved.stdout, check=True, capture_output=True)
        assert saved.returncode == 0, f"the host's engine has no {image}"

    def close(self) -> None:
        """End and remove all of it."""
        for node in self.nodes:  # all at once: those that are left would try to heal
            for number in node.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        for node in self.nodes:
            node.kill()
            sh("ip", "netns", "delete", node.namespace, check=False)
            sh("ip", "link", "delete", node.link, check=False)
            shutil.rmtree(node.folder, ignore_errors=True)
        if self._registry is not None:
            self._registry.kill()
            self._registry.wait()
            self._registry = None
        shutil.rmtree(self.folder / "registry", ignore_errors=True)
        for rule in self._rules():
            sh("iptables", "--wait", *rule[:2], "--delete", *rule[2:], check=False)
        sh("ip", "link", "delete", self.bridge, check=False)


def main(folder: str, *images: str) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Cluster(Path(folder).absolute()) as cluster, contextlib.suppress(KeyboardInterrupt):
        for image in images:
            cluster.load(image)
        for name, value in cluster.variables.items():
            sys.stdout.write(f"export {name}={value}\n")
            sys.stdout.flush()
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main(*sys.argv[1:])
