"""What is kept from one run to the next is only ever the answer to the very same question."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest

from provision import memo, rendered, resources
from provision.backends.docker.render import render_environment
from provision.backends.docker.systemd import EngineChoices
from provision.errors import SpecError
from provision.rendered import remembered
from provision.spec import composer, contract, expressions
from provision.spec.load import load
from provision.spec.parsing import parse
from provision.spec.problems import Budget, Problems
from provision.spec.tree import Node

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment
    from provision.rendering import Rendering

GOOD = "version: 1\nname: dev\nbase: debian:12\nports: [8080]\n"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return resources.cache() / "answers"


def judge(text: str) -> list[tuple[str, int, int]]:
    problems = Problems()
    root = parse(text, "dev.yaml", problems)
    assert root is not None
    contract.check(root, problems)
    try:
        problems.raise_all()
    except SpecError as error:
        return [(each.message, each.origin.line, each.origin.column) for each in error.problems]
    return []


def validators_made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []
    original = contract._validator

    def noted(others: tuple[str, ...] = ()) -> object:
        made.append(others)
        return original(others)

    monkeypatch.setattr(contract, "_validator", noted)
    return made


def test_what_the_schema_accepted_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = validators_made(monkeypatch)
    assert judge(GOOD) == []
    assert made == [()]
    assert judge(GOOD.replace("name: dev", "name:   dev # the same data")) == []
    assert made == [()]


@pytest.mark.parametrize(
    "other",
    [
        GOOD.replace("8080", '"8080"'),
        GOOD.replace("8080", "8081"),
        GOOD.replace("version: 1", "version: true"),
        GOOD.replace("version: 1", "version: 1.0"),
        GOOD.replace("version: 1", 'version: "1"'),
    ],
)
def test_other_data_is_judged(monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    judge(GOOD)
    made = validators_made(monkeypatch)
    judge(other)
    assert made == [()]


def test_what_the_schema_refused_is_refused_each_time_at_its_place() -> None:
    wrong = GOOD + "prots: [1]\n"
    first = judge(wrong)
    assert [(line, column) for _, line, column in first] == [(5, 1)]
    assert judge(wrong) == first


@pytest.mark.parametrize("what", ["schema", "version", "validator", "library"])
def test_another_schema_version_or_validator_judges_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    judge(GOOD)
    contract._judge.cache_clear()
    if what == "schema":
        changed = contract.text() + " "
        monkeypatch.setattr(contract, "text", lambda: changed)
    elif what == "version":
        monkeypatch.setattr(contract, "__version__", "0.0.0")
    elif what == "validator":
        copy = tmp_path / "contract.py"
        copy.write_text("# another\n")
        monkeypatch.setattr(contract, "__file__", str(copy))
    else:
        monkeypatch.setattr(memo, "library", lambda *_names: b"another")
    made = validators_made(monkeypatch)
    judge(GOOD)
    contract._judge.cache_clear()
    assert made == [()]


def test_an_expression_is_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget()
    assert expressions.evaluate("a ~ 'x'", {"a": 1}, budget) == "1x"
    spent = Budget().seconds - budget.seconds
    monkeypatch.setattr(expressions, "_sandbox", lambda: pytest.fail("the other process was asked again"))
    again = Budget()
    assert expressions.evaluate("a ~ 'x'", {"a": 1}, again) == "1x"
    assert Budget().seconds - again.seconds == pytest.approx(spent)  # so the limit is met as before


def test_an_error_in_an_expression_is_explained_each_time() -> None:
    for _ in range(2):
        with pytest.raises(expressions.ExpressionError) as caught:
            expressions.evaluate("a.b", {"a": 1}, Budget())
        assert caught.value.name == "a.b" or "a" in str(caught.value)


def test_half_an_answer_is_none(cache: Path) -> None:
    memo.keep("k", b"the whole answer")
    assert memo.recall("k") == b"the whole answer"
    whole = (cache / "k").read_bytes()
    for end in range(len(whole)):
        (cache / "k").write_bytes(whole[:end])
        assert memo.recall("k") is None


def test_parts_of_a_question_cannot_flow_into_each_other() -> None:
    assert memo.key(b"ab", b"c") != memo.key(b"a", b"bc") != memo.key(b"abc")


def test_the_oldest_answers_go(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "MOST", 10)
    for number in range(30):
        memo.keep(f"k{number}", b"x")
        os.utime(cache / f"k{number}", (number, number))
        assert memo.recall(f"k{number}") == b"x"
        assert len(list(cache.iterdir())) <= 10
    assert memo.recall("k0") is None


def test_long_answers_and_folders_that_cannot_be_written_are_no_error(tmp_path: Path, cache: Path) -> None:
    memo.keep("long", b"x" * (memo.LARGEST + 1))
    assert memo.recall("long") is None
    (tmp_path / "cache").write_text("no folder")
    memo.keep("k", b"x")
    assert memo.recall("k") is None
    assert not cache.exists()


def test_a_library_is_known_without_being_imported() -> None:
    before = set(sys.modules)
    assert memo.library("this") != memo.library("antigravity") != memo.library()
    assert "this" not in set(sys.modules) - before


def composed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the YAML parser reads from now on."""
    read: list[str] = []
    original = composer.compose

    def noted(text: str, file: str, problems: Problems) -> Node | None:
        read.append(text)
        return original(text, file, problems)

    monkeypatch.setattr(composer, "compose", noted)
    return read


