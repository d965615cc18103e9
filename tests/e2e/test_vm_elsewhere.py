"""Virtual machines on another host: an sshd with a network and a home folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from provision.guest_paths import KEPT_IDENTITY
from provision.resources import cache
from tests.conftest import ALLOWED, make_project
from tests.e2e.far_host import far_host
from tests.second_host import own_network, reason_against

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project
    from tests.e2e.far_host import FarHost

SPEC = """
version: 1
name: away
base: debian:12
resources: {memory: 512MiB, cpus: 1}
vars: {greeting: {env: AWAY_GREETING}}
users: {dev: {shell: /bin/bash}}
workspace: {source: work, path: /workspace, user: root, git: identity}
secrets: {password: {env: AWAY_PASSWORD}}
files: {/etc/greeting: {content: "${{ vars.greeting }}\\n"}}
services:
  web: {command: perl /workspace/serve.pl, ready: {tcp: 8080}}
ports: ["8080"]
checks:
  - {http: "http://localhost:8080/", from: host}
  - {command: cat /etc/greeting, stdout: hello}
backends: {vm: {provider: qemu}}
"""
BOTH = """
version: 1
name: both
base: debian:12
resources: {memory: 512MiB, cpus: 2}
files: {/etc/motto: {content: "the same\\n"}}
checks: [{file: /etc/motto, contains: the same}]
backends: {vm: {provider: qemu}}
"""
SERVER = """\
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
  <$client>;
  open my $page, "<", "/workspace/page.html"; local $/; my $text = <$page>;
  print $client "HTTP/1.0 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text"; close $client;
}
"""
PATIENCE = 60.0


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarHost]:
    if reason := reason_against():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("far")
    (folder / "home").mkdir()
    # Bases are built once; all else of that host is its own.
    variables = {
        "HOME": str(folder / "home"), "XDG_CACHE_HOME": str(cache().parent),
        "PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}",  # the Python of these tests
    }  # fmt: skip
    with (
        own_network() as (within, address),
        far_host(folder / "host", within=within, address=address, variables=variables) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def away(far: FarHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("away")
    (folder / "configuration" / "provision").mkdir(parents=True)
    (folder / "configuration" / "provision" / "config.yaml").write_text("hosts: {big: {vm: ssh://far}}\n")
    project = make_project(folder / "project", "vm")
    project.environment = {
        "PATH": far.variables["PATH"], "XDG_CONFIG_HOME": str(folder / "configuration"),
        "PROVISION_HOST": "big", "AWAY_GREETING": "hello", "AWAY_PASSWORD": "swordfish",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Ada of here",
    }  # fmt: skip
    project.spec(SPEC)
    project.write("work/page.html", "first\n")
    project.write("work/serve.pl", SERVER)
    try:
        project.good("up")
        yield project
    finally:
        project.good("down", "--volumes", "--images")


def page(project: Project) -> str:
    address = project.good("port", "8080").strip()
    with urllib.request.urlopen(f"http://{address}/", timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
        return text


def home(far: FarHost) -> Path:
    return far.folder.parent / "home"


def test_its_ports_come_here_and_its_checks_pass_there(away: Project) -> None:
    assert page(away) == "first\n"
    assert away.good("open", "--print") == f"http://{away.good('port', '8080').strip()}/\n"
    said = away.run("verify")
    assert said.code == 0, said.all
    assert "0 failed" not in said.all
    assert away.inside("cat /run/secrets/password") == "swordfish"
    assert "Ada of here" in away.inside(f"cat {KEPT_IDENTITY}/gitconfig")


def test_what_the_caller_left_there_is_gone(away: Project, far: FarHost) -> None:
    away.good("status")
    left = list(Path("/dev/shm").glob("provision-*/variables"))
    assert left == []
    kept = [path for path in home(far).rglob("*") if path.is_file() and path.stat().st_size < 2**20]
    assert kept
    assert not [path for path in kept if b"swordfish" in path.read_bytes()]


def test_streams_and_exit_codes_are_those_of_the_command(away: Project) -> None:
    said = away.run("exec", "--", "sh", "-c", "cat; echo loud >&2; exit 7", stdin=b"in\n")
    assert (said.code, said.stdout) == (7, "in\n")
    assert "loud" in said.stderr
    away.good("cp", "-", "away:/tmp", stdin=_tar("carried", b"carried\n"))
    assert away.inside("cat /tmp/carried") == "carried\n"
    assert "away" in away.good("top", "--once")


def test_files_are_copied_between_this_host_and_a_machine_there(away: Project) -> None:
    folder = away.folder / "sent"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_bytes(bytes(range(256)))
    away.good("cp", "sent", "away:/tmp")
    away.good("cp", ":/tmp/sent/below/file", "back")
    assert (away.folder / "back").read_bytes() == bytes(range(256))
    away.good("cp", "away:/tmp/sent", "whole")
    assert (away.folder / "whole" / "below" / "file").read_bytes() == bytes(range(256))
    said = away.run("cp", "away:/tmp/nothing", ".")
    assert said.code == 1
    assert "/tmp/nothing does not exist in away" in said.stderr
    for name in ("sent", "back", "whole"):
        subprocess.run(["rm", "-r", str(away.folder / name)], check=True)


def _tar(name: str, content: bytes) -> bytes:
    import io
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def test_the_project_follows_and_what_the_machine_made_stays(away: Project, far: FarHost) -> None:
    away.write("work/gone.txt", "x\n")
    away.good("plan")
    away.inside("echo made >/workspace/made.txt; test -e /workspace/gone.txt")
    (away.folder / "work" / "gone.txt").unlink()
    away.write("work/page.html", "second\n")
    said = away.run("plan")
    assert said.code == 0, said.all
    assert page(away) == "second\n"
    assert away.inside("cd /workspace; ls gone.txt 2>/dev/null; cat made.txt") == "made\n"
    assert not (away.folder / "work" / "made.txt").exists()
    assert len(list(home(far).glob(".local/share/provision/projects/*"))) == 1


def test_an_interrupt_reaches_the_machine(away: Project) -> None:
    words = [sys.executable, "-m", "provision", "exec", "--", "sleep", "987654"]
    environment = {**os.environ, "PROVISION_BACKEND": "vm", **away.environment}
    with subprocess.Popen(
        words, cwd=away.folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        _wait_for(away, begun=True)
        running.send_signal(signal.SIGTERM)
        _, stderr = running.communicate(timeout=PATIENCE)
    assert running.returncode == 128 + signal.SIGTERM, stderr
    _wait_for(away, begun=False)


def _wait_for(project: Project, *, begun: bool) -> None:
    deadline = time.monotonic() + PATIENCE
    script = "grep -lz 987654 /proc/[0-9]*/cmdline 2>/dev/null | xargs -r grep -L grep | wc -l"
    while (int(project.inside(script)) > 0) != begun:
        assert time.monotonic() < deadline, "it does not begin" if begun else "it does not end"
        time.sleep(0.5)


def test_it_is_stopped_and_started_and_its_port_comes_back(away: Project) -> None:
    away.good("pause")
    away.good("unpause")
    assert page(away).endswith("\n")
    host, _, port = away.good("port", "8080").strip().rpartition(":")
    away.good("stop")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), PATIENCE)
    away.good("start")
    assert page(away).endswith("\n")
    machines = json.loads(away.good("status", "--format", "json"))["machines"]
    assert [machine["state"] for machine in machines] == ["running"]
    assert "web" in away.good("restart", "web") + away.good("status")


def test_what_a_verb_writes_there_comes_here(away: Project) -> None:
    away.good("verify", "--junit", "report.xml")
    assert "<testcase" in (away.folder / "report.xml").read_text()
    away.good("render", "-o", "out")
    assert 'exec "$qemu"' in (away.folder / "out" / "away.sh").read_text()
    assert away.good("render").strip()
    assert "away" in away.good("graph")


def test_plain_ssh_and_scp_enter_it(away: Project, tmp_path: Path) -> None:
    """By what `ssh-config` prints: through the other host."""
    configuration = tmp_path / "ssh_config"
    configuration.write_text(away.good("ssh-config"))
    environment = {**os.environ, **away.environment}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    said = run("ssh", "-F", str(configuration), "away", "cat /etc/greeting; echo 100%; exit 3")
    assert (said.returncode, said.stdout) == (3, "hello\n100%\n"), said.stderr
    (tmp_path / "here").write_bytes(bytes(range(256)))
    assert run("scp", "-F", str(configuration), "here", "away:/tmp/there").returncode == 0
    assert run("scp", "-F", str(configuration), "away:/tmp/there", "back").returncode == 0
    assert (tmp_path / "back").read_bytes() == bytes(range(256))


def test_what_does_not_work_elsewhere_is_refused_with_the_way(away: Project, tmp_path: Path) -> None:
    for words, message, hint in (
        (("verify", "--junit", "/x.xml"), "--junit names /x.xml, which is not in the project",
         "name a file below"),
        (("up", "-b", "docker"), "your configuration has no address for docker on the host big",
         "hosts: {big: {docker: ssh://USER@big}}"),
    ):  # fmt: skip
        said = away.run(*words)
        assert said.code == 2, said.all
        assert message in said.stderr
        assert hint in said.stderr
    outside = make_project(tmp_path / "project", "vm")
    outside.environment = dict(away.environment)
    (tmp_path / "notes").write_text("x\n")
    outside.spec("version: 1\nname: out\nbase: debian:12\nmounts: {/etc/notes: {source: ../notes}}\n")
    said = outside.run("up", "--allow", f"{ALLOWED},outside")
    assert said.code == 2, said.all
    assert f"{tmp_path}/notes is outside of the project, which alone is copied to big" in said.stderr


@pytest.mark.thorough
def test_verbs_about_several_forms_run_there_or_ask_there(away: Project, tmp_path: Path) -> None:
    """The engine of the host `both` is this host's, reached by ssh; the machine's is its own."""
    project = make_project(tmp_path / "project", "docker")
    configuration = tmp_path / "configuration" / "provision" / "config.yaml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("hosts: {both: {docker: ssh://far, vm: ssh://far}}\n")
    project.environment = {
        **away.environment, "PROVISION_HOST": "both", "XDG_CONFIG_HOME": str(configuration.parent.parent),
    }  # fmt: skip
    path = project.spec(BOTH)
    try:
        project.good("up")
        said = project.run("diff")
        assert (said.code, "is up only in docker" in said.stderr) == (1, True), said.all
        project.good("up", "-b", "vm", "--record")
        assert "no unexplained differences" in project.good("diff", "--html", "differences.html")
        assert (project.folder / "differences.html").is_file()
        for backend in ("docker", "vm"):
            project.good("exec", "-b", backend, "-u", "root", "--", "touch", f"/usr/local/by-hand-{backend}")
        said = project.run("diff", "-b", "vm", "--between", "both", "docker")
        assert (said.code, "/usr/local/by-hand-docker: only in docker" in said.stdout) == (1, True), said.all
        said = project.run("diff", "-b", "vm", "--since-up")
        assert (said.code, "/usr/local/by-hand-vm: new" in said.stdout) == (1, True), said.all
        assert "/usr/local/by-hand-docker" not in said.stdout
    finally:
        for backend in ("docker", "vm"):
            project.good("down", "-b", backend, "--volumes", "--images")
    project.good("lock")
    lock = path.with_name("provision.lock.yaml")
    assert {"docker", "vm"} <= set(re.findall(r"\w+", lock.read_text()))
    assert "fits the spec" in project.good("lock", "--check")
    assert "outdated" in project.run("outdated").stdout
    said = project.run("test", "--junit", "report.xml")
    assert (said.code, "0 unexplained differences" in said.stdout) == (0, True), said.all
    assert "etc/motto" in (project.folder / "report.xml").read_text()
    assert "host" in project.good("compare", "--rows", "kernel", "--runs", "1")


def test_a_host_that_is_not_reached_is_named(away: Project, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", "vm")
    folder = tmp_path / "configuration" / "provision"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("hosts: {big: {vm: 'ssh://nowhere.invalid'}}\n")
    project.environment = {**away.environment, "XDG_CONFIG_HOME": str(tmp_path / "configuration")}
    project.spec("version: 1\nname: out\nbase: debian:12\n")
    said = project.run("up")
    assert said.code == 3, said.all
    assert "ssh does not reach nowhere.invalid" in said.stderr
    assert "ssh -- nowhere.invalid true" in said.stderr
