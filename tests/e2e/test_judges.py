"""Programs that know nothing of this project read what is rendered, and find nothing wrong."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from provision import backends
from provision.errors import SpecError, UsageError
from provision.spec import load
from tests.conftest import Project, as_yaml, make_project
from tests.renderings import CASES, NASTY, SPECS, Case
from tests.unit.test_spec_fuzz import GOLDEN as SPECS_OF_EVERY_KEY
from tests.unit.test_spec_fuzz import HOSTILE, VALUES, places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCKER = [case for case in CASES if case.backend == "docker"]
VM = [case for case in CASES if case.backend == "vm"]
VAGRANT = [case for case in VM if case.provider != "qemu"]
LIBVIRT = [case for case in VM if case.provider == "libvirt"]
PATIENCE = 120


def tool(name: str) -> str:
    """The path of a judge; CI has all of them, elsewhere one may be missing."""
    path = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"CI has no {name}")
    if path is None:
        pytest.skip(f"no {name} here: make test installs it")
    return path


def judge(words: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
    """What a judge prints; it must be content, and must not have run anything of the spec."""
    said = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert said.returncode == 0, f"{' '.join(words)}\n{said.stdout}{said.stderr}"
    return said.stdout


@pytest.fixture
def written(case: Case, tmp_path: Path) -> Iterator[Path]:
    """The folder that a case is rendered to; nothing of the spec runs there."""
    environment = case.load(tmp_path / "project")
    folder = environment.project / "rendering"
    case.render(environment).write(folder)
    yield folder
    assert [path for path in tmp_path.rglob("ran*") if path.name.startswith("ran")] == []


def cases(chosen: Sequence[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def literal(text: str) -> str:
    """A text of `compose config`, which writes what Compose would read again."""
    return text.replace("$$", "$")


SEVERAL = ("fleet", "locked")  # specs of several machines


@cases([case for case in DOCKER if case.spec not in SEVERAL])
def test_compose_takes_the_file_and_reads_what_the_spec_says(case: Case, written: Path) -> None:
    tool("docker")
    judge(["docker", "compose", "config", "--quiet"], written)
    understood = json.loads(judge(["docker", "compose", "config", "--format", "json"], written))
    [service] = understood["services"].values()
    spec = yaml.safe_load((SPECS / f"{case.spec}.yaml").read_text())
    variables = {name: literal(value) for name, value in service.get("environment", {}).items()}
    if "proxy" in spec:  # it gives variables of its own, among them the certificate's for many a program
        assert variables.pop("HTTP_PROXY") == spec["proxy"]["http"]
        variables = {name: value for name, value in variables.items() if name in spec.get("env", {})}
    mounted = service.get("volumes", [])
    if spec.get("workspace", {}).get("forward"):
        assert variables.pop("SSH_AUTH_SOCK") == "/run/provision/agent/host/socket"
        (agent,) = [mount for mount in mounted if mount["target"] == "/run/provision/agent/host"]
        assert agent["read_only"]
        mounted.remove(agent)
    assert variables == spec.get("env", {})
    sources = [Path(literal(m["source"])) for m in mounted if m["type"] == "bind"]
    assert [source for source in sources if not source.is_dir()] == []
    workspace = [spec["workspace"]["path"]] if "workspace" in spec else []
    volumes = [v["path"] if isinstance(v, dict) else v for v in spec.get("volumes", {}).values()]
    wanted = {*workspace, *spec.get("mounts", ()), *volumes}
    assert wanted == {literal(mount["target"]) for mount in mounted}
    for key, value in spec.get("backends", {}).get("docker", {}).get("compose", {}).items():
        found = service[key]
        assert value == ({k: literal(v) for k, v in found.items()} if isinstance(found, dict) else found)


@cases([case for case in CASES if case.spec == "fleet" and case.backend == "docker"])
def test_compose_reads_the_order_the_names_and_the_images_of_several_machines(
    case: Case,  # noqa: ARG001 - the folder's
    written: Path,
) -> None:
    tool("docker")
    services = json.loads(judge(["docker", "compose", "config", "--format", "json"], written))["services"]
    assert {name: list(each.get("depends_on", {})) for name, each in services.items()} == {
        "db": [], "web-1": ["db"], "web-2": ["db"],
    }  # fmt: skip
    assert services["web-1"]["depends_on"]["db"]["condition"] == "service_healthy"
    aliases = {name: set(each["networks"]["default"]["aliases"]) for name, each in services.items()}
    assert aliases == {"db": {"db.example.org", "database"}, "web-1": {"web"}, "web-2": {"web"}}
    images = [each["image"].partition(":") for each in services.values()]
    assert {name for name, _, _ in images} == {"provision/fleet/db", "provision/fleet/web"}
    assert len({tag for name, _, tag in images if name.endswith("web")}) == 1


@cases([case for case in DOCKER if case.spec == "locked"])
def test_compose_takes_the_file_of_locked_machines(case: Case, written: Path) -> None:
    tool("docker")
    judge(["docker", "compose", "config", "--quiet"], written)
    services = json.loads(judge(["docker", "compose", "config", "--format", "json"], written))["services"]
    machines = yaml.safe_load((SPECS / f"{case.spec}.yaml").read_text())["machines"]
    assert services.keys() == machines.keys()
    images = {name: each["image"].partition(":")[0] for name, each in services.items()}
    assert images == {name: f"provision/{case.spec}/{name}" for name in machines}


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
PATH = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=12
)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=TEXT, variable=TEXT, path=PATH, data=st.dictionaries(PATH, TEXT, max_size=2))
def test_compose_takes_whatever_can_be_rendered(
    tmp_path: Path, text: str, variable: str, path: str, data: dict[str, str]
) -> None:
    (tmp_path / ".git").mkdir(exist_ok=True)
    spec = {
        "version": 1,
        "name": "any",
        "base": "debian:12",
        "description": text,
        "env": {"TEXT": text, "VARIABLE": variable},
        "workspace": {"source": ".", "path": f"/{path}"},
        "volumes": {"data": f"/volume/{path}"},
        "ports": [{"guest": 80, "address": "::1"}, "53/udp"],
        "services": {"one": {"command": shlex.join(["echo", text, variable]), "workdir": f"/{path}"}},
        "backends": {"docker": {"compose": {"annotations": data}}},
    }
    (tmp_path / "any.yaml").write_text(as_yaml(spec))
    try:
        environment = load(
            tmp_path / "any.yaml", backend="docker", host={}, allows=lambda demand: demand.word != "outside"
        )
    except SpecError:
        assume(False)
    folder = tmp_path / "rendered"
    backends.find("docker").render(environment, folder).write(folder)
    understood = json.loads(judge(["docker", "compose", "config", "--format", "json"], folder))
    service = understood["services"]["any"]
    assert {k: literal(v) for k, v in service["environment"].items()} == spec["env"]
    assert [literal(m["target"]) for m in service["volumes"]] == [f"/{path}", f"/volume/{path}"]
    assert {literal(k): literal(v) for k, v in service.get("annotations", {}).items()} == data


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "500")) // 20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_compose_and_ruby_take_whatever_mutated_spec_is_rendered(tmp_path: Path, data: st.DataObject) -> None:
    """Values of any kind in any place of the spec that has every key, and keys that are code."""
    project = tmp_path / "project"
    if not project.exists():
        (project / ".git").mkdir(parents=True)
        shutil.copytree(SPECS_OF_EVERY_KEY / "files", project / "files")
    whole = yaml.safe_load((SPECS_OF_EVERY_KEY / "everything.yaml").read_text())
    whole["requires"] = []
    del whole["backends"]["docker"]["compose"]  # Compose itself judges what stands there
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(whole)))
        if isinstance(container, dict) and data.draw(st.booleans()):
            container[data.draw(st.sampled_from(HOSTILE))] = container[key]
        else:
            container[key] = data.draw(VALUES)
    spec = project / "spec.yaml"
    spec.write_text(as_yaml(whole))
    for backend, words in (
        ("docker", [tool("docker"), "compose", "config", "--quiet"]),
        ("vm", [tool("ruby"), "-c", "Vagrantfile"]),
    ):
        folder = tmp_path / backend
        try:
            rendering = backends.find(backend).render(
                load(spec, backend=backend, host={}, allows=lambda demand: demand.word != "outside"), folder
            )
        except (SpecError, UsageError):
            continue
        rendering.write(folder)
        if backend == "docker" or (folder / "Vagrantfile").exists():
            judge(words, folder)
        if (folder / "Vagrantfile").exists():
            judge([tool("ruby"), "-e", LISTENER, "./Vagrantfile"], folder)
            assert not (folder / "ran").exists()


@cases(DOCKER)
def test_hadolint_has_nothing_to_say_of_the_dockerfile(case: Case, written: Path) -> None:  # noqa: ARG001 - the folder's
    files = [str(path) for path in written.rglob("Dockerfile")]
    assert judge([tool("hadolint"), "--no-color", *files], written) == ""


def scripts(folder: Path) -> list[str]:
    """What of a rendering is a shell script; `.script` files are the spec's own text."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [
        str(path)
        for path in found
        if path.read_bytes().startswith((b"#!/bin/sh", b"#!/bin/bash"))
        and "files" not in path.relative_to(folder).parts
    ]


