"""`provision test` beside the environment of the person who types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 120
SPEC = """
version: 1
name: tried
base: debian:12
volumes: {data: /data}
services: {one: {command: sleep infinity}}
ports: [{guest: 80, host: PORT, optional: true}]
checks: [{command: hostname, stdout: {equals: tried}}]
"""


MATRIX = """
version: 1
name: tried
base: debian:12
vars: {word: none, wrong: nothing}
matrix: [{vars: [{word: one}, {word: two}, {word: three}]}]
services: {one: {command: sleep infinity}}
env: {WORD: "${{ vars.word }}"}
checks: [{command: "test ${{ vars.word }} != ${{ vars.wrong }}"}]
"""
NAMES = ["docker word=one", "docker word=two", "docker word=three"]


def engine(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.spec(SPEC.replace("PORT", "18643"))
    try:
        yield project
    finally:
        for words in ([], ["--name", "tried-test"]):
            project.run("down", "--volumes", "--images", *words)


@pytest.fixture
def varied(tmp_path: Path) -> Iterator[Project]:
    project = make_project(tmp_path / "project", "docker")
    project.spec(MATRIX)
    try:
        yield project
    finally:
        for number in range(1, len(NAMES) + 1):
            project.run("down", "--volumes", "--images", "--name", f"tried-test-{number}")


def owned() -> tuple[str, ...]:
    """The containers and volumes of every environment tried, and when each container was started."""
    ids = engine("ps", "--all", "--quiet", "--no-trunc", "--filter", "name=^tried").split()
    started = engine("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", *ids) if ids else ""
    return started, engine("volume", "ls", "--quiet", "--filter", "name=tried")


def test_what_was_up_before_is_up_after(tried: Project) -> None:
    tried.up("--no-verify")
    tried.good("exec", "-u", "root", "--", "sh", "-c", "echo mine >/data/file")
    before = owned()
    said = tried.run("test", "-b", "docker")
    assert said.code == 0, said.all
    assert owned() == before
    assert tried.good("exec", "--", "cat", "/data/file") == "mine\n"


def test_what_a_killed_test_left_is_taken_down_by_the_next(tried: Project) -> None:
    words = [sys.executable, "-m", "provision", "test", "-b", "docker"]
    with subprocess.Popen(words, cwd=tried.folder, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "✓ docker: starting containers" in line:
                break
        os.kill(running.pid, signal.SIGKILL)
        running.wait(PATIENCE)
    assert owned()[0]
    assert tried.run("test", "-b", "docker").code == 0
    assert owned() == ("", "")


def test_an_environment_of_that_name_is_not_taken_down(tried: Project) -> None:
    tried.spec(SPEC.replace("PORT", "18643").replace("name: tried", "name: tried-test"))
    tried.up("--no-verify")
    before = owned()
    tried.spec(SPEC.replace("PORT", "18643"))
    said = tried.run("test", "-b", "docker")
    assert said.code == 2, said.all
    assert "the environment tried-test is not from `provision test`" in said.stderr
    assert owned() == before


def suites(project: Project) -> list[str]:
    """Which environments the JUnit report is about."""
    root = ET.parse(project.folder / "report.xml").getroot()
    return [each.get("name", "").removesuffix(": tried") for each in root.iter("testsuite")]


def test_a_matrix_side_by_side_in_shards_and_what_failed_again(varied: Project) -> None:
    words = ["test", "-b", "docker", "--junit", "report.xml"]

    said = varied.run(*words, "--jobs", "3", "--set", "wrong=two")
    assert said.code == 1, said.all
    assert suites(varied) == NAMES
    assert "✗ docker word=two: tried: command test two '!=' two" in said.stdout
    before_the_first_end = said.stderr.partition("removing")[0]
    assert [each for each in NAMES if each in before_the_first_end] == NAMES

    said = varied.run(*words, "--rerun-failed")
    assert said.code == 0, said.all
    assert "failed in the last run: 1 of 3 environments" in said.stdout
    assert suites(varied) == ["docker word=two"]

    said = varied.run(*words, "--rerun-failed")
    assert (said.code, said.stdout.splitlines()[-1]) == (0, "nothing to test"), said.all

    tested = []
    for shard in ("1/2", "2/2"):
        said = varied.run(*words, "--shard", shard, "--jobs", "1")
        assert said.code == 0, said.all
        assert f"shard {shard}: " in said.stdout
        tested += suites(varied)
    assert sorted(tested) == sorted(NAMES)

    said = varied.run(*words, "--shard", "4/4")
    assert (said.code, suites(varied)) == (0, []), said.all
    assert "shard 4/4: none of 3 environments\nnothing to test\n" in said.stdout
    assert owned() == ("", "")


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_an_interrupted_matrix_leaves_nothing_and_begins_nothing_more(varied: Project, jobs: str) -> None:
    words = [sys.executable, "-m", "provision", "test", "-b", "docker", "--jobs", jobs]
    with subprocess.Popen(words, cwd=varied.folder, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "starting containers" in line and line.startswith("✓"):
                break
        os.kill(running.pid, signal.SIGTERM)
        rest = running.stderr.read()
        assert running.wait(PATIENCE) == 128 + signal.SIGTERM, rest
    assert owned() == ("", "")
    assert "Traceback" not in rest
    if jobs == "1":
        assert "word=two" not in rest


def test_what_is_no_shard_or_number_is_refused_with_a_hint(project: Project) -> None:
    project.spec(MATRIX)
    for words in ("--shard 3/2", "--shard x", "--jobs 0", "--jobs x"):
        said = project.run("test", *words.split())
        assert said.code == 2, said.all
        assert f"error: {words}: " in said.stderr
        assert "hint: " in said.stderr