TREES = """
version: 1
name: &name "dev"
base: debian:12
env: {A: *name, B: "3.10", C: 3.10, D: 0x10, E: ~, F: [], G: {}}
checks: !replace
  - {command: echo x, stdout: "häß\\u2028lich \\U0001F600"}
"""


def as_seen(node: Node) -> object:
    """All that a node says of itself and of what is in it."""
    inner: object = node.value
    if isinstance(node.value, dict):
        inner = {key: as_seen(child) for key, child in node.value.items()}
    elif isinstance(node.value, list):
        inner = [as_seen(child) for child in node.value]
    own = {name: getattr(node, name) for name in Node.__slots__ if name != "value"}
    return (type(node.value).__name__, repr(inner), own)


def test_a_tree_is_read_once_and_is_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read = composed(monkeypatch)
    first, again = Problems(), Problems()
    trees = [parse(TREES, "dev.yaml", problems) for problems in (first, again)]
    assert read == [TREES]
    assert trees[0] is not None
    assert trees[1] is not None
    assert as_seen(trees[1]) == as_seen(trees[0])
    assert again.budget.values == first.budget.values < Budget().values
    moved = parse(TREES, "other.yaml", Problems())
    assert moved is not None
    assert moved.file == "other.yaml"
    assert read == [TREES]


@pytest.mark.parametrize("wrong", ["a: 1\na: 2\n", "a: [\n", "", "a: !!binary x\n", "a: *b\n", "a: .inf\n"])
def test_a_text_with_a_problem_has_it_each_time(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    read = composed(monkeypatch)
    problems = Problems()
    for _ in range(2):  # by the same problems too: they drop what they know already
        parse(wrong, "dev.yaml", problems)
    parse(wrong, "dev.yaml", Problems())
    assert read == [wrong] * 3


def test_a_tree_that_is_known_may_be_too_large_for_what_is_left() -> None:
    text = "a: [1, 2, 3, 4]\n"
    assert parse(text, "dev.yaml", Problems()) is not None
    problems = Problems()
    problems.budget.values = 3
    assert parse(text, "dev.yaml", problems) is None
    assert problems


def test_a_rendering_is_made_once_and_is_the_same_again(tmp_path: Path) -> None:
    environment, made = a_dev_environment(tmp_path), []

    def render() -> Rendering:
        made.append(1)
        return render_environment(environment, tmp_path, EngineChoices())

    first = remembered(environment, tmp_path, EngineChoices(), render)
    again = remembered(environment, tmp_path, EngineChoices(), render)
    assert made == [1]
    assert again == first == render_environment(environment, tmp_path, EngineChoices())
    assert any(file.executable for file in again.files.values())


@pytest.mark.parametrize("what", ["environment", "location", "choices", "mount", "renderer"])
def test_whatever_decides_about_a_rendering_is_in_its_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    environment, made = a_dev_environment(tmp_path), []

    def render() -> Rendering:
        made.append(1)
        return render_environment(environment, tmp_path, EngineChoices())

    remembered(environment, tmp_path, EngineChoices(), render)
    location, choices = tmp_path, EngineChoices()
    if what == "environment":
        machine = dataclasses.replace(environment.machines[0], env={"A": "other"})
        environment = dataclasses.replace(environment, machines=(machine,))
    elif what == "location":
        location = tmp_path / "elsewhere"
    elif what == "choices":
        choices = EngineChoices(buildkit=False)
    elif what == "mount":  # a folder that git trusts; a file that it need not
        mounted.rmdir()
        mounted.touch()
    else:
        monkeypatch.setattr(rendered, "_renderer", lambda: b"another")
    remembered(environment, location, choices, render)
    assert made == [1, 1]


def test_the_code_and_the_templates_belong_to_the_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resources, "folder", lambda name: tmp_path / name)
    template = tmp_path / "templates" / "docker" / "compose.yaml.j2"
    template.parent.mkdir(parents=True)
    seen: set[bytes] = set()
    for text in ("one", "other"):
        template.write_text(text)
        os.utime(template, ns=(1, len(seen)))
        rendered._renderer.cache_clear()
        seen.add(rendered._renderer())
    rendered._renderer.cache_clear()
    assert len(seen) == 2
    assert str(PurePath("provision", "rendering.py")) in seen.pop().decode()


def a_dev_environment(project: Path) -> Environment:
    spec = project / "dev.yaml"
    spec.write_text("version: 1\nname: dev\nbase: debian:12\nmounts: {/mounted: {source: mounted}}\n")
    (project / "mounted").mkdir(exist_ok=True)
    return load(spec, backend="docker", host={})
