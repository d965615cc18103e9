"""The users and groups of a machine: in which order they are created, and with which ids.

Ids that the spec gives come first, so that no id that is merely free takes one of them:

1. groups with a gid, and the own groups of users with a uid
2. users, those with a uid first; each with a group of its own, which has the user's id
3. the other groups: those of `groups` without a gid, and those that users name, as system groups
4. who is in which

A user that packages may bring is made after them, unless the base has it: a package's script
expects to make its user itself, and refuses one that is not a system user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass
from provision.spec.users import WELL_KNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.model import Group, Machine, User

FIRST_OF_PEOPLE = 1000  # ids below it are the system's: packages accept a user of theirs there


@dataclass(frozen=True, kw_only=True)
class GroupAction:
    """A group to make.

    Args:
        name: of the group.
        gid: None takes the next free one.
        system: that one is of the system's range.
        any_name: a group of another name that has the gid will do.
        user: whose own group it is.
    """

    name: str
    gid: int | None = None
    system: bool = False
    any_name: bool = False
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What one step makes, in this order; `later` are the users left to packages unless the base has them."""

    numbered: tuple[GroupAction, ...] = ()
    users: tuple[User, ...] = ()
    groups: tuple[GroupAction, ...] = ()
    later: frozenset[str] = frozenset()

    @property
    def moving(self) -> tuple[tuple[str, str, int], ...]:
        """The ids that are somebody's alone: database, name, number."""
        groups = [("group", each.name, each.gid) for each in self.numbered if not each.any_name]
        users = [("passwd", user.name, user.uid) for user in self.users]
        return tuple((kind, name, number) for kind, name, number in groups + users if number is not None)


def gid_of(user: User, groups: Sequence[Group]) -> int | None:
    """The number of a user's own group, as the spec has it; None where that is not said."""
    if user.gid is not None:
        return user.gid
    declared = next((group.gid for group in groups if group.name == user.name), None)
    return declared if declared is not None else user.uid


def accounts(machine: Machine) -> Accounts:
    """What is made before packages are installed."""
    later = users_of_packages(machine)
    return _accounts(machine.users, machine.groups, later)


def accounts_of_packages(machine: Machine) -> Accounts:
    """What is made, or changed, after packages are installed; no users where nothing is left."""
    later = users_of_packages(machine)
    users = [user for user in machine.users if user.name in later]
    return _accounts(users, [group for group in machine.groups if group.name in later], frozenset())


def users_of_packages(machine: Machine) -> frozenset[str]:
    """The users of the spec that its packages may bring, by their names."""
    packages = [package.name for package in machine.packages]
    needed = {script.user for script in machine.run if script.before_packages}
    return frozenset(
        user.name
        for user in machine.users
        if packages and user.name != "root" and user.name not in needed
        if user.uid is None or user.uid >= FIRST_OF_PEOPLE
        if user.name in WELL_KNOWN
        or any(name == user.name or name.startswith(f"{user.name}-") for name in packages)
    )


def _accounts(users: Sequence[User], groups: Sequence[Group], later: frozenset[str]) -> Accounts:
    system = {group.name for group in groups if group.system}
    numbered: dict[int, GroupAction] = {}
    for group in groups:
        if group.gid is not None:
            numbered[group.gid] = GroupAction(name=group.name, gid=group.gid, system=group.system)
    own = [(user, gid) for user in users if (gid := gid_of(user, groups)) is not None]
    for user, gid in sorted(own, key=lambda each: each[0].gid is not None):
        if gid not in numbered:
            numbered[gid] = GroupAction(
                name=user.name, gid=gid, system=user.name in system, any_name=user.gid is not None,
                user=user.name,
            )  # fmt: skip
    # A user makes its own group, unless it is left to packages and another is in that group.
    made = {each.name for each in numbered.values() if each.user not in later}
    made |= {user.name for user in users if user.name not in later}
    named = {name: name in system for name in (group.name for group in groups) if name not in made}
    for user in users:
        named |= {name: True for name in user.groups if name not in made and name not in named}
    return Accounts(
        numbered=tuple(numbered.values()),
        users=tuple(sorted(users, key=lambda user: user.uid is None)),
        groups=tuple(GroupAction(name=name, system=system) for name, system in named.items()),
        later=later,
    )
