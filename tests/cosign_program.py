"""Cosign itself, as Debian packages it: unpacked into a folder, not installed."""

from __future__ import annotations

import hashlib
import lzma
import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

from provision.bases import catalogue
from provision.fetching import fetch

if TYPE_CHECKING:
    from pathlib import Path

SUITES = ("trixie", "sid")  # cosign 2.5, and the newest that there is
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def reason_against() -> str:
    """Why it cannot be had here; empty if it can."""
    if shutil.which("dpkg-deb") is None:
        return "there is no dpkg-deb to unpack Debian's cosign"
    if platform.machine() not in ARCHITECTURES:
        return f"Debian has no cosign for {platform.machine()}"
    return ""


def unpack(suite: str, folder: Path) -> Path:
    """Have the program of a suite of Debian in a folder; its path."""
    base = catalogue.find("debian:13")
    archive = catalogue.archive(base)
    assert archive is not None
    mirror = archive.pockets(base)[0].url
    index = f"{mirror}/dists/{suite}/main/binary-{ARCHITECTURES[platform.machine()]}/Packages.xz"
    paragraphs = lzma.decompress(fetch(index)).decode().split("\n\n")
    package = next(each for each in paragraphs if each.startswith("Package: cosign\n"))
    fields = dict(line.split(": ", 1) for line in package.splitlines() if ": " in line and line[0] != " ")
    content = fetch(f"{mirror}/{fields['Filename']}")
    assert hashlib.sha256(content).hexdigest() == fields["SHA256"]
    file = folder / "cosign.deb"
    file.write_bytes(content)
    subprocess.run(["dpkg-deb", "--extract", str(file), str(folder / "unpacked")], check=True)
    file.unlink()
    return folder / "unpacked" / "usr" / "bin" / "cosign"


def make_keys(program: Path, folder: Path, password: str) -> None:
    """A pair of keys in a folder: cosign.key, which a password opens, and cosign.pub."""
    folder.mkdir(parents=True)
    variables = {"COSIGN_PASSWORD": password, "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    subprocess.run(
        [str(program), "generate-key-pair"], cwd=folder, env=variables, capture_output=True, check=True
    )
