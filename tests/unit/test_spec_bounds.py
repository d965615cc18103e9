"""What would take for ever, or all memory, is an error soon: in a process with a limit on both."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from provision.files import NotReadable, read_regular
from provision.spec import expressions
from provision.spec.problems import Budget

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes

HEAD = "version: 1\nname: bounded\nbase: debian:12\n"
MEMORY = 1024**3
HANGS = (
    100  # seconds after which a test says so; nothing here takes two on a host that has nothing else to do
)

GROWING = {
    "center": "'x'|center(4000000000)",
    "format": "'{:>4000000000}'.format(1)",
    "ljust": "'x'.ljust(4000000000)",
    "indent": "'x\\nx'|indent(4000000000)",
    "join": "(range(100000)|join('x'.center(900000)))|length",
    "product": "'x' * 900000 * 900000",
    "power": "2 ** 64 ** 64 ** 64",
    "loops": "range(100000)|map('string')|map('length')|sum + "
             "(range(100000)|list|batch(1)|map('list')|map('first')|list|tojson|length) * 0 + "
             "(range(99999)|map('center', 90000)|list|length)",
}  # fmt: skip
TEMPLATES = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "doubling": "{% set n = namespace(t='x') %}{% for a in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}",
    "lists": "{% set n = namespace(t=[1]) %}{% for a in range(60) %}{% set n.t = [n.t, n.t] %}{% endfor %}"
    "{{ n.t }}",
    "output": "{% for a in range(99999) %}{{ 'x'.center(100000) }}{% endfor %}",
    "macro": "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
}


def said(folder: Path, *more: str, spec: str = "provision.yaml") -> str:
    """What `validate` says of a spec that it must refuse."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    words = [sys.executable, "-m", "provision", "validate", spec, "-b", "docker", *more]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=HANGS, check=False, preexec_fn=bound,
        stdin=subprocess.DEVNULL, env={**os.environ, "CI": ""},  # a pipeline reads no local layer
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", GROWING)
def test_an_expression_has_little_time_and_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "provision.yaml").write_text(f'{HEAD}description: "${{{{ {GROWING[name]} }}}}"\n')
    assert "provision.yaml:4:14: " in said(tmp_path)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_has_little_time_and_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text(TEMPLATES[name])
    (tmp_path / "provision.yaml").write_text(f"{HEAD}files: {{/x: {{template: x.j2}}}}\n")
    assert "x.j2:1:1: " in said(tmp_path)


