"""The verbs of every day on both backends: ssh and what works over it, snapshots, pause and start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Project

SPEC = """
version: 1
name: remote
base: debian:12
packages: [rsync, busybox-static]
users: {dev: {uid: 1234}}
workspace: {source: ., path: /work, user: dev}
env: {GREETING: hello}
volumes: {data: /srv/data}
services: {site: {command: "busybox httpd -f -p 127.0.0.1:8099 -h /etc"}}
"""
PATIENCE = 120


@pytest.fixture(scope="module")
def up(shared: Project) -> Project:
    shared.up("--no-verify")
    shared.write("ssh_config", shared.good("ssh-config"))
    return shared


def call(up: Project, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A program of OpenSSH's, from another folder than the project's."""
    program, *rest = words
    return subprocess.run(
        [program, "-F", str(up.folder / "ssh_config"), *rest],
        cwd="/", input=stdin, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_a_command_has_user_folder_variables_streams_and_exit_code(up: Project) -> None:
    said = call(up, "ssh", "remote", 'id -un; pwd; echo "$GREETING"; echo oops >&2; exit 7')
    assert (said.returncode, said.stdout, said.stderr) == (7, b"dev\n/work\nhello\n", b"oops\n")
    assert call(up, "ssh", "root@remote", "id -un").stdout == b"root\n"
    assert call(up, "ssh", "-tt", "remote", "tty").stdout.startswith(b"/dev/pts/")
    ours = up.run("ssh", "--", "id -un; exit 3")
    assert (ours.code, ours.stdout, ours.stderr) == (3, "dev\n", "")


def test_no_byte_is_lost(up: Project) -> None:
    data = os.urandom(5_000_000)
    assert call(up, "ssh", "remote", "cat", stdin=data).stdout == data


def test_scp_sftp_and_rsync_copy_both_ways(up: Project, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "in").mkdir(parents=True)
    (tree / "in" / "a b").write_bytes(os.urandom(1_500_000))
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o755)
    config = ["-F", str(up.folder / "ssh_config")]
    ways = {
        "scp": ["scp", *config, "-rpq"],
        "the old scp": ["scp", *config, "-O", "-rpq"],
        "rsync": ["rsync", "-a", "-e", f"ssh -F {up.folder}/ssh_config"],
    }
    for number, (name, words) in enumerate(ways.items()):
        inside, back = f"remote:/tmp/tree{number}", tmp_path / f"back{number}"
        there, here = (f"{tree}/", f"{inside}/") if name == "rsync" else (str(tree), inside)
        subprocess.run([*words, there, here], cwd="/", timeout=PATIENCE, check=True)
        there, here = (f"{inside}/", f"{back}/") if name == "rsync" else (inside, str(back))
        subprocess.run([*words, there, here], cwd="/", timeout=PATIENCE, check=True)
        assert (back / "in" / "a b").read_bytes() == (tree / "in" / "a b").read_bytes(), name
        assert (back / "run").stat().st_mode == (tree / "run").stat().st_mode, name
    listed = call(
        up, "sftp", "-q", "-b", "-", "remote", stdin=b"ls -1 /tmp/tree0\nput /etc/hostname /root/no\n"
    )
    assert b"/tmp/tree0/run" in listed.stdout
    assert listed.returncode == 1
    assert b"Permission denied" in listed.stderr


def test_a_forward_begins_inside(up: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["ssh", "-F", str(up.folder / "ssh_config"), "-N", "-L", f"{port}:127.0.0.1:8099", "remote"]
    with subprocess.Popen(words, cwd="/") as forwarding:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=20) as page:
                        assert page.read() == b"remote\n"
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
        finally:
            forwarding.terminate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_client_that_goes_leaves_nothing_inside(up: Project, how: signal.Signals) -> None:
    words = ["ssh", "-F", str(up.folder / "ssh_config"), "remote", "echo begun; exec sleep 86396"]
    with subprocess.Popen(words, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"begun\n"
        running.send_signal(how)
    deadline = time.monotonic() + PATIENCE
    while up.inside("grep -l 'sleep.8639[6]' /proc/[0-9]*/cmdline 2>/dev/null || true"):
        assert time.monotonic() < deadline
        time.sleep(0.5)


# --- snapshots, pause, start

NAME = "a b'$(touch ran)\n"


def test_a_snapshot_brings_back_files_and_volumes(up: Project) -> None:
    root = ["exec", "-u", "root", "--", "sh", "-c"]
    up.good(*root, "echo one >/opt/file; echo one >/srv/data/file; chown 1234 /srv/data/file; rm -f /opt/new")
    up.good("snapshot", "save", NAME)
    assert up.run("snapshot", "save", NAME).code == 2
    listed = up.run("snapshot", "list", "--format", "json").json()["snapshots"]
    assert [(each["name"], each["machines"]) for each in listed] == [(NAME, ["remote"])]
    up.good(*root, "echo two >/opt/file; echo two >/srv/data/file; touch /opt/new /srv/data/.new")
    assert up.inside("cat /work/provision.yaml | head -1") == "\n"  # folders of the host are there again
    refused = up.run("snapshot", "restore", NAME)
    assert refused.code == 2
    assert "this replaces the files of remote" in refused.stderr
    assert up.inside("cat /opt/file") == "two\n"
    up.good("snapshot", "restore", NAME, "--yes")
    assert up.inside("cat /opt/file /srv/data/file; ls -A /opt; stat -c %u /srv/data/file") == (
        "one\none\nfile\n1234\n"
    )
    assert up.inside("ls -A /srv/data | grep new || true") == ""
    assert up.inside("cat /work/provision.yaml | head -1") == "\n"
    assert up.actions() == {"remote": "none"}
    up.good("stop")
    up.good("start")
    assert up.inside("cat /opt/file") == "one\n"
    assert up.actions() == {"remote": "none"}
    assert up.run("snapshot", "restore", "another", "--yes").code == 2


def test_a_paused_machine_goes_on(up: Project) -> None:
    up.good("pause")
    assert up.state()["state"] == "paused"
    assert up.run("start").code == 1
    up.good("unpause")
    assert up.state()["state"] == "running"
    assert abs(time.time() - float(up.inside("date +%s"))) < 60  # its clock was set


def test_down_keeps_snapshots_and_says_so(up: Project) -> None:
    assert "its snapshots stay: a b" in up.good("down")
    assert up.run("start").code == 1
    up.up("--no-verify")
    assert up.run("snapshot", "list", "--format", "json").json()["snapshots"] != []
    up.good("snapshot", "restore", NAME, "--yes")
    assert up.inside("cat /opt/file") == "one\n"
    up.good("down", "--volumes")
    assert up.run("snapshot", "list", "--format", "json").json()["snapshots"] == []
