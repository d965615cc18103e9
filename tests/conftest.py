"""What all tests share: a project folder to work in, and the command line as a person types it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import settings

from provision.docker_client import api
from provision.state import StateDir
from tests.cluster import Cluster, lacking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parent.parent
LONG = 1800
ALLOWED = "host-code,host-env"  # the words of trust where trust is not what a test asks about
SANDBOX = ROOT / "provision" / "spec" / "sandbox.py"

# CI asks the same questions each time; whoever runs a test by hand gets new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")


class Quoting(yaml.SafeDumper):
    """Writes each string in quotes: plain, `1e9` would be a number to YAML 1.2."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')


Quoting.add_representer(str, Quoting.represent_str)


def as_yaml(spec: Mapping[str, Any]) -> str:
    """A spec whose strings are read as the strings they are."""
    return yaml.dump(spec, Dumper=Quoting)


@dataclass(frozen=True)
class Said:
    """What a run of the command line gave."""

    code: int
    stdout: str
    stderr: str

    @property
    def all(self) -> str:
        return self.stdout + self.stderr

    def json(self) -> Any:
        return json.loads(self.stdout)


LONE_PORT = re.compile(r'ports: \["(\d+)(?:/(udp|tcp))?"\]')


def _on_every_address(lone: re.Match[str]) -> str:
    return f"ports: [{{guest: {lone[1]}, protocol: {lone[2] or 'tcp'}, address: 0.0.0.0}}]"


@dataclass
class Project:
    """A folder with a spec, and `provision` run in it on one backend."""

    folder: Path
    backend: str
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, path: str, content: str | bytes) -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(textwrap.dedent(content))
        return file

    def spec(self, text: str) -> Path:
        if self.backend == "swarm":  # which publishes on every address of a node, and refuses loopback
            text = LONE_PORT.sub(_on_every_address, text)
        return self.write("provision.yaml", text)

    def run(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Said:
        done = self._run(words, stdin, env or {})
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def raw(self, *words: str, stdin: bytes = b"") -> bytes:
        """Run something that must succeed; its stdout as it came."""
        done = self._run(words, stdin, {})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _run(
        self, words: Sequence[str], stdin: bytes, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "provision", *words],
            cwd=self.folder,
            env={**os.environ, "PROVISION_BACKEND": self.backend, **self.environment, **env},
            input=stdin,
            capture_output=True,
            timeout=LONG,
            check=False,
        )

    def good(self, *words: str, stdin: bytes = b"") -> str:
        """Run something that must succeed; its stdout."""
        said = self.run(*words, stdin=stdin)
        assert said.code == 0, f"provision {' '.join(words)}: {said.code}\n{said.all}"
        return said.stdout

    def inside(self, script: str, *, user: str | None = None) -> str:
        """The output of a script run in the machine, as `provision exec` runs it."""
        return self.good("exec", *(["-u", user] if user else []), "--", "sh", "-c", script)

    def inside_of(self, machine: str, script: str) -> str:
        """The output of a script that root runs in one of several machines."""
        return self.good("exec", "-m", machine, "-u", "root", "--", "sh", "-c", script)

    def plan(self, *options: str) -> dict[str, Any]:
        """What `up` would do, as JSON; its exit code says whether that changes anything."""
        said = self.run("plan", "--format", "json", *options)
        assert said.code in (0, 10), said.all
        answer: dict[str, Any] = said.json()
        actions = {machine["action"] for machine in answer["machines"]}
        assert (said.code == 10) == bool(answer["build"] or actions - {"none", "wait"}), said.all
        assert all(machine["cause"] for machine in answer["machines"] if machine["action"] != "none")
        return answer

    def actions(self) -> dict[str, str]:
        """The action that `up` would take for each machine."""
        return {machine["name"]: machine["action"] for machine in self.plan()["machines"]}

    def up(self, *options: str) -> str:
        return self.good("up", *options)

    def checks(self) -> dict[str, str]:
        """Each check's outcome."""
        return {c["check"]: c["outcome"] for c in self.run("verify", "--format", "json").json()["checks"]}

    def state_dir(self, name: str) -> StateDir:
        """Where the state of an environment of this project lies."""
        return StateDir.of(self.folder, name, self.backend)

    def container(self, name: str, machine: str | None = None) -> str:
        """What the engine calls the container of a machine; of the only one unless told."""
        return f"{self.state_dir(name).unique_name}-{machine or name}-1"

    def image(self, name: str, machine: str | None = None) -> str:
        """What the engine calls the image that a machine was made of."""
        words = ["docker", "inspect", "--format", "{{.Config.Image}}", self.container(name, machine)]
        return subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()

    def state(self) -> dict[str, Any]:
        """The first machine, as status tells it."""
        machine: dict[str, Any] = json.loads(self.good("status", "--format", "json"))["machines"][0]
        return machine


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The state of tests is not the user's: no test lists, or takes down, what somebody works with."""
    os.environ["PROVISION_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Swarm of three engines with a registry, which every process of these tests works with."""
    if reason := lacking():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no Swarm here: {reason}")
    with Cluster(tmp_path_factory.mktemp("swarm")) as made:
        made.load("debian:12")
        former = {name: os.environ.get(name) for name in made.variables}
        os.environ.update(made.variables)
        yield made
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="session", autouse=True)
def _own_swarm(request: pytest.FixtureRequest) -> None:
    """The suite of every backend, asked of a Swarm, gets one."""
    if "swarm" in (request.config.getoption("--backend") or ()):
        request.getfixturevalue("cluster")


