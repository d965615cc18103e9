"""Files of every kind with their bytes, owners and modes; a port of UDP; packages by family."""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

BYTES = bytes(range(256)) * 64 + b"\r\n\n"
ECHO = """
import socket
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("", 5353))
while True:
    said, where = here.recvfrom(1024)
    here.sendto(said.upper(), where)
"""
SPEC = """
version: 1
name: contents
base: debian:12
packages: [python3-minimal, {apt: [jq], dnf: [no-such-thing], apk: [no-such-thing]}]
users:
  app: {uid: 4711, gid: 4712, groups: [staff], home: /srv/app}
vars: {greeting: hello}
files:
  /srv/content: {content: "it's\\n", owner: app, group: staff, mode: "0640"}
  /srv/bytes: {source: bytes.bin}
  /srv/folder: {source: folder, owner: app}
  /srv/filled: {template: filled.j2}
  /srv/empty: {dir: true, owner: app, mode: "2770"}
  /srv/link: {link: /srv/bytes}
  /etc/debian_version: {absent: true}
  /srv/echo.py: {source: echo.py}
services:
  echo: {command: python3 /srv/echo.py}
ports: ["5353/udp"]
"""
FILES = {
    "bytes.bin": BYTES,
    "folder/deep/bytes.bin": BYTES[::-1],
    "folder/text": "text\n",
    "filled.j2": "{{ vars.greeting }} from {{ machine.name }}\n",
    "echo.py": ECHO,
}


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.up()
    return shared


def test_bytes_arrive_as_they_are(up: Project) -> None:
    assert up.raw("exec", "--", "cat", "/srv/bytes") == BYTES
    assert up.raw("exec", "--", "cat", "/srv/folder/deep/bytes.bin") == BYTES[::-1]
    assert up.inside("sha256sum </srv/link").split()[0] == hashlib.sha256(BYTES).hexdigest()


def test_every_kind_is_what_it_says(up: Project) -> None:
    paths = "/srv/content /srv/folder /srv/folder/deep /srv/empty /srv/link"
    listed = up.inside(f"stat -c '%a %U:%G %F %n' {paths}").splitlines()
    assert listed == [
        "640 app:staff regular file /srv/content",
        "755 app:app directory /srv/folder",
        "755 app:app directory /srv/folder/deep",
        "2770 app:app directory /srv/empty",
        "777 root:root symbolic link /srv/link",
    ]
    assert up.inside("cat /srv/filled") == "hello from contents\n"
    assert up.run("exec", "--", "test", "-e", "/etc/debian_version").code == 1
    assert up.inside("id app").strip() == "uid=4711(app) gid=4712(app) groups=4712(app),50(staff)"


def test_a_port_of_udp_reaches_the_machine(up: Project) -> None:
    (port,) = up.state()["ports"]
    assert port["protocol"] == "udp"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(5)
        asked.sendto(b"hello", (port["address"], port["host"]))
        assert asked.recv(100) == b"HELLO"


def test_an_id_that_is_taken_names_both_users(own: Project) -> None:
    own.spec("version: 1\nname: taken\nbase: debian:12\nusers: {app: {uid: 33}}\n")
    said = own.run("up")
    assert said.code == 2, said.all
    assert "provision.yaml:4:9: user app cannot have uid 33: in debian:12 it is www-data's" in said.stderr


SEARCHED = "/opt/tool/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_files_may_all_be_without_content_and_a_path_reaches_every_shell(own: Project) -> None:
    own.spec(f"""
        version: 1
        name: empty
        base: debian:12
        users: {{dev: {{shell: /bin/bash}}}}
        env: {{PATH: "{SEARCHED}"}}
        files:
          /opt/tool/bin: {{dir: true}}
          /srv/link: {{link: /opt}}
          /etc/motd: {{absent: true}}
        setup:
          - {{name: sees, script: 'echo "$PATH" >/tmp/seen'}}
    """)
    own.up()
    assert own.inside("cat /tmp/seen").strip() == SEARCHED
    assert own.inside("echo $PATH", user="dev").strip() == SEARCHED
    assert own.inside("su - dev -c 'echo $PATH'", user="root").strip() == SEARCHED
    said = own.run("shell", "-u", "dev", stdin=b"echo at=$PATH\n")
    assert f"at={SEARCHED}" in said.stdout, said.all


def test_a_step_that_fails_is_named_with_its_place(own: Project) -> None:
    own.spec("version: 1\nname: fails\nbase: debian:12\nrun:\n  - {name: breaks, script: exit 7}\n")
    said = own.run("up")
    assert said.code == 1
    assert "the step breaks exited with code 7 (provision.yaml:5:5)" in said.stderr
    own.spec("version: 1\nname: fails\nbase: debian:12\nsetup:\n  - {name: later, script: exit 8}\n")
    said = own.run("up")
    assert said.code == 1
    assert "setup of machine fails failed: later with exit code 8 (provision.yaml:5:5)" in said.stderr
