"""What a registry saves: the first `up` of an empty host with and without one, and the bytes of a change.

The hosts are Docker engines of their own that have no image, with states and caches of their own; the
registry is a real one, with TLS and a password. Needs root, because an engine gets a network of its own.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))  # the tests have the registry and the second host

from tests.registry_server import Server, serve  # noqa: E402
from tests.second_host import ADDRESS, second_host  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEC = PROJECT / "envs" / "dev.yaml"
FIGURES = PROJECT / "bench" / "results-registry.json"
PAGE = PROJECT / "bench" / "results-registry.md"
STEP = "run:                                   # build steps, in order, as root\n"
CHANGE = "  - {name: change, script: date >/srv/changed}\n"
FORMS = {"docker": "container", "vm": "QEMU machine"}


@dataclass(kw_only=True)
class Figures:
    """What one backend took: seconds of each run; bytes of the first push, of memory, of one changed step."""

    without: list[float] = field(default_factory=list)
    with_registry: list[float] = field(default_factory=list)
    with_memory: list[float] = field(default_factory=list)
    first_sent: int = 0
    memory_sent: int = 0
    change_sent: int = 0
    facts: str = ""


class Host:
    """A host: an engine, a state and caches that nobody else has."""

    def __init__(self, folder: Path, server: Server, backend: str, engine: str) -> None:
        self._backend = backend
        self._server = server
        self._configuration = folder / "config" / "provision" / "config.yaml"
        self._configuration.parent.mkdir(parents=True)
        self._environment = {
            **os.environ,
            "DOCKER_HOST": engine,
            "PROVISION_STATE_DIR": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            **server.login(folder / "docker"),
        }

    def name_registry(self, *, memory: bool = False) -> None:
        """Write it into this host's configuration, and whether saved states are wanted."""
        settings = {"repository": self._server.repository, "ca": str(self._server.ca), "memory": memory}
        self._configuration.write_text(json.dumps({"registry": settings}))

    def run(self, verb: str, spec: Path, *words: str) -> str:
        """Run a verb; what it prints."""
        program = str(Path(sys.executable).with_name("provision"))
        options = ["-b", self._backend, "--name", "bench-registry", "--set", "port=18083"]
        provider = {"PROVISION_PROVIDER": "qemu"} if self._backend == "vm" else {}
        done = subprocess.run(
            [program, verb, str(spec), *options, *words],
            env=self._environment | provider, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"{verb} {spec}: {done.stderr}")
        return done.stdout

    def timed_up(self, spec: Path) -> float:
        """The seconds of `up`."""
        begun = time.perf_counter()
        self.run("up", spec, "--no-verify")
        return time.perf_counter() - begun

    def push(self, spec: Path, *words: str) -> int:
        """The bytes that `push` sent."""
        items = json.loads(self.run("push", spec, "--format", "json", *words))["pushed"]
        return sum(each["sent"] for each in items)


def measure(backend: str, runs: int, scratch: Path) -> Figures:
    """Measure one backend: hosts without and with a registry take turns, each empty."""
    found = Figures(facts=_facts())
    changed = SPEC.with_name(f".bench-{os.getpid()}.yaml")
    assert STEP in SPEC.read_text()
    try:
        with serve(scratch / "registry", tls=True, password=True, everywhere=True) as local:
            server = Server(folder=local.folder, port=local.port, ca=local.ca, address=ADDRESS)
            for run in range(runs):
                with _empty(scratch / f"first-{run}", server, backend) as first:
                    found.without.append(first.timed_up(SPEC))
                    _say(f"{backend}: without a registry {found.without[-1]:.1f} s")
                    if run == 0:
                        first.name_registry()
                        found.first_sent = first.push(SPEC)
                        _say(f"pushed: {found.first_sent} bytes")
                        if backend == "vm":
                            first.run("down", SPEC)  # which keeps it
                            found.memory_sent = first.push(SPEC, "--memory")
                            _say(f"memory: {found.memory_sent} bytes")
                        # One step more at the end of what is built, where the layers before it are known.
                        text = SPEC.read_text()
                        changed.write_text(text.replace("\nservices:\n", f"\n{CHANGE}\nservices:\n", 1))
                        first.run("up", changed, "--no-verify")
                        found.change_sent = first.push(changed)
                        _say(f"a change: {found.change_sent} bytes sent")
                    first.run("down", SPEC, "--volumes")
                with _empty(scratch / f"second-{run}", server, backend) as second:
                    second.name_registry()
                    found.with_registry.append(second.timed_up(SPEC))
                    _say(f"{backend}: with a registry {found.with_registry[-1]:.1f} s")
                    second.run("down", SPEC, "--volumes")
                if backend == "vm":
                    with _empty(scratch / f"third-{run}", server, backend) as third:
                        third.name_registry(memory=True)
                        found.with_memory.append(third.timed_up(SPEC))
                        _say(f"{backend}: with a registry and memory {found.with_memory[-1]:.1f} s")
                        third.run("down", SPEC, "--volumes")
    finally:
        changed.unlink(missing_ok=True)
    return found


