"""Which users and groups are made when, and with which ids: a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.recipe.accounts import Accounts, accounts, accounts_of_packages, gid_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.model import Machine

# What stands in a spec, what is made before packages, and what after them; users with uid:gid.
TABLE = (
    ("users: {dev: {}}", "user dev", ""),
    ("users: {dev: {uid: 1000}}", "group dev 1000; user dev 1000:1000", ""),
    (
        "users: {dev: {uid: 1000, groups: [docker]}}",
        "group dev 1000; user dev 1000:1000; system docker; dev in docker",
        "",
    ),
    (
        "{groups: {docker: {gid: 105}}, users: {dev: {uid: 1000, groups: [docker]}}}",
        "group docker 105; group dev 1000; user dev 1000:1000; dev in docker",
        "",
    ),
    ("{groups: {docker: {}, tools: {system: true}}}", "group docker; system tools", ""),
    ("{groups: {docker: {gid: 999, system: true}}}", "system docker 999", ""),
    # Ids that are given come before those that are merely free.
    ("users: {dev: {}, ops: {uid: 1000}}", "group ops 1000; user ops 1000:1000; user dev", ""),
    # Another user's own group, whichever stands first.
    ("users: {deploy: {groups: [app]}, app: {}}", "user deploy; user app; deploy in app", ""),
    ("users: {app: {}, deploy: {groups: [app]}}", "user app; user deploy; deploy in app", ""),
    # A gid takes the group that has it.
    ("users: {dev: {uid: 501, gid: 20}}", "group dev 20 or its holder; user dev 501:20", ""),
    (
        "users: {a: {uid: 1000, gid: 2000}, b: {uid: 2000}}",
        "group b 2000; user a 1000:2000; user b 2000:2000",
        "",
    ),
    ("users: {a: {gid: 7}, b: {gid: 7}}", "group a 7 or its holder; user a free:7; user b free:7", ""),
    (
        "{groups: {docker: {gid: 105}}, users: {a: {gid: 105}}}",
        "group docker 105; user a free:105",
        "",
    ),
    # A declared group that is a user's own.
    (
        "{groups: {app: {gid: 300, system: true}}, users: {app: {uid: 1000}}}",
        "system app 300; user app 1000:300",
        "",
    ),
    ("{groups: {app: {system: true}}, users: {app: {uid: 1000}}}", "system app 1000; user app 1000:1000", ""),
    # Users of packages: only if the base has them, and again afterwards.
    (
        "{packages: [redis-server], users: {redis: {home: /srv}}}",
        "if redis: user redis",
        "user redis",
    ),
    ("{users: {redis: {home: /srv}}}", "user redis", ""),  # nothing that might bring it
    (
        "{packages: [curl], users: {www-data: {uid: 1000, groups: [app]}}}",
        (
            "if www-data: group www-data 1000; if www-data: user www-data 1000:1000; system app; "
            "if www-data: www-data in app"
        ),
        "group www-data 1000; user www-data 1000:1000; system app; www-data in app",
    ),
    (
        "{packages: [gitea-tools], users: {gitea: {}, tea: {groups: [gitea]}}}",
        "if gitea: user gitea; user tea; system gitea; tea in gitea",
        "user gitea",
    ),
    # A package accepts a system user that is there; one whom a step before needs must be there.
    (
        "{packages: [redis-server], users: {redis: {uid: 300}}}",
        "group redis 300; user redis 300:300",
        "",
    ),
    (
        "{packages: [git], users: {git: {}}, run: [{script: id, user: git, before: packages, name: x}]}",
        "user git",
        "",
    ),
    ("{packages: [curl], users: {dev: {}, root: {shell: /bin/bash}}}", "user dev; user root", ""),
)


@pytest.mark.parametrize(("text", "before", "after"), TABLE)
def test_what_is_made_when(text: str, before: str, after: str, tmp_path: Path) -> None:
    text = text if text.startswith("{") else f"{{{text}}}"
    path = tmp_path / "spec.yaml"
    path.write_text(f"{{version: 1, name: people, base: debian:12, {text[1:]}")
    machine = spec.load(path, backend="docker", host={}).machines[0]
    assert "; ".join(_lines(accounts(machine), machine)) == before
    assert "; ".join(_lines(accounts_of_packages(machine), machine)) == after


def _lines(made: Accounts, machine: Machine) -> Iterator[str]:
    def when(user: str) -> str:
        return f"if {user}: " if user in made.later else ""

    for group in made.numbered:
        kind = "system" if group.system else "group"
        holder = " or its holder" if group.any_name else ""
        yield f"{when(group.user)}{kind} {group.name} {group.gid}{holder}"
    for user in made.users:
        gid = gid_of(user, machine.groups)
        ids = "" if gid is None else f" {'free' if user.uid is None else user.uid}:{gid}"
        yield f"{when(user.name)}user {user.name}{ids}"
    for group in made.groups:
        yield f"{'system' if group.system else 'group'} {group.name}"
    for user in made.users:
        if user.groups:
            yield f"{when(user.name)}{user.name} in {', '.join(user.groups)}"