def test_all_of_them_share_their_time(tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text(TEMPLATES["loops"])
    files = ", ".join(f"/{number}: {{template: x.j2}}" for number in range(500))
    (tmp_path / "provision.yaml").write_text(f"{HEAD}files: {{{files}}}\n")
    assert said(tmp_path).count("takes longer") == 1


def test_an_expression_after_one_that_was_ended_is_answered() -> None:
    with pytest.raises(expressions.ExpressionError, match="takes longer"):
        expressions.fill_template(TEMPLATES["loops"], {}, Budget())
    assert expressions.evaluate("1 + 1", {}, Budget()) == 2


def test_an_expression_of_a_spec_whose_time_is_spent_is_not_tried() -> None:
    budget = Budget()
    budget.seconds = 0
    with pytest.raises(expressions.SpentError):
        expressions.evaluate("1 + 1", {}, budget)


MACHINES = "version: 1\nname: bounded\nbase: debian:12\nmachines:\n"
SIZES = {
    "values": (HEAD + "packages: [" + "a, " * 300_000 + "]\n", "more than 20000 values"),
    "aliases": (
        HEAD + "x-a: &a [" + "a, " * 900 + "]\nx-b: &b [" + "*a, " * 900 + "]\nx-c: [" + "*b, " * 900 + "]\n",
        "more than 20000 values, its aliases written out",
    ),
    "depth": (HEAD + "x-a: " + "[" * 5000 + "]" * 5000 + "\n", "nested deeper"),
    "bytes": (HEAD + "#" * 3_000_000, "MiB"),
    "counts": (
        MACHINES + "".join(f"  m{n}: {{count: 99}}\n" for n in range(60)), "more than 99 machines",
    ),
    "names": (MACHINES + "".join(f"  m{n}: {{}}\n" for n in range(6000)), "it may have 99"),
    "machines": (
        MACHINES + "  m: {count: 99, packages: [" + "a, " * 10_000 + "]}\n", "too many values together",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_a_spec_has_a_size(name: str, tmp_path: Path) -> None:
    text, message = SIZES[name]
    (tmp_path / "provision.yaml").write_text(text)
    assert message in said(tmp_path)


def test_specs_extend_each_other_so_deep_and_no_deeper(tmp_path: Path) -> None:
    (tmp_path / "provision.yaml").write_text("extends: 0.yaml\n")
    for number in range(600):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    (tmp_path / "600.yaml").write_text(HEAD)
    assert "more than 50 deep" in said(tmp_path)


def test_a_spec_is_made_of_so_many_files_and_no_more(tmp_path: Path) -> None:
    names = [f"{number}.yaml" for number in range(600)]
    for name in names:
        (tmp_path / name).write_text("env: {}\n")
    (tmp_path / "provision.yaml").write_text(f"{HEAD}extends: [{', '.join(names)}]\n")
    assert "too many files" in said(tmp_path)


# --- what is no file


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder with one of each that can be made without being root."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    return tmp_path


KINDS = ("fifo", "socket", "folder", "device")


NAMING = (
    "extends: {kind}",
    "files: {{/x: {{template: {kind}}}}}",
    "files: {{/x: {{source: {kind}}}}}",
    "repositories: {{x: {{url: 'http://x.example/', suite: x, key: {kind}}}}}",
    "proxy: {{http: 'http://x.example:1', ca: {kind}}}",
    "secrets: {{x: {{file: {kind}}}}}",
)
# All but this: the source of a file may be a folder.
REFUSED = [(kind, keys) for kind in KINDS for keys in NAMING if (kind, "source" in keys) != ("folder", True)]


@pytest.mark.parametrize(("kind", "keys"), REFUSED, ids=lambda word: word.split(":")[0])
def test_what_a_spec_names_must_be_a_file(kind: str, keys: str, strange: Path) -> None:
    (strange / "provision.yaml").write_text(HEAD + keys.format(kind=kind) + "\n")
    assert ".yaml:4:" in (text := said(strange, "--allow", "outside")) or f"{kind}:1:1" in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_spec_must_be_a_file(kind: str, strange: Path) -> None:
    said(strange, spec=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_local_layer_must_be_a_file(kind: str, strange: Path) -> None:
    (strange / "provision.yaml").write_text(HEAD)
    (strange / kind).rename(strange / "provision.local.yaml")
    assert "provision.local.yaml:1:1" in said(strange)


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_file_is_read(kind: str, strange: Path) -> None:
    with pytest.raises(NotReadable, match="not a file"):
        read_regular(strange / kind, largest=10)


def test_a_file_is_read_no_further_than_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 11)
    with pytest.raises(NotReadable, match="MiB"):
        read_regular(tmp_path / "x", largest=10)
    assert read_regular(tmp_path / "x", largest=11)[0] == b"x" * 11


# --- what grows, or is looked through, in this process

OPENING = "${{"
ELSEWHERE = {
    "doubled variables": (
        "vars:\n  v0: xxxxxxxxxx\n"
        + "".join(f"  v{n}: '${{{{ vars.v{n - 1} }}}}${{{{ vars.v{n - 1} }}}}'\n" for n in range(1, 40)),
        "the values filled in so far are too long",
    ),
    "expressions that nothing closes": (f"description: '{OPENING * 600_000}'\n", "is not closed"),
    "expressions of a command": (
        f"checks: [{{command: 'a{(OPENING + ' backend }}') * 100_000}', exit: x}}]\n", "exit",
    ),
    "unknown names": (
        "vars: {" + ", ".join(f"v{n:05}: 1" for n in range(9000)) + "}\n"
        "description: '" + " ".join(f"{OPENING} vars.w{n:05} }}}}" for n in range(20_000)) + "'\n",
        "is not defined",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_filled_in_is_bounded(name: str, tmp_path: Path) -> None:
    keys, message = ELSEWHERE[name]
    (tmp_path / "provision.yaml").write_text(HEAD + keys)
    assert message in said(tmp_path)


def test_a_file_without_certificates_is_looked_through_once(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----" + "\n" * 4_000_000)
    (tmp_path / "provision.yaml").write_text(HEAD + "proxy: {ca: ca.pem}\n")
    assert "not a PEM certificate" in said(tmp_path)


def test_links_that_lead_to_each_other_are_not_followed_for_ever(tmp_path: Path) -> None:
    for number in range(41):
        (tmp_path / "x" / str(number)).mkdir(parents=True)
        for name in ("a", "b"):
            (tmp_path / "x" / str(number) / name).symlink_to(f"../{number + 1}")
    (tmp_path / "x" / "41").mkdir()
    (tmp_path / "provision.yaml").write_text(HEAD + "files: {/x: {source: x/0}}\n")
    assert "20000 files and folders" in said(tmp_path)


def test_the_files_of_all_machines_are_bounded_together(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.truncate(64 * 1024**2)
    files = ", ".join(f"/{number}: {{source: x}}" for number in range(20))
    (tmp_path / "provision.yaml").write_text(f"{HEAD}files: {{{files}}}\n")
    assert "too large together" in said(tmp_path)


@pytest.mark.parametrize("name", ["index", "config", "commondir", "itself"])
@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_read_of_git_must_be_a_file(name: str, kind: str, strange: Path) -> None:
    """Whoever has the workspace has `.git` as well."""
    if name == "itself":
        (strange / kind).rename(strange / ".git")
    else:
        (strange / ".git").mkdir()
        for each in ("index", "config"):
            (strange / ".git" / each).write_bytes(b"DIRC\0\0\0\2\0\0\0\0")
        (strange / ".git" / name).unlink(missing_ok=True)
        (strange / kind).rename(strange / ".git" / name)
    (strange / "provision.yaml").write_text(HEAD)
    (strange / "provision.local.yaml").write_text("packages: [1]\n")
    assert "provision.local.yaml:1" in said(strange)
