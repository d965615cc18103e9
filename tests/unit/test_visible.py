"""What others wrote steers no terminal, wherever we print it; a person's own stream stays theirs."""

from __future__ import annotations

import io
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.cli import show
from provision.errors import EnvironmentFailed, Problem, SpecError
from provision.model import Origin, Result
from provision.progress import Live, ParallelProgress, Plain, visible

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

# A title of the window, a line that is written over, colours, C1's CSI, right to left, no width.
BAD = "a\x1b]0;owned\x07b\rc\x1b[2Kd\x9b31me\u202ef\u200bg\u2028h\x00i\x7f"
GOOD = r"a\x1b]0;owned\x07b\rc\x1b[2Kd\x9b31me\u202ef\u200bg\u2028h\x00i\x7f"


def steers(text: str) -> list[str]:
    """What of a text a terminal obeys, our own line ends and colours aside."""
    ours = ("\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[36m")
    for colour in ours:
        text = text.replace(colour, "")
    kinds = ("Cc", "Cf", "Zl", "Zp", "Cs")
    return [c for c in text if unicodedata.category(c) in kinds and c not in "\n\t\u200c\u200d"]


def test_each_is_shown_by_its_number() -> None:
    assert visible(BAD) == GOOD
    assert visible("a\nb") == r"a\nb"
    assert visible("a\nb\r\n", lines=True) == "a\nb\\r\n"


@pytest.mark.parametrize("text", ["", "plain", "ünï 🎉 👩‍💻", "a\tb", "नमस्ते", "日本語", r"a\x1b"])
def test_what_is_only_text_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters(exclude_categories=["Cn"])))
def test_nothing_is_left_that_steers(text: str) -> None:
    left = [c for c in steers(visible(text)) if unicodedata.category(c) != "Cf"]
    assert left == []
    assert visible(visible(text)) == visible(text)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert steers(out + err) == []
    return out + err


def test_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_error(EnvironmentFailed(f"m {BAD}", evidence=[f"e {BAD}"], hint=f"h {BAD}"))
    assert printed(capsys).count(GOOD) == 3


def test_problems_of_a_spec_and_the_lines_where_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.yaml").write_text("key: \u202e\x9b31m value\n")
    origin = Origin(file=str(tmp_path / "x.yaml"), line=1, column=12)
    show.show_error(SpecError([Problem(f"m {BAD}", origin, f"h {BAD}")]))
    text = printed(capsys)
    assert text.count(GOOD) == 2
    shown = text.splitlines()
    assert shown[1][shown[2].index("^")] == "v"


def test_a_result_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_result(
        Result(machine="m", check=f"c {BAD}\nx", outcome="failed", message=f"{BAD}\nsecond", seconds=0)
    )
    show.table(["A"], [[BAD]])
    show.say(BAD)
    text = printed(capsys)
    assert "\\nx" in text
    assert text.count("owned") == 4


@pytest.mark.parametrize("kind", ["plain", "live"])
def test_progress(kind: str) -> None:
    stream = io.StringIO()
    shown = Plain(stream) if kind == "plain" else Live(stream)
    with shown.step(f"t {BAD}"):
        shown.line(BAD)
        shown.note(BAD)
        ParallelProgress(shown, "m").line(BAD)
    assert steers(stream.getvalue()) == []
    assert "owned" in stream.getvalue()


@pytest.mark.processes
def test_names_that_a_spec_gives(project: Project) -> None:
    project.spec('version: 1\nname: x\nbase: "\\e]0;owned\\a"\n"a\\e[2Jb\\nc": 1\n')
    done = project.run("validate")
    assert done.code == 2
    assert steers(done.stdout + done.stderr) == []
    assert r"a\x1b[2Jb\nc" in done.stderr
