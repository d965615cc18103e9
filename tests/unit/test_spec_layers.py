"""The one rule for laying one part of a spec over another, and the files it is used for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import SpecError
from provision.spec import load
from provision.spec.layers import lay
from provision.spec.parsing import parse
from provision.spec.problems import Problems

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment
    from provision.spec.tree import Node


def node(text: str) -> Node:
    found = parse(text, "x.yaml", Problems())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("under", "over", "expected"),
    [
        ("{a: 1, b: 2}", "{b: 3, c: 4}", {"a": 1, "b": 3, "c": 4}),
        ("{a: {b: 1, c: 2}}", "{a: {c: 3}}", {"a": {"b": 1, "c": 3}}),
        ("{a: [x, y]}", "{a: [y, z]}", {"a": ["x", "y", "z"]}),
        ("{a: [x, y]}", "{a: !replace [z]}", {"a": ["z"]}),
        ("{a: {b: 1}}", "{a: !replace {c: 2}}", {"a": {"c": 2}}),
        ("{a: 1, b: 2}", "{a: null}", {"b": 2}),
        ("{a: {b: 1, c: 2}}", "{a: {b: null, d: null}}", {"a": {"c": 2}}),
        ("{a: [1]}", "{a: [true]}", {"a": [1, True]}),
        ("{a: [x]}", "{a: y}", {"a": "y"}),
        ('{ports: ["1:80", "2:81"]}', '{ports: ["3:80"]}', {"ports": ["2:81", "3:80"]}),
        ('{ports: ["80"]}', '{ports: ["80/udp"]}', {"ports": ["80", "80/udp"]}),
        ('{ports: ["1.2.3.4:1:80"]}', "{ports: [{guest: 80}]}", {"ports": [{"guest": 80}]}),
        ('{ports: ["1:80", "[::1]:2:80", "3:81"]}', '{ports: ["4:80"]}', {"ports": ["3:81", "4:80"]}),
        ('{ports: ["4:80"]}', '{ports: ["1:80", "[::1]:2:80"]}', {"ports": ["1:80", "[::1]:2:80"]}),
        ('{ports: ["1-3:81-83"]}', '{ports: ["9:82"]}', {"ports": ["1:81/tcp", "3:83/tcp", "9:82"]}),
        ('{ports: ["81-83/udp"]}', '{ports: ["82"]}', {"ports": ["81-83/udp", "82"]}),
        (
            '{ports: ["[::1]::81-83/udp"]}',
            '{ports: ["82-90/udp"]}',
            {"ports": ["[::1]::81/udp", "82-90/udp"]},
        ),
        ('{ports: ["${{ vars.p }}:80"]}', '{ports: ["80"]}', {"ports": ["80"]}),
    ],
)
def test_the_rule(under: str, over: str, expected: object) -> None:
    assert lay(node(over), node(under)).plain_data() == expected


HEAD = "version: 1\nname: layered\nbase: debian:12\n"


def read(folder: Path, *, backend: str = "docker", local: bool = True) -> Environment:
    return load(folder / "spec.yaml", backend=backend, local=local, host={})


def test_lays_the_backends_keys_over_the_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        HEAD + "packages: [git]\nresources: {memory: 1GiB}\nbackends:\n"
        "  docker: {packages: [tini], shm_size: 64MiB, init: auto}\n"
        "  vm: {resources: {memory: 2GiB}, provider: libvirt}\n"
    )
    container = read(tmp_path).machines[0]
    assert [package.name for package in container.packages] == ["git", "tini"]
    assert container.resources.memory == 1024**3
    assert container.options == {"shm_size": 64 * 1024**2, "init": "auto"}
    vm = read(tmp_path, backend="vm").machines[0]
    assert [package.name for package in vm.packages] == ["git"]
    assert vm.resources.memory == 2 * 1024**3
    assert vm.options == {"provider": "libvirt"}


def test_the_persons_own_layer_wins_over_all_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        HEAD + 'ports: ["1080:80"]\nbackends: {docker: {resources: {memory: 1GiB}}}\n'
    )
    layer = tmp_path / "spec.local.yaml"
    layer.write_text('resources: {memory: 4GiB}\nports: ["2080:80"]\n')
    environment = read(tmp_path)
    assert environment.layers == (layer,)
    assert environment.machines[0].resources.memory == 4 * 1024**3
    assert [port.host for port in environment.machines[0].ports] == [2080]
    without = read(tmp_path, local=False)
    assert without.layers == ()
    assert without.machines[0].resources.memory == 1024**3


def test_a_problem_in_a_layer_stands_in_that_file(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(HEAD)
    layer = tmp_path / "spec.local.yaml"
    layer.write_text("\nresources: {memory: lots}\n")
    with pytest.raises(SpecError) as caught:
        read(tmp_path)
    assert [str(problem.origin) for problem in caught.value.problems] == [f"{layer}:2:21"]


def test_lays_a_spec_over_what_it_extends(tmp_path: Path) -> None:
    (tmp_path / "root.yaml").write_text("base: debian:11\nenv: {A: root, B: root, C: root}\n")
    (tmp_path / "left.yaml").write_text("extends: root.yaml\nenv: {B: left}\n")
    (tmp_path / "right.yaml").write_text("extends: root.yaml\nbase: debian:13\n")
    (tmp_path / "spec.yaml").write_text(
        "version: 1\nname: layered\nextends: [left.yaml, right.yaml]\nenv: {C: spec}\n"
    )
    machine = read(tmp_path).machines[0]
    assert machine.base.name == "debian:13"
    assert machine.env == {"A": "root", "B": "left", "C": "spec"}


def test_host_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "motd").write_text("hello\n")
    (tmp_path / "shared" / "base.yaml").write_text("base: debian:12\nfiles: {/etc/motd: {source: motd}}\n")
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "spec.yaml").write_text("version: 1\nname: layered\nextends: ../shared/base.yaml\n")
    assert read(tmp_path / "envs").machines[0].files[0].content == b"hello\n"


BELOW = """
vars: {"a b": 1}
machines: {"../up": {base: debian:12}}
backends:
  docker: {secrets: {"../../up": {file: s}}, compose: {"a b": 1}}
  vm: {secrets: {"../../up": {file: s}}, options: {"a = 1; b": 1}}
