"""The published schema, and its errors in words for people."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from provision import __version__, memo, registry, resources
from provision.spec.checks import keys_of
from provision.spec.foreign import SPEC, foreign_key, key_hint, value_hint
from provision.spec.problems import FEW, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

    from provision.model import Origin
    from provision.spec.problems import Problems
    from provision.spec.tree import Node

OF_A_MACHINE = ("needs", "count")  # no key of a spec that is one machine
WHOLE = "the spec"
OF_CHECKS = "an item of checks"
EXPRESSION = r"\$\{\{"
_TYPES = {
    dict: "a map", list: "a list", str: "a string", bool: "a boolean", int: "a number",
    float: "a number", type(None): "empty",
}  # fmt: skip
_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}  # strings in YAML 1.2
_BOUNDS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}
_SHAPES = {"array": "a list", "object": "a map"}


def text() -> str:
    """The schema as it is published."""
    return (resources.folder("schemas") / "environment.schema.json").read_text("utf-8")


def option_keys(backend: str) -> tuple[str, ...]:
    """The keys of `backends.<backend>` that only that backend knows."""
    return tuple(registry.options_schema(backend))


def _add_options(schema: dict[str, Any], backend: str) -> None:
    """Put a backend's own keys before those of a spec in `backends.<backend>`."""
    definitions = schema["$defs"]
    if backend not in definitions:
        common = {key: part for key, part in schema["properties"].items()
                  if key in definitions[registry.built_in()[0]]["properties"]}  # fmt: skip
        definitions[backend] = {"title": "a map of its machines' keys", "type": "object",
                                "additionalProperties": False, "properties": common}  # fmt: skip
        definitions["backends"]["properties"][backend] = {"$ref": f"#/$defs/{backend}"}
        definitions["backendName"]["enum"].append(backend)
    definitions[backend]["properties"] |= registry.options_schema(backend)


@cache
def json_schema(others: tuple[str, ...] = ()) -> dict[str, Any]:
    """The schema as data, for a spec whose `${{ }}` are filled in.

    Each `$ref` is replaced by what it names: that validates twice as fast.

    Args:
        others: backends that other packages bring, whose keys it has too.
    """
    schema: dict[str, Any] = json.loads(text())
    for name in others:
        _add_options(schema, name)
    definitions = schema.pop("$defs")
    done: dict[str, Any] = {}

    def written_out(part: Any) -> Any:
        if isinstance(part, list):
            return [written_out(item) for item in part]
        if not isinstance(part, dict):
            return part
        own = {key: written_out(value) for key, value in part.items() if key != "$ref"}
        if isinstance(own.get("pattern"), str):
            own["pattern"] = _after_filling(own["pattern"])
        if "$ref" not in part:
            return own
        name = part["$ref"].rpartition("/")[2]
        if name not in done:
            done[name] = written_out(definitions[name])
        return {**done[name], **own}

    whole: dict[str, Any] = written_out(schema)
    return whole


def _after_filling(pattern: str) -> str:
    """A pattern that takes no expression any more, and whose `$` is the very end, as elsewhere.

    Python's own `$` would let a line end follow.
    """
    if pattern == EXPRESSION:
        return "(?!)"
    return re.sub(r"\$(?=\||\Z)", r"\\Z", pattern.removesuffix(f"|{EXPRESSION}"))


@cache
def _validator(others: tuple[str, ...] = ()) -> Draft202012Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    # To JSON Schema 1.0 and 1e3 are integers; a variable or a version written so is not.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole)
    strict = cast("type[Draft202012Validator]", extend(Draft202012Validator, type_checker=types))  # type: ignore[no-untyped-call]
    return strict(json_schema(others))


