"""Relations between the machines of an environment: needs, and what they must not share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.spec.foreign import flow
from provision.spec.needs import refuse_circle, refuse_unknown_needs
from provision.spec.ports import share_host_port
from provision.walls import live, replaced_through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Machine, Origin, Port
    from provision.spec.machines import Member
    from provision.spec.problems import Problems
    from provision.spec.scope import Scope


def host_name(member: Member, scope: Scope) -> str:
    """A machine's own names."""
    return scope.fields(member.root).text("hostname") or member.name


def read_needs(member: Member, members: Sequence[Member], scope: Scope) -> tuple[str, ...]:
    """The machines that must be ready first; the name of equal ones means all of them."""
    needs = scope.fields(member.root).texts("needs")
    called = {name: None for other in members for name in (other.group, other.name)}
    refuse_unknown_needs(member.group, needs, called, "machine", scope.problems)
    wanted = {need for need, _ in needs}
    return tuple(other.name for other in members if wanted & {other.group, other.name})


def refuse_clashes(members: Sequence[Member], machines: Sequence[Machine], problems: Problems) -> None:
    """Take what the machines would fight over: names, ports of the host; and circles of needs."""
    _refuse_shared_names(members, machines, problems)
    _refuse_shared_ports(machines, problems)
    groups = {machine.name: machine.group for machine in machines}
    needs = {machine.group: [groups[need] for need in machine.needs] for machine in machines}
    refuse_circle(needs, {member.group: member.origin for member in members}, "machine", problems)


def _refuse_shared_names(members: Sequence[Member], machines: Sequence[Machine], problems: Problems) -> None:
    """A name leads to one machine; that of a group and an alias of it, to all its equals."""
    taken: dict[str, Machine] = {}
    for member, machine in zip(members, machines, strict=True):
        shared = {machine.group, *machine.aliases} - {machine.name}
        for name in machine.names:
            first = taken.setdefault(name, machine)
            equal = first.group == machine.group
            if first is machine or (equal and name in shared and name != first.name):
                continue
            problems.add(
                f"machine {machine.name} and machine {first.name} are both called {name}",
                member.origin,
                f"put ${{{{ machine.index }}}} into its {'hostname' if name == machine.hostname else 'name'}"
                if equal
                else "give one of them another name, hostname or alias",
            )


def _refuse_shared_ports(machines: Sequence[Machine], problems: Problems) -> None:
    taken: list[tuple[Port, Machine]] = []
    refused: set[tuple[str, Origin]] = set()  # a range is refused once
    for machine in machines:
        for port in machine.ports:
            holders = [holder for other, holder in taken if share_host_port(port, other)]
            taken.append((port, machine))
            first = next((holder for holder in holders if holder is not machine), None)
            if port.host is None or first is None or (machine.name, port.origin) in refused:
                continue
            refused.add((machine.name, port.origin))
            equal = first.group == machine.group
            problems.add(
                f"the host's port {port.host} cannot lead to "
                + (f"each {machine.group}" if equal else f"both {first.name} and {machine.name}"),
                port.origin,
                f'leave the host\'s side out, "{port.guest}": a free one is chosen'
                + (f" for each; or write ${{{{ {port.host - 1} + machine.index }}}}" if equal else ""),
            )


def refuse_replaceable(machines: Sequence[Machine], problems: Problems) -> None:
    """Nothing that is mounted is inside a folder that a machine can write to.

    It could put a link in its place, which the engine follows at the next start, its own
    restarts of a container included: to any folder of the host.
    """
    refused: set[Origin] = set()
    for each in live(machines):
        outer = replaced_through(each.source, machines)
        if outer is None or each.origin in refused:
            continue
        refused.add(each.origin)
        there = f"{outer.path}/{each.source.relative_to(outer.source)}"
        problems.add(
            f"{each.called} is in {outer.called} of machine {outer.machine},"
            " which could replace it with a link to any folder of the host",
            each.origin,
            f"make it a link instead: `{flow('files', {each.path: {'link': there}})}`, or use a volume"
            if each.machine == outer.machine and each.called != "the workspace"
            else f"let both machines mount {outer.source.name}, and work in a folder of it",
        )
