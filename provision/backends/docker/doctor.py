"""What of the host the Docker backend needs: an engine that answers, Compose v2, BuildKit."""

from __future__ import annotations

import re

from provision import process
from provision.backends.base import Finding
from provision.backends.docker.engine import START_HINT

OLDEST_ENGINE = 25  # the first whose health checks have a start interval
INSTALL = "scripts/host-setup docker installs it from the distribution"


def examine() -> tuple[Finding, ...]:
    """The engine by its SDK; Compose and buildx by their own word."""
    return (_engine(), compose(), _plugin("buildx", "BuildKit", 0))


def compose() -> Finding:
    """Compose v2, by its own word."""
    return _plugin("compose", "docker compose", 2)


def _engine() -> Finding:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=5)
        version = client.version()
        information = client.info()
        client.close()
    except DockerException as error:
        return Finding(subject="Docker engine", usable=False, detail=str(error), hint=START_HINT)
    detail = (
        f"{version['Version']} ({information['OSType']}/{information['Architecture']},"
        f" storage {information['Driver']}, cgroup v{information.get('CgroupVersion', '1')})"
    )
    if int(version["Version"].split(".")[0]) < OLDEST_ENGINE:
        return Finding(
            subject="Docker engine",
            usable=False,
            detail=f"{detail} is older than {OLDEST_ENGINE}",
            hint=INSTALL,
        )
    return Finding(subject="Docker engine", usable=True, detail=detail)


def _plugin(name: str, subject: str, oldest: int) -> Finding:
    if process.find("docker") is None:
        return Finding(subject=subject, usable=False, detail="no docker command", hint=INSTALL)
    said = process.run(["docker", name, "version"], check=False)
    found = re.search(r"v?(\d+)\.\d+[\w.+-]*", said.stdout)
    if said.code != 0 or found is None or int(found[1]) < oldest:
        detail = (said.stderr or said.stdout).strip().splitlines()
        return Finding(
            subject=subject,
            usable=False,
            detail=detail[0] if detail else f"docker has no {name}",
            hint=INSTALL,
        )
    return Finding(subject=subject, usable=True, detail=found[0])