def _is_whole(_checker: object, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@cache
def _machine_validator(others: tuple[str, ...] = ()) -> Draft202012Validator:
    machine = json_schema(others)["properties"]["machines"]["additionalProperties"]
    return cast("Draft202012Validator", _validator(others).evolve(schema={**machine, "required": ["base"]}))


def check(root: Node, problems: Problems) -> None:
    """Take what the schema refuses in a spec; what stands in a machine is judged when it is whole."""
    others = _others(root)
    data = _without_machines(root).plain_data()
    for error in _errors("spec", others, data, lambda: _validator(others)):
        _translate(error, root, WHOLE, problems)


def check_machine(root: Node, called: str, problems: Problems) -> None:
    """Collect what the schema refuses in all keys of one machine."""
    others = _others(root)
    for error in _errors("machine", others, root.plain_data(), lambda: _machine_validator(others)):
        _translate(error, root, called, problems)


def _errors(
    kind: str, others: tuple[str, ...], data: object, validator: Callable[[], Draft202012Validator]
) -> Iterable[ValidationError]:
    """What the schema refuses; nothing for data that this very schema and validator have accepted before.

    Importing jsonschema and preparing the schema takes a third of a command that changes nothing.
    """
    known = memo.key(kind.encode(), _judge(others), json.dumps(data).encode())
    if memo.recall(known) is not None:
        return ()
    errors = tuple(validator().iter_errors(data))
    if not errors:
        memo.keep(known, b"accepted")
    return errors


@cache
def _judge(others: tuple[str, ...]) -> bytes:
    """All that decides whether data is accepted, besides the data."""
    options = json.dumps({name: registry.options_schema(name) for name in others})
    return "\0".join(
        (__version__, text(), options, Path(__file__).read_text("utf-8"), memo.library("jsonschema").decode())
    ).encode()


def _others(root: Node) -> tuple[str, ...]:
    """The backends of other packages, where the spec has a key for one that does not ship with provision."""
    machines = _entries(root, "machines").values()
    named = {name for part in (root, *machines) for name in _entries(part, "backends")}
    return tuple(sorted(registry.external())) if named - {*registry.built_in()} else ()


def _entries(node: Node, key: str) -> dict[str, Node]:
    child = node.value.get(key) if isinstance(node.value, dict) else None
    return child.value if child is not None and isinstance(child.value, dict) else {}


def _without_machines(root: Node) -> Node:
    entries = root.value if isinstance(root.value, dict) else {}
    machines = entries.get("machines")
    if machines is None or not isinstance(machines.value, dict):
        return root
    emptied = {
        name: each.with_value({}) if isinstance(each.value, dict) else each
        for name, each in machines.value.items()
    }
    return root.with_value({**entries, "machines": machines.with_value(emptied)})


def _translate(error: ValidationError, root: Node, called: str, problems: Problems) -> None:
    node, name = _at(root, error, called)
    if node.value is None and problems.at(node):
        return  # the tree has said why nothing is there
    if "dependentSchemas" in error.absolute_schema_path:
        return  # of keys next to machines; the reader of machines explains it better
    if error.validator == "pattern" and "$comment" in cast("dict[str, object]", error.schema):
        return  # it names who says it better
    if error.validator == "additionalProperties":
        _unknown_keys(error, node, name, problems)
    elif "propertyNames" in error.absolute_schema_path:
        _bad_key(error, node, problems)
    elif error.validator == "required":
        _missing_keys(error, node, name, problems)
    elif error.validator == "oneOf":
        _one_of(error, node, name, problems)
    elif error.validator == "dependentRequired":
        _missing_company(error, node, name, problems)
    elif error.validator == "minProperties" or error.validator == "maxProperties":
        problems.add(f"{name} must be {_title(error)}", node, _example(error))
    else:
        _bad_value(error, node, name, problems)


def _at(root: Node, error: ValidationError, called: str) -> tuple[Node, str]:
    """The node that the error speaks of, and what to call it."""
    node, name = root, called
    for step in error.absolute_path:
        if isinstance(step, str) and isinstance(node.value, dict):
            node, name = node.value[step], step
        elif isinstance(step, int) and isinstance(node.value, list):
            if not name.startswith("an item of"):
                name = f"an item of {name}"
            node = node.value[step]
    return node, name


def _title(error: ValidationError) -> str:
    """What the value must be: a noun of the schema's."""
    schema: Any = error.schema
    if error.validator in _BOUNDS:
        return f"{_BOUNDS[str(error.validator)]} {error.validator_value}"
    shape = _SHAPES.get(str(error.validator_value)) if error.validator == "type" else None
    return shape or str(schema.get("title", "something else"))


def _example(error: ValidationError) -> str:
    """A hint: the value in our form if another tool writes it so, else the schema's example of one."""
    schema: Any = error.schema
    key = error.absolute_path[-1] if error.absolute_path else None
    if isinstance(key, str) and (form := value_hint(key, error.instance)):
        return form
    if isinstance(error.instance, str) and "boolean" in schema.get("type", ()):
        meant = _YAML_1_1.get(error.instance)
        if meant:
            return f"write `{meant}`"
    examples = schema.get("examples")
    return f"for example {_written(examples[0])}" if examples else "provision schema says more"


def _written(value: object) -> str:
    """An example as it stands in YAML."""
    text = json.dumps(value, ensure_ascii=False)
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z/][\w./:-]*", value)
    return str(value) if plain else text


def _key(node: Node, key: str) -> Node | Origin:
    known = node.value[key] if isinstance(node.value, dict) and key in node.value else None
    return node if known is None else known.key_origin


def _shown(node: Node) -> str:
    """A scalar for a message: strings in quotes, all else as written."""
    text = node.text if len(node.text) <= 60 else f"{node.text[:57]}..."
    return json.dumps(text, ensure_ascii=False) if isinstance(node.value, str) else text


def _bad_value(error: ValidationError, node: Node, name: str, problems: Problems) -> None:
    title, kind = _title(error), _TYPES[type(node.value)]
    if node.value is None:
        problems.add(f"{name} is empty; it must be {title}", node, "give it a value, or remove the key")
    elif isinstance(node.value, dict | list) or title in _SHAPES.values():
        problems.add(f"{name} must be {title}, this is {kind}", node, _example(error))
    elif error.validator == "type" and _would_do_quoted(error, node):
        problems.add(
            f"{name} must be {title}; {_shown(node)} is read as {kind}",
            node,
            f'quote it: "{node.text}"',
        )
    else:
        problems.add(f"{name} must be {title}; this is {_shown(node)}", node, _example(error))


