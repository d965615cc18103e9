"""What a spec wants beyond its machines, as a table; and the person's word for it, as it is kept."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision import trust
from provision.errors import EnvironmentFailed, SpecError, UsageError
from provision.model import WORDS, Demand, Origin
from provision.spec import everything, load, tracked_layer
from tests.conftest import as_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

CASES = yaml.safe_load((Path(__file__).parent / "demands.yaml").read_text("utf-8"))
HOST = {"AWS_SECRET_ACCESS_KEY": "s3cret", "EDITOR": "vi", "TZ": "UTC"}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, with the user's own configuration in it where a test says so."""
    project = tmp_path / "project"
    for each in (".git", "inside", "links", "config/provision"):
        (project / each).mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for place in (project / "inside", tmp_path / "elsewhere"):
        (place / "file").write_text("text\n")
    (tmp_path / "elsewhere" / "ca.pem").write_text(CERTIFICATE)
    (project / "link").symlink_to("../elsewhere")
    (project / "links" / "file").symlink_to("../../elsewhere/file")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(project / "config"))
    return project


def written(folder: Path, keys: Mapping[str, Any]) -> Path:
    spec = folder / "spec.yaml"
    spec.write_text(as_yaml({"version": 1, "name": "trusted", "base": "debian:12", **keys}), "utf-8")
    return spec


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_a_spec_wants_beyond_its_machines(case: dict[str, Any], folder: Path) -> None:
    spec = written(folder, case["spec"])
    backend = case.get("backend", "docker")
    outside = str(folder.parent / "elsewhere")
    wanted = {each.replace("PROJECT/../elsewhere", outside).replace("PROJECT", str(folder))
              for each in case["demands"]}  # fmt: skip

    allowed = load(spec, backend=backend, host=HOST, allows=everything)
    assert {f"{each.word} {each.what}" for each in allowed.demands} == wanted
    assert all(each.given for each in allowed.demands)
    assert {each.origin.file for each in allowed.demands} <= {str(spec)}

    hard = {each.what for each in allowed.demands if not each.otherwise}
    if not hard:
        assert "s3cret" not in repr(load(spec, backend=backend, host=HOST))
        return
    with pytest.raises(SpecError) as caught:
        load(spec, backend=backend, host=HOST)
    assert {problem.demand.what if problem.demand else problem for problem in caught.value.problems} == hard


def test_a_default_goes_before_what_the_host_has(folder: Path) -> None:
    spec = written(folder, {"vars": {"house": {"env": "AWS_SECRET_ACCESS_KEY", "default": "mine"}},
                            "env": {"HOUSE": "${{ vars.house }}"}})  # fmt: skip
    environment = load(spec, backend="docker", host=HOST)
    assert environment.machines[0].env == {"HOUSE": "mine"}
    [demand] = environment.demands
    assert (demand.word, demand.given, demand.otherwise) == ("host-env", False, "vars.house gets its default")
    environment = load(spec, backend="docker", host=HOST, allows=everything)
    assert environment.machines[0].env == {"HOUSE": "s3cret"}


def test_who_sets_a_variable_need_not_allow_it(folder: Path) -> None:
    spec = written(folder, {"vars": {"token": {"env": "AWS_SECRET_ACCESS_KEY"}}})
    assert load(spec, backend="docker", host=HOST, settings={"token": "own"}).demands == ()
    assert load(spec, backend="docker", host={"PROVISION_VAR_token": "own"}).demands == ()


