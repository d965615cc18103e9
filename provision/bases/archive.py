"""Archives: where a distribution's packages come from, today's or a dated one."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from provision.model import Base

_KEYRINGS = "/usr/share/keyrings"


@dataclass(frozen=True, kw_only=True)
class Pocket:
    """One suite of one mirror; `url` ends without a slash."""

    url: str
    suite: str

    @property
    def release(self) -> str:
        """Where its signed index is."""
        return f"{self.url}/dists/{self.suite}/InRelease"


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An apt archive: the release as it came out, its updates, its security fixes.

    Args:
        keyring: the file in /usr/share/keyrings that signs it.
        keyring_package: what brings that file to another distribution.
        mirror: the release and its updates.
        security: the security fixes.
        dated_mirror: `mirror` as it was at `{snapshot}`.
        dated_security: `security` as it was at `{snapshot}`.
        ports: what has both for processors other than x86_64, where the mirror has not.
    """

    keyring: str
    keyring_package: str
    mirror: str
    security: str
    dated_mirror: str
    dated_security: str
    ports: str = ""

    @property
    def keyring_path(self) -> str:
        """The keyring on the host."""
        return f"{_KEYRINGS}/{self.keyring}"

    def mirror_at(self, snapshot: str | None) -> str:
        """The mirror, as it was at that time."""
        return self.mirror if snapshot is None else self.dated_mirror.format(snapshot=snapshot)

    def pockets(self, base: Base) -> tuple[Pocket, ...]:
        """What `base` is made from; it must name its suite and mirror."""
        mirror = base.mirror or self.mirror_at(base.snapshot)
        security = self.security
        if base.snapshot is not None:
            security = self.dated_security.format(snapshot=base.snapshot)
        elif self.ports and mirror == self.mirror and platform.machine() != "x86_64":
            mirror = security = self.ports
        return (
            Pocket(url=mirror, suite=f"{base.suite}"),
            Pocket(url=mirror, suite=f"{base.suite}-updates"),
            Pocket(url=security, suite=f"{base.suite}-security"),
        )

    def dated_sources(self, base: Base, snapshot: str) -> str:
        """The same of the archive as it was at that time, for one that is of today."""
        return self.sources(replace(base, mirror=self.mirror_at(snapshot), snapshot=snapshot))

    def sources(self, base: Base) -> str:
        """The text of /etc/apt/sources.list, the same in a container and in a VM."""
        return "".join(self.source(base, pocket.url, pocket.suite) for pocket in self.pockets(base))

    def source(self, base: Base, url: str, suite: str) -> str:
        """The line of one suite of a mirror."""
        # A dated archive's index says that it has expired, which is what was asked for.
        expired = " check-valid-until=no" if base.snapshot else ""
        options = f"[signed-by={self.keyring_path}{expired}]"
        return f"deb {options} {url} {suite} {' '.join(base.components)}\n"
