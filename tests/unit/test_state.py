"""Where environments keep their state: who is who, who may look, and what is told apart."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from provision import resources, runtime, spec
from provision.backends.ports import PortsRecord, keep, kept
from provision.errors import HostLacks, UsageError
from provision.model import identify
from provision.progress import Silent
from provision.records import DamagedRecord
from provision.state import StateDir, known_environments, refuse_mounted

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "state"


def of(folder: Path, name: str = "dev", backend: str = "docker") -> StateDir:
    return StateDir.of(folder, name, backend, folder / "envs/dev.yaml")


def test_an_id_follows_from_folder_and_name(tmp_path: Path) -> None:
    ids = {identify(tmp_path / folder, name) for folder in ("a", "b") for name in ("dev", "web")}
    assert len(ids) == 4
    assert identify(tmp_path / "a", "dev") == identify(tmp_path / "a", "dev")
    assert {len(each) for each in ids} == {8}
    assert identify(tmp_path / "\udcff", "dev"), "a name that is not UTF-8"


def test_the_state_is_this_users_alone_and_says_whose_it_is(tmp_path: Path, place: Path) -> None:
    keep(of(tmp_path / "clone"), {"web:80/tcp": 8080})
    assert {path.stat().st_mode & 0o777 for path in place.rglob("*") if path.is_dir()} == {0o700}
    (known,) = known_environments()
    assert (known.name, known.id, known.backends) == ("dev", of(tmp_path / "clone").id, ("docker",))
    assert known.state_dir("docker") == of(tmp_path / "clone")
    assert kept(known.state_dir("docker")) == {"web:80/tcp": 8080}


def test_nothing_is_made_by_looking(tmp_path: Path, place: Path) -> None:
    state_dir = of(tmp_path)
    assert state_dir.load("ports", PortsRecord) is None
    assert state_dir.siblings() == ()
    with state_dir.lock(Silent()):
        pass
    assert not place.exists()


def test_namesakes_are_those_of_other_folders_and_backends_not_those_that_begin_alike(tmp_path: Path) -> None:
    mine = of(tmp_path / "a")
    others = [of(tmp_path / "b"), of(tmp_path / "a", backend="vm")]
    for each in (mine, *others, of(tmp_path / "a", name="dev-web"), of(tmp_path / "a", name="other")):
        each.make()
    assert {each.folder for each in mine.siblings()} == {each.folder for each in others}


@pytest.mark.parametrize("damage", ["", "{}", "[", '{"version": 0}'])
def test_an_environment_whose_record_is_damaged_is_known_by_its_folder(tmp_path: Path, damage: str) -> None:
    mine = of(tmp_path)
    mine.make()
    (mine.folder.parent / "environment.json").write_text(damage)
    (known,) = known_environments()
    assert (known.name, known.id, known.record) == ("dev", mine.id, None)
    mine.make()
    assert known_environments()[0].record is not None, "the next up writes it anew"


def test_a_damaged_record_names_the_way_out(tmp_path: Path) -> None:
    mine = of(tmp_path)
    keep(mine, {})
    mine.path_of("ports").write_text("{")
    with pytest.raises(DamagedRecord) as caught:
        kept(mine)
    assert f"provision down {mine.id}" in caught.value.hint
    assert mine.load_sound("ports", PortsRecord) is None


def test_when_it_was_made_stays_when_it_changes(tmp_path: Path) -> None:
    mine = of(tmp_path)
    mine.make()
    path = mine.folder.parent / "environment.json"
    path.write_text(
        path.read_text().replace(json.loads(path.read_text())["created"], "2026-01-01T00:00:00+00:00")
    )
    replace(mine, spec=tmp_path / "other.yaml").make()
    record = known_environments()[0].record
    assert record is not None
    assert (record.created, record.spec) == ("2026-01-01T00:00:00+00:00", str(tmp_path / "other.yaml"))


def test_a_removed_state_leaves_nothing(tmp_path: Path, place: Path) -> None:
    docker, vm = of(tmp_path), of(tmp_path, backend="vm")
    keep(docker, {})
    keep(vm, {})
    docker.remove()
    assert known_environments()[0].backends == ("vm",)
    vm.remove()
    assert list((place / "environments").iterdir()) == []


def test_backends_of_an_environment_come_and_go_side_by_side(tmp_path: Path, place: Path) -> None:
    """Whoever removes the folder as the last one does not take it from another who begins."""

    def come_and_go(backend: str) -> None:
        for number in range(100):
            one = of(tmp_path, backend=backend)
            keep(one, {"web:80/tcp": number})
            one.remove()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(come_and_go, backend) for backend in "abcd"]:
            done.result()
    assert list((place / "environments").iterdir()) == []


@pytest.mark.parametrize("what", ["link", "file", "open to others"])
def test_a_runtime_folder_that_is_not_private_is_refused(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "provision-0"
    if what == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    elif what == "file":
        folder.write_text("")
    else:
        folder.mkdir(mode=0o700)
        folder.chmod(0o750)
    with pytest.raises(HostLacks):
        runtime.private(folder)


def test_runtime_folders_do_not_follow_the_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = runtime.sockets(), runtime.memory()
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert (runtime.sockets(), runtime.memory()) == before
    assert len(str(runtime.sockets() / ("x" * 16))) < 60, "a socket's path may have 108 bytes"


def test_where_state_and_cache_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PROVISION_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert resources.cache() == tmp_path / "cache/provision"
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "link"))
    assert resources.state() == tmp_path / "real", "what a rendering names is found from there"


def environment(folder: Path, source: str) -> Environment:
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    (folder / "dev.yaml").write_text(
        f"version: 1\nname: dev\nbase: debian:12\nmounts: {{/srv/it: {{source: {source}}}}}\n"
    )
    return spec.load(folder / "dev.yaml", backend="docker", host={})


@pytest.mark.parametrize(
    ("source", "state_in", "refused"),
    [
        (".", "here/state", True),
        (".", "state", False),
        ("inner", "here/state", False),
        ("inner", "here/inner/deep", True),
        ("inner", "here", True),
        ("link", "state", True),
    ],
)
def test_no_machine_is_given_what_the_tool_keeps(
    source: str, state_in: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / state_in))
    (tmp_path / "here/inner").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    if source == "link":
        (tmp_path / "here/link").mkdir()
    made = environment(tmp_path / "here", source)
    if source == "link":  # between the reading of the spec and `up` it became another
        (tmp_path / "here/link").rmdir()
        (tmp_path / "here/link").symlink_to(tmp_path / "state")
    if refused:
        with pytest.raises(UsageError, match="provision's own files"):
            refuse_mounted(made)
    else:
        refuse_mounted(made)
