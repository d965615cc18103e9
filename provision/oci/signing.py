"""Signatures by cosign, where that is there: made after a push, verified before anything is pulled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import process
from provision.errors import HostLacks
from provision.oci.errors import RegistryFailed

if TYPE_CHECKING:
    from pathlib import Path

    from provision.oci.reference import Repository

COSIGN = "cosign"
WITHIN = 120.0  # seconds
# Cosign 3 signs in a form that cosign 2 does not find, and asks the network which log it shall use. Both can
# be told otherwise; an older one does not know the words.
FORMS = (("--use-signing-config=false", "--new-bundle-format=false"), ("--use-signing-config=false",), ())
UNKNOWN = "unknown flag"
INSTALL = "install cosign (https://docs.sigstore.dev/cosign/system_config/installation/)"


def is_installed() -> bool:
    """Whether cosign is there."""
    return process.find(COSIGN) is not None


def sign(repository: Repository, digest: str, key: str, authority: Path | None) -> None:
    """Sign a manifest. No entry goes to the public log, which would tell the repository's name.

    Args:
        repository: where it is.
        digest: the manifest's.
        key: a file, or what cosign takes in its place; $COSIGN_PASSWORD opens it.
        authority: of the registry's certificate.

    Raises:
        HostLacks: there is no cosign.
        RegistryFailed: it could not sign.
    """
    _require("signs what is pushed")
    options = ["--yes", "--tlog-upload=false", "--key", key, *_registry(repository, authority)]
    for form in FORMS:
        done = _run(["sign", *options, *form, repository.pinned(digest)])
        if UNKNOWN not in done.stderr:
            break
    if done.code != 0:
        raise RegistryFailed(
            f"{repository.pinned(digest)} is pushed, but cosign could not sign it",
            f"cosign exited with code {done.code}",
            evidence=done.stderr.splitlines()[-process.EVIDENCE_LINES :],
            hint="check `sign` of `registry` in your configuration, and $COSIGN_PASSWORD; then push again",
        )


def verify(repository: Repository, digest: str, key: str, authority: Path | None) -> None:
    """Require that a manifest is signed by a key.

    Raises:
        HostLacks: there is no cosign.
        RegistryFailed: it is not signed by that key.
    """
    _require("verifies what is pulled")
    options = ["--insecure-ignore-tlog=true", "--key", key, *_registry(repository, authority)]
    done = _run(["verify", *options, repository.pinned(digest)])
    if done.code != 0:
        raise RegistryFailed(
            f"{repository.pinned(digest)} is not signed by the key {key}",
            f"cosign exited with code {done.code}",
            evidence=done.stderr.splitlines()[-process.EVIDENCE_LINES :],
            hint="push it again where the signing key is, or build it here: up --pull never",
        )


def _run(words: list[str]) -> process.Completed:
    return process.run([COSIGN, *words], check=False, timeout=WITHIN)


def _registry(repository: Repository, authority: Path | None) -> list[str]:
    return [
        *(["--allow-http-registry"] if repository.is_local else []),
        *(["--registry-cacert", str(authority)] if authority else []),
    ]


def _require(what: str) -> None:
    if not is_installed():
        raise HostLacks(
            f"there is no {COSIGN}, which {what} by the key in your configuration",
            hint=f"{INSTALL}, or take the key out of `registry` in your configuration",
        )
