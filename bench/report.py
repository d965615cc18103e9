"""The figures as a page: what was measured, where, and whether the aims are met."""

from __future__ import annotations

import os
import platform
import re
import time
from typing import TYPE_CHECKING

from tools import CLI_VERSION, OURS

from provision import process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring import Aim, Measured


CONTAINERS = """\
# Results

Written by `make bench`. Wall-clock seconds of whole processes: medians. The peers of a row
take turns (A B A B), after one round that does not count. All rows except the last three
run the environment of `envs/dev.yaml`; compose and Dev Containers use a Dockerfile written
by hand for it, in `bench/peers`, with the same apt download cache. `compose` returns once
the container has started, `compose --wait` and `provision` once the services answer.
`pytest --hosts` runs forty similar checks through testinfra's own Docker backend.
`reached` is what `provision` took, in the unit of the target.
"""
MACHINES = """\
# Results of virtual machines

Written by `make bench-vm`, as [results.md](results.md) is. `provision` runs the environment
of `envs/dev.yaml` as a QEMU machine, or with libvirt where a row says so. The peer is
`bench/peers/vagrant`, a Vagrantfile written by hand with one shell provisioner, on libvirt.
`vagrant up` returns once that has finished, `provision` once the services answer. `raw QEMU`
is `-loadvm` of the same state by hand, until HTTP 200 (`bench/peers/qemu/thaw`): it mounts
nothing, sets no clock and runs no setup.
"""


def dev_containers(missing: str) -> str:
    """The line that says which Dev Containers CLI was measured, or why none was."""
    return f"Dev Containers' CLI {f'not measured: {missing}' if missing else CLI_VERSION}"


def page(introduction: str, measured: Sequence[Measured], *facts: str) -> str:
    """Markdown: the machine and other facts, a table of medians, every run."""
    lines = [
        introduction,
        *(f"- {line}" for line in (*_machine(), *facts)),
        "",
        "| | provision | peers | at most | reached | met |",
        "| --- | --: | --- | --- | --: | --- |",
        *(line for each in measured for line in _lines(each)),
        "",
        "Every run:",
        "",
        *(
            f"- {each.row.title}: {peer} {' '.join(f'{second:.3f}' for second in seconds)}"
            for each in measured
            for peer, seconds in each.seconds.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _lines(each: Measured) -> Iterator[str]:
    """The tool's own line of a row, and one for each other form that has an aim."""
    row = each.row
    forms = (OURS, *row.other_aims)
    peers = ", ".join(f"{p} {each.median(p):.2f}" for p in each.seconds if p not in forms)
    yield _line(row.title, each, OURS, peers, row.aim)
    for form, aim in row.other_aims.items():
        yield _line(f"{row.title} ({form})", each, form, peers, aim)


def _line(title: str, each: Measured, form: str, peers: str, aim: Aim | None) -> str:
    own = each.median(form)
    reached = met = ""
    if aim is not None and (not aim.peer or aim.peer in each.seconds):
        value = own / each.median(aim.peer) if aim.peer else own
        reached = f"{value:.2f}" if aim.peer else f"{value:.2f} s"
        met = "yes" if value <= aim.limit else "**no**"
    elif aim is not None:
        reached = met = "not measured"
    return f"| {title} | {own:.2f} | {peers} | {aim or ''} | {reached} | {met} |"


def _machine() -> list[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {
        "Docker engine": _version("docker", "version", "--format", "{{.Server.Version}}"),
        "docker CLI": _version("docker", "--version"),
        "compose": _version("docker", "compose", "version", "--short"),
        "buildx": _version("docker", "buildx", "version"),
        "Vagrant": _version("vagrant", "--version"),
        "QEMU": _version("qemu-system-x86_64", "--version"),
        "Python": platform.python_version(),
        "Linux": platform.release().split("-")[0],
    }
    return [
        time.strftime("%Y-%m-%d"),
        f"{os.cpu_count()} cores, {memory:.0f} GiB, load {os.getloadavg()[2]:.1f}",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]


def _version(*words: str) -> str:
    if process.find(words[0]) is None:
        return "not here"
    found = re.search(r"\d+\.\d+[.\d]*", process.run(words).stdout)
    return found[0] if found else "unknown"
