"""What is installed in a running machine, for locks: its packages, and the kernel where it is its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed
from provision.inventory.sections import split, text
from provision.inventory.software import read_packages
from provision.lockfile import Installed, Kernel, architecture, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import Machine
    from provision.target import Target

MOST = 20  # differences that are shown
_SCRIPT = """\
section() { printf '\\n%s %s\\n' "$1" "$2"; }
if command -v dpkg-query >/dev/null; then
  section "$mark" dpkg
  dpkg-query -W -f '${Package}\\t${Version}\\t${Architecture}\\t${db:Status-Abbrev}\\n'
elif command -v rpm >/dev/null; then
  section "$mark" rpm
  rpm -qa --queryformat '%{NAME}\\t%{EVR}\\t%{ARCH}\\n'
elif [ -r /lib/apk/db/installed ]; then
  section "$mark" apk
  cat /lib/apk/db/installed
fi
section "$mark" uname
uname -m
uname -r
uname -v
section "$mark" end
"""


def read_installed(target: Target, *, kernel: bool = False) -> Installed:
    """What is installed in a machine; with `kernel` also which it runs on.

    Raises:
        Unreachable: the machine does not answer.
        EnvironmentFailed: it reported only part.
    """
    mark = os.urandom(16).hex()
    told = target.run(f"mark={mark}\n{_SCRIPT}", user="root")
    sections = split(told.stdout, mark)
    if not {"dpkg", "rpm", "apk"} & sections.keys():
        raise EnvironmentFailed(
            f"machine {target.machine} has no package manager that a lock could be of",
            evidence=text(told.stderr).splitlines()[-5:],
        )
    processor, release, build = text(sections["uname"]).strip().splitlines()[:3]
    return Installed(
        architecture=architecture(_native(sections) or processor),
        packages={
            fact.subject: fact.attributes["version"]
            for fact in read_packages(sections)
            if "status" not in fact.attributes
        },
        kernel=Kernel(release=release, build=build) if kernel else None,
    )


def _native(sections: Mapping[str, bytes]) -> str:
    """What dpkg's own package is for: a 32-bit system may run on a 64-bit kernel."""
    for line in text(sections.get("dpkg", b"")).splitlines():
        if line.startswith("dpkg\t"):
            return line.split("\t")[2]
    return ""


def differences(machine: Machine, found: Installed) -> tuple[str, ...]:
    """What is installed otherwise than the machine's lock has it; nothing where that does not fit. Pure."""
    lock = machine.lock
    if lock is None or not lock.installed:
        return ()
    told = []
    if found.kernel and lock.kernel and found.kernel.release != lock.kernel:
        told.append(f"the kernel is {found.kernel.release}, the lock has {lock.kernel}")
    if fingerprint(found.packages) != lock.installed:
        other = list(_differences(lock.versions, found.packages))
        told += other or ["a package of the lock is not installed"]
    more = [f"and {len(told) - MOST} more"] if len(told) > MOST else []
    return (*told[:MOST], *more)


def _differences(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    for name, version in sorted(found.items()):
        if name not in locked:
            yield f"{name} {version} is not in the lock"
        elif locked[name] != version:
            yield f"{name} is {version}, the lock has {locked[name]}"
