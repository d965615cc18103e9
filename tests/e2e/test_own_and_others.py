"""What is an environment's own and what is not: clones, strangers in the way, what is left over."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.conftest import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Project

COMPOSE = "com.docker.compose.project"
# Its images are those of this run alone, whatever is left of others.
SPEC = f"""
version: 1
name: twin
base: debian:12
run: [{{name: unique, script: ": {uuid.uuid4()}"}}, {{name: word, script: "echo one >/opt/word"}}]
volumes: {{data: /data}}
services:
  one: {{command: sleep infinity, ready: {{command: "true"}}}}
"""


def engine(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout.strip()


def of_project(project: Project, kind: str) -> list[str]:
    """What the engine has of a kind that carries the project's id."""
    words = {"container": ["ps", "--all", "--format", "{{.Names}}"], "image": ["image", "ls", "--quiet"]}
    listing = words.get(kind, [kind, "ls", "--format", "{{.Name}}"])
    return engine(*listing, "--filter", f"label=provision.id={project.state_dir('twin').id}").split()


def project_in(folder: Path, text: str = SPEC) -> Project:
    project = make_project(folder, "docker")
    project.spec(text)
    return project


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Project]:
    project = project_in(tmp_path / "twin")
    yield project
    project.spec(SPEC)
    project.good("down", "--volumes", "--images")
    assert [of_project(project, kind) for kind in ("container", "volume", "network")] == [[], [], []]
    assert not project.state_dir("twin").folder.parent.exists()


# --- clones


def test_two_clones_come_up_at_once_and_know_nothing_of_each_other(tmp_path: Path) -> None:
    one, other = (project_in(tmp_path / name / "repo") for name in ("one", "other"))
    other.spec(SPEC.replace("echo one", "echo two"))
    try:
        with ThreadPoolExecutor(2) as pool:
            for said in pool.map(lambda each: each.run("up"), (one, other)):
                assert said.code == 0, said.all
        assert [each.inside("cat /opt/word") for each in (one, other)] == ["one\n", "two\n"]
        for each, word in ((one, "mine"), (other, "theirs")):
            each.inside(f"echo {word} >/data/word", user="root")
        assert "(no changes)" in one.up()
        one.good("down", "--volumes")
        assert other.inside("cat /data/word /opt/word") == "theirs\ntwo\n"
        assert other.state()["state"] == "running"
        assert "(no changes)" in other.up()
        one.up()
        assert one.inside("cat /data/word || echo none") == "none\n"
    finally:
        one.good("down", "--volumes", "--images")
        other.good("down", "--volumes", "--images")


def test_clones_share_an_image_and_the_last_one_removes_it(tmp_path: Path) -> None:
    one, other = (project_in(tmp_path / name / "repo") for name in ("one", "other"))
    try:
        one.up("--no-verify")
        said = other.run("up", "--no-verify")
        assert "building" not in said.stderr
        image = one.image("twin")
        assert other.image("twin") == image
        assert f"{image} stays" in one.run("down", "--images").stderr
        assert "(no changes)" in other.up()
        other.good("down", "--images")
        assert engine("image", "ls", "--quiet", image) == ""
    finally:
        one.good("down", "--volumes", "--images")
        other.good("down", "--volumes", "--images")


def test_a_renamed_folder_is_another_environment_and_the_old_one_can_be_taken_down(tmp_path: Path) -> None:
    old = project_in(tmp_path / "old")
    old.up("--no-verify")
    old.folder.rename(tmp_path / "new")
    (tmp_path / "elsewhere").mkdir()
    anywhere, new = make_project(tmp_path / "elsewhere", "docker"), make_project(tmp_path / "new", "docker")
    try:
        assert new.state()["state"] == "absent"
        new.up("--no-verify")
        identity = old.state_dir("twin").id
        listed = {
            each["id"]: each for each in anywhere.run("list", "--format", "json").json()["environments"]
        }
        assert listed[identity]["problem"] == "its folder is gone"
        assert (listed[identity]["state"], listed[identity]["folder"]) == ("running", str(tmp_path / "old"))
        assert listed[new.state_dir("twin").id]["problem"] is None
        said = anywhere.run("down", "twin")
        assert said.code == 2
        assert "environments are called twin" in said.stderr
        assert str(tmp_path / "old") in said.stderr
        assert anywhere.good("down", identity, "--volumes", "--images").strip() == "twin is down"
        assert new.state()["state"] == "running"
        assert identity not in anywhere.good("ls")
    finally:
        new.good("down", "--volumes", "--images")


