"""YAML to nodes: the core schema of YAML 1.2, and where everything stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import SpecError
from provision.spec import load
from provision.spec.parsing import parse
from provision.spec.problems import Problems

if TYPE_CHECKING:
    from pathlib import Path

    from provision.spec.tree import Node


def tree(text: str) -> Node:
    problems = Problems()
    node = parse(text, "x.yaml", problems)
    problems.raise_all()
    assert node is not None
    return node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("22:22", "22:22"),
        ("2026-11-23", "2026-11-23"),
        ("1_000", "1_000"),
        ("=", "="),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("007", 7),
        ("-12", -12),
        ("0o17", 15),
        ("0x1F", 31),
        ("3.10", 3.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ('"true"', "true"),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("|-\n  true", "true"),
        ("9" * 400, "9" * 400),
    ],
)
def test_resolves_plain_scalars_by_the_core_schema(text: str, value: object) -> None:
    root = tree(f"key: {text}\n").plain_data()
    assert root == {"key": value}
    assert isinstance(root, dict)
    assert type(root["key"]) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999"])
def test_refuses_numbers_that_are_not_finite(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        tree(f"key: {text}\n")
    assert [problem.message for problem in caught.value.problems] == [f"{text} is not a finite number"]


def test_knows_where_keys_and_values_stand() -> None:
    root = tree("a: 1\nlist:\n  - ünï: {key: wert}\n")
    assert isinstance(root.value, dict)
    items = root.value["list"].value
    assert isinstance(items, list)
    assert isinstance(items[0].value, dict)
    inner = items[0].value["ünï"]
    assert str(inner.key_origin) == "x.yaml:3:5"
    assert str(inner.origin) == "x.yaml:3:10"
    assert str(items[0].key_origin) == "x.yaml:3:5"


def test_an_alias_is_the_same_value_under_another_key() -> None:
    root = tree("x: &x {a: b}\ny: *x\n")
    assert root.plain_data() == {"x": {"a": "b"}, "y": {"a": "b"}}
    assert isinstance(root.value, dict)
    assert str(root.value["x"].key_origin) == "x.yaml:1:1"
    assert str(root.value["y"].key_origin) == "x.yaml:2:1"


def refused(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(path, backend="docker", host={})
    assert all(problem.hint for problem in caught.value.problems)
    return [
        f"{problem.origin.line}:{problem.origin.column}: {problem.message}"
        for problem in caught.value.problems
    ]


def test_refuses_a_folder(tmp_path: Path) -> None:
    assert refused(tmp_path) == ["1:1: this is a folder, not a spec"]


def test_refuses_what_is_not_utf_8(tmp_path: Path) -> None:
    spec = tmp_path / "latin.yaml"
    spec.write_bytes("version: 1\nname: bad\ndescription: ä".encode() + b"\xfc\n")
    assert refused(spec) == ["3:15: the byte 0xFC is not UTF-8"]


def test_refuses_a_large_file(tmp_path: Path) -> None:
    spec = tmp_path / "large.yaml"
    spec.write_bytes(b"# " + b"x" * (10 * 1024 * 1024))
    assert refused(spec) == ["1:1: the file has 10.0 MiB; a spec has at most 2 MiB"]


def test_refuses_a_control_character(tmp_path: Path) -> None:
    spec = tmp_path / "control.yaml"
    spec.write_text("version: 1\nname: b\x01d\n")
    assert refused(spec) == ["2:8: the character U+0001 is not allowed in YAML"]


def test_refuses_what_cannot_be_read(tmp_path: Path) -> None:
    spec = tmp_path / "pointing.yaml"
    spec.symlink_to(tmp_path / "nowhere")
    assert refused(spec) == ["1:1: the file cannot be read: No such file or directory"]


def test_takes_a_byte_order_mark(tmp_path: Path) -> None:
    spec = tmp_path / "marked.yaml"
    spec.write_bytes(b"\xef\xbb\xbfversion: 1\nname: marked\nbase: debian:12\n")
    assert load(spec, backend="docker", host={}).name == "marked"
    spec.write_bytes(b"\xef\xbb\xbfversion: 2\nname: marked\nbase: debian:12\n")
    assert refused(spec) == ["1:10: version must be the number 1; this is 2"]
