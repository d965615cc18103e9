"""What a machine cannot do without: given, or refused with the reason and what to do."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: requires
base: debian:12
"""


def test_the_example_changes_its_kernel_or_is_refused(own: Project) -> None:
    shutil.copy(ROOT / "envs" / "kernel.yaml", own.folder / "provision.yaml")
    said = own.run("up")
    if own.backend == "docker":
        assert said.code == 2
        assert "provision.yaml:8:12: kernel requires a kernel of its own: a container shares" in said.stderr
        assert "hint: `-b vm` provides it" in said.stderr
        assert own.run("render").code == 2
        return
    assert said.code == 0, said.all
    assert "0 skipped" not in said.stdout
    assert own.inside("lsmod | grep -c ^dummy").strip() == "1"


def test_auto_takes_what_can_give_it_and_says_why(project: Project) -> None:
    project.spec(SPEC)
    said = project.run("plan", "-b", "auto")
    assert said.code == 10, said.all
    assert said.stderr.startswith("docker: a container meets every requirement")
    project.spec(SPEC + "requires: [kernel]\n")
    said = project.run("plan", "-b", "auto")
    assert said.stderr.startswith("vm: a container cannot provide a kernel of its own")


def test_explain_answers_container_or_machine(project: Project) -> None:
    project.spec(SPEC + "requires: [kernel, gpu]\nvolumes: {data: /data}\n")
    found = project.run("explain", "--format", "json").json()
    assert found["reason"].startswith("no backend is usable on this host: a kernel of its own")
    container, machine = found["backends"]
    assert (container["name"], machine["name"]) == ("docker", "vm")
    for offer in found["backends"]:
        assert all(
            offer[key] for key in ("kernel", "isolation", "start", "size", "init", "folders", "persistence")
        )
        assert "data" in offer["persistence"]
    assert "a kernel of its own" in container["cannot"][0]
    assert "a GPU" in machine["cannot"][0]
    project.spec(SPEC + "requires: [kernel]\n")
    text = project.good("explain")
    assert "CONTAINER" in text
    assert "-b vm: a container cannot provide a kernel of its own" in text


def test_what_this_host_lacks_is_said_before_anything_is_made(project: Project) -> None:
    project.spec(SPEC + "requires: [gpu]\n")
    said = project.run("up", "--allow", "privileges")
    assert said.code == 3, said.all
    assert "this host cannot provide a container with a GPU" in said.stderr
