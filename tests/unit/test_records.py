"""Records: read whole or refused with the reason; what they name stays where it belongs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from provision import records
from provision.backends.ports import PortsRecord
from provision.backends.vm.guest.sync import SyncedRecord
from provision.backends.vm.qemu.records import InstancesRecord
from provision.backends.vm.records import MachineRecord, MachinesRecord
from provision.backends.vm.vagrant.box_refs import BoxRefsRecord
from provision.model import PortStatus
from provision.records import DamagedRecord
from provision.state import EnvironmentRecord

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Inner:
    way: Literal["image", "provision"]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Whole:
    number: int
    inner: Inner
    text: str | None = None


GOOD = {"version": 1, "number": 1, "inner": {"way": "image", "names": ["a"]}, "text": None}


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    facts = MachineRecord(
        user="dev",
        workdir="/w",
        services=("web",),
        ports=(PortStatus(guest=80, host=8080, address="::1", protocol="tcp"),),
    )
    record = MachinesRecord(provider="qemu", definitions={"web": "abc"}, machines={"web": facts})
    records.save(tmp_path / "machines.json", record)
    assert records.load(tmp_path / "machines.json", MachinesRecord) == record
    assert records.load(tmp_path / "nothing.json", MachinesRecord) is None
    assert [path.name for path in tmp_path.iterdir()] == ["machines.json"]


DAMAGED = {
    "empty": (b"", "Expecting value"),
    "cut": (json.dumps(GOOD).encode()[:20], ""),
    "binary": (b"\xff\xfe\x00", ""),
    "a list": (b"[]", "it is not a map"),
    "nested": (b"[" * 100_000, ""),
    "no version": ({**GOOD, "version": None}, "version None"),
    "older": ({**GOOD, "version": 0}, "it has version 0, and this provision reads 1"),
    "a word for a number": ({**GOOD, "number": "1"}, "number is not int"),
    "a truth for a number": ({**GOOD, "number": True}, "number is not int"),
    "a field missing": ({"version": 1, "inner": GOOD["inner"]}, "it lacks number"),
    "a field too many": ({**GOOD, "more": 1}, "it has an unknown more"),
    "another word": ({**GOOD, "inner": {"way": "x"}}, "inner.way is not"),
    "no list": ({**GOOD, "inner": {"way": "image", "names": "a"}}, "inner.names is not"),
    "a list of others": ({**GOOD, "inner": {"way": "image", "names": [1]}}, "inner.names[0] is not str"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_record_is_an_error_with_its_reason(case: str, tmp_path: Path) -> None:
    content, reason = DAMAGED[case]
    path = tmp_path / "record.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DamagedRecord, match=str(path)) as caught:
        records.load(path, Whole)
    assert reason in caught.value.reason
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_a_record_that_is_no_file_is_an_error(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    with pytest.raises(DamagedRecord):
        records.load(path, Whole)


# What `down --images` and `down --volumes` would remove by these names.
MADE = {"definition": "", "build": "image"}
BOX = {"provider": "libvirt", "box": "provision/a", "made": "a"}
COPIED = {"machine": "web", "path": "/", "user": ""}
ESCAPES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "a disk anywhere": (InstancesRecord, {"machines": {"web": {**MADE, "disk": "/home"}}}),
    "a disk above": (InstancesRecord, {"machines": {"web": {**MADE, "disk": ".."}}}),
    "a box anywhere": (BoxRefsRecord, {"machines": {"web": {**BOX, "made": "/home"}}}),
    "a box of others": (BoxRefsRecord, {"machines": {"web": {**BOX, "box": "debian/x"}}}),
    "a port that is none": (PortsRecord, {"ports": {"web:80/tcp": "ssh"}}),
    "a folder that is none": (SyncedRecord, {"folders": [{**COPIED, "source": 1}]}),
    "a project that is none": (EnvironmentRecord, {"name": "x", "project": None, "spec": "", "created": ""}),
}  # fmt: skip


@pytest.mark.parametrize("case", ESCAPES)
def test_a_record_names_nothing_outside_its_place(case: str, tmp_path: Path) -> None:
    kind, content = ESCAPES[case]
    (tmp_path / "record.json").write_text(json.dumps({"version": 1, **content}))
    with pytest.raises(DamagedRecord):
        records.load(tmp_path / "record.json", kind)


def test_a_record_is_replaced_and_not_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "ports.new").symlink_to(victim)
    (tmp_path / "ports.json").symlink_to(victim)
    records.save(tmp_path / "ports.json", PortsRecord(ports={}))
    assert victim.read_text() == "mine"
    assert not (tmp_path / "ports.json").is_symlink()
