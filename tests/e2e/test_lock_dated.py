"""A version that the mirror no longer has comes from the dated archive of the lock's date."""

from __future__ import annotations

import lzma
import shutil
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from provision.lockfile.archive import newest
from provision.lockfile.versions import compare
from tests.conftest import make_project
from tests.mirrors import own_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.thorough

MIRROR = "http://deb.debian.org"
SMALL = (
    "jq",
    "file",
    "less",
    "wget",
    "unzip",
    "rsync",
    "screen",
    "nano",
    "vim-tiny",
    "sed",
    "curl",
    "bind9-host",
)
SPEC = """\
version: 1
name: dated
base: debian:12
packages: [{package}]
"""


def indexed(suite: str) -> dict[str, str]:
    with build_opener().open(f"{MIRROR}/{suite}/main/binary-amd64/Packages.xz") as answer:
        return dict(newest([lzma.decompress(answer.read()).decode()], SMALL))


def only_in_security() -> str:
    """A small package whose newest version is a security fix, which the release itself has not."""
    release, security = indexed("debian/dists/bookworm"), indexed("debian-security/dists/bookworm-security")
    return next(name for name in SMALL if name in security and compare(security[name], release[name]) > 0)


@contextmanager
def proxy_without_security_fixes(*, dated: bool) -> Iterator[str]:
    """A proxy behind which the mirror has lost its security fixes, and a dated archive, if any, has them.

    All that it serves is signed by Debian; in the place of the fixes there are the updates.
    """

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("http://")
            if path.startswith("snapshot.debian.org/archive/"):
                if not dated:
                    self.send_error(404)
                    return
                archive, _, rest = path.removeprefix("snapshot.debian.org/archive/").partition("/")
                address = f"{MIRROR}/{archive}/{rest.partition('/')[2]}"
            else:
                address = self.path.replace(
                    "debian-security/dists/bookworm-security/", "debian/dists/bookworm-updates/"
                )
            try:
                with build_opener(ProxyHandler({})).open(address) as answer:
                    self.send_response(200)
                    self.send_header("Content-Length", answer.headers["Content-Length"])
                    self.end_headers()
                    shutil.copyfileobj(answer, self.wfile)
            except HTTPError as error:
                self.send_error(error.code)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("", 0), Proxy)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{own_address()}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_the_mirror_lost_comes_from_the_dated_archive(tmp_path: Path) -> None:
    package, own = only_in_security(), make_project(tmp_path / "project", "docker")
    own.spec(SPEC.format(package=package))
    try:
        own.good("lock", "-b", "docker")
        with proxy_without_security_fixes(dated=False) as url:
            own.spec(SPEC.format(package=package) + f'proxy: {{http: "{url}"}}\n')
            said = own.run("up", "--frozen", "--rebuild")
            assert said.code == 1, said.all
            assert "can no longer be had" in said.stderr
            assert f"  {package} " in said.stderr
        with proxy_without_security_fixes(dated=True) as url:
            own.spec(SPEC.format(package=package) + f'proxy: {{http: "{url}"}}\n')
            own.up("--frozen", "--rebuild")
        assert "snapshot" not in own.inside(
            "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>&1 || true"
        )
    finally:
        own.run("down", "--name", "dated-lock", "--volumes", "--images")