def test_the_persons_own_configuration_is_not_asked_about(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "configuration" / "provision"
    own.mkdir(parents=True)
    (own / "ca.pem").write_text(CERTIFICATE)
    (own / "config.yaml").write_text("proxy: {http: 'http://proxy:3128', ca: ca.pem}\n")
    environment = load(written(folder, {}), backend="docker", host={"XDG_CONFIG_HOME": str(own.parent)})
    assert environment.demands == ()
    assert environment.machines[0].proxy is not None
    assert environment.machines[0].proxy.ca == CERTIFICATE.encode()


@pytest.mark.parametrize(
    "around", ["", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n", "text\n"]
)
def test_of_a_file_of_certificates_nothing_else_is_taken(folder: Path, around: str) -> None:
    (folder / "ca.pem").write_text(around + CERTIFICATE + around + CERTIFICATE.replace("\n", "\r\n") + around)
    environment = load(written(folder, {"proxy": {"ca": "ca.pem"}}), backend="docker", host={})
    assert environment.machines[0].proxy is not None
    assert environment.machines[0].proxy.ca == 2 * CERTIFICATE.encode()


@pytest.mark.parametrize(
    "text",
    ["", "-----BEGIN CERTIFICATE-----\n", CERTIFICATE.replace("MIIB", "-----BEGIN"),
     CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY")],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(folder: Path, text: str) -> None:
    (folder / "ca.pem").write_text(text)
    with pytest.raises(SpecError) as caught:
        load(written(folder, {"proxy": {"ca": "ca.pem"}}), backend="docker", host={})
    assert [problem.message for problem in caught.value.problems] == ["ca.pem is not a PEM certificate"]


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "a\nb", "a\u202eb"])
def test_what_is_wanted_is_one_line_that_a_terminal_shows_as_it_is(folder: Path, name: str) -> None:
    (folder.parent / "elsewhere" / name).write_text("")
    spec = written(folder, {"files": {"/f": {"source": f"../elsewhere/{name}"}}})
    [demand] = load(spec, backend="docker", host={}, allows=everything).demands
    assert demand.what.isprintable()
    assert json.loads(demand.what.removeprefix("the source ")) == str(folder.parent / "elsewhere" / name)


# --- the person's word


def demand(what: str, word: str = "outside") -> Demand:
    return Demand(word=word, what=what, origin=Origin(file="x", line=1, column=1))  # type: ignore[arg-type]


def test_an_answer_is_kept_for_a_project_and_for_exactly_what_was_asked(folder: Path, tmp_path: Path) -> None:
    trust.keep(folder, [demand("a")], allowed=True)
    trust.keep(folder, [demand("b")], allowed=False)
    known = trust.trust_in(folder, (), {})
    assert [known.allows(demand(what)) for what in "abc"] == [True, False, False]
    assert [known.is_answered(demand(what)) for what in "abc"] == [True, True, False]
    assert not known.allows(demand("a", "network"))
    assert not trust.trust_in(tmp_path, (), {}).allows(demand("a"))
    assert trust.path().stat().st_mode & 0o777 == 0o600
    assert [
        file.name for file in trust.path().parent.iterdir() if file.suffix not in (".json", ".lock")
    ] == []
    assert trust.forget(folder)
    assert not trust.forget(folder)
    assert not trust.trust_in(folder, (), {}).is_answered(demand("a"))


@pytest.mark.parametrize(
    ("words", "host", "given"),
    [
        ((), {}, set()),
        (("network",), {}, {"network"}),
        ((), {"CI": "true"}, {"host-code", "host-env"}),
        ((), {"CI": "1"}, set()),
        ((), {"PROVISION_ALLOW": "outside, network"}, {"outside", "network"}),
        (("privileges",), {"PROVISION_ALLOW": "outside", "CI": "true"},
         {"privileges", "outside", "host-code", "host-env"}),
    ],
)  # fmt: skip
def test_words_for_one_call(folder: Path, words: Any, host: dict[str, str], given: set[str]) -> None:
    known = trust.trust_in(folder, words, host)
    assert known.words == given
    for word in WORDS:
        assert known.allows(demand("x", word)) == known.is_answered(demand("x", word)) == (word in given)


def test_a_word_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        trust.trust_in(folder, (), {"PROVISION_ALLOW": "all"})
    assert "'all'" in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"version": 2, "projects": {}}', '{"version": 1}',
     '{"version": 1, "projects": []}',
     '{"version": 1, "projects": {"/p": {"d": {"word": "outside"}}}}',
     '{"version": 1, "projects": {"/p": 1}}'],
)  # fmt: skip
def test_answers_that_cannot_be_read_are_an_error_with_a_way_out(folder: Path, text: str) -> None:
    trust.path().write_text(text)
    for ask in (lambda: trust.trust_in(folder, (), {}), lambda: trust.keep(folder, [], allowed=True)):
        with pytest.raises(EnvironmentFailed) as caught:
            ask()
        assert caught.value.hint == f"remove the file to be asked again: rm {trust.path()}"


def test_answers_that_cannot_be_kept_are_an_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFailed) as caught:
        trust.keep(folder, [demand("a")], allowed=True)
    assert "--allow WORD" in caught.value.hint


# --- a layer that is not the person's own


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@y", *words], cwd=folder, check=True,
                   capture_output=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})  # fmt: skip


@pytest.mark.processes
@pytest.mark.parametrize("version", ["2", "3", "4"])
@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
def test_whether_git_tracks_a_layer(tmp_path: Path, version: str, hashes: str) -> None:
    repository = tmp_path / "repository"
    (repository / "envs").mkdir(parents=True)
    git(repository, "init", "-q", f"--object-format={hashes}")
    spec, layer = repository / "envs" / "dev.yaml", repository / "envs" / "dev.local.yaml"
    assert tracked_layer(spec) is None
    for name in ("dev.yaml", "dev.local.yaml.not", "envs", "z" * 200):
        (repository / "envs" / name).write_text("")
    git(repository, "add", ".")
    layer.write_text("")
    git(repository, "update-index", "--index-version", version)
    assert tracked_layer(spec) is None
    git(repository, "add", "--intent-to-add" if version == "3" else "--force", "envs/dev.local.yaml")
    assert tracked_layer(spec) == layer
    git(repository, "commit", "-q", "--all", "-m", "x")
    git(repository, "worktree", "add", "-q", str(tmp_path / "worktree"))
    assert tracked_layer(tmp_path / "worktree" / "envs" / "dev.yaml") is not None
    (repository / ".git" / "index").write_bytes(b"DIRC\0\0")
    assert tracked_layer(spec) is None


@pytest.mark.parametrize("name", ["A\x1b[1A\x1b[2K", "A\nB", "A\u202eB"])
def test_a_variable_that_is_wanted_steers_no_terminal(folder: Path, name: str) -> None:
    """It could hide the line above it, which is asked for as well."""
    compose = {"environment": [name], "privileged": True}
    spec = written(folder, {"backends": {"docker": {"compose": compose}}})
    demands = load(spec, backend="docker", host={}, allows=everything).demands
    assert len(demands) == 2
    assert all(each.what.isprintable() for each in demands)