@cases(CASES)
def test_shellcheck_has_nothing_to_say_of_any_script(case: Case, written: Path) -> None:
    found = scripts(written)
    assert len(found) > 8
    # That `$` and backticks stand in single quotes, where nothing is run, is the point of this one.
    quoted = ["--exclude=SC2016,SC1003"] if case.spec == "nasty" else []
    judge([tool("shellcheck"), "--external-sources", *quoted, "--", *found], written)


@cases(VAGRANT)
def test_ruby_takes_the_vagrantfile(case: Case, written: Path) -> None:  # noqa: ARG001 - the folder's
    assert judge([tool("ruby"), "-wc", "Vagrantfile"], written).strip() == "Syntax OK"


@cases(LIBVIRT)
def test_vagrant_validates_the_vagrantfile(case: Case, written: Path, tmp_path: Path) -> None:  # noqa: ARG001 - the folder's
    home = {"VAGRANT_HOME": str(tmp_path / "vagrant"), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    said = judge([tool("vagrant"), "validate", "--machine-readable"], written, home)
    assert "error-exit" not in said


# What a Vagrantfile says, in its own order: each assignment and each call, with its values.
LISTENER = r"""
require 'json'
SAID = []
class Listener < BasicObject
  def initialize(path); @path = path; end
  def method_missing(name, *values, **options, &block)
    ::SAID << [[*@path, name].join('.'), values, options] unless values.empty? && options.empty?
    inner = ::Listener.new([*@path, name])
    block&.call(inner)
    inner
  end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(version) = yield(Listener.new([]))
end
load ARGV[0]
puts JSON.generate(SAID)
"""


@cases([case for case in LIBVIRT if case.spec == "nasty"])
def test_ruby_gets_every_value_and_runs_none(case: Case, written: Path) -> None:
    heard = json.loads(judge([tool("ruby"), "-e", LISTENER, "./Vagrantfile"], written))
    spec = yaml.safe_load((SPECS / f"{case.spec}.yaml").read_text())
    options = {path.rpartition(".")[2]: values for path, values, _ in heard}
    for key, value in spec["backends"]["vm"]["options"].items():
        assert options[f"{key}="] == [value]
    folders = [values for path, values, _ in heard if path.endswith("synced_folder") and values[0] != "."]
    assert folders == [
        [f"../{NASTY}", spec["workspace"]["path"]],
        *([f"../{NASTY}", path] for path in spec["mounts"]),
    ]
    assert options["box="] == ["team/debian-12"]


@cases([case for case in LIBVIRT if case.spec == "reserved"])
def test_ruby_gets_names_and_addresses_as_they_are_meant(case: Case, written: Path) -> None:
    heard = json.loads(judge([tool("ruby"), "-e", LISTENER, "./Vagrantfile"], written))
    spec = yaml.safe_load((SPECS / f"{case.spec}.yaml").read_text())
    options = {path.rpartition(".")[2]: values for path, values, _ in heard}
    for key, value in spec["backends"]["vm"]["options"].items():
        assert options[f"{key}="] == [value]
    forwarded = [each for path, values, each in heard if values == ["forwarded_port"]]
    assert [each["host_ip"] for each in forwarded] == ["[::1]", "[::]"]  # as ssh's -L takes them


ALONE = """
version: 1
name: alone
base: debian:12
workspace: {source: ., path: /workspace}
env: {GREETING: it's $5}
services:
  one:
    command: sleep infinity
    limits: {nofile: 512, nproc: 5000, core: 0, memlock: 65536, stack: 8388608}
    ready: {command: "true"}
setup:
  - {name: probe, script: 'printf %s "$GREETING" >/opt/greeting'}
ports: [{guest: 8080, optional: true}]
"""
LIMITS = {
    "Max open files": "512",
    "Max processes": "5000",
    "Max core file size": "0",
    "Max locked memory": "65536",
    "Max stack size": "8388608",
}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.spec(ALONE)
    yield project
    compose = [
        "docker",
        "compose",
        "--project-name",
        project.state_dir("alone").unique_name,
        "down",
        "--volumes",
        "--rmi",
        "all",
    ]
    subprocess.run(compose, capture_output=True, check=False, timeout=PATIENCE)


def test_plain_compose_brings_a_rendered_folder_up(alone: Project) -> None:
    """The rendering needs nothing of this tool: it builds, starts, sets up and becomes healthy."""
    tool("docker")
    folder = alone.folder / "rendered"
    assert alone.good("render", "--output", str(folder)).strip() == str(folder)
    judge(["docker", "compose", "up", "--build", "--wait"], folder)
    listed = json.loads(judge(["docker", "compose", "ps", "--format", "json"], folder))
    assert (listed["State"], listed["Health"]) == ("running", "healthy")
    assert [port["URL"] for port in listed["Publishers"]] == ["127.0.0.1"]
    inside = ["docker", "compose", "exec", "--workdir", "/workspace", "alone"]
    assert judge([*inside, "cat", "/opt/greeting"], folder) == "it's $5"
    judge([*inside, "test", "-e", "provision.yaml"], folder)
    limits = judge([*inside, "sh", "-c", "cat /proc/$(cat /run/provision/services/one)/limits"], folder)
    assert {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}.items() >= LIMITS.items()
