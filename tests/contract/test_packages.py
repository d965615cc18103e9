"""Packages: those of a signed repository of one's own, and those that are nowhere to be had."""

from __future__ import annotations

import socket
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Project

SPEC = """
version: 1
name: packages
base: debian:12
packages: [hello-team, jq]
repositories:
  team: {url: "URL", suite: ./, key: keys/team.asc, pin: 900}
checks:
  - {command: hello-team, stdout: {equals: hello from the team}}
  - {package: jq, version: "0.1"}
"""


WRONG = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnone\n-----END PGP PUBLIC KEY BLOCK-----\n"


def run(*words: str, cwd: Path | None = None) -> bytes:
    return subprocess.run(words, cwd=cwd, check=True, capture_output=True).stdout


def make_package(folder: Path, name: str, version: str, script: str) -> None:
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n"
        "Description: of a test\n"
    )
    program = tree / "usr" / "bin" / name
    program.parent.mkdir(parents=True)
    program.write_text(script)
    program.chmod(0o755)
    run("dpkg-deb", "--root-owner-group", "--build", str(tree), str(folder / f"{name}_{version}_all.deb"))
    run("rm", "-r", str(tree))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, bytes]]:
    """A flat repository, served where machines reach it: its URL, and the key that signed it."""
    folder, home = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    make_package(folder, "hello-team", "1.0", "#!/bin/sh\necho hello from the team\n")
    make_package(folder, "jq", "0.1", "#!/bin/sh\necho not the real one\n")
    (folder / "Packages").write_bytes(run("dpkg-scanpackages", "--multiversion", ".", cwd=folder))
    digest = run("sha256sum", "Packages", cwd=folder).decode().split()[0]
    size = (folder / "Packages").stat().st_size
    (folder / "Release").write_text(
        f"Date: Tue, 24 Nov 2026 00:00:00 UTC\nSHA256:\n {digest} {size} Packages\n"
    )
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
    run(*gpg, "--quick-generate-key", "team@example.org", "rsa2048", "sign", "never")
    run(*gpg, "--clearsign", "--output", str(folder / "InRelease"), str(folder / "Release"))
    key = run(*gpg, "--armor", "--export")
    server = ThreadingHTTPServer(("", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{own_address()}:{server.server_port}/", key
    finally:
        server.shutdown()
        server.server_close()
        run("gpgconf", "--homedir", str(home), "--kill", "all")


def own_address() -> str:
    """An address of this host that machines can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))  # sends nothing
        return str(asked.getsockname()[0])


def test_a_signed_repository_gives_packages_and_ranks_before(own: Project, signed: tuple[str, bytes]) -> None:
    url, key = signed
    own.spec(SPEC.replace("URL", url))
    own.write("keys/team.asc", key)
    own.up()


def test_what_is_not_there_is_named_with_what_is(own: Project, signed: tuple[str, bytes]) -> None:
    url, key = signed
    own.write("keys/team.asc", key)
    own.spec(SPEC.replace("URL", url).replace("hello-team, jq]", "helo-team, jq=99]"))
    said = own.run("up")
    assert said.code == 2, said.all
    assert "provision.yaml:5:12: debian:12 has no package helo-team" in said.stderr
    assert "did you mean hello-team" in said.stderr
    assert "provision.yaml:5:23: debian:12 has no version 99 of jq" in said.stderr
    assert "0.1" in said.stderr


def test_a_repository_that_another_key_signed_is_refused(own: Project, signed: tuple[str, bytes]) -> None:
    own.write("keys/team.asc", WRONG)
    own.spec(SPEC.replace("URL", signed[0]))
    refused = own.run("up")
    assert refused.code == 1, refused.all
    assert "the step packages exited with code 100" in refused.stderr
    assert "InRelease" in refused.stderr


def test_a_proxy_that_does_not_answer_is_not_a_package_that_is_missing(own: Project) -> None:
    address = f"{own_address()}:9"
    own.spec(f"""
        version: 1
        name: packages
        base: debian:12
        packages: [hello]
        proxy: {{http: "http://{address}", https: "http://{address}"}}
    """)
    said = own.run("up")
    assert said.code == 1, said.all
    progress, _, error = said.stderr.partition("error: ")  # progress may show the last line of the step
    assert error.startswith(f"the proxy {address}, used for http://deb.debian.org, does not answer"), progress
    assert "no package" not in error


def test_another_architecture_and_a_release_of_the_base_are_installed_and_checked(own: Project) -> None:
    own.spec("""
        version: 1
        name: packages
        base: debian:12
        packages: ["libgcc-s1:arm64", {name: tmux, release: bookworm-backports}]
        checks:
          - {command: tmux -V, stdout: "tmux 3.5"}
          - {file: /lib/aarch64-linux-gnu/libgcc_s.so.1}
    """)
    own.up()
    verified = own.run("verify")
    assert verified.code == 0, verified.all
    assert "package libgcc-s1:arm64" in verified.stdout


NOT_ONE_PACKAGE = {
    "awk": "awk is a virtual package in debian:12: several packages provide it",
    "curl+": "debian:12 has no package curl+",
    "{name: jq, release: bookworm-backports}": "bookworm-backports has no package jq",
    "jq:nowhere": "debian:12 has no package jq:nowhere",
}


def test_what_is_not_one_package_is_refused_at_its_place(own: Project) -> None:
    """apt would take one for a pattern, one for an order, and give another from elsewhere."""
    lines = [f"  - {word}" for word in NOT_ONE_PACKAGE]
    own.spec("version: 1\nname: packages\nbase: debian:12\npackages:\n" + "\n".join(lines) + "\n")
    refused = own.run("up")
    assert refused.code == 2, refused.all
    for number, message in enumerate(NOT_ONE_PACKAGE.values(), start=5):
        assert f"provision.yaml:{number}:" in refused.stderr
        assert message in refused.stderr
    assert "write one of them: gawk, mawk, original-awk" in refused.stderr
