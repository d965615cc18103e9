"""The table of other tools' words leads to keys that there are, and to values that the schema takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from provision.spec import contract, foreign
from provision.spec.quantities import size

PLACES = [(place, key, ours) for place, keys in foreign._keys().items() for key, ours in keys.items()]


def properties(place: str) -> dict[str, Any]:
    """The keys of the maps of a place, whichever map of it has them."""
    schema = contract.json_schema()
    machine = schema["properties"]["machines"]["additionalProperties"]["properties"]
    if place == foreign.SPEC:
        return {**schema["properties"], **machine}
    service = machine["services"]["additionalProperties"]["properties"]
    part = {"ready": service.get("ready")}.get(place) or machine[place]
    inner = part.get("items") or part.get("additionalProperties") or part
    found: dict[str, Any] = inner.get("properties") or part["properties"]
    return found


@pytest.mark.parametrize(("place", "key", "ours"), PLACES)
def test_a_foreign_key_is_none_of_ours_and_leads_to_one(place: str, key: str, ours: str) -> None:
    assert key not in properties(place)
    if " " not in ours:
        assert ours in properties(place)


@pytest.mark.parametrize("ours", sorted({ours for _, _, ours in PLACES if "`" in ours}))
def test_a_sentence_quotes_what_the_schema_knows(ours: str) -> None:
    every = set(properties(foreign.SPEC)) | {"docker", "vm"}
    for place in ("services", "ready", "workspace", "mounts", "users", "checks"):
        every |= set(properties(place))
    for quoted in re.findall(r"`([^`]+)`", ours):
        if not quoted.startswith("provision "):
            assert re.match(r"\{?(\w+)", quoted)[1] in every  # type: ignore[index]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("tcp://127.0.0.1:80", "write `port: 80`"),
        ("tcp:80", "write `port: 80`"),
        ("udp://0.0.0.0:53", "write `port: 53`"),
        ("tcp6:80", "write `port: 80`"),
        (8080, "write `port: 8080`"),
        ("unix:///run/app.sock", ""),
        (True, ""),
    ],
)
def test_a_socket_that_listens_is_a_port(value: object, hint: str) -> None:
    assert foreign.value_hint("socket", value) == hint


FORMS: list[tuple[str, object, object]] = [
    ("env", ["A=b", "C=d=e"], {"A": "b", "C": "d=e"}),
    ("env", ["A"], None),
    ("env", {"A": True, "B": 1.5, "C": 1, "D": "x"}, {"A": "true", "B": "1.5", "C": 1, "D": "x"}),
    ("packages", "curl, git", ["curl", "git"]),
    ("packages", {"curl": "latest"}, ["curl"]),
    ("ports", "8080:80", ["8080:80"]),
    ("ports", {8080: 80}, ["8080:80"]),
    ("users", ["dev"], {"dev": {}}),
    ("hosts", ["db:10.0.0.2"], {"db": "10.0.0.2"}),
    ("hosts", ["db=10.0.0.2"], {"db": "10.0.0.2"}),
    ("run", "echo hi", ["echo hi"]),
    ("setup", {"install": "npm ci"}, [{"name": "install", "script": "npm ci"}]),
    ("run", {"name": "a", "script": "b"}, [{"name": "a", "script": "b"}]),
    ("workspace", ".", {"source": "."}),
    ("workspace", ".:/app:cached", {"source": ".", "path": "/app"}),
    ("sysctls", ["net.core.somaxconn=1024"], {"net.core.somaxconn": "1024"}),
    ("mounts", ["./a:/b:ro"], {"/b": {"source": "./a", "read_only": True}}),
    ("mounts", [{"type": "bind", "source": "./a", "target": "/b"}], {"/b": {"source": "./a"}}),
    ("mounts", ["/b"], None),
    ("volumes", ["data:/var/lib/x"], {"data": "/var/lib/x"}),
    ("aliases", "www", ["www"]),
    ("requires", "kernel", ["kernel"]),
    ("groups", ["app"], {"app": {}}),
]


@pytest.mark.parametrize(("key", "value", "ours"), FORMS)
def test_a_value_in_another_form_is_rewritten_as_the_schema_takes_it(
    key: str, value: object, ours: object
) -> None:
    hint = foreign.value_hint(key, value)
    if ours is None:
        assert hint == ""
        return
    written = yaml.safe_load(hint.removeprefix("write `").removesuffix("`"))
    assert written == {key: ours}
    assert not list(Draft202012Validator(properties(foreign.SPEC)[key]).iter_errors(ours))


@pytest.mark.parametrize(
    ("key", "value", "ours"),
    [
        ("command", ["nginx", "-g", "daemon off;"], "nginx -g 'daemon off;'"),
        ("command", ["CMD-SHELL", "curl -f x || exit 1"], "curl -f x || exit 1"),
        ("command", ["CMD", "true"], "true"),
        ("restart", "unless-stopped", "always"),
        ("restart", "no", "never"),
        ("restart", False, "never"),
        ("restart", "on-failure:3", "on-failure"),
        ("needs", {"db": {"condition": "service_healthy"}}, ["db"]),
        ("ready", "http://localhost:8080/", {"http": "http://localhost:8080/"}),
        ("ready", 8080, {"tcp": 8080}),
        ("ready", "pg_isready", {"command": "pg_isready"}),
        ("limits", {"nofile": {"soft": 1, "hard": 2}, "nproc": 3}, {"nofile": 2, "nproc": 3}),
    ],
)
def test_a_services_value_is_rewritten_too(key: str, value: object, ours: object) -> None:
    written = foreign.value_hint(key, value).removeprefix("write `").removesuffix("`")
    assert yaml.safe_load(written) == {key: ours}
    assert not list(Draft202012Validator(properties("services")[key]).iter_errors(ours))


@pytest.mark.parametrize(
    ("value", "ours"),
    [("1G", "1GiB"), ("512m", "512MiB"), ("1.5gb", "1.5GiB"), ("2 GiB", None), ("1T", None), ("x", None)],
)
def test_a_size_has_its_unit_written_out(value: str, ours: str | None) -> None:
    hint = foreign.value_hint("memory", value)
    assert hint == (f"write `memory: {ours}`" if ours else "")
    assert ours is None or size(ours)


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        ("localhost:5000", "http://localhost:5000"),
        ("localhost/health", "http://localhost/health"),
        ("ftp://x", None),
        ("/health", None),
    ],
)
def test_an_address_to_ask_gets_its_scheme(value: str, ours: str | None) -> None:
    assert foreign.value_hint("http", value) == (f"write `http: {ours}`" if ours else "")


def test_volumes_that_are_folders_of_the_host_are_mounts() -> None:
    assert foreign.value_hint("volumes", ["./a:/b", "data:/c"]) == (
        "write `volumes: {data: /c}` and `mounts: {/b: {source: ./a}}`"
    )


def test_a_long_value_is_not_written_out() -> None:
    assert foreign.key_hint("spec", "environment", {"A": "x" * 200}) == "environment is `env` here"
