"""Target → inventory; two inventories → differences, each explained by a rule or not."""

from __future__ import annotations

import os
import shlex
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from provision.errors import EnvironmentFailed
from provision.inventory.files import read_files
from provision.inventory.model import Fact, Inventory
from provision.inventory.processes import read_processes
from provision.inventory.secrets import elided
from provision.inventory.sections import split, text
from provision.inventory.software import read_accounts, read_packages
from provision.inventory.system import read_system

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provision.model import Machine
    from provision.target import Target

LONGEST = 600.0  # seconds, for a machine with many large files
SECTIONS = (
    "packages", "users", "groups", "files", "environment", "services", "processes", "limits", "sockets",
    "mounts", "dns", "hosts", "jobs", "sysctls", "system",
)  # fmt: skip


def take(target: Target, machine: Machine, backend: str, *, aside: bool = False) -> Inventory:
    """What is in a running machine, without the values of its secrets.

    Args:
        target: the machine.
        machine: what the spec says of it: which paths it declares, what is secret.
        backend: the backend's name.
        aside: it yields to everything else that runs in the machine.

    Raises:
        Unreachable: the machine does not answer.
        EnvironmentFailed: it reported only part.
    """
    target.prepare("root", target.user)
    mark = os.urandom(16).hex()
    sections: dict[str, bytes] = {}
    if aside:
        target.run("renice -n 19 -p $$ >/dev/null 2>&1; true", user="root")
    scripts = {"user.sh": (target.user, ()), "machine.sh": ("root", declared_paths(machine))}
    for name, (user, paths) in scripts.items():
        script = f"set -- {shlex.join((mark, *paths))}\n{Path(__file__).with_name(name).read_text('utf-8')}"
        output = target.run(script, user=user, timeout=LONGEST)
        try:
            sections |= split(output.stdout, mark)
        except EnvironmentFailed as error:
            error.evidence = (*error.evidence, *text(output.stderr).splitlines()[-5:])
            raise
    try:
        facts = in_order(elided(read(sections), machine))
    except (KeyError, ValueError) as error:  # its tools are its own
        raise EnvironmentFailed(
            f"machine {machine.name} returned an inventory that cannot be read", evidence=[str(error)]
        ) from error
    return Inventory(
        machine=machine.name,
        backend=backend,
        taken=datetime.now(UTC).isoformat(timespec="seconds"),
        unknown=() if "capabilities" in sections else ("files.capabilities",),
        options=_options(machine),
        facts=facts,
    )


def _options(machine: Machine) -> tuple[str, ...]:
    """The keys of the spec on which rules depend."""
    resources = (each.name for each in fields(machine.resources) if getattr(machine.resources, each.name))
    return tuple(sorted([*machine.options, *(f"resources.{name}" for name in resources)]))


def read(sections: Mapping[str, bytes]) -> Iterator[Fact]:
    """The facts in a machine's sections; pure."""
    for reader in (read_packages, read_accounts, read_files, read_processes, read_system):
        yield from reader(sections)


def in_order(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """By section and subject, each subject once."""
    ordered = {(SECTIONS.index(fact.section), fact.subject): fact for fact in facts}
    return tuple(ordered[key] for key in sorted(ordered))


def declared_paths(machine: Machine) -> tuple[str, ...]:
    """The paths that the spec names, wherever they are; secrets are not looked at."""
    paths = [file.path for file in machine.files]
    paths += [f"{file.path}/{inner}" for file in machine.files for inner, _, _ in file.tree]
    paths += [mount.path for mount in machine.mounts]
    paths += [volume.path for volume in machine.volumes]
    paths += [machine.workspace.path] if machine.workspace else []
    return tuple(sorted({path for path in paths if not path.startswith(("/run/", "/var/run/"))}))
