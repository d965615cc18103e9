"""`vars`, and `${{ }}` in the strings of a spec."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from provision.errors import SpecError, UsageError
from provision.spec import everything, load

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment

HEAD = "version: 1\nname: filled\nbase: debian:12\n"


def read(
    folder: Path,
    text: str,
    *,
    settings: dict[str, str] | None = None,
    host: dict[str, str] | None = None,
) -> Environment:
    spec = folder / "spec.yaml"
    spec.write_text(HEAD + text)
    return load(spec, backend="docker", settings=settings, host=host or {}, allows=everything)


def env(environment: Environment) -> dict[str, str]:
    return dict(environment.machines[0].env)


def test_fills_in_every_name_it_knows(tmp_path: Path) -> None:
    filled = read(
        tmp_path,
        "vars: {port: 8080, who: me}\n"
        "env:\n"
        "  A: ${{ vars.port }}\n"
        "  B: ${{vars.who}}@${{ machine.name }}.${{ env.name }} in ${{ backend }}\n"
        "  C: ${{ vars.port + 1 }}\n"
        "  D: ${{ vars.nobody | default('none') }}\n"
        "  E: ${{ vars.who | upper }} $HOME ${HOME} {{ x }} ${{ '${{' }}\n",
    )
    assert env(filled) == {
        "A": "8080",
        "B": "me@filled.filled in docker",
        "C": "8081",
        "D": "none",
        "E": "ME $HOME ${HOME} {{ x }} ${{",
    }


def test_alone_in_a_value_it_keeps_the_type(tmp_path: Path) -> None:
    machine = read(
        tmp_path,
        "vars: {cpus: 2, port: 8080, root: true, memory: 1GiB}\n"
        "resources: {cpus: '${{ vars.cpus }}', memory: '${{ vars.memory }}'}\n"
        "ports: ['${{ vars.port }}', '9090:${{ vars.port + 1 }}']\n"
        "users: {dev: {sudo: '${{ vars.root }}'}}\n",
    ).machines[0]
    assert machine.resources.cpus == 2
    assert machine.resources.memory == 1024**3
    assert [port.guest for port in machine.ports] == [8080, 8081]
    assert machine.users[0].sudo


def test_in_a_command_it_is_filled_in_after_the_words_are_split(tmp_path: Path) -> None:
    machine = read(
        tmp_path,
        "vars: {text: 'two words; \"rm -rf\" $HOME'}\n"
        "services: {web: {command: \"echo --text=${{ vars.text }} '${{ vars.text }}' end\"}}\n"
        "checks: [{command: 'echo ${{ vars.text }}'}]\n",
    ).machines[0]
    text = 'two words; "rm -rf" $HOME'
    assert machine.services[0].words == ("echo", f"--text={text}", text, "end")
    assert machine.checks[0].words == ("echo", text)


def test_a_script_is_left_as_it_is(tmp_path: Path) -> None:
    script = "echo ${{ github.ref }} $${{ x"
    machine = read(tmp_path, f"run:\n  - '{script}'\nsetup:\n  - script: '{script}'\n").machines[0]
    assert machine.run[0].script == machine.setup[0].script == script


def test_a_setting_wins_over_the_host_and_the_host_over_the_spec(tmp_path: Path) -> None:
    text = (
        "vars: {a: spec, b: spec, c: {env: HOST_C, default: spec},\n"
        "       d: {env: HOST_D, default: spec}}\n"
        "env: {A: '${{ vars.a }}', B: '${{ vars.b }}', C: '${{ vars.c }}', D: '${{ vars.d }}'}\n"
    )
    host = {"PROVISION_VAR_a": "host", "PROVISION_VAR_B": "host", "HOST_C": "host", "OTHER": "x"}
    filled = read(tmp_path, text, settings={"a": "setting"}, host=host)
    assert env(filled) == {"A": "setting", "B": "host", "C": "host", "D": "spec"}


def test_a_setting_takes_the_type_of_the_specs_own_value(tmp_path: Path) -> None:
    text = "vars: {port: 8080}\nports: ['${{ vars.port }}']\n"
    assert read(tmp_path, text, settings={"port": "9090"}).machines[0].ports[0].guest == 9090
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text, settings={"port": "many"})
    assert [problem.message for problem in caught.value.problems] == [
        "vars.port must be a whole number; it was set to many"
    ]


def test_refuses_a_setting_that_names_no_variable(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "vars: {port: 8080}\n", settings={"prot": "1"})
    assert caught.value.message == "the spec has no variable prot to set"
    assert caught.value.hint == "did you mean port?"


def test_values_of_the_host_are_no_expressions(tmp_path: Path) -> None:
    text = "vars: {who: {env: WHO}}\nenv: {A: 'I am ${{ vars.who }}'}\n"
    filled = read(tmp_path, text, host={"WHO": "${{ 6 * 7 }} {{ x }} `id`"})
    assert env(filled) == {"A": "I am ${{ 6 * 7 }} {{ x }} `id`"}


def test_refuses_a_value_of_the_host_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "vars: {a: b}\n", settings={"a": "\udcff"})
    assert caught.value.message == "the value given for the variable a is not UTF-8"


@pytest.mark.parametrize(
    "text",
    [
        "users: {dev: {groups: [WHAT]}}",
        "packages: [WHAT]",
        "services: {web: {command: a, runtime_dirs: [x], user: WHAT}}\nrun: [useradd x]",
        "resources: {cpus: WHAT}",
        "resources: {memory: WHAT}",
        "hostname: WHAT",
    ],
)
def test_what_is_filled_in_is_checked_as_if_it_had_been_written(tmp_path: Path, text: str) -> None:
    """An editor's schema takes any `${{ }}`; what it stands for must fit like any other value."""
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text.replace("WHAT", "\"${{ '${{ x' }}\"") + "\n")
    assert "${{ x" in caught.value.problems[0].message


@pytest.mark.parametrize("key", ["hostname", "timezone", "locale"])
def test_a_name_ends_where_it_ends(tmp_path: Path, key: str) -> None:
    good = {"hostname": "web", "timezone": "UTC", "locale": "C.UTF-8"}[key]
    read(tmp_path, f'{key}: "{good}"\n')
    with pytest.raises(SpecError) as caught:
        read(tmp_path, f'{key}: "{good}\\n"\n')
    assert "\\n" in caught.value.problems[0].message


@pytest.mark.processes
def test_a_spec_that_only_looks_names_up_imports_no_jinja(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(HEAD + "vars: {a: b}\nenv: {A: '${{ vars.a }}'}\n")
    program = (
        "import sys, pathlib, provision.spec as spec\n"
        "spec.load(pathlib.Path(sys.argv[1]), backend='docker', host={})\n"
        "sys.exit('jinja2' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(spec)], check=False)
    assert done.returncode == 0
