"""Boxes and disks that are made of images: when, how they are kept, and when they are thrown away."""

from __future__ import annotations

import platform
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.vm.image import store
from provision.backends.vm.image.store import Artifact, ArtifactStore, build_strategy
from provision.backends.vm.vagrant import box_refs, boxes
from provision.backends.vm.vagrant.boxes import Box, may_use_image, refuse_small_disk
from provision.bases.making import keep
from provision.bases.packing import BOX_PROVIDERS, BoxProvider, kernel_of, pack, size_of
from provision.bases.scripts import scripts
from provision.errors import HostLacks, UsageError
from provision.state import StateDir

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Machine

SPEC = "version: 1\nname: box\nbase: {base}\nbackends: {{vm: {{{options}}}}}\n"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the engine builds for; None where there is none."""
    found = SimpleNamespace(architecture="amd64", image="amd64")
    monkeypatch.setattr(store, "engine_architecture", lambda: found.architecture)
    monkeypatch.setattr(store, "_image", lambda _base: SimpleNamespace(architecture=found.image))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("PROVISION_ARCHITECTURE", raising=False)
    return found


def machine(folder: Path, options: str = "", base: str = "debian:12") -> Machine:
    (folder / ".git").mkdir(exist_ok=True)
    (folder / "box.yaml").write_text(SPEC.format(base=base, options=options))
    return spec.load(
        folder / "box.yaml", backend="vm", settings={}, host={}, allows=spec.everything
    ).machines[0]


@pytest.mark.parametrize(
    ("provider", "options", "base", "expected"),
    [
        ("libvirt", "", "debian:12", True),
        ("virtualbox", "", "ubuntu:24.04", True),
        ("libvirt", "build: image", "debian:12", True),
        ("libvirt", "build: provision", "debian:12", False),
        ("libvirt", "box: team/box", "debian:12", False),
        ("libvirt", "build: image, box: team/box", "debian:12", False),
        ("libvirt", "", "fedora:43", False),
        ("parallels", "", "debian:12", False),
        ("libvirt", "", "{image: 'team/debian:1', family: apt}", True),
        ("libvirt", "", "{image: 'team/debian:1', family: apt, box: team/debian}", False),
        ("libvirt", "build: image", "{image: 'team/debian:1', family: apt, box: team/debian}", True),
    ],
)
def test_a_spec_says_whether_a_box_may_be_of_the_image(
    tmp_path: Path, provider: str, options: str, base: str, expected: bool
) -> None:
    assert may_use_image(machine(tmp_path, options, base), provider) is expected


def test_where_no_engine_answers_the_base_does_unless_the_image_is_asked_for(
    tmp_path: Path, engine: SimpleNamespace
) -> None:
    assert build_strategy(machine(tmp_path), instead=True) == ("image", "")
    engine.architecture = None
    assert build_strategy(machine(tmp_path), instead=True) == (
        "provision",
        "no Docker engine with buildx answers",
    )
    assert build_strategy(machine(tmp_path, "build: provision"), instead=True) == ("provision", "")
    with pytest.raises(HostLacks) as caught:
        build_strategy(machine(tmp_path, "build: image"), instead=True)
    assert caught.value.evidence == ("no Docker engine with buildx answers",)
    assert "build: provision" in caught.value.hint
    with pytest.raises(HostLacks):
        build_strategy(machine(tmp_path), instead=False)


@pytest.mark.parametrize(
    ("host", "builds_for", "image", "reason"),
    [
        ("x86_64", "amd64", "", ""),
        ("aarch64", "arm64", "", ""),
        ("arm64", "arm64", "", ""),  # as macOS says it
        (
            "x86_64",
            "arm64",
            "arm64",
            "the Docker engine builds for arm64, but this host's machines are amd64",
        ),
        (
            "arm64",
            "amd64",
            "amd64",
            "the Docker engine builds for amd64, but this host's machines are arm64",
        ),
        ("arm64", "amd64", "arm64", ""),  # it emulates: the image is there because it can be run
        ("riscv64", "riscv64", "riscv64", "provision has no QEMU machine for riscv64"),
    ],
)
def test_an_image_is_built_for_the_machines_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    engine: SimpleNamespace,
    host: str,
    builds_for: str,
    image: str,
    reason: str,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: host)
    engine.architecture, engine.image = builds_for, image
    assert build_strategy(machine(tmp_path), instead=True) == (
        ("provision", reason) if reason else ("image", "")
    )


@pytest.mark.parametrize("provider", BOX_PROVIDERS)
def test_a_box_says_how_large_its_disk_is(tmp_path: Path, provider: BoxProvider) -> None:
    for name, content in {"disk": "a disk", "gib": "3", "vmlinuz": "a kernel"}.items():
        (tmp_path / name).write_text(content)
    box = tmp_path / "box"
    pack(provider, tmp_path, box, time=0)
    assert size_of(box) == 3
    assert kernel_of(box) == b"a kernel"


def test_a_disk_that_no_box_fits_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    asked = machine(tmp_path)
    small = replace(asked, resources=replace(asked.resources, disk=1 << 30))
    with pytest.raises(UsageError, match="a disk of 1 GiB, but its box has one of 2 GiB"):
        refuse_small_disk(small, "libvirt")
    refuse_small_disk(replace(small, resources=replace(asked.resources, disk=2 << 30)), "libvirt")


def test_what_somebody_needs_stays(tmp_path: Path) -> None:
    made = Artifact(folder=tmp_path / "made")
    made.folder.mkdir()
    one, other = tmp_path / "one", tmp_path / "other"
    for user in (one, other):
        made.claim(user)
        user.touch()
    assert not made.release(one)
    assert made.exists
    assert made.release(other)
    assert not made.release(other), "it is gone already"
    assert sorted(tmp_path.iterdir()) == [one, other]


def test_boxes_are_thrown_away_with_the_last_machine_that_was_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    artifacts = boxes.BOXES
    for name in ("first", "second"):
        (artifacts.folder / name).mkdir(parents=True)
    first, second = (Box(name=f"provision/{name}", made=artifacts.get(name)) for name in ("first", "second"))
    base = Box(name="debian/bookworm64")
    mine, theirs = (StateDir.of(tmp_path / name, "env", "vm") for name in ("mine", "theirs"))
    assert box_refs.add(mine, "libvirt", "web", first) is None
    assert box_refs.add(mine, "libvirt", "db", second) is None
    assert box_refs.add(theirs, "libvirt", "web", first) is None

    assert box_refs.add(mine, "libvirt", "web", second) is None, "others need the first"
    assert box_refs.add(mine, "libvirt", "db", first) is None, "this environment needs the second"
    assert box_refs.drop_all(mine, "virtualbox") == (), "another's"
    assert box_refs.drop_all(mine, "libvirt") == ("provision/second",)
    assert box_refs.add(theirs, "libvirt", "web", base) == "provision/first"
    assert not any(path.is_dir() for path in artifacts.folder.glob("*"))


def test_what_is_made_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    made = tmp_path / "kept" / "made"

    def fail(work: Path) -> Path:
        (work / "out").write_text("half")
        raise HostLacks("it did not work")

    with pytest.raises(HostLacks):
        keep(made, fail)
    assert not made.exists()

    def make(work: Path) -> Path:
        (work / "out").write_text("whole")
        return work / "out"

    assert keep(made, make).read_text() == "whole"
    assert keep(made, fail).read_text() == "whole"


def test_both_kinds_of_machine_have_the_scripts_that_a_dockerfile_calls() -> None:
    called = {"guest.sh", "changes.sh", "configure.sh", "units.sh", "kernel.sh", "tools.sh", "disk.sh"}
    assert called <= set(scripts("guest"))
    assert called <= set(scripts("box"))


def test_a_shelf_keeps_one_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    artifacts = ArtifactStore(kind="disk", within="disks", file="disk")
    assert artifacts.folder.name == "disks"
    for half in ("one", "two"):
        (artifacts.folder / half).mkdir(parents=True)
        (artifacts.folder / half / "disk").write_text("equal")
    assert artifacts._keep(artifacts.folder / "one") == artifacts._keep(artifacts.folder / "two")