def _would_do_quoted(error: ValidationError, node: Node) -> bool:
    schema: Any = error.schema
    types = schema["type"]
    return "string" in ([types] if isinstance(types, str) else types) and bool(
        re.search(schema.get("pattern", ""), node.text)
    )


def _unknown_keys(error: ValidationError, node: Node, name: str, problems: Problems) -> None:
    schema: Any = error.schema
    known = offered = tuple(schema.get("properties", ()))
    assert isinstance(node.value, dict)  # noqa: S101 - only a map has properties
    top = name == WHOLE
    if name == OF_CHECKS and (found := keys_of(node.value)):
        kind, offered = found
        name = f"a check of kind {kind}"
    previous: tuple[str, Node] | None = None
    for key, child in node.value.items():
        if key in known or (top and key.startswith("x-")):
            previous = key, child
        elif top and key in OF_A_MACHINE:
            problems.add(
                f"{key} is a key of one of several machines",
                child.key_origin,
                f"put it into one: machines: {{web: {{{key}: …}}}}",
            )
        else:
            cut = node.flow and child.value is None and not child.text
            foreign = "" if cut else key_hint(_place(error), key, child.plain_data())
            hints = [
                foreign or _nearest_key(key, offered) or _misplaced(error, key, child),
                _comma(key, previous) if cut else "",
            ]
            if offered is not known:
                hints.append(f"it has {', '.join(offered)}")
            problems.add(
                f"unknown key {key}" + ("" if top else f" in {name}"),
                child.key_origin,
                "; ".join(hint for hint in hints if hint).replace("?;", "?") or _known_keys(known),
            )


def _misplaced(error: ValidationError, key: str, child: Node) -> str:
    """That a key of the machine stands in one of its maps, as Compose has it in a service."""
    place, machine = _place(error), cast("dict[str, Any]", _machine_validator().schema)
    if place == SPEC or key not in machine["properties"]:
        return ""
    form = value_hint(key, child.plain_data())
    return f"{key} is a key of the machine, not of {place}{form and f'; {form}'}"


def _place(error: ValidationError) -> str:
    """The key of the spec in whose maps an error is, or `spec`."""
    path = list(error.absolute_schema_path)
    keys = [str(key) for before, key in pairwise(path) if before == "properties"]
    return keys[-1] if keys else SPEC


def _nearest_key(key: str, known: tuple[str, ...]) -> str:
    close = nearest(key, known)
    return f"did you mean {close}?" if close else ""


def _known_keys(known: tuple[str, ...]) -> str:
    return f"known: {', '.join(known)}" if len(known) <= FEW else "provision schema lists the keys"


def _comma(key: str, previous: tuple[str, Node] | None) -> str:
    """In braces an unknown key may be the rest of the value before it."""
    if previous is None or not (previous[1].plain and isinstance(previous[1].value, str)):
        return ""
    return f"if {key} belongs to the value of {previous[0]}, quote that value: a comma ends it"


def _bad_key(error: ValidationError, node: Node, problems: Problems) -> None:
    key = str(error.instance)
    problems.add(f"the key {key} must be {_title(error)}", _key(node, key), _example(error))


def _missing_keys(error: ValidationError, node: Node, name: str, problems: Problems) -> None:
    for key in cast("list[str]", error.validator_value):
        if key not in _keys(error) and not _misspelt(error, (key,)):
            problems.add(f"{name} has no {key}", node, f"add the key {key}")


def _missing_company(error: ValidationError, node: Node, name: str, problems: Problems) -> None:
    present, needed_by = _keys(error), cast("dict[str, list[str]]", error.validator_value)
    for key, needed in needed_by.items():
        missing = [other for other in needed if other not in present]
        if key in present and missing:
            problems.add(
                f"{key} of {name} needs {' and '.join(missing)}",
                _key(node, key),
                f"add the key {missing[0]}",
            )


def _keys(error: ValidationError) -> tuple[str, ...]:
    return tuple(error.instance) if isinstance(error.instance, dict) else ()


def _misspelt(error: ValidationError, keys: Sequence[str]) -> bool:
    """Whether an unknown key of the map is probably one of these, or another tool's for one of them."""
    schema: Any = error.schema
    unknown = [key for key in _keys(error) if key not in schema.get("properties", {})]
    return any(nearest(key, keys) or foreign_key(_place(error), key) in keys for key in unknown)


def _one_of(error: ValidationError, node: Node, name: str, problems: Problems) -> None:
    branches = cast("list[dict[str, list[str]]]", error.validator_value)
    choices = [key for branch in branches for key in branch.get("required", ())]
    present = [key for key in choices if key in _keys(error)]
    listing = ", ".join(choices)
    if not isinstance(error.instance, dict) or (not present and _misspelt(error, choices)):
        return  # that is a problem of its own
    if present:
        problems.add(
            f"{name} has {' and '.join(present)}; it takes one of {listing}",
            node,
            "keep one of them",
        )
    else:
        problems.add(f"{name} has none of {listing}", node, "add one of them")
