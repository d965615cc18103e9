"""The engine that a soak uses: a Docker engine of its own, which may be killed, or the host's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

BASE = "debian:12"
READY_WITHIN = 60.0


def docker(*words: str, host: str | None = None, check: bool = True) -> str:
    """What a command of Docker's prints."""
    env = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    done = subprocess.run(["docker", *words], env=env, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(words)}: {done.stderr}")
    return done.stdout


@dataclass
class Engine:
    """The host's engine, shared with others: only what carries the environment's name is looked at."""

    name: str
    host: str | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What makes a command use it."""
        return {"DOCKER_HOST": self.host} if self.host else {}

    def states(self, label: str) -> dict[str, str]:
        """What the engine itself says of each container that carries a label, by the machine's name."""
        names = docker("ps", "-aq", "--filter", f"label={label}", host=self.host).split()
        if not names:
            return {}
        found: list[dict[str, Any]] = json.loads(
            docker("inspect", *names, host=self.host, check=False) or "[]"
        )
        return {each["Config"]["Labels"].get("provision.machine", each["Name"]): each["State"]["Status"]
                for each in found}  # fmt: skip

    def containers(self, label: str) -> list[str]:
        """The running containers that carry a label."""
        return docker("ps", "-q", "--filter", f"label={label}", host=self.host).split()

    def kill_container(self, name: str) -> None:
        """End a container as a lack of memory would."""
        docker("kill", name, host=self.host, check=False)

    def things(self) -> list[str]:
        """All that is in the engine and has the environment's name."""
        asked = {
            "container": ["ps", "-a", "--format", "{{.Names}}"],
            "volume": ["volume", "ls", "--format", "{{.Name}}"],
            "network": ["network", "ls", "--format", "{{.Name}}"],
            "image": ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
        }
        return [
            f"{kind} {line}"
            for kind, words in asked.items()
            for line in docker(*words, host=self.host).splitlines()
            if self._counts(kind, line)
        ]

    def _counts(self, kind: str, line: str) -> bool:
        del kind
        return self.name in line


@dataclass
class PrivateEngine(Engine):
    """A dockerd with its own data and network: it may be killed, and must be empty at the end."""

    folder: Path = Path()
    child: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Give it a name of its own."""
        self.netns = f"soak-{os.getpid()}"
        self.host = f"unix://{self.folder}/docker.sock"

    def __enter__(self) -> Self:
        """Start it, with the base's image in it."""
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        inside = ["nsenter", f"--net=/run/netns/{self.netns}"]
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        self.start()
        saving = subprocess.Popen(["docker", "save", BASE], stdout=subprocess.PIPE)
        env = {**os.environ, "DOCKER_HOST": str(self.host)}
        subprocess.run(["docker", "load", "--quiet"], env=env, stdin=saving.stdout, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        if saving.wait() != 0:
            raise AssertionError(f"the host's engine has no {BASE}")
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and remove all that it had."""
        for name in docker("ps", "-aq", host=self.host, check=False).split():
            docker("rm", "--force", name, host=self.host, check=False)
        if self.child is not None:
            self.child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.child.wait(30)
            self.kill()
        subprocess.run(["ip", "netns", "delete", self.netns], check=False)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (point := line.split()[1]).startswith(str(self.folder)):
                subprocess.run(["umount", "--lazy", point], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder
        words = ["nsenter", f"--net=/run/netns/{self.netns}", "dockerd", "--host", str(self.host),
                 "--data-root", str(place / "data"), "--exec-root", str(place / "exec"),
                 "--pidfile", str(place / "pid")]  # fmt: skip
        (place / "pid").unlink(missing_ok=True)
        with (place / "log").open("ab") as log:
            env = {name: value for name, value in os.environ.items() if not name.startswith("PROVISION_")}
            self.child = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True, env=env)
        deadline = time.monotonic() + READY_WITHIN
        while not docker("version", "--format", "{{.Server.Version}}", host=self.host, check=False).strip():
            assert time.monotonic() < deadline, (place / "log").read_text()[-2000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """End the daemon at once; its containers go on."""
        if self.child is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

    def _counts(self, kind: str, line: str) -> bool:
        if kind == "network":
            return line not in ("bridge", "host", "none")
        return line != BASE
