"""The same by construction: a container and a machine of one image, file by file."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from provision.state import StateDir
from tests.conftest import ROOT, Said, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project

INVENTORY = r"""
export LC_ALL=C
dpkg-query -W -f 'package ${Package} ${Version}\n'
getent passwd | sed 's/^/user /'
getent group | sed 's/^/group /'
set -- /etc /usr /opt /srv /home
find "$@" -xdev -type f -print0 | xargs -0 sha256sum -z | tr '\0' '\n' |
  sed 's/^\([^ ]*\)  \(.*\)/file \2 \1/'
find "$@" -xdev \( -type l -printf 'entry %p %U:%G -> %l\n' -o -printf 'entry %p %U:%G %m %y\n' \)
"""

# What a machine has beyond a container comes with these packages, and those that they need…
BROUGHT = ("bindfs", "dbus", "e2fsprogs", "kmod", "openssh-server", "rsync", "systemd-sysv", "udev")
# …or is one of these: a user, a group, or a path that begins so.
ACCOUNTS = r"(user|group) (messagebus|sshd|_ssh|systemd-[a-z]+|input|sgx|kvm|render):"
EXPLAINED = {
    "/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?": "where the users of those packages stand",
    "/etc/(hosts|hostname|resolv.conf|mtab|machine-id)|/usr/sbin/docker-init": "an engine lays its own there",
    "/etc/ssh": "the machine's own keys",
    "/etc/ld.so.cache|/etc/modules-load.d/modules.conf|/etc/sv": "made when those were installed",
    "/etc/hosts.(allow|deny)|/etc/modules|/etc/runit|/usr/lib/udev/hwdb.bin": "made then too",
    "/etc/rc[0-9S].d|/etc/systemd/system": "what an init starts",
    "/etc/systemd/system.conf.d|/etc/sysctl.d/99-zz-provision.conf": "what an engine gives a container",
    "/usr/lib/provision": "how each form starts its services",
    "/usr/lib/provision-guest|/usr/lib/modules": "what it alone needs",
    "/usr/lib/sysctl.d/00-provision.conf|/usr/lib/tmpfiles.d/provision.conf": "so that a boot is as a start",
}

# An engine that was started by hand may have every container ignore what its own parent ignored.
SIGNALS = r"processes .* signals ignored"
WORDS = ("envs/dev.yaml", "--name", "same", "--set", "port=18099")


@dataclass(frozen=True)
class Forms:
    """Both forms of envs/dev.yaml: the lines of what is in each, and what `diff` says of them.

    Among the lines, `brought` are the files of the machine's own packages. `ignored`: this engine
    has every container ignore signals.
    """

    lines: dict[str, set[str]]
    ignored: bool
    compared: Said


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forms]:
    folder = tmp_path_factory.mktemp("same") / "project"
    projects = [make_project(folder, backend) for backend in ("docker", "vm")]
    shutil.copytree(ROOT / "envs", folder / "envs", dirs_exist_ok=True)
    found: dict[str, set[str]] = {}
    try:
        for project in projects:
            said = project.run("up", *WORDS, "--no-verify")
            assert said.code == 0, said.all
            told = project.raw("exec", *WORDS, "-u", "root", "--", "sh", "-c", INVENTORY).decode()
            found[project.backend] = set(told.splitlines())
        assert "CACHED" in StateDir.of(folder, "same", "vm").log.read_text()
        found["brought"] = files_of_packages(projects[1], WORDS, found)
        bare = ["docker", "run", "--rm", "--entrypoint", "grep", projects[0].image("same"),
                "SigIgn", "/proc/self/status"]  # fmt: skip
        mask = subprocess.run(bare, capture_output=True, check=True, text=True).stdout.split()[1]
        yield Forms(
            lines=found,
            ignored=int(mask, 16) != 0,
            compared=projects[1].run("diff", *WORDS, "--format", "json"),
        )
    finally:
        for project in projects:
            down = project.run("down", *WORDS, "--volumes", "--images")
            assert down.code == 0, down.all


@pytest.fixture(scope="module")
def inventories(forms: Forms) -> dict[str, set[str]]:
    return forms.lines


def files_of_packages(project: Project, words: tuple[str, ...], found: dict[str, set[str]]) -> set[str]:
    """The paths that the packages of the machine alone brought, with /usr before them as they lie there."""
    only = {line.split()[1] for line in found["vm"] - found["docker"] if line.startswith("package ")}
    assert "openssh-server" in only
    assert set(BROUGHT) <= {line.split()[1] for line in found["vm"] if line.startswith("package ")}
    listed = project.raw("exec", *words, "-u", "root", "--", "sh", "-c", f"dpkg -L {' '.join(sorted(only))}")
    paths = set(listed.decode().splitlines())
    return paths | {f"/usr{path}" for path in paths if re.match(r"/(bin|sbin|lib|lib64)/", path)}


def unexplained(lines: set[str], brought: set[str]) -> list[str]:
    begins = re.compile(rf"({'|'.join(EXPLAINED)})(/|$)")
    return sorted(
        line
        for line in lines
        if not re.match(ACCOUNTS, line)
        and line.split()[1] not in brought
        and not begins.match(line.split()[1])
    )


def test_nothing_of_the_container_is_missing_or_otherwise(inventories: dict[str, set[str]]) -> None:
    assert len(inventories["docker"]) > 10_000
    lost = inventories["docker"] - inventories["vm"]
    assert unexplained(lost, set()) == []


def test_what_the_machine_has_beyond_it_came_with_its_init(inventories: dict[str, set[str]]) -> None:
    more = {line for line in inventories["vm"] - inventories["docker"] if not line.startswith("package ")}
    assert unexplained(more, inventories["brought"]) == []


def test_every_package_of_the_container_is_there_in_its_version(inventories: dict[str, set[str]]) -> None:
    packages = {
        form: {line for line in lines if line.startswith("package ")} for form, lines in inventories.items()
    }
    assert packages["docker"] <= packages["vm"]
    assert 5 < len(packages["vm"] - packages["docker"]) < 40


def test_a_file_that_differs_would_be_seen() -> None:
    other = {"file /opt/venv/pyvenv.cfg 00", "entry /srv/cache 0:0 777 d", "user dev:x:1:1::/:/bin/sh"}
    assert unexplained(other, {"/usr/sbin/sshd"}) == sorted(other)


def test_diff_explains_all(forms: Forms) -> None:
    found = forms.compared.json()
    assert (found["left"], found["right"]) == ("docker", "vm")
    assert found["explained"] > 100
    unexplained = {
        f"{each['section']} {each['subject']} {each['attribute']}".rstrip(): (each["left"], each["right"])
        for each in found["differences"]
        if each["reason"] is None
    }
    assert forms.compared.code == (1 if unexplained else 0)
    assert {
        line: values
        for line, values in unexplained.items()
        if not (forms.ignored and re.fullmatch(SIGNALS, line))
    } == {}
