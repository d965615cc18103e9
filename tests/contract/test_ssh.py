"""Plain ssh, scp, sftp and rsync reach containers and virtual machines with what `ssh-config` prints."""

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
