"""From the sections of a spec to the nouns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision.errors import SpecError
from provision.model import Expected, Machine, Origin, Package, Probe
from provision.spec import everything, load

ROOT = Path(__file__).parent.parent.parent
HEAD = "version: 1\nname: built\nbase: debian:12\n"


def read(folder: Path, text: str) -> Machine:
    spec = folder / "spec.yaml"
    spec.write_text(HEAD + text)
    return load(spec, backend="docker", host={}, allows=everything).machines[0]


def test_the_example_of_the_project() -> None:
    for backend in ("docker", "vm"):
        environment = load(ROOT / "envs" / "dev.yaml", backend=backend, host={}, local=False)
        machine = environment.machines[0]
        assert (environment.name, environment.project) == ("dev", ROOT.resolve())
        assert machine.user == "dev"
        assert [service.name for service in machine.services] == ["web", "cache"]
        assert machine.env["GREETING"] == 'it\'s $5 "cash"'


def test_defaults(tmp_path: Path) -> None:
    machine = read(tmp_path, "services: {web: {command: a}}\nworkspace: {source: .}\n")
    assert (machine.name, machine.hostname) == ("built", "built")
    assert (machine.locale, machine.timezone) == ("C.UTF-8", "UTC")
    assert (machine.user, machine.workdir) == ("root", "/workspace")
    service = machine.services[0]
    assert (service.user, service.workdir, service.restart) == ("root", "/", "always")
    assert (service.needs, service.ready, service.script) == ((), None, None)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 * 1024**2),
        ("2GiB", 2 * 1024**3),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("500MB", 500_000_000),
        ("1GB", 10**9),
    ],
)
def test_sizes_are_bytes(tmp_path: Path, text: str, size: int) -> None:
    assert read(tmp_path, f"resources: {{memory: {text}}}\n").resources.memory == size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", (8080, None, "127.0.0.1", "tcp")),
        ('"8080"', (8080, None, "127.0.0.1", "tcp")),
        ('"18080:8080"', (8080, 18080, "127.0.0.1", "tcp")),
        ('"53/udp"', (53, None, "127.0.0.1", "udp")),
        ('"0.0.0.0:18080:8080/udp"', (8080, 18080, "0.0.0.0", "udp")),
        ('"[::1]:18080:8080"', (8080, 18080, "::1", "tcp")),
        ('"0.0.0.0::8080"', (8080, None, "0.0.0.0", "tcp")),
        ("{guest: 53, protocol: udp}", (53, None, "127.0.0.1", "udp")),
        ('{guest: "80", host: 81, address: "::"}', (80, 81, "::", "tcp")),
    ],
)
def test_forms_of_a_port(tmp_path: Path, text: str, expected: tuple[object, ...]) -> None:
    port = read(tmp_path, f"ports: [{text}]\n").ports[0]
    assert (port.guest, port.host, port.address, port.protocol) == expected


def test_the_same_port_may_be_used_for_both_protocols(tmp_path: Path) -> None:
    ports = read(tmp_path, 'ports: ["53:53", "53:53/udp", "127.0.0.2:53:54"]\n').ports
    assert [(port.guest, port.protocol) for port in ports] == [
        (53, "tcp"),
        (53, "udp"),
        (54, "tcp"),
    ]


def test_packages_by_family_and_version(tmp_path: Path) -> None:
    text = "packages: [git, redis=5:7.0.15-1, {apt: [python3-venv, git], dnf: [python3]}]\n"
    packages = read(tmp_path, text).packages
    assert [(package.name, package.version) for package in packages] == [
        ("git", None),
        ("redis", "5:7.0.15-1"),
        ("python3-venv", None),
    ]
    origin = Origin(file=str(tmp_path / "spec.yaml"), line=4, column=12)
    assert packages[0] == Package(name="git", version=None, origin=origin)


def test_variables_are_strings_as_written(tmp_path: Path) -> None:
    text = "env: {A: 007, B: 0x1F, C: '3.10', D: yes, E: 22:22, F: \"a\\nb\\t🎉\", G: ''}\n"
    assert read(tmp_path, text).env == {
        "A": "007",
        "B": "0x1F",
        "C": "3.10",
        "D": "yes",
        "E": "22:22",
        "F": "a\nb\t🎉",
        "G": "",
    }


@pytest.mark.parametrize(
    ("text", "probe"),
    [
        ("{http: 'http://localhost/'}", ("http", "http://localhost/", (), None, 60.0)),
        ("{tcp: 6379, interval: 500ms}", ("tcp", "localhost:6379", (), 0.5, 60.0)),
        ("{tcp: '10.0.0.1:80', timeout: 2m}", ("tcp", "10.0.0.1:80", (), None, 120.0)),
        ("{tcp: '[::1]:80', timeout: 1h}", ("tcp", "[::1]:80", (), None, 3600.0)),
        ("{command: 'a \"b c\"', timeout: 5}", ("command", "a 'b c'", ("a", "b c"), None, 5.0)),
        ("{script: a | b}", ("script", "a | b", (), None, 60.0)),
    ],
)
def test_forms_of_a_probe(tmp_path: Path, text: str, probe: tuple[object, ...]) -> None:
    found = read(tmp_path, f"services: {{web: {{command: a, ready: {text}}}}}\n").services[0].ready
    assert isinstance(found, Probe)
    assert (found.kind, found.subject, found.words, found.interval, found.timeout) == probe


def test_steps_are_named_by_their_number(tmp_path: Path) -> None:
    machine = read(
        tmp_path,
        "workspace: {source: ., path: /code, user: daemon}\n"
        "run: [a, {script: b, name: bee}, c]\nsetup: [d, {script: e, user: root, every: up}]\n",
    )
    assert [step.name for step in machine.run] == ["step-1", "bee", "step-3"]
    assert {(step.user, step.workdir) for step in machine.run} == {("root", "/")}
    assert [(step.user, step.workdir, step.every) for step in machine.setup] == [
        ("daemon", "/code", "create"),
        ("root", "/code", "up"),
    ]


def test_runtime_dirs_are_in_run_or_tmp(tmp_path: Path) -> None:
    text = "services: {web: {command: a, runtime_dirs: [web, /run/web/sub, /tmp/x, web]}}\n"
    assert read(tmp_path, text).services[0].runtime_dirs == ("/run/web", "/run/web/sub", "/tmp/x")


def test_the_hosts_owner_of_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    owner = (tmp_path / "code").stat().st_uid
    text = "workspace: {source: code}\nusers: {dev: {uid: host}}\n"
    assert read(tmp_path, text).users[0].uid == (owner or None)
    if os.geteuid() == 0:
        os.chown(tmp_path / "code", 4321, 4321)
        assert read(tmp_path, text).users[0].uid == 4321
        with pytest.raises(SpecError) as caught:
            read(tmp_path, text.replace("{dev:", "{ops: {uid: 4321}, dev:"))
        assert [problem.message for problem in caught.value.problems] == [
            "ops and dev have the same uid 4321"
        ]


@pytest.mark.parametrize(
    "text",
    [
        "services: {cache: {command: a, user: redis}}",
        "services: {cache: {command: a, user: postgres}}",
        "packages: [grafana-agent]\nservices: {cache: {command: a, user: grafana-agent}}",
        "packages: [exim4]\nservices: {cache: {command: a, user: Debian-exim}}",
        "run: [useradd alice]\nservices: {cache: {command: a, user: alice}}",
        "users: {redis-admin: {}}\nservices: {cache: {command: a, user: redis}}",
    ],
)
def test_a_user_may_come_with_a_package_or_a_step(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text + "\n").services[0].user


def test_what_checks_claim(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("")
    checks = read(
        tmp_path,
        "checks:\n"
        "  - {command: 'redis-cli  ping', stdout: PONG, exit: 0}\n"
        "  - {http: 'http://localhost/', headers: {Server: {lacks: x}}, from: host, timeout: 10s}\n"
        "  - {file: /etc/x/, user: dev, mode: '0640', content: {equals: 3}}\n"
        "  - {user: dev, groups: [adm]}\n"
        "  - {env: A, value: b}\n"
        "  - {port: 53/udp, absent: true}\n"
        "  - {pytest: tests/test_x.py}\n"
        '  - {script: "a\\nb", name: mine, requires: [kernel]}\n',
    ).checks
    assert [(check.kind, check.subject, check.name) for check in checks] == [
        ("command", "redis-cli ping", "command redis-cli ping"),
        ("http", "http://localhost/", "http http://localhost/"),
        ("file", "/etc/x", "file /etc/x"),
        ("user", "dev", "user dev"),
        ("env", "A", "env A"),
        ("port", "53", "port 53"),
        ("pytest", str(tmp_path.resolve() / "tests" / "test_x.py"), "pytest tests/test_x.py"),
        ("script", "a\nb", "mine"),
    ]
    command, http, file, user, env, port, _, script = checks
    assert command.words == ("redis-cli", "ping")
    assert command.fields == {"stdout": Expected(how="contains", text="PONG"), "exit": 0}
    assert http.fields == {"headers": {"Server": Expected(how="lacks", text="x")}}
    assert (http.from_host, http.timeout) == (True, 10.0)
    assert file.fields == {
        "user": "dev",
        "mode": "0640",
        "content": Expected(how="equals", text="3"),
    }
    assert user.fields == {"groups": ("adm",)}
    assert env.fields == {"value": Expected(how="equals", text="b")}
    assert (port.fields, port.absent) == ({"protocol": "udp"}, True)
    assert script.requires == ("kernel",)


def test_problems_come_sorted_and_all_at_once(tmp_path: Path) -> None:
    text = "ports: [0]\nusers: {dev: {uid: -1}}\nbogus: 1\npackages: nothing\n"
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    assert [problem.origin.line for problem in caught.value.problems] == [4, 5, 6, 7]
    assert caught.value.message == "4 problems in the spec"
    assert caught.value.exit_code == 2


CHECKS = {
    "{file: /x, owner: dev}": ({"user": "dev"}, False),
    "{file: /x, user: dev}": ({"user": "dev"}, False),
    "{file: /x, dir: true}": ({"is_directory": True}, False),
    "{file: /x, directory: true, executable: false}": (
        {"is_directory": True, "is_executable": False}, False,
    ),
    "{file: /x, link: y}": ({"link": "y"}, False),
    "{file: /x, contains: y}": ({"content": Expected(how="contains", text="y")}, False),
    "{file: /x, exists: true}": ({}, False),
    "{file: /x, exists: false}": ({}, True),
    "{user: dev, exists: false}": ({}, True),
    "{group: dev, exists: false}": ({}, True),
    "{package: x, installed: false}": ({}, True),
    "{package: x, is_installed: true}": ({}, False),
    "{port: 80, listening: false}": ({}, True),
    "{process: x, running: false}": ({}, True),
    "{service: web, running: false}": ({"is_running": False}, False),
    "{service: web, is_running: true, enabled: true}": ({"is_running": True, "is_enabled": True}, False),
    "{command: x, rc: 1}": ({"exit": 1}, False),
    "{script: x, exit_code: 1}": ({"exit": 1}, False),
    "{http: 'http://x/', status_code: 404}": ({"status": 404}, False),
    "{mount: /x, fstype: ext4}": ({"filesystem": "ext4"}, False),
    "{mount: /x, read_only: true}": ({"options": ("ro",)}, False),
    "{mount: /x, read_only: false, options: [noatime]}": ({"options": ("noatime", "rw")}, False),
    "{mount: /x, exists: false}": ({}, True),
}  # fmt: skip


@pytest.mark.parametrize("text", CHECKS)
def test_checks_take_our_words_and_testinfras(text: str, tmp_path: Path) -> None:
    check = read(tmp_path, f"users: {{dev: {{}}}}\nchecks: [{text}]\n").checks[0]
    assert (dict(check.fields), check.absent) == CHECKS[text]


UNKNOWN = {
    "{file: /x, ownr: dev}": ("unknown key ownr in a check of kind file", "owner", "mode"),
    "{service: web, wat: 1}": ("unknown key wat in a check of kind service", "running, enabled"),
    "{file: /x, running: true}": ("a check of kind file has no running", "owner"),
    "{file: /x, owner: a, user: b}": ("owner and user mean the same",),
    "{port: 80, absent: true, listening: false}": ("listening and absent say the same",),
}


@pytest.mark.parametrize("text", UNKNOWN)
def test_a_key_that_a_check_lacks_is_answered_with_those_of_that_check(text: str, tmp_path: Path) -> None:
    message, *words = UNKNOWN[text]
    with pytest.raises(SpecError) as caught:
        read(tmp_path, f"checks: [{text}]\n")
    (problem,) = caught.value.problems
    assert problem.message == message
    assert all(word in problem.hint for word in words)
    assert "body" not in problem.hint