def make_project(folder: Path, backend: str) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".git").mkdir(exist_ok=True)
    project = Project(folder=folder, backend=backend)
    if backend == "swarm":
        project.environment["PROVISION_ALLOW"] = f"{ALLOWED},network"
    return project


@contextmanager
def brought_up(folder: Path, backend: str, spec: str) -> Iterator[Project]:
    """A project whose environment is up, unverified, until the tests are done; nothing of it stays."""
    project = make_project(folder, backend)
    project.spec(spec)
    try:
        project.up("--no-verify")
        yield project
    finally:
        project.good("down", "--volumes", "--images")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of this test alone, for verbs that need no engine."""
    return make_project(tmp_path / "project", "docker")


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of pure code: whatever starts a program fails, and says which."""

    def refuse(words: object, *more: object, **options: object) -> Any:
        if isinstance(words, list) and str(SANDBOX) in words:
            return popen(words, *more, **options)  # as pure: it fills in Jinja, and can do nothing else
        raise AssertionError(f"a test of pure code started {words}")

    popen: Any = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", refuse)
    for name in ("system", "execvp", "execvpe", "posix_spawn", "fork"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(api, "_request", refuse)  # an engine is asked without a program too


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        action="append",
        choices=["docker", "swarm", "vm"],
        help="run the suite of both backends on this one alone",
    )
    parser.addoption("--provider", help="the provider of virtual machines where a spec names none")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["PROVISION_ALLOW"] = ALLOWED
    # A shell's background job ignores it, and would hand that on to all that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if provider := config.getoption("--provider"):
        os.environ["PROVISION_PROVIDER"] = provider


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--backend") or BACKENDS
        metafunc.parametrize("backend", chosen, scope="session")


BACKENDS = ["docker", "vm"]


@pytest.fixture(scope="module")
def shared(
    backend: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """A project of a whole module on each backend: its machine boots once.

    The module's SPEC is the spec, where it has one for all its tests; FILES are files by path.
    """
    project = make_project(tmp_path_factory.mktemp("shared") / "project", backend)
    for path, content in getattr(request.module, "FILES", {}).items():
        project.write(path, content)
    if hasattr(request.module, "SPEC"):
        project.spec(request.module.SPEC)
    try:
        yield project
    finally:
        project.good("down", "--volumes", "--images")


@pytest.fixture
def own(backend: str, tmp_path: Path) -> Iterator[Project]:
    """A project of one test on each backend; down at its end."""
    project = make_project(tmp_path / "project", backend)
    try:
        yield project
    finally:
        project.good("down", "--volumes", "--images")
