"""The name of a repository in a registry, as Docker writes it: registry.example.org/team/environments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from provision.errors import UsageError
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

Source = Literal["variable", "spec", "configuration"]
HUB = "docker.io"
_HUB_API = "registry-1.docker.io"
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|\[::1\]")
VARIABLE = "PROVISION_REGISTRY"  # names one for every environment
EXAMPLE = "registry.example.org/team/environments"


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository: the registry's host, with its port, and the path there."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def address(self) -> str:
        """The host that is asked, with its port."""
        return _HUB_API if self.host == HUB else self.host

    @property
    def is_local(self) -> bool:
        """Whether it is on this host's loopback, where Docker and we take HTTP if it speaks no TLS."""
        return _LOOPBACK.fullmatch(_without_port(self.host)) is not None

    def tagged(self, tag: str) -> str:
        """A tag in it, as `docker pull` takes it."""
        return f"{self}:{tag}"

    def pinned(self, digest: str) -> str:
        """Exactly one manifest in it, as `docker pull` takes it."""
        return f"{self}@{digest}"


def parse(text: str) -> Repository | None:
    """The repository that a text names; None if it names none, or no registry.

    A registry must be written out: without a dot, a colon or `localhost`, Docker would take the
    first word for a user of Docker Hub.
    """
    host, slash, path = text.partition("/")
    named = host == "localhost" or "." in host or ":" in host
    if not (slash and named and _HOST.fullmatch(host) and _PATH.fullmatch(path)):
        return None
    return Repository(host=host.lower(), path=path)


def choose(
    variables: Mapping[str, str], of_spec: str, of_configuration: str
) -> tuple[Source, Repository] | None:
    """The repository that counts, and who named it; None where nobody did.

    Args:
        variables: the host's, whose $PROVISION_REGISTRY comes first.
        of_spec: what the spec names, if that is allowed.
        of_configuration: what the person's own configuration names.

    Raises:
        UsageError: the variable names no repository.
    """
    named: tuple[tuple[Source, str], ...] = (
        ("variable", variables.get(VARIABLE, "")), ("spec", of_spec), ("configuration", of_configuration),
    )  # fmt: skip
    source, text = next((each for each in named if each[1]), ("configuration", ""))
    if not text:
        return None
    repository = parse(text)
    if repository is None:
        raise UsageError(f"${VARIABLE} is not a repository: {text}", hint=f"for example {EXAMPLE}")
    return source, repository


def _without_port(host: str) -> str:
    return re.sub(r":[0-9]+$", "", host)
