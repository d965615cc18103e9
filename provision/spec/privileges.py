"""Backend options that weaken a machine's isolation: all except those known to be harmless.

An option is harmless where it bounds the machine, or does no more than a build step or a
service could do inside. What is not listed needs the word `privileges`: a new key of
Compose's, or a new option of a provider's, too.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from provision import registry
from provision.spec.demands import shown
from provision.spec.variables import ask_for_variable

if TYPE_CHECKING:
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

ADVICE = "leave it out"
# How much of the host it may use, and what it is and runs inside.
COMPOSE = frozenset({
    "cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_shares", "cpus", "cpuset",
    "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "pids_limit", "shm_size", "ulimits",
    "cap_drop", "read_only", "tmpfs",
    "command", "dns", "dns_opt", "dns_search", "domainname", "entrypoint", "expose", "extra_hosts",
    "healthcheck", "hostname", "init", "platform", "restart", "stdin_open", "stop_grace_period",
    "stop_signal", "tty", "user", "working_dir",
})  # fmt: skip
NO_NEW_PRIVILEGES = ("no-new-privileges", "no-new-privileges:true")
# Names that say the same, or nothing, to every provider: its size, its processor as the guest
# sees it, and the buses and models of the devices that it has anyway.
PROVIDER = frozenset({
    "cpus", "memory", "maxmemory", "cpu_fallback", "cpu_mode", "cpu_model", "cputopology", "cpuset",
    "clock_offset", "disk_bus", "disk_device", "keymap", "linked_clone", "machine_arch", "machine_type",
    "machine_virtual_size", "nic_model_type", "random_hostname", "video_type", "video_vram",
})  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:,+-]*")  # some providers write it into XML as it is
COPIED = ("auto", "rsync", "vboxsf", "virtiofs", "9p")  # nfs and smb export folders to a network
DEVICES = {"kvm": "/dev/kvm", "gpu": "every GPU of this host"}


def ask_for_privileges(fields: Fields, options: Node, machine: str, scope: Scope) -> None:
    """Require permission for each option that weakens a machine's isolation.

    Args:
        fields: of the machine.
        options: what only the backend knows of.
        machine: its name, which equal ones share: an answer for one holds for no other.
        scope: knows the backend, and takes what is refused.
    """
    judges = {"docker": _of_docker, "vm": _of_vm}
    judges.get(scope.backend, _of_another)(fields, scope.fields(options), machine, scope)


def _of_another(_fields: Fields, options: Fields, machine: str, scope: Scope) -> None:
    """A backend of another package says in its schema which options are harmless."""
    for key, schema in registry.options_schema(scope.backend).items():
        node = options.node(key)
        if node is not None and schema.get("x-harmless") is not True:
            _ask(f"backends.{scope.backend}.{key}", node, node, machine, scope)


def _of_docker(fields: Fields, options: Fields, machine: str, scope: Scope) -> None:
    for name, node in fields.texts("requires"):
        if name in DEVICES:
            message = f"container {machine} requires {name} and gets {DEVICES[name]}"
            scope.demands.ask("privileges", message, node, message, "use -b vm")
    for key, node in options.entries("compose").items():
        for part in _unsafe(key, node, scope):
            _ask(f"backends.docker.compose.{key}", part, node, machine, scope)


def _unsafe(key: str, node: Node, scope: Scope) -> list[Node]:
    """What of one of Compose's keys lowers the walls: the whole of it, or items of its list."""
    if key in COMPOSE or key.startswith("x-"):
        return []
    if key == "environment" and isinstance(node.value, dict | list):
        for variable, place in _without_value(node):
            ask_for_variable("backends.docker.compose.environment", variable, place, scope.demands)
        return []
    if not isinstance(node.value, list):
        return [node]
    return [item for item in node.value if key != "security_opt" or item.value not in NO_NEW_PRIVILEGES]


def _without_value(node: Node) -> list[tuple[str, Node]]:
    """Variables that Compose takes from the host, for none is given a value."""
    if isinstance(node.value, dict):
        return [(name, child) for name, child in node.value.items() if child.value is None]
    items = node.value if isinstance(node.value, list) else []
    return [(str(item.value), item) for item in items if "=" not in str(item.value)]


def _of_vm(fields: Fields, options: Fields, machine: str, scope: Scope) -> None:
    for key, node in options.entries("options").items():
        if key not in PROVIDER or not _PLAIN.fullmatch(str(node.value)):
            _ask(f"backends.vm.options.{key}", node, node, machine, scope)
    sync = options.node("sync")
    if sync is not None and sync.value not in COPIED:
        _ask("backends.vm.sync", sync, sync, machine, scope)
    for box in (options.node("box"), fields.within("base").node("box") if "base" in fields else None):
        if box is not None and isinstance(box.value, str):
            message = f"the box {shown(box.value)} can contain Ruby code, which Vagrant runs on this host"
            scope.demands.ask("host-code", message, box, message, "use a base from `provision bases`")


def _ask(name: str, part: Node, node: Node, machine: str, scope: Scope) -> None:
    """Ask for a key, or an item of its list, with its value."""
    what = f"machine {machine}: {shown(name)}: {json.dumps(part.plain_data(), sort_keys=True)}"
    form = "container" if scope.backend == "docker" else "machine"
    message = f"{shown(name)} can reach beyond the {form} {machine}"
    scope.demands.ask("privileges", what, node.key_origin if part is node else part, message, ADVICE)
