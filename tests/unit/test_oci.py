"""What a registry's client decides without one: names, certificates, chunks, and cosign by a stub of it."""

from __future__ import annotations

import io
import os
import random
import stat
from typing import TYPE_CHECKING

import pytest

from provision import process
from provision.errors import HostLacks
from provision.oci import signing
from provision.oci.certificates import authority
from provision.oci.chunks import cut
from provision.oci.errors import RegistryFailed
from provision.oci.reference import Repository, parse
from provision.oci.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DIGEST = f"sha256:{'0' * 64}"
REPOSITORY = Repository(host="registry.example.org", path="team/environments")


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("registry.example.org/team/environments", "registry.example.org", "team/environments"),
        ("LOCALHOST:5000/a".lower(), "localhost:5000", "a"),
        ("[::1]:5000/a/b", "[::1]:5000", "a/b"),
        ("docker.io/team/x", "docker.io", "team/x"),
    ],
)
def test_a_repository_is_named_with_its_registry(text: str, host: str, path: str) -> None:
    assert parse(text) == Repository(host=host, path=path)


@pytest.mark.parametrize(
    "text", ["", "team/environments", "registry.example.org", "registry.example.org/", "a.b/../c", "a.b/x y",
             "a.b/Upper", "https://a.b/c", "a.b/c:tag", "-a.b/c", "a.b/c\n"],
)  # fmt: skip
def test_what_names_no_repository_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost:5000", True),
        ("127.0.0.1", True),
        ("[::1]:5", True),
        ("127.evil.org", False),
    ],
)
def test_http_is_for_the_loopback_alone(host: str, local: bool) -> None:
    assert Repository(host=host, path="a").is_local is local


def test_the_configured_ca_comes_before_dockers(tmp_path: Path) -> None:
    dockers, ours = tmp_path / "certs.d", tmp_path / "ours.pem"
    (dockers / "a.b:5000").mkdir(parents=True)
    (dockers / "a.b:5000" / "ca.crt").touch()
    assert authority("a.b:5000", None, folders=(dockers,)) == dockers / "a.b:5000" / "ca.crt"
    assert authority("a.b", None, folders=(dockers,)) is None
    with pytest.raises(HostLacks, match="is not there"):
        authority("a.b:5000", ours, folders=(dockers,))
    ours.touch()
    assert authority("a.b:5000", ours, folders=(dockers,)) == ours


def test_an_insertion_changes_the_chunks_around_it_alone() -> None:
    content = random.Random(1).randbytes(8 << 20)
    half = len(content) // 2
    first = list(cut(io.BytesIO(content)))
    second = list(cut(io.BytesIO(content[:half] + bytes(8192) + content[half:])))
    assert b"".join(first) == content
    assert len(first) > 8
    assert len(set(second) - set(first)) <= 2


# --- signatures -------------------------------------------------------------------------------


@pytest.fixture
def cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, which notes its words and accepts what the file `accepts` allows."""
    program = tmp_path / "bin" / "cosign"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{tmp_path}/words\n[ -e {tmp_path}/accepts ] && exit\n'
        "echo 'Error: no matching signatures' >&2\nexit 10\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.processes
def test_what_cosign_refuses_is_not_pulled(cosign: Path) -> None:
    registry = Registry(repository=REPOSITORY, source="configuration", verify="cosign.pub", sign="cosign.key")
    with pytest.raises(RegistryFailed, match=f"{DIGEST} is not signed by the key cosign.pub") as raised:
        registry.require_signed(DIGEST)
    assert list(raised.value.evidence) == ["cosign exited with code 10", "Error: no matching signatures"]
    assert "up --pull never" in (raised.value.hint or "")
    with pytest.raises(RegistryFailed, match="is pushed, but cosign could not sign it"):
        registry.add_signature(DIGEST)
    (cosign / "accepts").touch()
    registry.require_signed(DIGEST)
    registry.add_signature(DIGEST)
    verified, signed = (cosign / "words").read_text().splitlines()[2:]
    assert verified.split()[0] == "verify"
    assert verified.endswith(f" --key cosign.pub {REPOSITORY}@{DIGEST}")
    assert signed.split()[:2] == ["sign", "--yes"]
    assert " --key cosign.key " in signed
    assert signed.endswith(f" {REPOSITORY}@{DIGEST}")
    assert "--tlog-upload=false" in signed, "the public log would tell the repository's name"


@pytest.mark.processes
@pytest.mark.parametrize(
    ("unknown", "words"),
    [
        ((), ["--use-signing-config=false", "--new-bundle-format=false"]),
        (("new-bundle-format",), ["--use-signing-config=false"]),
        (("use-signing-config", "new-bundle-format"), []),
    ],
)
def test_a_signature_has_the_form_that_every_cosign_finds(
    cosign: Path, unknown: Sequence[str], words: Sequence[str]
) -> None:
    """As far as this one knows the words for it."""
    refusals = "".join(
        f"case $* in *--{word}*) echo 'unknown flag: --{word}' >&2; exit 1 ;; esac\n" for word in unknown
    )
    (cosign / "bin" / "cosign").write_text(f'#!/bin/sh\n{refusals}echo "$@" >>{cosign}/words\n')
    signing.sign(REPOSITORY, DIGEST, "cosign.key", None)
    signed = (cosign / "words").read_text().splitlines()
    assert len(signed) == 1
    assert [word for word in signed[0].split() if "signing-config" in word or "bundle" in word] == words


def test_without_a_key_nobody_is_asked() -> None:
    registry = Registry(repository=REPOSITORY, source="configuration")
    registry.require_signed(DIGEST)
    registry.add_signature(DIGEST)


def test_a_key_without_cosign_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find", lambda _name: None)
    for call in (signing.verify, signing.sign):
        with pytest.raises(HostLacks, match="there is no cosign") as raised:
            call(REPOSITORY, DIGEST, "key", None)
        assert "install cosign" in (raised.value.hint or "")
