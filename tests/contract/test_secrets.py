"""Secrets: there for whom they are meant, and nowhere else."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

KEY, PASSWORD = f"key-{secrets.token_hex(16)}", f'it\'s {secrets.token_hex(16)} $HOME "q"'
NEW = f"new-{secrets.token_hex(16)}"
SPEC = """
version: 1
name: secrets
base: debian:12
users: {app: {}, other: {}}
secrets:
  api_key: {env: CONTRACT_API_KEY}
  password: {file: password.txt, owner: other, mode: "0440"}
run:
  - name: fetch
    user: app
    secrets: [password]
    env: {TOKEN: {secret: api_key}}
    script: |
      # NONCE: a value is no part of what the builder caches by
      printf %s "$TOKEN" | sha256sum > /var/tmp/run-key
      sha256sum < /run/secrets/password > /var/tmp/run-password
  - name: elsewhere
    script: test ! -e /run/secrets/password && test ! -e /run/secrets/api_key
services:
  web:
    user: app
    env: {API_KEY: {secret: api_key}}
    script: |
      printf %s "$API_KEY" | sha256sum > /var/tmp/service-key
      exec sleep infinity
    ready: {script: test -n "$API_KEY"}
  other:
    user: other
    script: test -z "${API_KEY:-}" && exec sleep infinity
setup:
  - name: load
    env: {PASSWORD: {secret: password}}
    script: printf %s "$PASSWORD" | sha256sum > /var/tmp/setup-password
checks:
  - {script: 'test -z "${API_KEY:-}"'}
""".replace("NONCE", secrets.token_hex(8))


def digest(value: str) -> str:
    return subprocess.run(
        ["sha256sum"], input=value.encode(), capture_output=True, check=True
    ).stdout.decode()


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.spec(SPEC)
    shared.write("password.txt", PASSWORD.encode())
    shared.environment["CONTRACT_API_KEY"] = KEY
    with watched_processes(KEY, PASSWORD) as seen:
        said = shared.run("up")
    assert said.code == 0, said.all
    assert KEY not in said.all
    assert PASSWORD not in said.all
    assert seen == []
    return shared


class watched_processes:  # noqa: N801 - reads as a statement
    """Looks at the arguments of the host's processes, again and again, for values."""

    def __init__(self, *values: str) -> None:
        self._values = [value.encode() for value in values]
        self._seen: list[bytes] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes()
                except OSError:
                    continue
                self._seen += [words for value in self._values if value in words]

    def __enter__(self) -> list[bytes]:
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_each_gets_what_it_names(up: Project) -> None:
    for name, value in {
        "run-key": KEY, "service-key": KEY, "run-password": PASSWORD, "setup-password": PASSWORD,
    }.items():  # fmt: skip
        assert up.inside(f"cat /var/tmp/{name}") == digest(value), name


def test_each_is_its_owners_alone(up: Project) -> None:
    assert up.raw("exec", "-u", "app", "--", "cat", "/run/secrets/api_key") == KEY.encode()
    assert up.raw("exec", "-u", "other", "--", "cat", "/run/secrets/password") == PASSWORD.encode()
    listed = up.inside("stat -c '%a %U %n' /run/secrets/*").splitlines()
    assert listed == ["400 app /run/secrets/api_key", "440 other /run/secrets/password"]
    for user, path in (("app", "password"), ("other", "api_key")):
        assert up.run("exec", "-u", user, "--", "cat", f"/run/secrets/{path}").code != 0
    for path in ("/run/provision/secrets/api_key", "/run/provision/env/web/API_KEY"):
        assert up.run("exec", "-u", "other", "--", "cat", path).code != 0


def test_they_are_checked(up: Project) -> None:
    checks = up.checks()
    assert checks["secret api_key"] == checks["secret password"] == "passed"
    up.inside("chmod 0444 /run/secrets/api_key", user="root")
    assert up.checks()["secret api_key"] == "failed"
    up.inside("chmod 0400 /run/secrets/api_key", user="root")


def found_inside(project: Project, value: str) -> list[str]:
    """The files of the machine's disk that hold a value, its journal too, and its processes' arguments."""
    pattern = value.replace("'", "'\\''")
    script = f"""
        sync
        cd /
        grep -rlaF -e '{pattern}' bin boot etc home lib opt root sbin srv tmp usr var 2>/dev/null
        for words in /proc/[0-9]*/cmdline; do
          tr '\\0' ' ' <"$words" 2>/dev/null | grep -aF -e '{pattern}' | grep -v grep
        done
        true
    """
    said = project.run("exec", "-u", "root", "--", "sh", stdin=script.encode())
    assert said.code == 0, said.all
    return said.stdout.splitlines()


def test_no_value_is_kept_anywhere(up: Project) -> None:
    for value in (KEY, PASSWORD):
        assert found_inside(up, value) == []
        assert value not in up.good("logs")
        for path in up.folder.rglob("*"):
            if path.is_file() and path.name != "password.txt":
                assert value.encode() not in path.read_bytes(), path
        searched = made_of(up)
        assert len(searched) > 3
        for name, content in searched.items():
            assert value.encode() not in content, name


