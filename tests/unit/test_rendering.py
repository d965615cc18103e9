"""Quoting makes values data; a rendering is written whole; what a spec may say can be rendered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import backends
from provision.errors import SpecError, UsageError
from provision.rendering import (
    RenderedFile,
    Rendering,
    comment,
    compose_document,
    compose_scalar,
    digest_of,
    identifier,
    ruby,
    yaml_scalar,
)
from provision.spec import load
from tests.unit.test_spec_fuzz import KEYS, VALUES, places

if TYPE_CHECKING:
    from collections.abc import Mapping

GOLDEN = Path(__file__).parent.parent / "golden" / "specs"
EVERYTHING = (GOLDEN / "everything.yaml").read_text()
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DATA = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)
FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT)
def test_yaml_of_one_line_is_the_text_itself(text: str) -> None:
    written = yaml_scalar(text)
    assert len(written.splitlines()) == 1
    assert yaml.safe_load(written) == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT)
def test_compose_fills_in_nothing(text: str) -> None:
    read = yaml.safe_load(compose_scalar(text))
    assert "$" not in read.replace("$$", "")
    assert read.replace("$$", "$") == text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DATA)
def test_a_document_of_compose_is_its_data(data: object) -> None:
    def filled(value: Any) -> Any:
        """What Compose makes of a value: keys stay, `$$` in values is `$`."""
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [filled(each) for each in value]
        return value.replace("$$", "$") if isinstance(value, str) else value

    assert filled(yaml.safe_load(compose_document({"data": data}))) == {"data": data}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT)
def test_a_string_of_ruby_ends_where_it_ends(text: str) -> None:
    """In single quotes Ruby reads `\\\\` and `\\'` alone."""
    written = ruby(text)
    inside = written[1:-1]
    assert (written[0], written[-1]) == ("'", "'")
    unescaped = inside.replace("\\\\", "\0\0" if "\0" not in text else "\\\\")
    if "\0" not in text:
        assert "'" not in unescaped.replace("\\'", "")
        assert unescaped.replace("\\'", "'").replace("\0\0", "\\") == text


def test_values_of_ruby() -> None:
    data: Mapping[str, object] = {"a": [1, 2.5, True, None, "it's"], "b": {}, "c": ()}
    assert ruby(data) == "{ 'a' => [1, 2.5, true, nil, 'it\\'s'], 'b' => {}, 'c' => [] }"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_a_comment_stays_in_its_line(text: str) -> None:
    assert len(f"# {comment(text)}".splitlines()) == 1
    assert len(comment(text)) == len(text)


def test_identifiers() -> None:
    assert identifier("registry:5000/team/debian_12@x") == "registry-5000-team-debian-12-x"


# --- on disk


def rendering_of(**files: str) -> Rendering:
    made = {path: RenderedFile(content=text.encode()) for path, text in files.items()}
    return Rendering(files=made, digest=digest_of(made), digests={}, recipes={})


def listing(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".rendered")
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def test_writing_leaves_the_rendering_and_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    rendering_of(**{"a": "1", "b/c": "2", "b/d": "3"}).write(tmp_path)
    rendering_of(a="1", b="now a file").write(tmp_path)
    assert listing(tmp_path) == {"mine": "kept", "a": "1", "b": "now a file"}
    rendering_of(**{"b/c": "a folder again"}).write(tmp_path)
    assert listing(tmp_path) == {"mine": "kept", "b/c": "a folder again"}


def test_an_equal_file_is_not_touched(tmp_path: Path) -> None:
    rendering_of(a="1", b="1").write(tmp_path)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in ("a", "b")}
    rendering_of(a="1", b="2").write(tmp_path)
    assert (tmp_path / "a").stat().st_mtime_ns == before["a"]
    assert (tmp_path / "b").read_text() == "2"


def test_modes_are_those_of_the_rendering(tmp_path: Path) -> None:
    for executable, mode in ((True, 0o755), (False, 0o644)):
        files = {"a": RenderedFile(content=b"", executable=executable)}
        Rendering(files=files, digest="", digests={}, recipes={}).write(tmp_path)
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_the_digest_is_of_names_bytes_and_modes() -> None:
    digests = [
        digest_of({"a": RenderedFile(content=b"1"), "b": RenderedFile(content=b"2")}),
        digest_of({"a": RenderedFile(content=b"12"), "b": RenderedFile(content=b"")}),
        digest_of({"a": RenderedFile(content=b"2"), "b": RenderedFile(content=b"1")}),
        digest_of({"a": RenderedFile(content=b"1"), "b": RenderedFile(content=b"2", executable=True)}),
        digest_of({"a1": RenderedFile(content=b""), "b": RenderedFile(content=b"2")}),
    ]
    assert len(set(digests)) == len(digests)
    assert digest_of({"b": RenderedFile(content=b"2"), "a": RenderedFile(content=b"1")}) == digests[0]


# --- whatever a spec may say


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rendering")
    (folder / ".git").mkdir()
    shutil.copytree(GOLDEN / "files", folder / "files")
    return folder / "spec.yaml"


@FUZZ
@given(data=st.data())
def test_what_loads_can_be_rendered_and_stays_data(data: st.DataObject, spec: Path) -> None:
    whole = yaml.safe_load(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(whole)))
        if isinstance(container, dict) and data.draw(st.booleans()):
            container[data.draw(KEYS)] = data.draw(VALUES)
        else:
            container[key] = data.draw(VALUES | TEXT)
    spec.write_text(yaml.safe_dump(whole, allow_unicode=True))
    for backend in ("docker", "vm"):
        try:
            environment = load(spec, backend=backend, host={}, allows=lambda demand: demand.word != "outside")
            files = backends.find(backend).render(environment, spec.parent / ".provision").files
        except (SpecError, UsageError):
            continue
        for path in files:
            assert not path.startswith(("/", "..")), path
            assert "/../" not in path
        if backend == "docker":
            [service] = yaml.safe_load(files["compose.yaml"].content)["services"].values()
            variables = {k: v.replace("$$", "$") for k, v in service.get("environment", {}).items()}
            assert environment.machines[0].env.items() <= variables.items()  # beside a proxy's own


def test_json_of_numbers_is_yaml() -> None:
    assert [yaml.safe_load(yaml_scalar(value)) for value in (1, 1.5, True, None)] == [1, 1.5, True, None]
    assert json.loads(yaml_scalar("a")) == "a"
