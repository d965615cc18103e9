"""Twenty environments on one engine, four at a time: none disturbs another."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.conftest import Project, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.thorough

AT_ONCE = 4
# All share an image, and ask for no host port: each gets a free one. The page is the environment's own.
SPEC = """
version: 1
name: many
base: debian:12
packages: [busybox]
env: {PAGE: "${{ env.name }} WHERE"}
volumes: {data: /data}
services:
  web:
    script: |
      mkdir -p /tmp/www
      echo "$PAGE" >/tmp/www/index.html
      exec busybox httpd -f -p 8080 -h /tmp/www
    ready: {http: "http://localhost:8080/"}
ports: [{guest: 8080}]
"""


@dataclass(frozen=True, kw_only=True)
class One:
    """An environment, by its folder and name, and the page that it answers with."""

    project: Project
    name: str
    page: str

    def up(self) -> None:
        self.project.good("up", "--name", self.name)

    def down(self) -> None:
        self.project.good("down", "--volumes", "--name", self.name)

    def url(self) -> str:
        said = self.project.run("status", "--name", self.name, "--format", "json")
        machine = said.json()["machines"][0]
        assert machine["state"] == "running", said.all
        return f"http://127.0.0.1:{machine['ports'][0]['host']}/"


def page(url: str) -> str:
    with build_opener(ProxyHandler({})).open(url, timeout=30) as answer:
        text: str = answer.read().decode().strip()
        return text


def all_at_once(each: Sequence[One], verb: str) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(getattr(one, verb)) for one in each]:
            done.result()


def started(environments: Sequence[One]) -> list[str]:
    """When each container was started, and its id: it is the same one as long as both stay."""
    form = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}"
    containers = [one.project.container(one.name) for one in environments]
    words = ["docker", "inspect", "--format", form, *containers]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.splitlines()


@pytest.fixture
def environments(tmp_path: Path) -> Iterator[tuple[One, ...]]:
    """Ten of one folder with names of their own, and one of the same name in each of ten clones."""
    folder = make_project(tmp_path / "names", "docker")
    folder.spec(SPEC.replace("WHERE", "of one folder"))
    made = [One(project=folder, name=f"many-{n}", page=f"many-{n} of one folder") for n in range(10)]
    for number in range(10):
        clone = make_project(tmp_path / f"clone-{number}", "docker")
        clone.spec(SPEC.replace("WHERE", f"of clone {number}"))
        made.append(One(project=clone, name="many", page=f"many of clone {number}"))
    try:
        yield tuple(made)
    finally:
        for one in made:
            one.project.run("down", "--volumes", "--images", "--name", one.name)


def test_twenty_environments_do_not_disturb_each_other(environments: tuple[One, ...]) -> None:
    all_at_once(environments, "up")
    urls = [one.url() for one in environments]
    assert len(set(urls)) == len(environments)
    assert [page(url) for url in urls] == [one.page for one in environments]

    before = started(environments)
    all_at_once(environments, "up")  # changes nothing
    assert started(environments) == before

    # A quarter goes while another quarter is asked to stay as it is.
    going, staying = environments[::4], [one for one in environments if one not in environments[::4]]
    kept = started(staying)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        work = [pool.submit(one.down) for one in going] + [pool.submit(one.up) for one in staying[:5]]
        for done in work:
            done.result()
    assert started(staying) == kept
    assert [page(one.url()) for one in staying] == [one.page for one in staying]
    for one in going:
        assert (
            one.project.run("status", "--name", one.name, "--format", "json").json()["machines"][0]["state"]
            == "absent"
        )

    all_at_once(staying, "down")
    for one in environments:
        label = f"label=provision.id={one.project.state_dir(one.name).id}"
        for words in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
            listed = subprocess.run(
                ["docker", *words, "--quiet", "--filter", label], capture_output=True, check=True, text=True
            )
            assert listed.stdout == "", f"{words} of {one.page}"
