"""The machine itself: kernel, init, mounts, sockets, names and time."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from provision.inventory.model import Fact
from provision.inventory.sections import lines, names_by_id, pairs
from provision.model import bracketed, plain_address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

OWN = "(its own address)"
ALIAS = "(its own address, under another name)"
MEMORY_STEP = 256  # MiB: what a kernel keeps of a machine's memory for itself is less
_UNLIMITED = 1 << 60  # what the kernel says where no limit is set
_LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
_OPTIONS_OF_A_MOUNT = ("ro", "nosuid", "nodev", "noexec")
_OPTIONS_OF_MEMORY = ("size", "nr_inodes", "mode", "uid", "gid")


def read_system(sections: Mapping[str, bytes]) -> Iterator[Fact]:
    """Facts about the machine as a whole."""
    system = dict(_system(dict(pairs(sections["system"]))))
    for name, value in system.items():
        yield Fact(section="system", subject=name, attributes={"value": value})
    for line in lines(sections["sysctl"]):
        path, _, value = line.partition(":")
        name = path.replace("/", ".")
        yield Fact(section="sysctls", subject=name, attributes={"value": " ".join(value.split())})
    yield from _mounts(lines(sections["mounts"]))
    users = names_by_id(sections["passwd"])
    for table, state in _LISTENS.items():
        for address, uid in _bound(lines(sections[table]), state):
            subject = f"{table.removesuffix('6')} {address}"
            yield Fact(section="sockets", subject=subject, attributes={"user": users.get(uid, uid)})
    for line in lines(sections["unix"]):
        words = line.split(None, 7)
        if len(words) == 8 and words[3] == "00010000":
            yield Fact(section="sockets", subject=f"unix {words[7]}", attributes={})
    own = frozenset(_own_addresses(lines(sections["addresses"])))
    hostname = system.get("hostname", "")
    yield from _names(lines(sections["resolv.conf"]), lines(sections["hosts"]), own, hostname)
    for line in lines(sections.get("timers", b"")):
        unit, _, active, *_ = line.split()
        yield Fact(section="jobs", subject=unit, attributes={"state": active})


def _system(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    limits = [int(each) // 1024 for each in values["memory limit"].split() if each.isdecimal()]
    kilobytes = min([_number(values["memory"]), *(each for each in limits if each < _UNLIMITED // 1024)])
    steps = -(-kilobytes // (MEMORY_STEP * 1024))
    for name, value in values.items():
        if name == "memory":
            yield name, f"{steps * MEMORY_STEP} MiB"
        elif name == "swap":
            yield name, f"{_number(value) // 1024} MiB"
        elif name != "memory limit":
            yield name, value.strip()


def _number(line: str) -> int:
    match = re.search(r"\d+", line)
    return int(match[0]) if match else 0


def _mounts(lines: list[str]) -> Iterator[Fact]:
    """By the path; of several at one path the last, which hides the others."""
    mounts = {}
    for line in lines:
        left, _, right = line.partition(" - ")
        path, options = left.split(" ")[4:6]
        kind, _, more = right.split(" ", 2)
        own = [option for option in options.split(",") if option in _OPTIONS_OF_A_MOUNT]
        if "ro" in more.split(",") and "ro" not in own:
            own.append("ro")
        attributes = {"type": kind, "options": ",".join(sorted(own)) or "none"}
        if kind == "tmpfs":
            for option in more.split(","):
                name, _, value = option.partition("=")
                if name in _OPTIONS_OF_MEMORY:
                    attributes[name] = value
        mounts[_unescaped(path)] = attributes
    for path, attributes in mounts.items():
        yield Fact(section="mounts", subject=path, attributes=attributes)


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)


def _bound(table: list[str], state: str) -> Iterator[tuple[str, str]]:
    """The address of each socket that waits for somebody, and the id of its user."""
    for line in table:
        words = line.split()
        if len(words) > 7 and words[3] == state and set(words[2]) <= {"0", ":"}:
            digits, _, port = words[1].partition(":")
            yield f"{_address(digits)}:{int(port, 16)}", words[7]


def _address(digits: str) -> str:
    """The kernel prints each 32 bits of an address in its own order of bytes."""
    raw = struct.pack(
        f"={len(digits) // 8}I", *(int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
    )
    return bracketed(plain_address(raw))


def _own_addresses(routes: list[str]) -> Iterator[str]:
    """The addresses at which others reach the machine, out of the kernel's table of routes."""
    address = ""
    for line in routes:
        words = line.split()
        if words[:1] == ["|--"]:
            address = words[1]
        elif words == ["/32", "host", "LOCAL"] and not address.startswith("127."):
            yield address


def _names(resolver: list[str], hosts: list[str], own: Collection[str], hostname: str) -> Iterator[Fact]:
    """How names are found: name servers and their options, and the names of /etc/hosts.

    The machine's own addresses, which are others in each network, are called that; with a name that is
    not its hostname, they are called an alias's.
    """
    settings: dict[str, list[str]] = {}
    for line in resolver:
        word, *values = line.split() or [""]
        if word in ("nameserver", "search", "domain", "options", "sortlist"):
            settings.setdefault(word, []).extend(values)
    for word, values in settings.items():
        yield Fact(section="dns", subject=word, attributes={"value": " ".join(values)})
    addresses: dict[str, list[str]] = {}
    for line in hosts:
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            ours = OWN if name in (hostname, hostname.partition(".")[0]) else ALIAS
            addresses.setdefault(name, []).append(ours if address in own else address)
    for name, those in addresses.items():
        yield Fact(section="hosts", subject=name, attributes={"value": " ".join(dict.fromkeys(those))})
