"""`matrix`: every combination once, in the order of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import SpecError, UsageError
from provision.spec import load, variations

if TYPE_CHECKING:
    from pathlib import Path

SPEC = "version: 1\nname: many\nvars: {port: 1, loud: false}\nbase: debian:12\n"


def varied(tmp_path: Path, matrix: str, *backends: str) -> list[str]:
    spec = tmp_path / "many.yaml"
    spec.write_text(SPEC + matrix)
    name, found = variations(spec, backends=backends or ("docker", "vm"), settings={})
    assert name == "many"
    return [str(each) for each in found]


def test_without_a_matrix_the_backends_vary(tmp_path: Path) -> None:
    assert varied(tmp_path, "") == ["docker", "vm"]


def test_lists_are_combined_and_items_added(tmp_path: Path) -> None:
    matrix = """
matrix:
  - {base: [debian:12, debian:13]}
  - {backend: docker, vars: [{port: 2, loud: true}, {port: 3}]}
  - {backend: docker, base: debian:12}
"""
    assert varied(tmp_path, matrix) == [
        "docker debian:12",
        "vm debian:12",
        "docker debian:13",
        "vm debian:13",
        "docker port=2 loud=true",
        "docker port=3",
    ]


def test_a_base_takes_the_place_of_the_specs_own(tmp_path: Path) -> None:
    spec = tmp_path / "many.yaml"
    spec.write_text(SPEC)
    assert load(spec, backend="docker", base="debian:13").machines[0].base.name == "debian:13"
    with pytest.raises(SpecError):
        load(spec, backend="docker", base="debain:13")


def test_a_variable_that_is_none_is_said(tmp_path: Path) -> None:
    spec = tmp_path / "many.yaml"
    spec.write_text(SPEC)
    with pytest.raises(UsageError):
        load(spec, backend="docker", settings={"prot": "1"})