# --- strangers


@pytest.fixture(params=["container", "volume", "network", "image", "project"])
def stranger(request: pytest.FixtureRequest, twin: Project) -> Iterator[tuple[str, list[str]]]:
    """Something of somebody else's that is called as the environment's; how to look at it."""
    name = twin.state_dir("twin").unique_name
    make = {
        "container": (["run", "--detach", "--name", f"{name}-twin-1", "debian:12", "sleep", "9000"],
                      ["rm", "--force", f"{name}-twin-1"], f"{name}-twin-1"),
        "volume": (["volume", "create", f"{name}_data"], ["volume", "rm", f"{name}_data"], f"{name}_data"),
        "network": (["network", "create", f"{name}_default"], ["network", "rm", f"{name}_default"],
                    f"{name}_default"),
        "project": (["run", "--detach", "--name", "stranger", "--label", f"{COMPOSE}={name}",
                     "--label", f"{COMPOSE}.working_dir=/srv/shop", "debian:12", "sleep", "9000"],
                    ["rm", "--force", "stranger"], "stranger"),
    }  # fmt: skip
    if request.param == "image":
        twin.spec(SPEC.replace("echo one", f"echo {uuid.uuid4()}"))  # no clone has that one
        tag = twin.plan()["images"][0]["name"]
        make["image"] = ["tag", "debian:12", tag], ["image", "rm", tag], tag
    making, removing, called = make[request.param]
    engine(*making)
    yield called, ["inspect", "--format", "{{json .}}", called]
    engine(*removing)


def test_a_stranger_in_the_way_is_named_and_left_alone(
    twin: Project, stranger: tuple[str, list[str]]
) -> None:
    name, look = stranger
    before = engine(*look)
    for words in (["plan"], ["up"], ["up", "--rebuild"]):
        said = twin.run(*words)
        assert said.code == 1, said.all
        assert "a name that this environment needs is taken by something else" in said.stderr
        assert name in said.stderr
        assert "--name" in said.stderr
    if name == "stranger":
        assert "in /srv/shop" in said.stderr
    assert twin.run("down", "--volumes", "--images").code == 0
    assert json.loads(engine(*look)).get("Id") == json.loads(before).get("Id")
    assert engine(*look).count("CreatedAt") == before.count("CreatedAt")


