"""Hints can be pasted: every command of ours in them goes through one place, which completes it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from provision.cli.options import completed, completing
from provision.engine import Request
from provision.errors import EnvironmentFailed, Problem, SpecError
from provision.hints import OF_A_SPEC, command
from provision.model import Origin

SOURCES = Path(__file__).parents[2] / "provision"
WRITTEN = re.compile(rf"provision ({'|'.join(OF_A_SPEC)})\b(?! (?:\[|[A-Z]{{2,}}|--help|envs/))")
BEFORE_ITS_WORDS = re.compile(rf"provision ({'|'.join(OF_A_SPEC)}) $")  # of `same`, which follows


def _texts(tree: ast.AST) -> list[tuple[int, str]]:
    """The strings of a module, without docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_no_hint_writes_a_command_by_itself() -> None:
    by_themselves = [
        f"{path.relative_to(SOURCES)}:{line}: {text}"
        for path in sorted(SOURCES.rglob("*.py"))
        for line, text in _texts(ast.parse(path.read_text("utf-8")))
        if WRITTEN.search(text) and not BEFORE_ITS_WORDS.search(text)
    ]
    assert by_themselves == []


def request(folder: Path, **more: object) -> Request:
    given: dict[str, object] = {
        "spec": folder / "a spec.yaml", "backend": "docker", "settings": {}, **more
    }  # fmt: skip
    return Request(**given)  # type: ignore[arg-type]


VM = {"backend": "vm", "name": "other", "settings": {"port": "1 2"}, "local": False, "allow": ("network",)}
EXPECTED = {
    command("up"): ("`provision up SPEC`", "`provision up SPEC MORE`"),
    command("up", "--rebuild"): ("`provision up SPEC --rebuild`", "`provision up SPEC MORE --rebuild`"),
    command("logs", "web", machine="db"): (
        "`provision logs SPEC -m db web`", "`provision logs SPEC -b vm LESS -m db web`",
    ),
    command("up", variables="A=b"): ("`A=b provision up SPEC`", "`A=b provision up SPEC MORE`"),
    command("trust"): ("`provision trust SPEC`", "`provision trust SPEC LESS`"),
    command("down", "3f2a91bc"): ("`provision down 3f2a91bc`",) * 2,
    "`provision trust --help` says": ("`provision trust --help` says",) * 2,
    "`provision list` shows": ("`provision list` shows",) * 2,
    "`-b vm` provides it": ("`-b vm` provides it",) * 2,
}  # fmt: skip


@pytest.mark.parametrize("hint", EXPECTED)
def test_a_command_gets_what_names_the_environment(
    hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    less = "--name other --set 'port=1 2' --no-local"
    plain, full = (
        text.replace("SPEC", f"'{tmp_path}/a spec.yaml'")
        .replace("MORE", f"-b vm {less} --allow network")
        .replace("LESS", less)
        for text in EXPECTED[hint]
    )
    assert completed(hint, request(tmp_path)) == plain
    assert completed(hint, request(tmp_path, **VM)) == full


def test_the_spec_of_this_folder_needs_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("provision.yaml").touch()
    assert completed(command("up"), request(tmp_path, spec=Path("provision.yaml"))) == "`provision up`"


def test_every_error_of_a_request_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = request(tmp_path, spec=Path("x.yaml"))
    with pytest.raises(EnvironmentFailed) as failed, completing(asked):
        raise EnvironmentFailed("it failed", hint=f"see {command('logs')}")
    assert failed.value.hint == "see `provision logs x.yaml`"
    problem = Problem("wrong", Origin(file="x.yaml", line=1, column=1), f"or {command('trust')}")
    with pytest.raises(SpecError) as refused, completing(asked):
        raise SpecError([problem])
    assert refused.value.problems[0].hint == "or `provision trust x.yaml`"
