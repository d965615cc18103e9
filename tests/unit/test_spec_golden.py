"""Pairs `x.yaml` and `x.error`: a spec, and every word that is said about it.

A spec without an `.error` must load. `# allowed: WORD` gives it a word of trust. PROJECT
stands for the project folder. To add a case, write the two files.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from provision.errors import SpecError
from provision.spec import load, render_problems

SPECS = Path(__file__).parent.parent / "golden" / "specs"
ALLOWED = re.compile(r"^# allowed: (\S+)$", re.MULTILINE)
CASES = sorted(path.stem for path in SPECS.glob("*.yaml"))
PARSERS = ("libyaml", "Python's") if hasattr(yaml, "CSafeLoader") else ("Python's",)


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


def without_columns(text: str) -> str:
    """Two parsers of one package see an empty value, or an escape, begin one column apart."""
    return re.sub(r"^( +\|) +\^$", r"\1", re.sub(r"(\.yaml:\d+):\d+:", r"\1:", text), flags=re.MULTILINE)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("case", CASES)
def test_says_what_is_wrong(case: str, parser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = SPECS / f"{case}.error"
    expected_text = expected.read_text("utf-8") if expected.exists() else ""
    if parser == "libyaml":
        assert said_about(case, tmp_path, monkeypatch) == expected_text
        return
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # what the other parser read is kept
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert without_columns(said_about(case, tmp_path, monkeypatch)) == without_columns(expected_text)


def test_every_error_has_its_spec() -> None:
    assert {path.stem for path in SPECS.glob("*.error")} <= set(CASES)
