"""What the Docker backend needs on the host: an engine that answers, Compose v2, BuildKit."""

from __future__ import annotations

import re

from provision.backends.base import Finding
from provision.docker_client import queries
from provision.docker_client.queries import START_HINT
from provision.errors import ProvisionError
from provision.resources import state

OLDEST_ENGINE = 25  # the first whose health checks have a start interval
OLDEST_API = (1, 41)  # that of Podman 4, whose own version counts something else
INSTALL = "scripts/host-setup docker installs it from the distribution"


def examine() -> tuple[Finding, ...]:
    """The engine, Compose and buildx by their own word."""
    return (_engine(), compose(), _builder())


def compose() -> Finding:
    """Compose v2, by its own word."""
    return _plugin("compose", "docker compose", 2)


def _engine() -> Finding:
    if not queries.is_installed():
        return Finding(subject="Docker engine", usable=False, detail="no docker command", hint=INSTALL)
    try:
        engine = queries.engine()
    except ProvisionError as error:
        detail = error.evidence[-1] if error.evidence else error.message
        return Finding(subject="Docker engine", usable=False, detail=detail, hint=error.hint or START_HINT)
    detail = (
        f"{engine.version} ({engine.system}/{engine.architecture},"
        f" storage {engine.storage}, cgroup v{engine.cgroups})"
    )
    if older := _too_old(engine.version):
        return Finding(
            subject="Docker engine", usable=False, detail=f"{detail} is older than {older}", hint=INSTALL
        )
    hidden = _hidden_state(engine.root)
    if hidden:
        return Finding(
            subject="Docker engine",
            usable=False,
            detail=f"{detail} is a snap, which cannot read the hidden folder {hidden}",
            hint="export PROVISION_STATE_DIR=$HOME/provision-state: a folder that is not hidden",
        )
    return Finding(subject="Docker engine", usable=True, detail=detail)


def _too_old(version: str) -> str:
    """What an engine had to be at least; empty if it is. One without BuildKit is not Docker's own."""
    features = queries.features()
    if features.buildkit:
        return str(OLDEST_ENGINE) if int(version.split(".")[0]) < OLDEST_ENGINE else ""
    return f"version {'.'.join(map(str, OLDEST_API))} of Docker's API" if features.api < OLDEST_API else ""


def _builder() -> Finding:
    """buildx, unless the engine has a builder of its own that is not BuildKit."""
    if queries.is_installed() and not queries.features().buildkit:
        detail = "the engine has another builder, which has no build secrets"
        return Finding(subject="BuildKit", usable=True, detail=detail)
    return _plugin("buildx", "BuildKit", 0)


def _hidden_state(root: str) -> str:
    """The folder of the state that an engine installed as a snap cannot read; empty where it can."""
    place = state()
    snapped = "/snap/" in f"{root}/"
    return str(place) if snapped and any(part.startswith(".") for part in place.parts) else ""


def _plugin(name: str, subject: str, oldest: int) -> Finding:
    if not queries.is_installed():
        return Finding(subject=subject, usable=False, detail="no docker command", hint=INSTALL)
    try:
        answer = queries.plugin(name)
    except ProvisionError as error:
        return Finding(subject=subject, usable=False, detail=error.message, hint=error.hint)
    version = re.search(r"v?(\d+)\.\d+[\w.+-]*", answer.stdout)
    if answer.code != 0 or version is None or int(version[1]) < oldest:
        detail = (answer.stderr or answer.stdout).strip().splitlines()
        return Finding(
            subject=subject,
            usable=False,
            detail=detail[0] if detail else f"docker has no {name}",
            hint=INSTALL,
        )
    return Finding(subject=subject, usable=True, detail=version[0])