"""
ABOVE = {
    "null": "vars: null\nmachines: null\nbackends: null\n",
    "null for each": "vars: null\nmachines: null\nbackends: {docker: null, vm: null}\n",
    "replaced": "vars: !replace {}\nmachines: null\nbackends: !replace {}\n",
    "each replaced": "vars: !replace {}\nmachines: null\nbackends: {docker: !replace {}, vm: !replace {}}\n",
}


@pytest.mark.parametrize("form", ["docker", "vm"])
@pytest.mark.parametrize("above", [*ABOVE, "all replaced"])
def test_what_a_layer_takes_away_is_gone_in_every_reading(tmp_path: Path, above: str, form: str) -> None:
    """The schema judges the whole: what it does not see there must not come back from a layer."""
    (tmp_path / "s").write_text("x")
    (tmp_path / "below.yaml").write_text("version: 1\n" + BELOW)
    keys = HEAD + "extends: below.yaml\n" + ABOVE.get(above, "")
    if above == "all replaced":
        keys = f"!replace\n{keys}"
    (tmp_path / "spec.yaml").write_text(keys)
    machines = read(tmp_path, backend=form).machines
    assert [machine.name for machine in machines] == ["layered"]
    assert machines[0].secrets == ()
    assert machines[0].options == {}


@pytest.mark.parametrize("above", ["!replace {base: debian:12, extends: below.yaml}",
                                   "{base: debian:12, extends: below.yaml, backends: null}"])  # fmt: skip
def test_what_a_machine_takes_away_of_its_fragments_is_gone(tmp_path: Path, above: str) -> None:
    (tmp_path / "below.yaml").write_text('backends: {docker: {compose: {"a b": 1}, shm_size: 1x}}\n')
    (tmp_path / "spec.yaml").write_text(f"version: 1\nname: layered\nmachines: {{one: {above}}}\n")
    assert read(tmp_path).machines[0].options == {}
