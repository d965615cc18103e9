"""A service may be called as a unit of the system is: its own unit is called otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision import process
from provision.backends.journal import read_journal
from provision.errors import SpecError
from provision.model import RESERVED
from provision.recipe.systemd import identifier_of, service_of, systemd_scripts, unit_of
from provision.spec import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SYSTEM = ("ssh", "sshd", "dbus", "systemd-journald", "systemd-logind", "docker", "cron", "getty", "rsync")
OURS = (
    "guest",
    "guest-keys",
    "guest-shell",
    "provision",
    "provision-setup",
    "service-web",
    "target",
)
TEMPLATES = Path(__file__).parent.parent.parent / "templates"


def spec(folder: Path, *names: str) -> Path:
    services = "".join(f"  {name}: {{command: sleep infinity}}\n" for name in names)
    path = folder / "x.yaml"
    path.write_text(f"version: 1\nname: x\nbase: debian:12\nservices:\n{services}setup: ['true']\n")
    return path


def test_units_of_services_are_none_of_the_system_nor_of_ours(tmp_path: Path) -> None:
    (machine,) = load(spec(tmp_path, *SYSTEM, *OURS), backend="vm", host={}).machines
    units = {path.removeprefix("units/") for path in systemd_scripts(machine) if path.startswith("units/")}
    ours = {"provision.target", "provision-attach.service", "provision-setup.service"}
    ours |= {path.name for path in TEMPLATES.rglob("provision-*.service")}
    assert len(units) == len(SYSTEM) + len(OURS) + 3
    assert {f"{name}.service" for name in SYSTEM} & units == set()
    assert {unit_of(name) for name in (*SYSTEM, *OURS)} & ours == set()


def test_on_cgroup_v1_lines_are_read_outside_of_a_services_group(tmp_path: Path) -> None:
    """A reader inside would be the last to end there, and nobody would tell systemd."""
    (machine,) = load(spec(tmp_path, "web"), backend="docker", host={}).machines
    for version, apart in (("1", True), ("2", False)):
        scripts = systemd_scripts(machine, cgroup_v1=version == "1")
        unit = scripts["units/provision-service-web.service"].content.decode()
        assert ("units/provision-lines-web.service" in scripts) is apart
        assert ("After=provision-attach.service provision-lines-web.service" in unit) is apart
        assert (b"systemd-cat" in scripts["service"].content) is not apart


@pytest.mark.parametrize("name", [*SYSTEM, *OURS, *RESERVED])
def test_lines_carry_the_name_of_the_service(name: str) -> None:
    assert service_of(identifier_of(name)) == name
    assert identifier_of(name) != name


@pytest.mark.parametrize("named", ["docker", "vm"])
@pytest.mark.parametrize("name", RESERVED)
def test_no_service_is_called_as_a_step_of_ours_is(name: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        load(spec(tmp_path, "web", name), backend=named, host={})
    (problem,) = raised.value.problems
    assert problem.origin.line == 6
    assert f"cannot be called {name}" in problem.message


def test_the_journal_is_asked_for_ours_and_read_by_the_name_of_the_spec(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def stream(words: Sequence[str], each_line: Callable[[str], None]) -> None:
        asked.extend(words)
        each_line(json.dumps({"SYSLOG_IDENTIFIER": "provision-service-ssh", "MESSAGE": "hello"}))
        each_line(json.dumps({"SYSLOG_IDENTIFIER": "provision-setup", "MESSAGE": "setup | done"}))

    monkeypatch.setattr(process, "stream", stream)
    lines: list[str] = []
    read_journal(lambda words: words, ["ssh", "setup"], lines.append, labelled=True)
    assert [word for word in asked if word.startswith("--identifier")] == [
        "--identifier=provision-service-ssh", "--identifier=provision-setup",
    ]  # fmt: skip
    assert lines == ["ssh | hello", "setup | done"]
