"""Both forms of the examples and parts on every base: no difference that nobody can explain."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT, make_project

if TYPE_CHECKING:
    from pathlib import Path

BASES = ("debian:11", "debian:12", "debian:13", "ubuntu:24.04")
# Those of each group can be one machine: no two of them want the same port.
PARTS = {
    "served": ("nginx", "php-fpm", "mariadb", "redis"),
    "kept": ("apache", "postgresql", "memcached", "rabbitmq"),
}
EXAMPLES = ("shop", "data", "legacy")  # dev.yaml is in test_qemu_same.py, and kernel.yaml has one form
PARTS_NEED = ("debian:11", "debian:12", "debian:13")  # as `provision parts` says


def differences(tmp_path: Path, spec: str, text: str | None = None) -> str:
    """The last line of `provision test`, and before it what is unexplained, of a spec in a copy of envs/."""
    project = make_project(tmp_path / "project", "vm")
    shutil.copytree(ROOT / "envs", project.folder / "envs")
    if text is not None:
        project.write(spec, text)
    said = project.run("test", spec)
    assert said.code == 0, said.all
    return said.stdout.splitlines()[-1]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_forms_of_an_example_do_not_differ(tmp_path: Path, example: str) -> None:
    assert differences(tmp_path, f"envs/{example}.yaml").endswith(" passed twice, 0 unexplained differences")


@pytest.mark.parametrize("base", [base for base in BASES if base != "debian:12"])
def test_the_forms_of_a_base_do_not_differ(tmp_path: Path, base: str) -> None:
    text = (ROOT / "envs" / "dev.yaml").read_text().replace("debian:12", base)
    assert base in text
    assert differences(tmp_path, "envs/dev.yaml", text).endswith(" passed twice, 0 unexplained differences")


@pytest.mark.parametrize("base", PARTS_NEED)
@pytest.mark.parametrize("group", PARTS)
def test_the_forms_of_parts_do_not_differ(tmp_path: Path, group: str, base: str) -> None:
    extends = ", ".join(f"part:{part}" for part in PARTS[group])
    text = f"version: 1\nname: parts\nbase: {base}\nextends: [{extends}]\n"
    assert differences(tmp_path, "parts.yaml", text).endswith(" passed twice, 0 unexplained differences")
