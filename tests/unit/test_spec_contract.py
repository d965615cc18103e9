"""The published schema: a good one, and the same as what is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from jsonschema import Draft202012Validator

from provision import spec
from provision.spec import contract, everything, fields, load
from provision.spec.parsing import parse
from provision.spec.problems import Problems
from provision.spec.tree import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Origin

SPECS = Path(__file__).parent.parent / "golden" / "specs"
# By layers, variables and variations, and by who counts the machines.
READ_BEFORE = {"version", "name", "extends", "vars", "backends", "matrix", "machines", "count"}
OF_ALL = {"version", "name", "description", "matrix", "machines", "registry"}  # what no single machine has
READ_BEFORE_WHOLLY = {"spec.vars[]", "spec.backends", "spec.matrix[]"}


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(spec.schema())
    return found


def keys(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a spec may have, with what is said of it."""
    if isinstance(part, dict):
        for key, value in part.get("properties", {}).items():
            yield f"{path}/{key}", value
        for key, value in part.items():
            yield from keys(value, f"{path}/{key}")


def test_it_is_a_schema_of_draft_2020_12() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema())


def test_every_key_says_what_it_is_and_shows_an_example() -> None:
    whole = schema()
    for path, value in keys(whole):
        named = whole["$defs"][value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        assert value.get("description"), path
        assert value.get("examples"), path
        assert named.get("title"), path


def test_every_example_and_default_is_valid() -> None:
    whole = schema()
    for path, value in keys(whole):
        validator = Draft202012Validator({**value, "$defs": whole["$defs"]})
        for example in [*value["examples"], *([value["default"]] if "default" in value else [])]:
            if path != "/properties/version":
                assert not list(validator.iter_errors(example)), f"{path}: {example}"


def test_every_map_of_the_format_refuses_unknown_keys() -> None:
    def maps(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            if "properties" in part:
                yield part
            for value in part.values():
                yield from maps(value)

    assert all(part["additionalProperties"] is False for part in maps(schema()))


def test_a_machine_among_several_has_the_keys_of_one_that_is_alone() -> None:
    whole = schema()
    alone, machine = whole["properties"], whole["$defs"]["machine"]["properties"]
    assert alone.keys() - machine.keys() == OF_ALL
    assert machine.keys() - alone.keys() == {"count", "needs"}
    for overlay in ("docker", "vm"):
        keys = whole["$defs"][overlay]["properties"].keys()
        assert machine.keys() - keys == {"extends", "vars", "backends", "count", "needs"}
    for key in machine.keys() & alone.keys() - {"secrets"}:  # of several, each names those it gets
        assert machine[key].get("$ref") == alone[key].get("$ref")


@pytest.mark.parametrize("name", ["everything.yaml", "image.yaml", "machines.yaml", "../../../envs/dev.yaml"])
def test_the_published_schema_takes_good_specs_as_they_are_written(name: str) -> None:
    """As an editor sees them, `${{ }}` and all."""
    root = parse((SPECS / name).read_text(), name, Problems())
    assert root is not None
    assert not list(Draft202012Validator(schema()).iter_errors(root.plain_data()))


class _Watched(dict[str, Node]):
    """A map of the spec that notes which of its keys are asked for, and which are found."""

    asked: ClassVar[set[str]] = set()
    found: ClassVar[set[Origin]] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        if super().__contains__(key):
            self.found.add(self[key].key_origin)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.get(str(key))
        return super().__contains__(key)


class _Watching(fields.Fields):
    def __init__(self, node: Node | None, problems: Problems) -> None:
        super().__init__(node, problems)
        self._entries = _Watched(dict(self._entries))


def test_schema_and_builder_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key of the schema is read by the builder, and none that the schema lacks."""
    monkeypatch.setattr("provision.spec.scope.Fields", _Watching)
    monkeypatch.setattr("provision.spec.fields.Fields", _Watching)
    monkeypatch.chdir(SPECS)
    unused = {path: set(part["properties"]) for path, part in _maps(contract.json_schema())}
    unread: list[str] = []
    for case in ("everything.yaml", "image.yaml", "machines.yaml"):
        for backend in ("docker", "swarm", "vm"):
            load(Path(case), backend=backend, host={}, allows=everything)
        root = parse(Path(case).read_text(), case, Problems())
        assert root is not None
        for path, key, child in _written(root, contract.json_schema(), "spec"):
            unused[path].discard(key)
            other_family = path == "spec.packages[]" and key != "apt"  # these specs are Debian's
            if not other_family and (path not in ("spec", "spec.machines[]") or key not in READ_BEFORE):
                unread += [str(child.key_origin)] * (child.key_origin not in _Watched.found)
    assert {path: sorted(keys) for path, keys in unused.items() if keys} == {}
    assert unread == []
    assert _Watched.asked <= {key for _, part in _maps(contract.json_schema()) for key in part["properties"]}


def _maps(part: Any, path: str = "spec") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each map of the format that has keys of its own; the spec's own are not repeated."""
    path = "expected" if "matches" in part.get("properties", ()) else path
    if "properties" in part and path not in READ_BEFORE_WHOLLY:
        own = _own(part, path)
        yield path, {"properties": own}
        for key, child in own.items():
            yield from _maps(child, f"{path}.{key}")
    if path == "spec.backends":
        for key, child in part["properties"].items():
            yield from _maps(child, f"{path}.{key}")
    for name in ("additionalProperties", "items"):
        if isinstance(part.get(name), dict):
            yield from _maps(part[name], f"{path}[]")


def _own(part: Any, path: str) -> dict[str, Any]:
    overlay = path.startswith(("spec.backends.", "spec.machines[]"))
    machine = contract.json_schema()["properties"] if overlay else {}
    return {key: value for key, value in part["properties"].items() if key not in machine}


def _written(node: Node, part: Any, path: str) -> Iterator[tuple[str, str, Node]]:
    """Each key that a spec uses of those maps."""
    path = "expected" if "matches" in part.get("properties", ()) else path
    if isinstance(node.value, dict) and "properties" in part:
        for key, child in node.value.items():
            if key in _own(part, path):
                if path not in READ_BEFORE_WHOLLY:
                    yield path, key, child
                yield from _written(child, part["properties"][key], f"{path}.{key}")
    elif isinstance(node.value, dict) and isinstance(part.get("additionalProperties"), dict):
        for child in node.value.values():
            yield from _written(child, part["additionalProperties"], f"{path}[]")
    elif isinstance(node.value, list) and "items" in part:
        for child in node.value:
            yield from _written(child, part["items"], f"{path}[]")
