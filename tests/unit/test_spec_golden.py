"""Pairs `x.yaml` and `x.error`: a spec, and every word that is said about it.

A spec without an `.error` must load. `# allowed: WORD` gives it a word of trust. PROJECT
stands for the project folder. To add a case, write the two files.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from provision.errors import SpecError
from provision.spec import load, render_problems

SPECS = Path(__file__).parent.parent / "golden" / "specs"
ALLOWED = re.compile(r"^# allowed: (\S+)$", re.MULTILINE)
CASES = sorted(path.stem for path in SPECS.glob("*.yaml"))


def said_about(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a person reads who loads the case in a project of its own."""
    (folder / ".git").mkdir()
    (folder / "outside.j2").write_text("")
    (folder / "outside.yaml").write_text("")
    shutil.copytree(SPECS, folder / "project" / "specs")
    (folder / "project" / ".git").mkdir()
    monkeypatch.chdir(folder / "project" / "specs")
    given = ALLOWED.findall((SPECS / f"{case}.yaml").read_text("utf-8"))
    try:
        load(Path(f"{case}.yaml"), backend="docker", host={}, allows=lambda demand: demand.word in given)
    except SpecError as error:
        text = render_problems(error.problems) + "\n"
        return text.replace(str((folder / "project").resolve()), "PROJECT")
    return ""


@pytest.mark.parametrize("case", CASES)
def test_says_what_is_wrong(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = SPECS / f"{case}.error"
    said = said_about(case, tmp_path, monkeypatch)
    assert said == (expected.read_text("utf-8") if expected.exists() else "")


def test_every_error_has_its_spec() -> None:
    assert {path.stem for path in SPECS.glob("*.error")} <= set(CASES)
