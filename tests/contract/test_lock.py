"""A lock gives the same machine again, whatever caches there are, or says what can no longer be had."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

SPEC = """\
version: 1
name: locked
base: debian:12
packages: [jq]
services:
  one: {command: sleep infinity}
"""


@pytest.fixture(scope="module")
def locked(shared: Project) -> Iterator[Project]:
    """The project, locked in its backend."""
    try:
        shared.good("lock", "-b", shared.backend)
        yield shared
    finally:
        shared.run("down", "--name", "locked-lock", "--volumes", "--images")


def read_lock(project: Project) -> Any:
    return yaml.safe_load((project.folder / "provision.lock.yaml").read_text())


def packages(project: Project, file: str) -> dict[str, str]:
    facts = json.loads((project.folder / file).read_text())["machines"]["locked"]["facts"]
    return {name: attributes["version"] for name, attributes in facts["packages"].items()}


def test_two_builds_of_one_lock_are_equal(locked: Project) -> None:
    """The second one trusts no cache."""
    locked.good("lock", "--check")
    assert locked.plan("--frozen")["machines"][0]["action"] == "create"
    for file, options in (("one.json", ()), ("two.json", ("--rebuild",))):
        locked.up("--frozen", *options)
        locked.good("inventory", "-o", file)
    assert packages(locked, "one.json") == packages(locked, "two.json")
    locked.good("diff", "--between", "one.json", "two.json")  # 1 where a difference is unexplained
    (base,) = read_lock(locked)["bases"]["debian:12"].values()
    assert packages(locked, "two.json").items() <= base["packages"].items()
    assert ("kernels" in base) == (locked.backend == "vm")
    assert locked.plan("--frozen")["machines"][0]["action"] == "none"
    before = (locked.folder / "provision.lock.yaml").read_bytes()
    locked.good("down", "--volumes")
    locked.good("lock", "-b", locked.backend)
    assert (locked.folder / "provision.lock.yaml").read_bytes() == before


def test_what_can_no_longer_be_had_is_named_with_the_nearest(locked: Project) -> None:
    path = locked.folder / "provision.lock.yaml"
    good = path.read_text()
    version = read_lock(locked)["bases"]["debian:12"]["amd64"]["packages"]["jq"]
    try:
        path.write_text(re.sub(r"^( +jq): .*$", r'\1: "1.6-2~gone"', good, flags=re.MULTILINE))
        said = locked.run("up", "--frozen")
        assert said.code == 1, said.all
        assert "error: 1 version of provision.lock.yaml can no longer be had" in said.stderr
        near = re.search(r"jq 1\.6-2~gone: the nearest that can be had is (\S+)", said.stderr)
        assert near, said.stderr
        assert near[1].startswith("1.6-2.1"), (near[1], version)
        assert "lock --upgrade jq`" in said.stderr
        # What is asked for anew takes the place of what is gone; all else stays.
        said = locked.run("outdated", "--format", "json")
        assert said.code == 1, said.all
        assert {"package": "jq", "locked": "1.6-2~gone", "newest": version}.items() <= next(
            each for each in said.json()["outdated"] if each["package"] == "jq"
        ).items()
    finally:
        path.write_text(good)


def test_a_lock_that_does_not_fit_is_used_where_it_fits_and_refused_when_frozen(locked: Project) -> None:
    try:
        locked.spec(SPEC.replace("[jq]", "[jq, tree]"))
        assert locked.run("lock", "--check").code == 1
        for said in (locked.run("up", "--frozen"), locked.run("up", env={"CI": "true"})):
            assert said.code == 1
            assert "machine locked asks for tree" in said.stderr
        said = locked.run("plan", "--no-frozen", "--format", "json")
        assert "provision.lock.yaml does not fit: machine locked asks for tree" in said.json()["notes"]
        steps = json.dumps([said.all, locked.good("render", "--no-frozen")])
        assert "Pin: version" in steps
        assert "Pin: version" not in locked.good("render", "--no-lock")
    finally:
        locked.spec(SPEC)
