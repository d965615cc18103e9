"""Offline: what would have to be fetched is said at once; what is here already comes up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = """
version: 1
name: offline
base: debian:12
packages: [htop]
"""


def test_what_is_missing_is_named_and_what_is_here_comes_up(own: Project) -> None:
    own.spec(SPEC)
    said = own.run("up", "--offline")
    assert said.code == 3, said.all
    assert "offline cannot be brought up offline" in said.stderr
    assert "what step packages of offline downloads: htop" in said.stderr
    own.up()
    assert "(no changes)" in own.up("--offline")
    own.spec(SPEC.replace("[htop]", "[htop, jq]"))
    said = own.run("up", "--offline")
    assert said.code == 3, said.all
    assert "htop, jq" in said.stderr


def test_a_base_that_is_not_here_is_named(project: Project) -> None:
    project.spec(SPEC.replace("debian:12", '{image: "registry.example.org/no/such:1"}'))
    said = project.run("up", "--offline")
    assert said.code == 3, said.all
    assert "the image registry.example.org/no/such:1" in said.stderr
    tried = project.run("test", "--offline", "-b", "docker")
    assert tried.code == 1
    assert "cannot be brought up offline" in tried.stdout
