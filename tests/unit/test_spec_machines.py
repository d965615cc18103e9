"""Several machines in a spec: what each is made of, and in which order it is laid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import SpecError, UsageError
from provision.spec import everything, load

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment, Machine

HEAD = "version: 1\nname: fleet\nbase: debian:12\n"


def read(folder: Path, text: str, **settings: str) -> Environment:
    (folder / "spec.yaml").write_text(HEAD + text)
    return load(folder / "spec.yaml", backend="docker", host={}, settings=settings, allows=everything)


def by_name(environment: Environment) -> dict[str, Machine]:
    return {machine.name: machine for machine in environment.machines}


def test_a_machine_is_laid_over_its_fragments_and_those_over_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "low.yaml").write_text("env: {A: low, B: low, C: low}\npackages: [low]\n")
    (tmp_path / "part.yaml").write_text("extends: low.yaml\nname: part\nenv: {B: part, C: part}\n")
    environment = read(
        tmp_path,
        "env: {A: default, D: default}\npackages: [git]\n"
        "machines:\n  one: {extends: part.yaml, env: {C: own}, packages: [curl]}\n"
        "  two: {packages: !replace []}\n",
    )
    one, two = environment.machines
    assert one.env == {"A": "low", "B": "part", "C": "own", "D": "default"}
    assert [package.name for package in one.packages] == ["git", "low", "curl"]
    assert two.env == {"A": "default", "D": "default"}
    assert two.packages == ()


def test_the_persons_own_layer_reaches_into_machines(tmp_path: Path) -> None:
    (tmp_path / "spec.local.yaml").write_text(
        "machines: {one: {resources: {memory: 4GiB}}, two: null, three: {packages: [git]}}\n"
    )
    found = by_name(read(tmp_path, "machines: {one: {resources: {cpus: 1}}, two: {}}\n"))
    assert list(found) == ["one", "three"]
    assert (found["one"].resources.cpus, found["one"].resources.memory) == (1, 4 * 1024**3)


def test_variables_of_fragments_lie_under_the_specs_and_those_under_the_machines(tmp_path: Path) -> None:
    (tmp_path / "part.yaml").write_text(
        "vars: {part_a: 1, part_b: 1, part_c: 1, part_d: 1}\n"
        'env: {SEEN: "${{ vars.part_a }}${{ vars.part_b }}${{ vars.part_c }}${{ vars.part_d }}"}\n'
    )
    text = (
        "vars: {part_b: 2, part_c: 2}\n"
        "machines:\n  one: {extends: part.yaml, vars: {part_c: 3}}\n  two: {extends: part.yaml}\n"
    )
    found = by_name(read(tmp_path, text, part_d="4"))
    assert found["one"].env["SEEN"] == "1234"
    assert found["two"].env["SEEN"] == "1224"
    with pytest.raises(UsageError, match="no variable part_x"):
        read(tmp_path, text, part_x="4")


def test_equal_machines_are_numbered_and_needed_together(tmp_path: Path) -> None:
    found = by_name(
        read(
            tmp_path,
            "machines:\n"
            '  web: {count: "${{ vars.copies }}", env: {ME: "${{ machine.name }} ${{ machine.index }}"}}\n'
            "  proxy: {needs: [web]}\n  single: {needs: [web-1], count: 1}\n"
            "vars: {copies: 3}\n",
            copies="2",
        )
    )
    assert list(found) == ["web-1", "web-2", "proxy", "single-1"]
    assert found["web-2"].env == {"ME": "web-2 2"}
    assert (found["web-2"].group, found["web-2"].names) == ("web", ("web-2", "web"))
    assert found["proxy"].needs == ("web-1", "web-2")
    assert found["single-1"].needs == ("web-1",)


def test_a_machine_gets_the_secrets_that_it_names(tmp_path: Path) -> None:
    found = by_name(
        read(
            tmp_path,
            "secrets: {a: {env: A}, b: {env: B}}\nmachines: {one: {secrets: [b]}, two: {}}\n",
        )
    )
    assert [secret.name for secret in found["one"].secrets] == ["b"]
    assert found["two"].secrets == ()
    with pytest.raises(SpecError) as caught:
        read(tmp_path, "secrets: {a: {env: A}}\nmachines: {one: {secrets: [c]}}\n")
    assert [problem.message for problem in caught.value.problems] == ["there is no secret c"]


def test_templates_see_every_machine(tmp_path: Path) -> None:
    (tmp_path / "hosts.j2").write_text(
        "{% for m in machines.values() if m.group == 'web' %}{{ m.name }}={{ m.hostname }};{% endfor %}"
        "{{ machine.name }}"
    )
    found = by_name(
        read(
            tmp_path,
            'machines:\n  web: {count: 2, hostname: "${{ machine.name }}.example.org"}\n'
            "  proxy: {files: {/etc/peers: {template: hosts.j2}}}\n",
        )
    )
    assert found["proxy"].files[0].content == b"web-1=web-1.example.org;web-2=web-2.example.org;proxy"


def test_two_names_for_one_machine_are_no_clash(tmp_path: Path) -> None:
    text = "machines: {web: {hostname: web, aliases: [web, www]}, app: {count: 2, aliases: [apps]}}\n"
    assert [machine.names for machine in read(tmp_path, text).machines] == [
        ("web", "www"),
        ("app-1", "apps", "app"),
        ("app-2", "apps", "app"),
    ]
