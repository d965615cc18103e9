"""Whatever is written, what comes back is an environment or problems; nothing else, ever."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import backends
from provision.errors import SpecError, UsageError
from provision.spec import load, render_problems

if TYPE_CHECKING:
    from provision.errors import Problem

# Text that is code where it is not quoted; none of it may ever stand as a key outside of quotes.
HOSTILE = (
    "a = 'x'; system('touch ran'); l.y", "#{system('touch ran')}", "$(touch ran)", "`touch ran`",
    "a\nRUN touch ran", "a\n[Service]\nExecStart=/bin/touch ran", "a: b", "'", '"', "../ran", "-ran", "%n",
    "${HOME}", "a,exec=touch", "null", "true", "esac",
)  # fmt: skip
GOLDEN = Path(__file__).parent.parent / "golden" / "specs"
TEXTS = [path.read_text() for path in sorted(GOLDEN.glob("*.yaml"))]
EVERYTHING = (GOLDEN / "everything.yaml").read_text()
SCRAPS = [
    "${{ vars.port }}", "${{", "}}", "${{ 1 / 0 }}", "${{ '${{' }}", "${{ vars.a.b.c }}",
    "${{ range(9**9) }}", "{{ x }}", "&a", "*a", "<<: *a", "!replace", "!!str", "null", "~",
    "[", "]", "{", "}", ": ", "- ", "#", "\n", "\t", "'", '"', "|", ">", "%YAML", "---", "...",
    "0640", "3.10", ".inf", "1e999", "9" * 5000, "x" * 5000, "../..", "/", "files", "files/site",
    "\0", "\\u0000", "\x1b", "é", "🎉", "\ufeff", "\u2028",
]  # fmt: skip

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "500"))  # of all tests here together
LIMITS = settings(
    max_examples=EXAMPLES // 3 + 1,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the specs are written: beside the files that the golden ones name."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / ".git").mkdir()
    shutil.copytree(GOLDEN / "files", folder / "files")
    return folder / "spec.yaml"


def problems_of(spec: Path, backend: str) -> tuple[Problem, ...]:
    """What is wrong with a spec, read and rendered; only the two errors of a wrong spec may be raised."""
    try:
        environment = load(spec, backend=backend, host={}, allows=lambda demand: demand.word != "outside")
        rendering = backends.find(backend).render(environment, spec.parent / ".provision")
        assert rendering.files
    except SpecError as error:
        return error.problems
    except UsageError:
        pass
    return ()


def expect_good_manners(spec: Path) -> None:
    for backend in ("docker", "vm"):
        problems = problems_of(spec, backend)
        for problem in problems:
            assert problem.message, problem
            assert problem.hint, problem
            assert problem.origin.line >= 1, problem
            assert problem.origin.column >= 1, problem
        assert bool(render_problems(problems)) == bool(problems)


@LIMITS
@given(data=st.data())
def test_a_text_cut_and_pasted(data: st.DataObject, spec: Path) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 6))):
        begin = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 0, 0, 1, 2, 10, 200]))
        scrap = data.draw(st.one_of(st.sampled_from(["", *SCRAPS]), st.text(max_size=8)))
        text = text[:begin] + scrap + text[begin + length :]
    spec.write_bytes(text.encode("utf-8", "surrogatepass"))
    expect_good_manners(spec)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**20),
    st.floats(),
    st.sampled_from(SCRAPS),
    st.text(max_size=20),
)
KEYS = st.one_of(st.text(max_size=10), st.sampled_from(SCRAPS), st.sampled_from(HOSTILE))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a spec: a container and a key of it."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        found = [(value, key) for key in value]
    elif isinstance(value, list):
        found = [(value, index) for index in range(len(value))]
    return [*found, *(deeper for container, key in found for deeper in places(container[key]))]


@LIMITS
@given(data=st.data())
def test_a_value_of_any_kind_in_any_place(data: st.DataObject, spec: Path) -> None:
    whole = yaml.safe_load(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(whole)))
        if isinstance(container, dict) and data.draw(st.booleans()):
            container[data.draw(KEYS)] = data.draw(VALUES)
        else:
            container[key] = data.draw(VALUES)
    spec.write_text(yaml.safe_dump(whole, allow_unicode=True))
    expect_good_manners(spec)


@LIMITS
@given(raw=st.binary(max_size=200))
def test_any_bytes(raw: bytes, spec: Path) -> None:
    spec.write_bytes(b"version: 1\nname: x\nbase: debian:12\n" + raw)
    expect_good_manners(spec)
