"""Services and logins: the state, rights, limits and environment of their processes."""

from __future__ import annotations

import re
import shlex
import signal
from typing import TYPE_CHECKING

from provision.inventory.model import Fact
from provision.inventory.sections import lines, names_by_id, text, variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OF_A_SHELL = frozenset({"_", "OLDPWD", "PWD", "SHLVL"})  # which say where it is, and how deep
_IDS = {"Uid": "user", "Gid": "group", "Groups": "supplementary groups"}
_RIGHTS = {"CapEff": "capabilities", "CapBnd": "capability bounding set", "CapAmb": "ambient capabilities"}
_FLAGS = {"NoNewPrivs": "no new privileges", "Seccomp": "seccomp filter"}
# Signals that the C library keeps for its threads. No program can set them or undo what an engine
# inherited, so they say nothing about a machine.
_OF_THE_C_LIBRARY = frozenset({32, 33})
_LIMIT = re.compile(r"Max (\S+(?: \S+)*?) {2,}(\S+) +(\S+)")


def read_processes(sections: Mapping[str, bytes]) -> Iterator[Fact]:
    """The services, and for each of them and each way in: rights, limits, environment."""
    users = names_by_id(sections["passwd"])
    groups = names_by_id(sections["group"])
    yield from _services(sections)
    for name, raw in sections.items():
        part, _, whose = name.partition(" of ")
        if not whose:
            continue
        subject = whose if whose in ("exec", "login") else f"service {whose}"
        if part == "status":
            attributes = dict(_status(lines(raw), users, groups))
            if folder := text(sections.get(f"cwd of {whose}", b"")).strip("\n"):
                attributes["folder"] = folder
            yield Fact(section="processes", subject=subject, attributes=attributes)
        elif part == "limits":
            yield Fact(section="limits", subject=subject, attributes=dict(_limits(lines(raw))))
        elif part == "environ":
            yield from _environment(subject, _begun(raw, sections.get(f"start of {whose}", b"")))
    yield from _environment("setup", variables(sections.get("setup", b"")) or {})
    yield from _environment("exec as root", variables(sections["environment"]) or {})
    yield Fact(section="limits", subject="exec as root", attributes=dict(_limits(lines(sections["limits"]))))


def _services(sections: Mapping[str, bytes]) -> Iterator[Fact]:
    names, *states = lines(sections["services"]) or [""]
    for name, state in zip(names.split(), states, strict=False):
        attributes = {"state": state}
        if command := text(sections.get(f"cmdline of {name}", b"")).rstrip("\0"):
            attributes["command"] = shlex.join(command.split("\0"))
        yield Fact(section="services", subject=name, attributes=attributes)


def _status(
    lines: list[str], users: Mapping[str, str], groups: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What the kernel reports about a process, as far as it is the same at each start."""
    own: set[str] = set()  # the first group, which some list among the others too
    for line in lines:
        name, _, value = line.partition(":")
        value = value.strip()
        if name in _IDS:
            names = users if name == "Uid" else groups
            ids = set(value.split()) - own if name == "Groups" else value.split()[:1]
            own = {*ids} if name == "Gid" else own
            yield _IDS[name], " ".join(sorted(names.get(each, each) for each in ids)) or "none"
        elif name == "Umask":
            yield "umask", value
        elif name in _RIGHTS:
            yield _RIGHTS[name], value.lstrip("0") or "none"
        elif name in _FLAGS:
            yield _FLAGS[name], "no" if value == "0" else "yes"
        elif name == "SigIgn":
            yield "signals ignored", " ".join(_signals(int(value, 16))) or "none"


def _signals(mask: int) -> Iterator[str]:
    for number in range(1, 65):
        if mask >> (number - 1) & 1 and number not in _OF_THE_C_LIBRARY:
            try:
                yield signal.Signals(number).name
            except ValueError:
                yield str(number)


def _limits(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if match := _LIMIT.match(line):
            soft, hard = match[2], match[3]
            yield match[1], soft if soft == hard else f"{soft} (hard limit {hard})"


def _begun(now: bytes, start: bytes) -> Mapping[str, str]:
    """A process's environment; as it was given to it where it has written something else over it."""
    return variables(now) or variables(start) or {}


def _environment(whose: str, variables: Mapping[str, str]) -> Iterator[Fact]:
    for name, value in variables.items():
        if name not in _OF_A_SHELL:
            yield Fact(section="environment", subject=f"{whose}: {name}", attributes={"value": value})
