"""Files that add package repositories, by path inside, and apk's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision.rendering import RenderedFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provision.model import Machine, Repository

DISTRIBUTION = 500
FIRST, LAST = 10, 199  # dnf's own priority is 99, and the lower is preferred
ARMOUR = b"-----BEGIN PGP"


def repository_files(machine: Machine) -> Mapping[str, RenderedFile]:
    """The files that name the machine's repositories, without their first slash."""
    family = {"apt": _apt, "dnf": _dnf, "apk": _apk}[machine.base.family]
    files = (pair for repository in machine.repositories for pair in family(repository))
    return {path: RenderedFile(content=content) for path, content in sorted(files)}


def apk_lines(machine: Machine) -> tuple[str, ...]:
    """The lines of /etc/apk/repositories."""
    return tuple(line for repository in machine.repositories for line in _apk_lines(repository))


def _apk_lines(repository: Repository) -> Iterator[str]:
    whole = "/".join(part for part in (repository.url.rstrip("/"), repository.suite.strip("./")) if part)
    flat = repository.suite.endswith("/")
    yield from [whole] if flat else [f"{whole}/{component}" for component in repository.components]


def needs_certificates(machine: Machine) -> bool:
    """Whether a minimal base must have certificates before it can read them."""
    return any(urlsplit(repository.url).scheme == "https" for repository in machine.repositories)


def _apt(repository: Repository) -> Iterator[tuple[str, bytes]]:
    flat = repository.suite.endswith("/")
    lines = [
        "Types: deb",
        f"URIs: {repository.url}",
        f"Suites: {repository.suite}",
        *([] if flat else [f"Components: {' '.join(repository.components)}"]),
    ]
    if repository.key is not None:
        ending = "asc" if repository.key.lstrip().startswith(ARMOUR) else "gpg"
        keyring = f"etc/apt/keyrings/{repository.name}.{ending}"
        yield keyring, repository.key
        lines.append(f"Signed-By: /{keyring}")
    yield f"etc/apt/sources.list.d/{repository.name}.sources", _text(lines)
    if repository.pin != DISTRIBUTION:
        host = urlsplit(repository.url).hostname or ""
        pin = ["Package: *", f'Pin: origin "{host}"', f"Pin-Priority: {repository.pin}"]
        yield f"etc/apt/preferences.d/{repository.name}", _text(pin)


def _dnf(repository: Repository) -> Iterator[tuple[str, bytes]]:
    lines = [f"[{repository.name}]", f"name={repository.name}", f"baseurl={repository.url}", "enabled=1"]
    if repository.key is not None:
        key = f"etc/pki/rpm-gpg/RPM-GPG-KEY-{repository.name}"
        yield key, repository.key
        lines += ["gpgcheck=1", f"gpgkey=file:///{key}"]
    if repository.pin != DISTRIBUTION:
        lines.append(f"priority={FIRST if repository.pin > DISTRIBUTION else LAST}")
    yield f"etc/yum.repos.d/{repository.name}.repo", _text(lines)


def _apk(repository: Repository) -> Iterator[tuple[str, bytes]]:
    if repository.key is not None:
        yield f"etc/apk/keys/{repository.key_file}", repository.key


def _text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
