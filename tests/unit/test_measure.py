"""What a comparison makes of its figures: words, sentences, tables; and what it reads of machines."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from provision.errors import UsageError
from provision.measure import host, inside, tables
from provision.measure.figures import compare, factor, share, shown, spread
from provision.measure.model import Cell, Form, Host, Report, Unit
from provision.measure.rows import BY_NAME, ROWS, select
from provision.measure.sentence import sentence
from provision.model import PortStatus
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


# --- figures


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00042, "seconds", "0.42 ms"),
        (0.0464, "seconds", "46.4 ms"),
        (0.99951, "seconds", "1.00 s"),
        (1.94, "seconds", "1.94 s"),
        (51.26, "seconds", "51.3 s"),
        (44, "bytes", "44 bytes"),
        (33_400_000, "bytes", "33.4 MB"),
        (999_999_999, "bytes", "1.00 GB"),
        (1.13e9, "bytes", "1.13 GB"),
        (368e6, "bytes per second", "368 MB/s"),
        (284.4, "per second", "284/s"),
        (524_123, "per second", "524,000/s"),
        (1320, "count", "1,320"),
        (39, "count", "39"),
    ],
)
def test_a_value_has_its_unit_and_the_digits_that_mean_something(value: float, unit: Unit, text: str) -> None:
    assert shown(value, unit) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), ""),
        ((1.0,), ""),
        ((1.0, 1.0), "2 runs"),
        ((1.94, 1.79, 2.05), "1.79 to 2.05 s, 3 runs"),
        ((0.479, 1.78), "479 ms to 1.78 s, 2 runs"),
    ],
)
def test_the_spread_is_what_the_values_lie_between(values: tuple[float, ...], text: str) -> None:
    assert spread(Cell(values=values), "seconds") == text


@pytest.mark.parametrize(
    ("row", "first", "second", "expected"),
    [
        ("ready", (1,), (9,), (9, "second", "first")),
        ("ready", (9, 9, 900), (3,), (3, "first", "second")),  # medians, not means
        ("requests", (100,), (50,), (2, "first", "first")),
        ("requests", (50,), (100,), (2, "second", "second")),
        ("memory", (100,), (109,), (1.09, "neither", "neither")),
        ("memory", (), (100,), None),
        ("memory", (0,), (100,), None),
    ],
)
def test_which_of_two_is_better_depends_on_the_row(
    row: str, first: tuple[float, ...], second: tuple[float, ...], expected: tuple[float, str, str] | None
) -> None:
    ratio = compare(BY_NAME[row], Cell(values=first), Cell(values=second))
    assert (ratio and (ratio.times, ratio.greater, ratio.better)) == expected


def test_factors_and_shares_as_people_say_them() -> None:
    assert [factor(n) for n in (1.4, 2.96, 9.2, 1320)] == ["1.4 times", "3.0 times", "9 times", "1,320 times"]
    assert [share(n) for n in (1.25, 2, 3, 19.6, 1e6)] == ["80 %", "50 %", "1/3", "1/20", "1/1,000,000"]


# --- the sentence

HOST = Host(system="Linux", processor="a processor", cpus=2, memory=4 << 30)
SHARED, OWN = "the host's, shared: 6.1", "its own: 6.1"


def form(
    backend: str, *, ready: float = 0, memory: float = 0, kernel: str = "", missing: str = "", **more: Cell
) -> Form:
    cells = dict(more)
    if ready:
        cells["ready"] = Cell(values=(ready,))
    if memory:
        cells["memory"] = Cell(values=(memory,))
    if kernel:
        cells["kernel"] = Cell(text=kernel)
    noun, heading = {
        "docker": ("a container", "Container"),
        "vm": ("a virtual machine", "Virtual machine"),
    }[backend]
    return Form(backend=backend, noun=noun, heading=heading, cells=cells, missing=missing)


def report(*forms: Form) -> Report:
    names = {name for each in forms for name in each.cells}
    return Report(
        name="dev", machine="dev", machines=1, host=HOST, taken="2026-11-27T00:00:00+00:00", seconds=61.2,
        rows=tuple(row for row in ROWS if row.name in names), forms=forms,
    )  # fmt: skip


SENTENCES = {
    "For this spec a container starts 9 times as quickly and takes 1/20 of the memory;"
    " a virtual machine gives it its own kernel.": (
        form("docker", ready=1, memory=50, kernel=SHARED), form("vm", ready=9, memory=1000, kernel=OWN),
    ),
    "For this spec a virtual machine starts 2.0 times as quickly and takes 4 times the memory;"
    " a virtual machine gives it its own kernel.": (
        form("docker", ready=2, memory=50, kernel=SHARED), form("vm", ready=1, memory=200, kernel=OWN),
    ),
    "For this spec a container starts as quickly and takes 50 % of the memory.": (
        form("docker", ready=1, memory=50), form("vm", ready=1.05, memory=100),
    ),
    "For this spec both forms start equally quickly and take as much memory.": (
        form("docker", ready=1, memory=50), form("vm", ready=1, memory=50),
    ),
    "For this spec a container starts 9 times as quickly.": (form("docker", ready=1), form("vm", ready=9)),
    "For this spec a container takes 1/20 of the memory.": (form("docker", memory=1), form("vm", memory=20)),
    "For this spec a container is 5 times as good in “system calls”.": (
        form("docker", calls=Cell(values=(500,))), form("vm", calls=Cell(values=(100,))),
    ),
    "A virtual machine gives it its own kernel.": (form("docker", kernel=SHARED), form("vm", kernel=OWN)),
    "For this spec nothing of the two forms that can be compared was measured.": (form("docker"), form("vm")),
    "For this spec a container is ready in 1.00 s and takes 50.0 MB of memory;"
    " a virtual machine was not measured: no provider is usable.": (
        form("docker", ready=1, memory=50e6), form("vm", missing="no provider is usable"),
    ),
    "Only a virtual machine was measured.": (form("vm", kernel=OWN),),
    "Neither form could be measured on this host.": (form("docker", missing="a"), form("vm", missing="b")),
}  # fmt: skip


@pytest.mark.parametrize("text", SENTENCES)
def test_the_sentence_on_top(text: str) -> None:
    assert sentence(report(*SENTENCES[text])) == text


# --- rows


def test_every_row_has_a_name_of_its_own_and_a_method() -> None:
    assert len(BY_NAME) == len(ROWS)
    assert [row.name for row in ROWS if not row.method.endswith(".") or row.title != row.title.strip()] == []
    assert [row.name for row in ROWS if (row.unit == "text") != (row.better == "neither")] == []


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["cpu"], ["cpu"]),
        (["write"], ["write-root", "write-volume", "write-workspace"]),
        (["kernel", "cold"], ["cold", "kernel"]),
        (["all"], list(BY_NAME)),
        ([], [name for name in BY_NAME if name != "cold"]),
    ],
)
def test_rows_are_chosen_by_name(words: list[str], names: list[str]) -> None:
    assert [row.name for row in select(words)] == names


def test_a_mistyped_row_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as raised:
        select(["memroy"])
    assert raised.value.message == "there is no row memroy"
    assert raised.value.hint.startswith("did you mean memory? the rows are cold, ready,")


# --- tables


def test_a_table_says_which_is_better_and_why_a_value_is_missing() -> None:
    found = report(form("docker", ready=1, saved=Cell(note="it keeps none")), form("vm", ready=9, kernel=OWN))
    ready, saved, kernel = (BY_NAME[name] for name in ("ready", "saved", "kernel"))
    assert tables.verdict(found, ready) == "container 9 times"
    assert tables.praise(found, ready) == "Container: 9 times as quick"
    assert tables.verdict(found, saved) == tables.praise(found, saved) == ""
    assert tables.value(tables.cell_of(found.forms[0], saved), saved) == "it keeps none"
    assert tables.value(tables.cell_of(found.forms[1], saved), saved) == "not measured"
    assert tables.value(tables.cell_of(found.forms[1], kernel), kernel) == OWN


def test_what_a_machine_says_is_no_markdown() -> None:
    evil = "<b>|\n*x* [a](javascript:1)"
    page = tables.markdown(report(form("docker", kernel=evil), form("vm", kernel=OWN)))
    row = next(line for line in page.splitlines() if line.startswith("| kernel"))
    assert row.count(" | ") == 3
    assert "&lt;b>\\| \\*x\\* \\[a](javascript:1)" in row
    assert f"[^kernel]: {BY_NAME['kernel'].method}" in page


def test_the_report_for_programs_is_json() -> None:
    data = json.loads(json.dumps(tables.data(report(form("docker", ready=1), form("vm", missing="no KVM")))))
    assert data["rows"][0]["values"]["docker"] == {"median": 1, "values": [1], "text": "", "note": ""}
    assert data["forms"][1] == {"backend": "vm", "missing": "no KVM", "caveats": []}


# --- what is read of machines

CONTAINER = """\
kernel 6.18.44
CapEff:\t00000000a80425fb
Seccomp:\t2
devices 6
disks 0
current 20971520
inactive_file 1048576
MemTotal:       24000000 kB
MemAvailable:   20000000 kB
"""
GUEST = """\
kernel 6.1.0-41-amd64
CapEff:\t000001ffffffffff
Seccomp:\t0
devices 84
disks 3
current 999
MemTotal:        2000000 kB
MemAvailable:    1900000 kB
"""


def test_a_container_is_told_from_a_machine_with_its_own_kernel() -> None:
    container = inside.read_facts(CONTAINER, "6.18.44")
    guest = inside.read_facts(GUEST, "6.18.44")
    assert {name: (cell.text or cell.median) for name, cell in container.items()} == {
        "kernel": "the host's, shared: 6.18.44",
        "capabilities": "14 of 41; without net_admin, sys_module, sys_rawio",
        "seccomp": "those that a filter lets through",
        "devices": "6 device files, no block device",
        "inside": 19 << 20,
    }
    assert {name: (cell.text or cell.median) for name, cell in guest.items()} == {
        "kernel": "its own: 6.1.0-41-amd64",
        "capabilities": "all 41, over its own kernel",
        "seccomp": "all of its own kernel",
        "devices": "84 device files, 3 of them block devices",
        "inside": 100_000 * 1024,
    }


def test_the_hosts_memory_is_never_taken_for_a_containers() -> None:
    without_group = "\n".join(line for line in CONTAINER.splitlines() if not line.startswith("current"))
    assert inside.read_facts(without_group, "6.18.44")["inside"].values == ()


def test_a_machine_that_says_nothing_has_no_facts() -> None:
    assert {
        name for name, cell in inside.read_facts("", "6.18.44").items() if cell.values or cell.text
    } == set()


def processes(proc: Path, *texts: str) -> list[int]:
    for number, text in enumerate(texts, 1):
        (proc / str(number)).mkdir(parents=True)
        (proc / str(number) / "smaps_rollup").write_text(text)
    return list(range(1, len(texts) + 1))


def test_memory_is_the_sum_of_all_processes(tmp_path: Path) -> None:
    one = (
        "00400000-7ffe r--p\nRss: 900 kB\nPss: 300 kB\nPss_Anon: 200 kB\nPss_File: 90 kB\nPss_Shmem: 10 kB\n"
    )
    found = host.memory([*processes(tmp_path, one, one), 99], tmp_path)
    assert found == host.Memory(proportional=600 * 1024, own=420 * 1024)


def test_memory_that_nobody_can_see_is_said_to_be_so(tmp_path: Path) -> None:
    assert host.memory([99], tmp_path) == "its processes cannot be seen from this host"
    assert host.memory([99], tmp_path / "none") == "this host has no /proc"


@pytest.mark.processes
def test_what_would_be_sent_is_counted_raw_and_compressed() -> None:
    raw, packed = host.sizes([["head", "-c", "1000000", "/dev/zero"], ["printf", "12345"]])
    assert raw == 1_000_005
    assert 0 < packed < 10_000


# --- what can be asked through a port


def published(guest: int, address: str = "127.0.0.1") -> PortStatus:
    return PortStatus(guest=guest, host=40000 + guest, address=address, protocol="tcp")


def test_the_port_that_a_probe_asks_is_asked() -> None:
    from provision.spec import load

    machine = load(ROOT / "envs" / "dev.yaml", backend="docker", host={}).machines[0]
    asked = host.endpoint(machine, [published(8080, "0.0.0.0")])
    assert asked == host.Endpoint(address="127.0.0.1", port=48080, path="/")
    assert host.endpoint(machine, []) == "no published port"
    assert host.endpoint(machine, [published(22)]) == "no http probe or check asks a published port"
    without = replace(machine, services=(), checks=())
    assert host.endpoint(without, [published(8080)]) == "no http probe or check asks a published port"
