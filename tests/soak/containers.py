"""The soak of containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.soak.engines import Engine, PrivateEngine
from tests.soak.rounds import Finding, Soak

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

SPEC = """
version: 1
name: NAME
base: debian:12
secrets: {token: {env: SOAK_TOKEN}}
machines:
  db:
    run: [{name: note, script: echo BUILD >/etc/soak}]
    services: {store: {command: sleep 9000SERVICE}}
    secrets: [token]
    volumes: {one: /srv/one, two: /srv/two}
  web:
    needs: [db]
    services: {site: {command: sleep infinity}}
    ports: ["8080"]
"""
WORDS = {"exited": "stopped", "created": "stopped", "restarting": "running", "dead": "stopped"}
VERSIONS = ((0, 0), (0, 1), (1, 1))  # what the build notes, and the service's command


@dataclass
class Containers(Soak):
    """Two containers, two volumes, a port, a secret."""

    engine: Engine | None = None

    @property
    def _engine(self) -> Engine:
        assert self.engine is not None
        return self.engine

    @property
    def label(self) -> str:
        """The label of all that is the environment's."""
        return f"provision.id={self.project.state_dir(self.name).id}"

    def spec(self, version: int) -> str:
        """By what it builds and what its service runs."""
        build, service = VERSIONS[version]
        return SPEC.replace("NAME", self.name).replace("BUILD", str(build)).replace("SERVICE", str(service))

    def truth(self) -> Mapping[str, str]:
        """From the engine itself."""
        return {name: WORDS.get(state, state) for name, state in self._engine.states(self.label).items()
                if state != "removing"}  # fmt: skip

    def strikes(self) -> Mapping[str, Callable[[subprocess.Popen[str]], None]]:
        """A container ends, or the engine."""
        ways: dict[str, Callable[[subprocess.Popen[str]], None]] = {"the end of a container": self._end_one}
        if isinstance(self._engine, PrivateEngine):
            ways["the end of the engine"] = self._end_engine
        return ways

    def _end_one(self, child: subprocess.Popen[str]) -> None:
        del child
        if found := self._engine.containers(self.label):
            self._engine.kill_container(self.random.choice(found))

    def _end_engine(self, child: subprocess.Popen[str]) -> None:
        del child
        assert isinstance(self._engine, PrivateEngine)
        self._engine.kill()
        self._engine.start()

    def things(self) -> list[str]:
        """From the engine itself."""
        return self._engine.things()

    @property
    def version_script(self) -> str:
        """What was built, and what the service runs."""
        return "cat /etc/soak; grep -lx -z sleep /proc/[0-9]*/cmdline | xargs -r cat | tr '\\0' ' '; echo"

    def require_version(self, said: list[str]) -> None:
        """What was built, and what the service runs."""
        build, service = VERSIONS[self.version]
        if said[0] != str(build) or f"9000{service}" not in said:
            raise Finding(f"the machine is not of version {build}, {service}: {said}")