def test_somebodys_compose_project_of_the_plain_name_is_nobodys_business(
    twin: Project, tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "compose.yaml").write_text(
        "name: twin\nservices: {twin: {image: 'debian:12', command: sleep 9000, volumes: ['data:/data']}}\n"
        "volumes: {data: {}}\n"
    )
    theirs = ["compose", "--project-directory", str(folder)]
    engine(*theirs, "up", "--detach")
    try:
        before = engine("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "twin-twin-1")
        twin.up("--no-verify")
        twin.good("down", "--volumes", "--images")
        assert engine("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "twin-twin-1") == before
        assert engine("volume", "ls", "--quiet", "--filter", "name=twin_data") == "twin_data"
    finally:
        engine(*theirs, "down", "--volumes")


def test_files_that_lie_beside_the_rendering_are_not_read(twin: Project) -> None:
    twin.up("--no-verify")
    rendering = twin.state_dir("twin").rendering
    evil = "services: {twin: {privileged: true, environment: {EVIL: 'yes'}}}\n"
    for name in ("compose.override.yaml", "compose.override.yml", "docker-compose.yml"):
        (rendering / name).write_text(evil)
    twin.spec(SPEC.replace("echo one", "echo two"))
    twin.up("--no-verify")
    assert engine("inspect", "--format", "{{.HostConfig.Privileged}}", twin.container("twin")) == "false"
    assert twin.inside("echo ${EVIL:-no}") == "no\n"


# --- what stays


def test_a_volume_stays_until_it_is_asked_for(twin: Project) -> None:
    twin.up("--no-verify")
    twin.inside("echo mine >/data/word", user="root")
    name = twin.state_dir("twin").unique_name
    twin.spec(SPEC.replace("{data: /data}", "{other: /data}"))
    said = twin.run("plan").stdout
    assert "machine twin starts with an empty volume other" in said
    assert f"no machine uses the volume {name}_data any more" in said
    assert "starts with an empty volume other" in twin.run("up", "--no-verify").stderr
    twin.good("up", "--rebuild", "--no-verify")
    twin.good("down")
    assert of_project(twin, "volume") == [f"{name}_data", f"{name}_other"]
    listed = {each["id"]: each for each in twin.run("list", "--format", "json").json()["environments"]}
    mine = listed[twin.state_dir("twin").id]
    assert (mine["state"], mine["volumes"]) == ("down", [f"{name}_data", f"{name}_other"])
    assert "2 volumes kept" in twin.good("list")
    twin.spec(SPEC)
    twin.up("--no-verify")
    assert twin.inside("cat /data/word") == "mine\n"
    twin.good("down", twin.state_dir("twin").id, "--volumes")
    assert of_project(twin, "volume") == []


def test_superseded_images_go_with_the_environment(twin: Project) -> None:
    twin.up("--no-verify")
    images = {twin.image("twin")}
    for word in ("two", "three"):
        twin.spec(SPEC.replace("echo one", f"echo {word}"))
        twin.up("--no-verify")
        images.add(twin.image("twin"))
    assert len(images) == 3
    twin.up("--no-verify", "--rebuild")
    twin.good("down")
    assert "3 images kept" in twin.good("list")
    assert twin.good("down", "--images").startswith("removed what was left of twin: provision/")
    assert [image for image in images if engine("image", "ls", "--quiet", image)] == []
    untagged = engine(
        "image", "ls", "--quiet", "--filter", "dangling=true", "--filter", "label=provision.recipe"
    )
    assert untagged == ""


# --- records


RECORDS = ("ports", "images", "../environment")
DAMAGE = {"empty": b"", "cut": b'{"version": 1, "po', "older": b'{"version": 0}', "binary": b"\xff\xfe"}


# Each record and each damage once; test_records has the loader, `make thorough` all pairs.
OFTEN = {("ports", "cut"), ("images", "binary"), ("../environment", "empty"), ("ports", "older")}


@pytest.mark.parametrize(
    ("record", "damage"),
    [
        pytest.param(record, damage, marks=() if (record, damage) in OFTEN else pytest.mark.thorough)
        for record in RECORDS
        for damage in DAMAGE
    ],
)
def test_a_damaged_record_is_an_error_with_a_way_out_and_down_works(
    twin: Project, record: str, damage: str
) -> None:
    twin.up("--no-verify")
    twin.state_dir("twin").path_of(record).write_bytes(DAMAGE[damage])
    twin.spec(SPEC.replace("echo one", "echo two"))
    said = twin.run("up", "--no-verify")
    assert "Traceback" not in said.all
    if record == "../environment":
        assert said.code == 0, "it is written anew"
    else:
        assert said.code == 1
        assert f"{record}.json cannot be used" in said.stderr
        assert f"provision down {twin.state_dir('twin').id}" in said.stderr
    assert twin.state()["state"] == "running"
    assert twin.good("ls")
    assert twin.good("down", twin.state_dir("twin").id).strip() == "twin is down"
    twin.up("--no-verify")
    assert twin.inside("cat /opt/word") == "two\n"


def test_an_environment_whose_state_is_gone_is_known_by_its_labels(twin: Project, tmp_path: Path) -> None:
    twin.up("--no-verify")
    shutil.rmtree(twin.state_dir("twin").folder.parent)
    (tmp_path / "elsewhere").mkdir()
    anywhere = make_project(tmp_path / "elsewhere", "docker")
    listed = {each["id"]: each for each in anywhere.run("list", "--format", "json").json()["environments"]}
    mine = listed[twin.state_dir("twin").id]
    assert (mine["state"], mine["folder"]) == ("running", str(twin.folder))
    assert anywhere.good("down", twin.state_dir("twin").id, "--volumes").strip() == "twin is down"
    assert of_project(twin, "container") == []


def test_down_of_what_nobody_knows_says_what_there_is(project: Project) -> None:
    said = project.run("down", "nothing-of-this-name")
    assert said.code == 2
    assert "no environment is called nothing-of-this-name" in said.stderr
    assert "provision list" in said.stderr


def test_down_works_on_a_full_disk(twin: Project, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(full)], check=True)
    twin.environment["PROVISION_STATE_DIR"] = str(full)
    try:
        twin.up("--no-verify")
        subprocess.run(["dd", "if=/dev/zero", f"of={full / 'filler'}"], capture_output=True, check=False)
        with pytest.raises(OSError, match="space"):
            (full / "more").write_bytes(b"x" * 4096)
        assert twin.good("down", twin.state_dir("twin").id, "--volumes").strip() == "twin is down"
        assert of_project(twin, "container") == []
    finally:
        del twin.environment["PROVISION_STATE_DIR"]
        subprocess.run(["umount", str(full)], check=True)
