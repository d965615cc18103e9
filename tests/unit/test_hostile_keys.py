"""Keys are data: whatever stands before a colon is a name of its kind, or a problem at its place."""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision import backends
from provision.backends.vm import drivers
from provision.backends.vm.render import render_environment
from provision.backends.vm.vagrant.port_forwarding import forwarding
from provision.backends.vm.validation import unsupported
from provision.errors import SpecError
from provision.model import PortStatus, bracketed
from provision.rendering import yaml_name
from provision.spec import everything, load
from tests.unit.test_spec_fuzz import GOLDEN, HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.errors import Problem

Place = tuple[str | int, ...]
CODE = [key for key in HOSTILE if not key.isalpha()]  # what is a name of no kind
EVERYTHING = yaml.safe_load((GOLDEN / "everything.yaml").read_text())
SHARED = ("version", "name", "registry", "secrets", "matrix")
ONE = {k: v for k, v in EVERYTHING.items() if k not in (*SHARED, "x-note", "description")}
WHOLE = {
    "one": EVERYTHING,
    "several": {
        **{key: EVERYTHING[key] for key in SHARED},
        "machines": {"db": {**ONE, "secrets": ["api_key", "password"]}},
    },
}


def maps(value: Any, path: Place = ()) -> Iterator[Place]:
    """Where the maps of a spec are."""
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from maps(inner, (*path, key))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    (folder / ".git").mkdir()
    shutil.copytree(GOLDEN, folder, dirs_exist_ok=True)
    return folder


def problems(project: Path, spec: Any, backend: str = "vm") -> tuple[Problem, ...]:
    path = project / "written.yaml"
    path.write_text(yaml.safe_dump(spec, allow_unicode=True))
    try:
        load(path, backend=backend, host={}, allows=everything)
    except SpecError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("name", WHOLE)
def test_the_spec_without_hostile_keys_is_good(name: str, project: Path) -> None:
    """Else the tests here, and the fuzzers, would show nothing."""
    assert [problems(project, WHOLE[name], backend) for backend in ("docker", "vm")] == [(), ()]


@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name, whole in WHOLE.items() for path in maps(whole)],
    ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else part,
)
def test_every_map_refuses_keys_that_are_code(name: str, path: Place, project: Path) -> None:
    spec = copy.deepcopy(WHOLE[name])
    place = spec
    for step in path:
        place = place[step]
    place |= dict.fromkeys(CODE, next(iter(place.values()), "x"))
    said = [problem.message for problem in problems(project, spec)]
    assert [key for key in CODE if not any(key in message for message in said)] == []


@pytest.mark.parametrize(
    "word", ["null", "Null", "TRUE", "false", "no", "On", "y", "N", "a b", "~", "1", "a:"]
)
def test_a_name_in_yaml_is_text(word: str) -> None:
    assert yaml.safe_load(yaml_name(word)) == word


@pytest.mark.parametrize("word", ["web", "web-1", "db.data", "APP_ENV"])
def test_an_ordinary_name_needs_no_quotes(word: str) -> None:
    assert yaml_name(word) == word


@pytest.mark.parametrize(("address", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::]")])
def test_an_address_before_a_port_is_in_brackets_if_it_is_of_ipv6(address: str, shown: str) -> None:
    port = PortStatus(guest=80, host=18080, address=address, protocol="tcp")
    assert bracketed(address) == shown
    assert port.endpoint == f"{shown}:18080"
    assert forwarding(port, "fd00::2") == f"{shown}:18080:[fd00::2]:80"


PORT = "version: 1\nname: x\nbase: debian:12\nports: [{port}]\nbackends: {{vm: {{build: provision}}}}\n"


@pytest.mark.parametrize("zone", ["$(touch ran)", "eth0", "`id`", '"', "1"])
@pytest.mark.parametrize("form", ['"[fe80::1%{zone}]:18080:80"', "{{guest: 80, address: 'fe80::1%{zone}'}}"])
def test_an_address_has_no_zone(zone: str, form: str, tmp_path: Path) -> None:
    """It is free text; QEMU's script has the address in double quotes."""
    (tmp_path / "x.yaml").write_text(PORT.format(port=form.format(zone=zone.replace('"', '\\"'))))
    with pytest.raises(SpecError) as raised:
        load(tmp_path / "x.yaml", backend="vm", host={})
    assert len(raised.value.problems) == 1


@pytest.mark.parametrize("name", drivers.names())
def test_a_port_on_ipv6_is_bound_there_or_refused_at_its_place(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(PORT.format(port='"[::1]:18080:80"'))
    environment = load(tmp_path / "x.yaml", backend="vm", host={})
    if drivers.find(name).forwards_ipv6:
        rendering = render_environment(environment, drivers.find(name), tmp_path / "rendered")
        assert b"host_ip: '[::1]'" in rendering.files["Vagrantfile"].content
        return
    problems = unsupported(environment, drivers.find(name))
    assert [problem.origin.line for problem in problems] == [4]


def test_a_container_is_given_the_address_as_compose_wants_it(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(PORT.format(port='"[::1]:18080:80"'))
    environment = load(tmp_path / "x.yaml", backend="docker", host={})
    compose = backends.find("docker").render(environment, tmp_path / "rendered").files["compose.yaml"]
    [service] = yaml.safe_load(compose.content)["services"].values()
    assert service["ports"][0]["host_ip"] == "::1"
