"""What differs between two machines, and what the rules explain: by a table, without a machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision.inventory import in_order
from provision.inventory.compare import compare
from provision.inventory.model import Fact, Inventory
from provision.inventory.rules import read_rules, shipped
from provision.inventory.software import DEPENDENCY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provision.inventory.model import Difference

CASES = yaml.safe_load(Path(__file__).with_name("differences.yaml").read_text("utf-8"))
FACTS: Mapping[str, Mapping[str, str]] = {
    "packages curl": {"version": "1"},
    "users dev": {"uid": "1000", "gid": "1000", "home": "/home/dev", "shell": "/bin/bash"},
    "groups dev": {"gid": "1000"},
    "files /etc/app/config.ini": {"kind": "file", "owner": "dev:dev", "mode": "0640", "content": "a"},
    "files /etc/passwd": {"kind": "file", "owner": "root:root", "mode": "0644"},
    "files /etc/hosts": {"kind": "file", "owner": "root:root", "mode": "0644"},
    "files /etc/ssh": {"kind": "folder", "owner": "root:root", "mode": "0755"},
    "files /etc/default/locale": {"kind": "file", "owner": "root:root", "mode": "0644", "content": "a"},
    "files /etc/systemd/system/tmp.mount": {"kind": "link", "owner": "root:root", "target": "/srv/tmp.mount"},
    "files /opt/venv/bin/python": {"kind": "link", "owner": "root:root", "target": "/usr/bin/python3"},
    "files /workspace": {"kind": "folder", "owner": "dev:dev", "mode": "0755"},
    "environment exec: APP_ENV": {"value": "dev"},
    "environment login: PATH": {"value": "/bin"},
    "environment service web: LANG": {"value": "C.UTF-8"},
    "services web": {"state": "running", "command": "nginx"},
    "processes service web": {"user": "root", "umask": "0022"},
    "limits service web": {"open files": "1024", "processes": "100"},
    "limits exec": {"open files": "1024", "stack size": "8388608"},
    "sockets tcp 0.0.0.0:8080": {"user": "root"},
    "mounts /srv/data": {"type": "ext4", "options": "none"},
    "mounts /dev/shm": {"type": "tmpfs", "options": "nodev,noexec,nosuid", "size": "1048576k"},
    "mounts /tmp": {"type": "tmpfs", "options": "nodev,nosuid"},
    "mounts /workspace": {"type": "ext4", "options": "none"},
    "dns search": {"value": "example.org"},
    "hosts db": {"value": "10.0.0.2"},
    "hosts dev": {"value": "(its own address)"},
    "jobs /var/spool/cron/crontabs/root": {"kind": "file", "content": "a"},
    "sysctls net.core.somaxconn": {"value": "4096"},
    "system time zone": {"value": "UTC +0000"},
    "system processors": {"value": "2"},
    "system memory": {"value": "2048 MiB"},
    "system hostname": {"value": "dev"},
    "system distribution": {"value": "debian 12"},
}
PLANTED = [
    *((subject, name, "changed") for subject, attributes in FACTS.items() for name in attributes),
    *((subject, "", "") for subject in FACTS),
    *(
        (added, "", "added")
        for added in (
            "packages nano",
            "packages linux-tools",
            "users mallory",
            "groups docker",
            "files /etc/cron.d/job",
            "files /etc/systemd/system/mine.service",
            "files /etc/systemd/system/multi-user.target.wants/mine.service",
            "files /etc/ssh/authorized_keys",
            "files /etc/init.d/mine",
            "files /etc/rc2.d/S01mine",
            "files /etc/profile.d/mine.sh",
            "files /root/.ssh/authorized_keys",
            "files /usr/local/bin/tool",
            "environment exec: SECRET",
            "environment service web: PORT",
            "sockets tcp 0.0.0.0:22222",
            "sockets unix /run/mine.sock",
            "mounts /srv/more",
            "hosts other",
            "jobs mine.timer",
        )
    ),
]


def inventory(
    facts: Mapping[str, Mapping[str, str]],
    backend: str,
    unknown: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
) -> Inventory:
    return Inventory(
        machine="dev",
        backend=backend,
        taken="2026-11-26T12:00:00+00:00",
        unknown=unknown,
        options=options if backend == "docker" else (),
        facts=in_order(
            Fact(section=name.split(" ", 1)[0], subject=name.split(" ", 1)[1], attributes=attributes)
            for name, attributes in facts.items()
        ),
    )


def named(difference: Difference) -> str:
    return f"{difference.section} {difference.subject} {difference.attribute}".rstrip(" ")


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_differences(case: dict[str, Any]) -> None:
    forms = ("docker", "vm") if "docker" in case else ("left", "right")
    left, right = (
        inventory(
            case[form],
            form if form == "docker" else "vm",
            tuple(case.get("unknown", ())),
            tuple(case.get("options", ())),
        )
        for form in forms
    )
    found = compare(left, right, read_rules(case.get("rules", ())))
    assert [named(each) for each in found if each.reason is None] == case.get("unexplained", [])
    assert [named(each) for each in found if each.reason is not None] == case.get("explained", [])


@pytest.mark.parametrize(("subject", "attribute", "value"), PLANTED)
def test_no_rule_hides_what_a_user_would_notice(subject: str, attribute: str, value: str) -> None:
    changed = {name: dict(attributes) for name, attributes in FACTS.items()}
    if attribute:
        changed[subject][attribute] = value
    elif value:
        changed[subject] = {"kind": "file"}
    else:
        del changed[subject]
    for left, right in ((FACTS, changed), (changed, FACTS)):
        found = compare(inventory(left, "docker"), inventory(right, "vm"), shipped())
        assert [named(each) for each in found if each.reason is None] == [
            f"{subject} {attribute}".rstrip(" ")
        ]


VM = "1024 (hard limit 524288)"
NOTEBOOK = "4096 (hard limit 524288)"


@pytest.mark.parametrize(
    ("name", "docker", "vm", "explained"),
    [
        ("processes", "96365", "unlimited", True),
        ("processes", "100", "unlimited", False),
        ("processes", "unlimited", "7820", False),
        ("open files", "1024 (hard limit 20000)", VM, True),
        ("open files", "512 (hard limit 20000)", VM, False),
        ("open files", "1024", VM, False),
        ("open files", VM, "1024 (hard limit 20000)", False),
        ("open files", "1024 (hard limit 1048576)", VM, False),
    ],
)
def test_only_an_engine_that_has_less_itself_explains_a_limit(
    name: str, docker: str, vm: str, *, explained: bool
) -> None:
    left, right = ({"limits exec": {name: value}} for value in (docker, vm))
    sides = inventory(left, "docker"), inventory(right, "vm")
    assert [each.reason is not None for each in compare(*sides, shipped())] == [explained]


@pytest.mark.parametrize(
    ("fact", "attribute", "docker", "vm", "options", "explained"),
    [
        ("packages rsync", "installed", DEPENDENCY, "", (), True),
        ("packages nano", "installed", DEPENDENCY, "", (), False),
        ("limits service mariadb", "open files", "1024 (hard limit 20000)", "32184", (), True),
        ("limits service mariadb", "open files", "1024 (hard limit 524288)", "32184", (), False),
        ("limits exec", "open files", "1024 (hard limit 20000)", "32184", (), False),
        (
            "limits service notebook",
            "open files",
            "4096 (hard limit 20000)",
            "4096 (hard limit 524288)",
            (),
            True,
        ),
        (
            "limits service notebook",
            "open files",
            "4096 (hard limit 20000)",
            VM,
            (),
            False,
        ),
        ("limits exec", "open files", "4096 (hard limit 20000)", NOTEBOOK, (), False),
        ("files /etc/passwd-", "mode", "0600", "0644", (), True),
        ("files /etc/passwd-", "mode", "0600", "0666", (), False),
        ("files /etc/passwd", "mode", "0600", "0644", (), False),
        ("limits exec", "locked memory", "65536", "8388608", (), True),
        ("limits exec", "locked memory", "8388608", "65536", (), False),
        ("system memory", "value", "24320 MiB", "1024 MiB", (), True),
        ("system memory", "value", "24320 MiB", "1024 MiB", ("resources.memory",), False),
        ("system memory", "value", "24320 MiB", "2048 MiB", (), False),
        ("system processors", "value", "16", "2", ("resources.memory",), True),
        ("system processors", "value", "16", "2", ("resources.cpus",), False),
    ],
)
def test_what_two_real_forms_differ_in(
    fact: str, attribute: str, docker: str, vm: str, options: tuple[str, ...], *, explained: bool
) -> None:
    left, right = (
        inventory({fact: {attribute: value} if value else {}}, form, options=options)
        for form, value in (("docker", docker), ("vm", vm))
    )
    assert [each.reason is not None for each in compare(left, right, shipped())] == [explained]


@pytest.mark.parametrize(
    ("docker", "vm", "explained"),
    [
        ("tcp 0.0.0.0:80", "tcp [::]:80", [True, True]),
        ("tcp 0.0.0.0:80", "tcp [::]:81", [False, False]),
        ("tcp 0.0.0.0:80", "udp [::]:80", [False, False]),
        ("tcp [::]:80", "tcp 0.0.0.0:80", [False, False]),
        ("tcp 0.0.0.0:80", "", [False]),
        ("", "tcp [::]:80", [False]),
    ],
)
def test_only_a_counterpart_explains_where_a_server_listens(
    docker: str, vm: str, explained: list[bool]
) -> None:
    left, right = (
        inventory({f"sockets {name}": {"user": "root"}} if name else {}, form)
        for form, name in (("docker", docker), ("vm", vm))
    )
    assert [each.reason is not None for each in compare(left, right, shipped())] == explained


@pytest.mark.parametrize(
    ("addresses", "explained"),
    [
        ("198.18.68.246", True),
        ("(its own address, under another name) 198.18.99.1", True),
        ("(its own address)", False),
        ("10.0.0.2", False),
    ],
)
def test_only_the_environments_machines_explain_a_name_in_hosts(addresses: str, *, explained: bool) -> None:
    left, right = inventory({}, "docker"), inventory({"hosts app": {"value": addresses}}, "vm")
    assert [each.reason is not None for each in compare(left, right, shipped())] == [explained]


@pytest.mark.parametrize(
    ("owner", "mode", "explained"),
    [("root:shadow", "0640", True), ("root:root", "0600", True), ("root:shadow", "0644", False)],
)
def test_a_copy_of_the_passwords_is_explained_only_where_others_cannot_read_it(
    owner: str, mode: str, *, explained: bool
) -> None:
    copy = {"files /etc/shadow-": {"kind": "file", "owner": owner, "mode": mode}}
    found = compare(inventory({}, "docker"), inventory(copy, "vm"), shipped())
    assert [each.reason is not None for each in found] == [explained]


def test_two_machines_have_host_keys_of_their_own() -> None:
    key = "files /etc/ssh/ssh_host_ed25519_key"
    left, right = (inventory({key: {"kind": "file", "content": text}}, "vm") for text in ("a", "b"))
    assert [each.reason for each in compare(left, right, shipped())] == ["each machine has keys of its own"]


def test_a_rule_about_how_a_package_came_uses_the_readers_word() -> None:
    for rule in shipped():
        if rule.attribute and rule.attribute.pattern == "(?:installed)":
            assert all(each.fullmatch("") or each.fullmatch(DEPENDENCY) for each in rule.values.values())


def test_a_machine_does_not_differ_from_itself() -> None:
    assert compare(inventory(FACTS, "docker"), inventory(FACTS, "vm"), shipped()) == ()


@pytest.mark.parametrize(
    "rule",
    [
        {"section": "files", "subject": ".*", "only": "vm"},
        {"section": "files", "subject": ".*", "reason": "it is"},
        {"section": "files", "subject": ".*", "only": "vm", "attribute": "mode", "reason": "it is"},
        {"section": "files", "subject": ".*", "only": "vm", "reason": "it is", "other": 1},
    ],
)
def test_a_rule_says_neither_too_little_nor_too_much(rule: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a rule has a reason, and either"):
        read_rules([rule])
