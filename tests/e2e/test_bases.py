"""Bases that no registry gives are really made from their mirrors, and really run."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, build_opener

import pytest

from provision import process
from provision.bases.catalogue import find
from provision.bases.image import build_image, ensure_image, statuses
from provision.errors import HostLacks
from provision.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.model import Base

# Nothing listens there, so nothing can be pulled from it.
NOWHERE = "127.0.0.1:1/provision-test"
# Each release of Debian, and Ubuntu once: making one takes half a minute. debian:12 is made
# in the tests further down.
MAKEABLE = [
    pytest.param("debian:11", marks=pytest.mark.thorough),
    pytest.param("debian:13", marks=pytest.mark.thorough),
    "ubuntu:24.04",
]


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@contextmanager
def removed_afterwards(base: Base) -> Iterator[Base]:
    try:
        yield base
    finally:
        process.run(["docker", "image", "rm", "--force", base.image], check=False)


def in_container(base: Base, script: str) -> str:
    return process.run(["docker", "run", "--rm", base.image, "sh", "-euc", script]).stdout


def layers(base: Base) -> str:
    words = ["docker", "image", "inspect", "--format", "{{.RootFS.Layers}}", base.image]
    return process.run(words).stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go during the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", MAKEABLE)
def test_a_base_that_cannot_be_pulled_is_made_and_runs(name: str, folder: Path) -> None:
    with removed_afterwards(replace(find(name), image=f"{NOWHERE}/{name}")) as base:
        progress = Notes()
        ensure_image(base, progress)
        assert len(progress.notes) == 1
        assert "cannot be pulled" in progress.notes[0]
        assert list(folder.iterdir()) == []

        assert f"VERSION_CODENAME={base.suite}" in in_container(base, "cat /etc/os-release")
        sources = in_container(base, "cat /etc/apt/sources.list").split("\n\n")
        assert [line.split()[3] for line in sources] == [
            base.suite,
            f"{base.suite}-updates",
            f"{base.suite}-security",
        ]
        # Its keys are right: an unsigned archive would be refused.
        in_container(base, "apt-get -q update && apt-get -q -y install --no-install-recommends tree")
        assert in_container(base, "/usr/sbin/policy-rc.d || echo $?") == "101\n"
        assert "docker-clean" not in in_container(base, "ls /etc/apt/apt.conf.d")
        assert in_container(base, "ls /var/lib/apt/lists /var/cache/apt/archives/*.deb || true") == (
            "/var/lib/apt/lists:\nlock\npartial\n"
        )

        assert statuses((base,))[0].made
        before = layers(base)
        ensure_image(base, progress)
        assert layers(base) == before
        assert len(progress.notes) == 1


def test_the_same_archive_gives_the_same_bytes(folder: Path) -> None:
    with removed_afterwards(replace(find("debian:12"), image=f"{NOWHERE}/equal")) as base:
        build_image(base, Silent())
        first = layers(base)
        build_image(base, Silent())
        assert layers(base) == first
        assert list(folder.iterdir()) == []


def test_what_can_be_neither_pulled_nor_made_is_an_error_of_the_host() -> None:
    base = replace(find("fedora:43"), image=f"{NOWHERE}/fedora:43")
    assert not statuses((base,))[0].present
    with pytest.raises(HostLacks, match="is not on this host and cannot be pulled") as caught:
        ensure_image(base, Silent())
    assert "127.0.0.1:1" in caught.value.evidence[-1]


def test_a_failure_leaves_nothing_half_made(folder: Path) -> None:
    base = replace(find("debian:12"), image=f"{NOWHERE}/broken", components=("nothing-like-it",))
    with pytest.raises(HostLacks, match=r"debian:12 could not be built") as caught:
        build_image(base, Silent())
    assert any("nothing-like-it" in line for line in caught.value.evidence)
    assert not statuses((base,))[0].present
    assert list(folder.iterdir()) == []


@contextmanager
def proxy_with_dated_archives() -> Iterator[str]:
    """A proxy that serves today's archive under the addresses of a dated one.

    It stands in for the dated archives where the network has none.
    """

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = self.path.replace("snapshot.debian.org/archive/", "deb.debian.org/")
            straight = build_opener(ProxyHandler({}))
            with straight.open(address.replace(f"/{DAY}", "")) as answer:
                self.send_response(200)
                self.send_header("Content-Length", answer.headers["Content-Length"])
                self.end_headers()
                shutil.copyfileobj(answer, self.wfile)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


DAY = "20261101T000000Z"


def test_a_dated_base_is_made_from_the_dated_archive_and_never_pulled(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    with proxy_with_dated_archives() as proxy, removed_afterwards(find("debian:12", DAY)) as base:
        monkeypatch.setenv("http_proxy", proxy)
        progress = Notes()
        ensure_image(base, progress)
        assert progress.notes == []
        sources = in_container(base, "cat /etc/apt/sources.list")
        assert sources.count(f"/{DAY} ") == 3
        # No file is younger than the archive.
        young = in_container(base, f"find / -xdev -type f -newermt {DAY[:8]} -not -path '/etc/*'")
        assert young.split() in ([], ["/.dockerenv"])
        assert list(folder.iterdir()) == []
