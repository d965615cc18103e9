"""`open`, `top`, `events`: what is made of what engines and machines tell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from provision.backends.docker import live
from provision.cli import events, top
from provision.cli import open as opening
from provision.docker_client import queries
from provision.engine import changes
from provision.model import Event, PortStatus, Usage

if TYPE_CHECKING:
    from provision.model import MachineState

pytestmark = pytest.mark.usefixtures("no_processes")


def port(guest: int, protocol: str = "tcp") -> PortStatus:
    return PortStatus(guest=guest, host=guest + 10000, address="127.0.0.1", protocol=protocol)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ports", "wanted", "speaking", "url"),
    [
        ([8080], None, {8080}, "http://127.0.0.1:18080/"),
        ([5432, 8080], None, {8080}, "http://127.0.0.1:18080/"),
        ([5432], None, set(), None),
        ([5432], (5432, "tcp"), set(), "http://127.0.0.1:15432/"),
        ([8080], (80, "tcp"), {8080}, None),
        ([443], None, set(), "https://127.0.0.1:10443/"),
        ([8443, 80], (8443, "tcp"), {80}, "https://127.0.0.1:18443/"),
        ([], None, set(), None),
    ],
)
def test_which_port_is_opened(
    ports: list[int], wanted: tuple[int, str] | None, speaking: set[int], url: str | None
) -> None:
    published = {"web": [port(each) for each in ports], "dns": [port(53, "udp")]}
    assert opening.choose(published, wanted, lambda each: each.guest in speaking) == url


@pytest.mark.parametrize(
    ("text", "count"),
    [("0B", 0), ("1.5KiB", 1536), ("12.25MiB", 12845056), ("2GiB", 2 << 30), ("1kB", 1000), ("--", 0)],
)
def test_a_size_as_the_engine_writes_it(text: str, count: int) -> None:
    assert queries.size(text) == count


def test_a_line_of_the_engines_statistics() -> None:
    told = {"Name": "dev-3f-web-1", "CPUPerc": "12.50%", "MemUsage": "1MiB / 1GiB"}
    usage = live.read_usage(told, {"dev-3f-web-1": "web"}, {"dev-3f-web-1": 8192})
    assert usage == Usage(machine="web", cpu=12.5, memory=1 << 20, limit=1 << 30, disk=8192)
    assert top.rows([usage]) == [("web", "12.5 %", "1.0 MiB", "1.0 GiB", "8.0 KiB")]
    unknown = Usage(machine="vm", cpu=0, memory=0, limit=None, disk=None)
    assert top.rows([unknown]) == [("vm", "0.0 %", "0 B", "-", "-")]


def told(action: str, **attributes: str) -> str:
    return json.dumps(
        {"Action": action, "timeNano": 1_764_219_091_123_000_000, "Actor": {"Attributes": attributes}}
    )


@pytest.mark.parametrize(
    ("text", "event", "code"),
    [
        (told("start", **{"provision.machine": "web"}), "started", None),
        (told("die", **{"provision.machine": "web", "exitCode": "137"}), "died", 137),
        (told("oom", **{"provision.machine": "web"}), "out of memory", None),
        (told("health_status: healthy", **{"provision.machine": "web"}), "healthy", None),
        (told("exec_create: sh", **{"provision.machine": "web"}), None, None),
        (told("start"), None, None),
        ("not json", None, None),
    ],
)
def test_an_event_of_the_engine(text: str, event: str | None, code: int | None) -> None:
    read = live.read_event(text)
    if event is None:
        assert read is None
        return
    assert read == Event(time="2025-11-27T04:51:31.123+00:00", machine="web", event=event, code=code)
    assert events.line(read).endswith(f"web  {event}" + (f" with code {code}" if code is not None else ""))


@pytest.mark.parametrize(
    ("former", "now", "happened"),
    [
        ({}, {}, []),
        ({"db": "running"}, {"db": "running"}, []),
        ({}, {"db": "running"}, [("db", "started")]),
        ({"db": "running"}, {"db": "stopped"}, [("db", "died")]),
        ({"db": "running"}, {"db": "paused"}, [("db", "paused")]),
        ({"db": "paused"}, {"db": "running"}, [("db", "unpaused")]),
        ({"db": "running", "web": "running"}, {"web": "stopped"}, [("db", "removed"), ("web", "died")]),
    ],
)
def test_what_happened_between_two_looks(
    former: dict[str, MachineState], now: dict[str, MachineState], happened: list[tuple[str, str]]
) -> None:
    assert [(each.machine, each.event) for each in changes(former, now, "now")] == happened
