"""The inventory of a running machine holds what its spec declares, and shows what somebody changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

TOKEN = "the'value of a secret"
SPEC = r"""
    version: 1
    name: stock
    base: debian:12
    env: {APP_ENV: it's $5}
    packages: [libcap2-bin]
    users:
      dev: {uid: 1234, shell: /bin/sh}
    workspace: {source: ., path: /work, user: dev}
    volumes: {data: /var/lib/data}
    files:
      /srv/a file: {content: "x", owner: dev, mode: "0640"}
      /var/lib/own/file: {content: "y"}
    secrets: {token: {env: STOCK_TOKEN}}
    run:
      - |
        cp /bin/cat /opt/cat
        setcap cap_net_raw=ep /opt/cat
        touch "$(printf '/srv/two\nlines')"
        ln -s nowhere /opt/link
    services:
      web:
        script: exec sh -c "while :; do sleep 1; done" "$TOKEN"
        user: dev
        workdir: /srv
        env: {PORT: 80, TOKEN: {secret: token}}
"""


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.environment["STOCK_TOKEN"] = TOKEN
    shared.up("--no-verify")
    return shared


@pytest.fixture(scope="module")
def saved(up: Project) -> Path:
    up.good("inventory", "-o", "saved/stock.json")
    return up.folder / "saved" / "stock.json"


def facts(saved: Path) -> Any:
    return json.loads(saved.read_text())["machines"]["stock"]["facts"]


def differences(project: Project, saved: Path) -> tuple[int, set[tuple[str, str, str]]]:
    """The exit code of a comparison with what was saved, and what is unexplained."""
    said = project.run("diff", "--between", str(saved), project.backend, "--format", "json")
    found = said.json()
    unexplained = {
        (each["section"], each["subject"], each["attribute"])
        for each in found["differences"]
        if each["reason"] is None
    }
    assert found["unexplained"] == len(unexplained), said.all
    return said.code, unexplained


def test_it_holds_what_the_spec_declares(saved: Path) -> None:
    found = facts(saved)
    assert found["packages"]["libcap2-bin"]["version"]
    assert found["users"]["dev"] == {
        "uid": "1234", "gid": "1234", "home": "/home/dev", "shell": "/bin/sh", "password": "locked",
    }  # fmt: skip
    files = found["files"]
    assert files["/srv/a file"]["owner"] == "dev:dev"
    assert files["/srv/a file"]["mode"] == "0640"
    assert files["/srv/a file"]["content"].startswith("1 bytes, sha256 2d711642b726b044")
    assert files["/var/lib/own/file"]["content"].startswith("1 bytes, sha256 a1fce4363854ff88")
    assert files["/srv/two\nlines"]["kind"] == "file"
    assert files["/opt/link"]["target"] == "nowhere"
    assert files["/opt/cat"]["capabilities"] == "cap_net_raw=ep"
    assert files["/var/lib/data"]["kind"] == files["/work"]["kind"] == "folder"
    assert "/work/provision.yaml" not in files
    environment = found["environment"]
    for whose in ("exec", "exec as root", "login", "service web"):
        assert environment[f"{whose}: APP_ENV"] == {"value": "it's $5"}
        assert environment[f"{whose}: LANG"] == {"value": "C.UTF-8"}
    assert environment["service web: PORT"] == {"value": "80"}
    assert environment["exec: USER"] == environment["service web: USER"] == {"value": "dev"}
    assert found["services"]["web"]["state"] == "running"
    assert found["services"]["web"]["command"].startswith("sh -c")
    assert found["processes"]["service web"]["user"] == "dev"
    assert found["processes"]["service web"]["folder"] == "/srv"
    assert found["processes"]["exec"]["folder"] == "/work"
    assert found["processes"]["service web"]["umask"] == found["processes"]["exec"]["umask"] == "0022"
    assert found["limits"]["service web"]["open files"]
    assert found["mounts"]["/work"]["options"] == found["mounts"]["/var/lib/data"]["options"] == "none"
    assert found["system"]["time zone"] == {"value": "UTC +0000"}
    assert found["system"]["hostname"] == {"value": "stock"}
    assert found["hosts"]["localhost"]["value"].startswith("127.0.0.1")


def test_it_holds_no_value_of_a_secret(up: Project, saved: Path) -> None:
    assert facts(saved)["environment"]["service web: TOKEN"] == {"value": "(secret token)"}
    assert facts(saved)["services"]["web"]["command"].endswith("; done' '(secret token)'")
    assert "value of a secret" not in saved.read_text()
    assert "value of a secret" not in up.good("inventory")
    assert not [path for path in facts(saved)["files"] if path.startswith("/run")]


def test_a_machine_that_nobody_changed_does_not_differ(up: Project, saved: Path) -> None:
    assert differences(up, saved) == (0, set())
    assert "no unexplained differences" in up.good("diff", "--between", str(saved), up.backend)


@pytest.mark.parametrize(
    ("change", "undo", "expected"),
    [
        ("chmod 0600 '/srv/a file'", "chmod 0640 '/srv/a file'", {("files", "/srv/a file", "mode")}),
        ("mkdir /opt/new", "rmdir /opt/new", {("files", "/opt/new", "")}),
        ("setcap -r /opt/cat", "setcap cap_net_raw=ep /opt/cat", {("files", "/opt/cat", "capabilities")}),
        (
            "echo 'eve:x:77:77::/:/bin/sh' >>/etc/passwd",
            "sed -i /^eve:/d /etc/passwd",
            {("users", "eve", ""), ("files", "/etc/passwd", "content")},
        ),
        (
            "prlimit --pid $(cat /run/provision/services/web) --nofile=77:1000",
            "prlimit --pid $(cat /run/provision/services/web) --nofile=1000:1000",
            {("limits", "service web", "open files")},
        ),
    ],
    ids=["mode", "folder", "capability", "user", "limit"],
)
def test_a_change_is_found_and_nothing_else(
    up: Project, saved: Path, change: str, undo: str, expected: set[tuple[str, str, str]]
) -> None:
    who = "dev" if "prlimit" in change else "root"  # root of a container may not set another's limits
    up.inside(change, user=who)
    try:
        assert differences(up, saved) == (1, expected)
    finally:
        up.inside(undo, user=who)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a readable inventory"),
        ('{"version": 99, "name": "stock", "machines": {}}', "version 99"),
        ('{"version": 1, "name": "stock", "machines": {"stock": {}}}', "lacks backend"),
        (None, "there is no file"),
    ],
    ids=["damaged", "other version", "incomplete", "absent"],
)
def test_a_file_that_is_no_inventory_is_refused(up: Project, content: str | None, message: str) -> None:
    file = up.folder / "other.json"
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content)
    said = up.run("diff", "--between", "other.json", up.backend)
    assert said.code == 2, said.all
    assert message in said.stderr
    assert "hint: take it again: `provision inventory -o other.json`" in said.stderr


def test_names_that_are_nothing_are_refused(up: Project) -> None:
    said = up.run("diff", "--between", up.backend, "nobody")
    assert said.code == 2, said.all
    assert "nobody is not a backend, a machine of this environment or a file" in said.stderr
    said = up.run("inventory", "-m", "nobody")
    assert said.code == 2, said.all


def test_one_form_alone_has_nothing_to_be_compared_with(up: Project) -> None:
    other = "vm" if up.backend == "docker" else "docker"
    said = up.run("diff")
    assert said.code == 1, said.all
    assert f"stock is up only in {up.backend}" in said.stderr
    assert f"hint: `provision up -b {other}` starts it in {other}" in said.stderr


def test_a_machine_that_does_not_run_is_an_error(up: Project, saved: Path) -> None:
    up.good("stop")
    for words in (("inventory",), ("diff", "--between", up.backend, str(saved))):
        said = up.run(*words)
        assert said.code == 1, said.all
        assert f"environment stock is not running in {up.backend}" in said.stderr
        assert said.stdout == ""
