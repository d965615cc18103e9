"""The soak of virtual machines: one of QEMU."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.soak.rounds import Finding, Soak

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

SPEC = """
version: 1
name: NAME
base: debian:12
machines:
  db:
    resources: {memory: 512MiB}
    services: {store: {command: sleep 9000SERVICE}}
    volumes: {one: /srv/one, two: /srv/two}
backends: {vm: {provider: qemu}}
"""


@dataclass
class Machines(Soak):
    """A machine with two volumes; a change of its service is applied in place."""

    settles_within = 120.0

    def spec(self, version: int) -> str:
        """By what its service runs."""
        return SPEC.replace("NAME", self.name).replace("SERVICE", str(version % 2))

    @property
    def _disks(self) -> Path:
        return self.project.state_dir(self.name).folder / "qemu"

    def _running(self) -> Iterator[psutil.Process]:
        """The processes of QEMU whose disk is the environment's."""
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.name().startswith("qemu-system") and str(self._disks) in " ".join(each.cmdline()):
                    yield each

    def truth(self) -> Mapping[str, str]:
        """From processes and files."""
        running = any(True for _ in self._running())
        if not running and not (self._disks / "db.qcow2").exists():
            return {}
        return {"db": "running" if running else "stopped"}

    def strikes(self) -> Mapping[str, Callable[[subprocess.Popen[str]], None]]:
        """QEMU ends."""
        return {"the end of QEMU": self._end_qemu}

    def _end_qemu(self, child: subprocess.Popen[str]) -> None:
        del child
        for each in self._running():
            with suppress(psutil.Error):
                each.kill()

    def told(self) -> dict[str, str]:
        """A paused one runs too, for what is seen from outside."""
        return {name: "running" if state == "paused" else state for name, state in super().told().items()}

    def things(self) -> list[str]:
        """Disks, and what is half made of them."""
        disks = Path(self.project.environment["XDG_CACHE_HOME"]) / "provision" / "disks"
        found = [*disks.glob("*.part"), *disks.glob("*.gone"), *disks.glob("[0-9a-f]" * 32)]
        return [f"disk {path}" for path in found]

    @property
    def version_script(self) -> str:
        """What the service runs."""
        return "grep -lx -z sleep /proc/[0-9]*/cmdline | xargs -r cat | tr '\\0' ' '; echo"

    def require_version(self, said: list[str]) -> None:
        """What the service runs."""
        if f"9000{self.version % 2}" not in said:
            raise Finding(f"the machine is not of version {self.version}: {said}")