@contextmanager
def _empty(folder: Path, server: Server, backend: str) -> Iterator[Host]:
    with second_host(folder / "engine", ca=server.ca, registry=server.host) as engine:
        yield Host(folder, server, backend, engine)


def page(found: dict[str, Figures]) -> str:
    """The figures of all backends that were measured, as Markdown."""
    lines = [
        "# What a registry saves", "",
        "Written by `python bench/registry.py`: `up --no-verify` of `envs/dev.yaml` on hosts whose Docker",
        "engine has no image, not even the base, and whose caches are empty; medians of whole processes.",
        "The registry is Debian's docker-registry on the same machine, with TLS and a password, so the",
        "network costs nothing: add the bytes divided by your bandwidth. Packages and the base come from a",
        "mirror. The changed step is one more line at the end of `run`.",
        "", "| | container | QEMU machine |", "| --- | --: | --: |",
    ]  # fmt: skip

    def row(title: str, shown: dict[str, str]) -> None:
        lines.append(
            f"| {title} | {shown.get('docker', 'not measured')} | {shown.get('vm', 'not measured')} |"
        )

    def seconds(values: list[float]) -> str:
        return f"{statistics.median(values):.1f} s" if values else "has none"

    def size(value: int) -> str:
        if value < 1 << 20:
            return f"{value / 1024:.1f} KiB" if value else "has none"
        return f"{value / (1 << 20):.1f} MiB"

    row("first `up` without a registry", {name: seconds(each.without) for name, each in found.items()})
    row("first `up` with one", {name: seconds(each.with_registry) for name, each in found.items()})
    row("and from the saved state there", {name: seconds(each.with_memory) for name, each in found.items()})
    row("sent by the first `push`", {name: size(each.first_sent) for name, each in found.items()})
    row("sent by `push --memory` after it", {name: size(each.memory_sent) for name, each in found.items()})
    row("sent for a changed step", {name: size(each.change_sent) for name, each in found.items()})
    lines += ["", "Every run:", ""]
    for name, each in found.items():
        for title, values in (
            ("without", each.without), ("with", each.with_registry), ("with its memory", each.with_memory),
        ):  # fmt: skip
            if not values:
                continue
            lines.append(f"- {FORMS[name]} {title}: {' '.join(f'{value:.1f}' for value in values)} s")
        lines.append(f"- {FORMS[name]}: {each.facts}")
    return "\n".join(lines) + "\n"


def _facts() -> str:
    load, cores = os.getloadavg()[0], os.cpu_count()
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {cores} cores, load {load:.1f} at the beginning"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure the given backends and write the page, which keeps the last figures of the others."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("backends", nargs="*", default=["docker"], choices=["docker", "vm"])
    words.add_argument("--runs", type=int, default=3)
    arguments = words.parse_args()
    found = {
        name: Figures(**each)
        for name, each in (json.loads(FIGURES.read_text()) if FIGURES.exists() else {}).items()
    }
    for backend in arguments.backends:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            found[backend] = measure(backend, arguments.runs, Path(scratch))
    FIGURES.write_text(json.dumps({name: vars(each) for name, each in found.items()}, indent=2) + "\n")
    PAGE.write_text(page(found))
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
