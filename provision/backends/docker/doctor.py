"""What the Docker backend needs on the host: an engine that answers, Compose v2, BuildKit."""

from __future__ import annotations

import re

from provision import process
from provision.backends.base import Finding
from provision.backends.docker.engine import START_HINT
from provision.errors import HostLacks
from provision.resources import state

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
    except (DockerException, OSError) as error:  # one that never answers raises what its transport does
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
    hidden = _hidden_state(str(information.get("DockerRootDir", "")))
    if hidden:
        return Finding(
            subject="Docker engine",
            usable=False,
            detail=f"{detail} is a snap, which cannot read the hidden folder {hidden}",
            hint="export PROVISION_STATE_DIR=$HOME/provision-state: a folder that is not hidden",
        )
    return Finding(subject="Docker engine", usable=True, detail=detail)


def _hidden_state(root: str) -> str:
    """The folder of the state that an engine installed as a snap cannot read; empty where it can."""
    place = state()
    snapped = "/snap/" in f"{root}/"
    return str(place) if snapped and any(part.startswith(".") for part in place.parts) else ""


def _plugin(name: str, subject: str, oldest: int) -> Finding:
    if process.find("docker") is None:
        return Finding(subject=subject, usable=False, detail="no docker command", hint=INSTALL)
    try:
        said = process.ask(["docker", name, "version"])
    except HostLacks as error:
        return Finding(subject=subject, usable=False, detail=error.message, hint=error.hint)
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
