"""What apt says of packages that do not fit together, at their places in the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.build_problems import refuse_found
from provision.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = ["The following information may help to resolve the situation:", "",
        "The following packages have unmet dependencies:"]  # fmt: skip
TAIL = "E: Unable to correct problems, you have held broken packages."


@pytest.mark.parametrize(
    ("packages", "lines", "problems"),
    [
        (
            "curl=1, git",
            [" curl : Depends: libcurl4 (= 1) but 2 is to be installed"],
            [("5:12", "curl=1 needs libcurl4 (= 1), but 2 is to be installed",
              "pin both: `packages: [curl=1, libcurl4=1]`")],
        ),
        (
            "git, curl=1",
            [
                " curl : Depends: libcurl4 (= 1) but 2 is to be installed",
                "        PreDepends: libc6 (>= 2.99) but 2.36-9 is to be installed",
            ],
            [
                ("5:17", "curl=1 needs libcurl4 (= 1), but 2 is to be installed",
                 "pin both: `packages: [curl=1, libcurl4=1]`"),
                ("5:17", "curl=1 needs libc6 (>= 2.99), but 2.36-9 is to be installed",
                 "leave the version out: `packages: [curl]`"),
            ],
        ),
        (
            "git",
            [" git : Depends: git-man (< 1:2.39.5-.) but it is not going to be installed"],
            [("5:12", "git needs git-man (< 1:2.39.5-.), but it is not going to be installed",
              "leave one of them out, or take both from one release")],
        ),
        (
            "git, curl=1",
            [" libcurl4:amd64 : Depends: libssl3:amd64 (= 3) but 4 is to be installed"],
            [("5:17", "libcurl4 needs libssl3 (= 3), but 4 is to be installed",
              "pin both: `packages: [curl=1, libssl3=3]`")],
        ),
        (
            "exim4, postfix",
            [" postfix : Conflicts: mail-transport-agent"],
            [("5:19", "postfix conflicts with mail-transport-agent",
              "leave one of them out, or take both from one release")],
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["{}", "#7 3.114 {}"])
def test_which_package_needs_what_is_said_at_its_place(
    packages: str, lines: list[str], problems: list[tuple[str, str, str]], form: str, tmp_path: Path
) -> None:
    file = tmp_path / "dev.yaml"
    file.write_text(f"version: 1\nname: dev\nbase: debian:12\n\npackages: [{packages}]\n")
    environment = spec.load(file, backend="docker", host={})
    log = [form.format(line) for line in ["==> packages", *HEAD, *lines, TAIL]]
    log += ["#7 ERROR: process did not complete"] if form != "{}" else []
    with pytest.raises(SpecError) as refused:
        refuse_found(log, environment.machines)
    found = [
        (f"{each.origin.line}:{each.origin.column}", each.message, each.hint)
        for each in refused.value.problems
    ]
    assert found == problems


def test_a_step_of_the_spec_that_prints_something_like_it_is_not_blamed_on_a_package(tmp_path: Path) -> None:
    file = tmp_path / "dev.yaml"
    file.write_text("version: 1\nname: dev\nbase: debian:12\npackages: [curl]\n")
    environment = spec.load(file, backend="docker", host={})
    refuse_found(
        ["==> step", " curl : Depends: libcurl4 (= 1) but 2 is to be installed"], environment.machines
    )
