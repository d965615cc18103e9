"""What `gc` takes for garbage, and what it never touches."""

from __future__ import annotations

import ast
import json
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision import backends, garbage, leftovers, records, runtime, state
from provision.backends.base import Cached
from provision.backends.vm import drivers, keeping
from provision.backends.vm.image.store import Artifact
from provision.backends.vm.qemu import records as of_qemu
from provision.docker_client.queries import _seconds, size
from provision.errors import SpecError
from provision.lock import exclusive
from provision.progress import Silent
from provision.spec.personal import cache_limit
from provision.spec.quantities import shown_size
from provision.state import EnvironmentRecord, StateDir, is_gone, known_environments, state_folders

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_000_000.0
CASES = yaml.safe_load((Path(__file__).parent / "gc.yaml").read_text())
DAY = 86400


def _cached(name: str, **values: Any) -> Cached:
    needed = tuple(values.get("needed_by", ()))
    return Cached(
        kind="image",
        name=name,
        size=values.get("size", 10),
        used=NOW - values.get("age", 3600),
        in_use=values.get("in_use", False),
        needed_by=needed,
        recorded=values.get("recorded", True),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_what_of_the_caches_goes(case: dict[str, Any]) -> None:
    cached = [_cached(**each) for each in case["cached"]]
    found = garbage.choose(cached, now=NOW, limit=case.get("limit"), unrecorded=case.get("unrecorded", False))
    assert [each.name for each, _ in found] == case["goes"]
    assert all(reason for _, reason in found)


def test_a_folder_is_gone_only_if_it_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "fstab"
    table.write_text(f"# disks\n/dev/sdb1 {tmp_path}/my\\040disk ext4 noauto 0 0\n\nbad\n")
    monkeypatch.setattr(state, "FSTAB", table)
    (tmp_path / "file").touch()
    assert is_gone(tmp_path / "never")
    assert is_gone(tmp_path / "file" / "below")
    assert not is_gone(tmp_path)
    assert not is_gone(tmp_path / "my disk" / "project"), "its disk is not mounted"


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("cache: {limit: 20}", "the limit of the cache must be a size with a unit", "1:16"),
        ("cache: {limit: 20 parsecs}", "the limit of the cache must be a size with a unit", "1:16"),
        ("cache: 20GiB", "cache must be a map", "1:8"),
        ("cache:\n  limit: 1GiB\n  budget: 2GiB", "cache has no key budget", "3:3"),
    ],
)
def test_a_wrong_limit_is_an_error_at_its_place(tmp_path: Path, text: str, message: str, place: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as raised:
        cache_limit(path)
    problem = raised.value.problems[0]
    assert problem.message == message
    assert f"{problem.origin.line}:{problem.origin.column}" == place
    assert problem.origin.file == str(path)
    assert "20GiB" in problem.hint


@pytest.mark.parametrize(
    ("text", "limit"),
    [("cache: {limit: 20GiB}", 20 << 30), ("proxy: {http: http://p:1}", None), ("cache: {}", None)],
)
def test_the_limit_of_the_configuration(tmp_path: Path, text: str, limit: int | None) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert cache_limit(path) == limit


def test_sizes_and_times_of_the_engine() -> None:
    assert [size(text) for text in ("0B", "18.28kB", "164MB", "1.5GB", "N/A")] == [
        0, 18280, 164_000_000, 1_500_000_000, 0,
    ]  # fmt: skip
    assert _seconds("1970-01-01T00:01:00.5Z") == 60
    assert _seconds("1970-01-01T01:01:00+01:00") == 60
    assert _seconds("0001-01-01T00:00:00Z") == _seconds("") == 0
    assert [shown_size(each) for each in (5, 2048, 3 << 20, 1 << 30)] == ["5 B", "2 KiB", "3 MiB", "1 GiB"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host of its own: state, cache, sockets and temporary folders."""
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SOCKETS", "MEMORY"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(runtime, name, tmp_path / name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "SOCKETS"))
    monkeypatch.setattr(backends, "names", lambda: ("vm",))
    monkeypatch.setattr(drivers, "MODULES", {"qemu": drivers.MODULES["qemu"]})
    return tmp_path


def _environment(project: Path, name: str, disks: Sequence[str]) -> StateDir:
    """An environment with QEMU machines that were once of these disks."""
    state_dir = StateDir.of(project, name, "vm", project / "provision.yaml")
    state_dir.make()
    made = {
        f"m{at}": of_qemu.InstanceRecord(definition="", build="image", disk=disk)
        for at, disk in enumerate(disks)
    }
    state_dir.save(of_qemu.RECORD, of_qemu.InstancesRecord(machines=made))
    return state_dir


def _artifact(here: Path, name: str, *, age: float = DAY, user: Path | None = None) -> Artifact:
    folder = here / "cache" / "provision" / "disks" / name
    folder.mkdir(parents=True)
    (folder / "disk.qcow2").write_bytes(b"x" * 10_000)
    made = Artifact(folder=folder)
    if user is not None:
        made.claim(user)
        os.utime(folder / "users", (time.time() - age,) * 2)
    os.utime(folder, (time.time() - age,) * 2)
    return made


def _found() -> set[str]:
    return {each.cached.name for each in garbage.find_garbage().cached}


def test_disks_that_no_environment_needs_go_and_no_others(here: Path) -> None:
    needed, unneeded, claimed, saved, young, of_gone = (letter * 32 for letter in "abcdef")
    project = here / "project"
    project.mkdir()
    _environment(project, "dev", [needed])
    _environment(here / "removed", "old", [of_gone])
    (here / "overlay.qcow2").touch()
    (here / "down.qcow2.kept").touch()
    _artifact(here, needed)
    _artifact(here, unneeded)
    _artifact(here, claimed, user=here / "overlay.qcow2")
    _artifact(here, saved, user=here / "down.qcow2")
    _artifact(here, young, age=0)
    _artifact(here, of_gone)
    _artifact(here, "base-debian-12-0123456789abcdef", age=9 * DAY)
    _artifact(here, "base-debian-12-fedcba9876543210", age=2 * DAY)
    (here / "cache" / "provision" / "disks" / "notes").mkdir()
    found = garbage.find_garbage()
    assert {each.cached.name for each in found.cached} == {unneeded, "base-debian-12-0123456789abcdef"}
    assert [each.ref.name for each in found.environments] == ["old"]


def test_another_state_folder_keeps_what_its_environments_need(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, nobodys = "a" * 32, "b" * 32
    project = here / "project"
    project.mkdir()
    monkeypatch.setenv("PROVISION_STATE_DIR", str(here / "other"))
    _environment(project, "dev", [theirs])
    _environment(here / "removed", "gone", ["c" * 32])
    monkeypatch.setenv("PROVISION_STATE_DIR", str(here / "state"))
    _artifact(here, theirs)
    _artifact(here, nobodys)
    _artifact(here, "c" * 32)
    assert here / "other" in state_folders()
    found = garbage.find_garbage()
    assert {each.cached.name for each in found.cached} == {nobodys}
    assert not found.environments, "the other state folder's environments are its own matter"


def test_what_was_found_is_removed_and_nothing_else(here: Path) -> None:
    project = here / "project"
    project.mkdir()
    stopped = _environment(project, "dev", ["a" * 32])
    gone = _environment(here / "removed", "old", ["c" * 32])
    kept, going = _artifact(here, "a" * 32), _artifact(here, "b" * 32)
    _artifact(here, "c" * 32)
    half = here / "cache" / "provision" / "disks" / "f00.part"
    half.mkdir()
    found = garbage.find_garbage()
    assert found.count == 3, found
    assert found.size > 0
    assert all(each.exists for each in (kept, going)), "nothing goes before it was asked for"
    collected = garbage.collect(found, Silent())
    assert (collected.count, collected.failed) == (3, ())
    assert kept.exists
    assert stopped.folder.exists()
    assert not going.exists
    assert not half.exists()
    assert not gone.folder.parent.exists()
    assert not garbage.find_garbage().count


def test_a_project_that_came_back_keeps_its_environment(here: Path) -> None:
    gone = _environment(here / "moved", "old", [])
    found = garbage.find_garbage()
    (here / "moved").mkdir()
    assert garbage.collect(found, Silent()).count == 0
    assert gone.folder.exists()


def test_a_damaged_record_is_no_sign_that_a_project_is_gone(here: Path) -> None:
    damaged = _environment(here / "removed", "dev", ["a" * 32])
    (damaged.folder.parent / "environment.json").write_text("{")
    _artifact(here, "a" * 32)
    found = garbage.find_garbage()
    assert not found.count
    assert "damaged" in found.notes[0]


def test_what_is_being_made_is_no_leftover(here: Path) -> None:
    folder = here / "cache" / "provision" / "disks"
    (folder / "recipes").mkdir(parents=True)
    for name in ("made", "killed"):
        (folder / f"{name}.part").mkdir()
        (folder / "recipes" / f"{name}.lock").touch()
    (folder / "a.gone").mkdir()
    with exclusive(folder / "recipes" / "made.lock"):
        assert {path.name for path in keeping.half_made()} == {"killed.part", "a.gone"}


@pytest.mark.usefixtures("here")
def test_sockets_are_dead_only_if_nobody_listens() -> None:
    folder = runtime.sockets()
    alive, dead = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    with alive, dead:
        for bound, name in ((alive, "alive"), (dead, "dead")):
            bound.bind(str(folder / name))
            os.utime(folder / name, (time.time() - 90,) * 2)
        alive.listen()
        dead.close()
        (folder / "x.lock").touch()
        assert leftovers.dead_sockets() == (folder / "dead",)


@pytest.mark.usefixtures("here")
def test_a_new_socket_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What listens in another network namespace may accept one caller alone."""
    monkeypatch.setattr(leftovers, "BOUND", Path("/dev/null"))
    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind(str(runtime.sockets() / "new"))
        listens.listen()
        listens.setblocking(False)
        assert leftovers.dead_sockets() == ()
        with pytest.raises(BlockingIOError):
            listens.accept()


@pytest.mark.usefixtures("here")
def test_build_folders_are_left_for_a_day() -> None:
    names = ("provision-a1b2c3d4", "provision-00000000", "provision-1000", "provision-compare-abcdefgh")
    for name in names:
        (runtime.SOCKETS / name).mkdir(mode=0o700)
    for name in names[1:]:
        os.utime(runtime.SOCKETS / name, (time.time() - 2 * DAY,) * 2)
    assert {path.name for path in leftovers.build_folders()} == {names[1], names[3]}


def test_the_limit_removes_the_oldest_by_itself(here: Path) -> None:
    project = here / "project"
    project.mkdir()
    _environment(project, "dev", ["a" * 32, "b" * 32])
    old, young = _artifact(here, "a" * 32, age=9 * DAY), _artifact(here, "b" * 32, age=2 * DAY)
    (here / "overlay").touch()
    used = _artifact(here, "c" * 32, age=20 * DAY, user=here / "overlay")
    configuration = here / "config" / "provision" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("cache: {limit: 1GiB}\n")
    garbage.keep_limit(Silent())
    assert old.exists
    configuration.write_text("cache: {limit: 0.04MB}\n")  # two of three
    garbage.keep_limit(Silent())
    assert not old.exists
    assert young.exists
    assert used.exists


def test_records_of_other_state_folders_are_read_where_they_lie(here: Path) -> None:
    folder = here / "elsewhere" / "environments" / "dev-01234567"
    folder.mkdir(parents=True)
    record = EnvironmentRecord(name="dev", project="/p", spec="/p/s.yaml", created="")
    records.save(folder / "environment.json", record)
    assert [each.name for each in known_environments(here / "elsewhere")] == ["dev"]
    assert json.loads((folder / "environment.json").read_text())["project"] == "/p"


def test_every_temporary_folder_has_a_name_that_gc_knows() -> None:
    """Whoever is killed leaves it; a file, or a name like any other, would stay for ever."""
    makers = {"TemporaryDirectory", "NamedTemporaryFile", "SpooledTemporaryFile",
              "mkdtemp", "mkstemp", "mktemp"}  # fmt: skip
    made = []
    for path in sorted(Path(leftovers.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in makers:
                prefix = next((ast.unparse(word.value) for word in node.keywords if word.arg == "prefix"), "")
                made.append((path.name, name, prefix))
    known = {"runtime.TEMPORARY", "TEMPORARY", "'provision-'", "'provision-compare-'"}
    assert len(made) > 4
    assert [each for each in made if each[1] != "TemporaryDirectory" or each[2] not in known] == []
