"""Options of `backends.docker` that weaken a machine's isolation: all except those known to be harmless.

An option is harmless where it bounds the machine, or does no more than a build step or a
service could do inside. What is not listed needs the word `privileges`: a new key of Compose's, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.docker.runtimes import is_harmless
from provision.spec.privileges import ask
from provision.spec.variables import ask_for_variable

if TYPE_CHECKING:
    from provision.spec.fields import Fields
    from provision.spec.scope import Scope
    from provision.spec.tree import Node

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
DEVICES = {"kvm": "/dev/kvm", "gpu": "every GPU of this host"}


def ask_for_privileges(fields: Fields, options: Fields, machine: str, scope: Scope) -> None:
    """Ask for the devices that a container gets, for an unknown runtime, and for keys of Compose."""
    for name, node in fields.texts("requires"):
        if name in DEVICES:
            message = f"container {machine} requires {name} and gets {DEVICES[name]}"
            scope.demands.ask("privileges", message, node, message, "use -b vm")
    runtime = options.node("runtime")
    if runtime is not None and not is_harmless(str(runtime.value)):
        ask("backends.docker.runtime", runtime, runtime, machine, scope, form="container")
    for key, node in options.entries("compose").items():
        for part in _unsafe(key, node, scope):
            ask(f"backends.docker.compose.{key}", part, node, machine, scope, form="container")


def _unsafe(key: str, node: Node, scope: Scope) -> list[Node]:
    """What part of a Compose key weakens the isolation: all of it, or items of its list."""
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
    """Variables without a value, which Compose takes from the host."""
    if isinstance(node.value, dict):
        return [(name, child) for name, child in node.value.items() if child.value is None]
    items = node.value if isinstance(node.value, list) else []
    return [(str(item.value), item) for item in items if "=" not in str(item.value)]