def made_of(project: Project) -> dict[str, bytes]:
    """What the engine keeps of the machine: image and container, or disk and definition."""

    def output(*words: str) -> bytes:
        return subprocess.run(words, capture_output=True, check=True).stdout

    if project.backend == "docker":
        image, container = project.image("secrets"), project.container("secrets")
        return {
            "layers": output("docker", "save", image),
            "history": output("docker", "history", "--no-trunc", image),
            "image": output("docker", "inspect", image),
            "container": output("docker", "inspect", container),
            "files": output("docker", "export", container),
            "logs": output("docker", "logs", container),
        }
    state = project.state_dir("secrets").folder / "qemu"
    if state.is_dir():
        overlay = state / "secrets.qcow2"
        told = output("qemu-img", "info", "--force-share", "--backing-chain", "--output=json", str(overlay))
        chain = [Path(each["filename"]) for each in json.loads(told)]
        process = (state / "secrets.pid").read_text().strip()
        return {
            "console": (state / "secrets.console").read_bytes(),
            "command": Path(f"/proc/{process}/cmdline").read_bytes(),
            **{str(path): path.read_bytes() for path in chain},
        }
    virsh = ["virsh", "--connect", "qemu:///system"]
    domain = f"{project.state_dir('secrets').unique_name}-secrets"
    definition = output(*virsh, "dumpxml", domain)
    disks = output(*virsh, "domblklist", domain, "--details").decode().split()
    files = [Path(word) for word in disks if word.startswith("/")]
    assert files
    return {
        "definition": definition,
        "console": b"".join(path.read_bytes() for path in project.folder.rglob("console-*.log")),
        "known": output(*virsh, "domblklist", domain),
        **{str(path): path.read_bytes() for path in files},
    }


def test_an_error_does_not_tell_it(up: Project) -> None:
    up.spec(SPEC.replace('test -n "$API_KEY"}', "'false', timeout: 2s}"))
    failed = up.run("up")
    assert failed.code == 1, failed.all
    assert "web" in failed.stderr
    assert KEY not in failed.all
    assert PASSWORD not in failed.all
    up.spec(SPEC)
    again = up.run("up")
    assert again.code == 0, again.all


def planned(up: Project) -> tuple[str, str]:
    """What `plan` says of the machine: its action, and why."""
    [machine] = up.plan()["machines"]
    assert machine["name"] == "secrets"
    return machine["action"], machine["cause"]


def test_a_new_value_is_delivered_and_said(up: Project) -> None:
    assert planned(up) == ("none", "")
    up.environment["CONTRACT_API_KEY"] = NEW
    cause = "secret api_key has a new value"
    assert planned(up) == ("refresh", cause)
    said = up.run("up")
    assert said.code == 0, said.all
    assert "gets the new value of api_key" in said.stderr
    assert NEW not in said.all
    assert up.inside("cat /run/secrets/api_key", user="app") == NEW
    assert up.inside("cat /var/tmp/service-key") == digest(NEW)
    (up.folder / "password.txt").unlink()  # as an editor does it: another file of this name
    up.write("password.txt", b"another")
    assert "gets the new value of password" in up.run("up").stderr
    assert up.inside("cat /run/secrets/password", user="other") == "another"
    assert "(no changes)" in up.up()


def test_a_machine_that_was_started_by_others_has_them_after_up(up: Project) -> None:
    if up.backend == "docker":
        subprocess.run(["docker", "restart", up.container("secrets")], capture_output=True, check=True)
    else:
        up.run("exec", "-u", "root", "--", "systemctl", "reboot")
    for _ in range(10):  # while it boots it may answer nobody, which is said
        said = up.run("up")
        if said.code == 0:
            break
        time.sleep(5)
    assert said.code == 0, said.all
    assert up.inside("cat /run/secrets/api_key", user="app") == NEW
    assert up.checks()["service web"] == "passed"


@pytest.mark.parametrize("verb", ["up", "plan", "validate"])
def test_what_the_host_lacks_is_an_error_at_its_place(own: Project, verb: str) -> None:
    own.spec(SPEC.replace("name: secrets", "name: lacking", 1).replace("password.txt", "nowhere.txt"))
    said = own.run(verb)
    assert said.code == 2
    assert (
        "provision.yaml:7:18: the secret api_key comes from the host variable CONTRACT_API_KEY" in said.stderr
    )
    assert "provision.yaml:8:20: the secret password cannot be read from nowhere.txt" in said.stderr


SEVERAL = """
version: 1
name: sharing
base: debian:12
secrets:
  password: {env: CONTRACT_PASSWORD}
  api_key: {env: CONTRACT_API_KEY}
machines:
  db:
    secrets: [password]
    services:
      store: {command: sleep infinity}
  web:
    needs: [db]
    secrets: [password, api_key]
    run:
      - {name: fetch, secrets: [api_key], script: test -s /run/secrets/api_key}
    services:
      web:
        env: {API_KEY: {secret: api_key}}
        script: test -n "$API_KEY" && exec sleep infinity
  cache: {}
"""


def test_of_several_machines_each_gets_those_that_it_lists(own: Project) -> None:
    def held(machine: str) -> list[str]:
        script = "cd /run/secrets 2>/dev/null && grep -H . * || true"
        return own.good("exec", "-m", machine, "-u", "root", "--", "sh", "-c", script).splitlines()

    own.spec(SEVERAL)
    own.environment.update(CONTRACT_API_KEY=KEY, CONTRACT_PASSWORD="one")
    own.up()
    assert held("db") == ["password:one"]
    assert held("web") == [f"api_key:{KEY}", "password:one"]
    assert held("cache") == []
    own.environment["CONTRACT_API_KEY"] = NEW
    assert own.actions() == {"db": "none", "web": "refresh", "cache": "none"}
    said = own.run("up")
    assert said.code == 0, said.all
    assert "web gets the new value of api_key" in said.stderr
    assert held("web") == [f"api_key:{NEW}", "password:one"]
    assert "(no changes)" in own.up()
