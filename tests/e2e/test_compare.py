"""`provision compare`: both forms measured under names of its own, whatever becomes of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from provision.measure.rows import ROWS
from tests.conftest import Project, make_project
from tests.e2e.test_trial import engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120
SPEC = """
version: 1
name: costs
base: debian:12
packages: [python3]
workspace: {source: ., path: /workspace}
volumes: {data: /data}
services:
  web: {command: python3 -m http.server 8000, ready: {http: "http://localhost:8000/"}}
ports: ["18671:8000"]
"""


@pytest.fixture
def costs(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.spec(SPEC)
    try:
        yield project
    finally:
        for words in ([], ["--name", "costs-compare"]):
            project.run("down", "--volumes", "--images", *words)


def owned() -> tuple[str, str]:
    """The containers and volumes of every environment of this spec, and when each container was started."""
    ids = engine("ps", "--all", "--quiet", "--no-trunc", "--filter", "name=^costs").split()
    started = engine("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", *ids) if ids else ""
    return started, engine("volume", "ls", "--quiet", "--filter", "name=costs")


def test_one_form_is_measured_beside_the_users_own_and_the_other_is_said_to_be_missing(
    costs: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_PROVIDER", "hyperv")  # which no host of this suite has
    costs.up("--no-verify")
    before, files = owned(), sorted(costs.folder.rglob("*"))
    page = costs.folder.parent / "page.html"
    said = costs.run("compare", "--runs", "1", "--format", "json", "--html", str(page))
    assert said.code == 0, said.all
    assert owned() == before
    assert sorted(costs.folder.rglob("*")) == files, "nothing was written to the workspace"
    report = said.json()
    missing = {form["backend"]: form["missing"] for form in report["forms"]}
    assert missing["docker"] == ""
    assert missing["vm"]
    assert f"a virtual machine was not measured: {missing['vm']}" in report["sentence"]
    values = {row["name"]: row["values"]["docker"] for row in report["rows"]}
    assert set(values) == {row.name for row in ROWS if not row.asked_for}
    unmeasured = {name for name, each in values.items() if not each["values"] and not each["text"]}
    assert unmeasured == {"saved"}
    assert values["saved"]["note"] == "it keeps none"
    assert values["kernel"]["text"].startswith("the host's, shared: ")
    assert values["restart"]["text"] == "files on the root, the volume; lost: files in /tmp, running programs"
    assert values["sent"]["median"] < values["stored"]["median"]
    assert values["further"]["median"] <= values["memory"]["median"]
    assert report["sentence"] in page.read_text("utf-8").replace("&#39;", "'")


def test_what_is_asked_for_is_measured_and_explained(costs: Project) -> None:
    words = ("compare", "-b", "docker", "--rows", "cpu,kernel", "--runs", "2")
    text = costs.good(*words, "--explain")
    assert text.startswith("Only a container was measured.\n")
    assert "a fixed piece of work" in text
    assert "cpu: a fixed piece of work\n  sh counts to" in text
    page = costs.good(*words, "--format", "markdown")
    assert "| a fixed piece of work [^cpu] |" in page
    assert owned() == ("", "")


def test_test_and_diff_write_pages_too(costs: Project) -> None:
    costs.spec(SPEC.replace("ports:", "checks: [{command: hostname, stdout: nonsense}]\nports:"))
    page, inventory = costs.folder.parent / "page.html", costs.folder.parent / "before.json"
    said = costs.run("test", "-b", "docker", "--html", str(page))
    assert said.code == 1, said.all
    assert "did not pass everywhere (docker)" in page.read_text("utf-8")
    costs.up("--no-verify")
    costs.good("inventory", "-o", str(inventory))
    costs.inside("echo mine >/etc/by-hand", user="root")
    said = costs.run("diff", "--between", str(inventory), "docker", "--html", str(page))
    assert said.code == 1, said.all
    assert "/etc/by-hand" in page.read_text("utf-8")


def test_one_that_is_interrupted_leaves_nothing(costs: Project) -> None:
    words = [sys.executable, "-m", "provision", "compare", "-b", "docker", "--rows", "stop", "--runs", "50"]
    with subprocess.Popen(words, cwd=costs.folder, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "measuring" in line:
                break
        assert engine("ps", "--quiet", "--filter", "name=costs-compare")
        running.send_signal(signal.SIGINT)
        running.stderr.read()
        assert running.wait(PATIENCE) == 130
    assert owned() == ("", "")


def test_a_spec_that_does_not_come_up_fails_and_leaves_nothing(costs: Project) -> None:
    costs.spec(SPEC.replace("python3 -m http.server 8000", "'false'"))
    said = costs.run("compare", "-b", "docker")
    assert said.code == 1, said.all
    assert "error: service web" in said.stderr
    assert owned() == ("", "")


def test_an_environment_of_that_name_is_not_taken_down(costs: Project) -> None:
    costs.spec(SPEC.replace("name: costs", "name: costs-compare"))
    costs.up("--no-verify")
    before = owned()
    costs.spec(SPEC)
    said = costs.run("compare", "-b", "docker")
    assert said.code == 2, said.all
    assert "the environment costs-compare is not from `provision compare`" in said.stderr
    assert owned() == before


def test_a_mistake_is_found_before_anything_is_started(costs: Project) -> None:
    for words in (("--rows", "nonsense"), ("-b", "nonsense"), ("-m", "nonsense", "-b", "docker")):
        said = costs.run("compare", *words)
        assert said.code == 2, said.all
        assert "nonsense" in said.stderr
    assert owned() == ("", "")
