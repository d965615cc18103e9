"""Paths that a machine's start or kernel creates: a spec's own file there would be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import guest_paths
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from provision.model import Origin
    from provision.spec.scope import Scope

_LINKS = {"/var/run": "/run", "/var/lock": "/run/lock"}  # in every base
_EMPTY = "is empty at every start"
_KERNEL = "is made by the kernel"
_WRITTEN = "is written at every start"
_OURS = "belongs to provision"
_ANOTHER = "use another path"
_AT_START = "a setup step with `every: up` makes a file at each start"


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A path that only the start writes: why, and which key of the spec to use instead.

    `below` says that all under it is owned too; `mountable` that a mount or volume under it stays.
    """

    path: str
    why: str
    instead: str
    below: bool = True
    mountable: bool = False

    def has(self, path: str) -> bool:
        """Whether a path is this one or, if that counts, below it."""
        return path == self.path or (self.below and path.startswith(f"{self.path}/"))


# The longer path first: it has the better advice.
OWNED = (
    Owned(path="/etc/hosts", why=_WRITTEN, instead="use `hosts: {NAME: ADDRESS}`", below=False),
    Owned(path="/etc/hostname", why=_WRITTEN, instead="use `hostname: NAME`", below=False),
    Owned(path="/etc/resolv.conf", why=_WRITTEN, below=False, instead="use `hosts: {NAME: ADDRESS}`, or"
          " in a container `backends: {docker: {compose: {dns: ADDRESS}}}`"),
    Owned(path="/run/secrets", why=_EMPTY, instead="use `secrets: {NAME: {file: PATH}}`"),
    Owned(path="/run", why=_EMPTY, instead=f"`runtime_dirs` of a service makes a folder; {_AT_START}"),
    Owned(path="/tmp", why=_EMPTY, mountable=True,  # noqa: S108 - inside a machine
          instead=f"use /var/tmp, which is kept; {_AT_START}"),
    Owned(path="/dev/shm", why=_EMPTY, instead=f"use another path; {_AT_START}"),  # noqa: S108 - likewise
    Owned(path="/proc/sys", why=_KERNEL, instead="use `sysctls: {NAME: VALUE}`"),
    Owned(path="/proc", why=_KERNEL, instead=_ANOTHER),
    Owned(path="/sys", why=_KERNEL, instead=f"{_ANOTHER}; a setup step with `every: up` can write there"),
    Owned(path="/dev", why=_KERNEL, instead=_ANOTHER),
    Owned(path=guest_paths.HOME, why=_OURS, instead=_ANOTHER),
    Owned(path=guest_paths.GUEST, why=_OURS, instead=_ANOTHER),
    Owned(path=guest_paths.KEPT, why=_OURS, instead=_ANOTHER),
)  # fmt: skip


def owner_of(path: str, *, mounted: bool = False) -> Owned | None:
    """Who owns a path, in its shortest form; with `mounted`, of what is mounted there at a start."""
    path = _without_link(path)
    for owned in OWNED:
        if owned.has(path) and not (mounted and owned.mountable and path != owned.path):
            return owned
    return None


def refuse_owned(called: str, path: str, at: Origin, scope: Scope, *, mounted: bool = False) -> None:
    """Add a problem if a file or a mount is at a path that the spec cannot use."""
    owned = owner_of(path, mounted=mounted)
    if owned is not None:
        place = "it" if path == owned.path else owned.path
        hint = f"mount it outside {owned.path}" if mounted and owned.below else owned.instead
        scope.problems.add(f"{called} cannot be at {path}: {place} {owned.why}", at, hint)


def _without_link(path: str) -> str:
    for link, target in _LINKS.items():
        if path == link or path.startswith(f"{link}/"):
            return target + path.removeprefix(link)
    return path
