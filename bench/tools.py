"""The peers: one environment, and what each says to bring it up, use it and remove it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import PROJECT

from provision import process

if TYPE_CHECKING:
    from collections.abc import Sequence

SPEC = "envs/dev.yaml"
CHECKS = "bench/specs/checks.yaml"
PEERS = "bench/peers"
CLI_VERSION = "0.89.0"
CLI_FOLDER = PROJECT / ".cache" / "bench"
OURS = "provision"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A way to have the environment: the words of its verbs."""

    name: str
    rebuild: Sequence[str]
    up: Sequence[str]
    execute: Sequence[str]
    down: Sequence[str]


def ours(verb: str, *words: str, spec: str = SPEC) -> list[str]:
    """The tool's own command line, for an environment and a port of the bench's own."""
    return [program(), verb, spec, "--name", "bench", "--set", "port=18081", "--allow", "host-code", *words]


def program() -> str:
    """The script that is installed beside this Python."""
    return str(Path(sys.executable).with_name("provision"))


PROVISION = Tool(
    name=OURS,
    rebuild=ours("up", "--rebuild", "--no-verify"),
    up=ours("up", "--no-verify"),
    execute=ours("exec", "--", "true"),
    down=ours("down"),
)

_COMPOSE = ["docker", "compose", "--project-directory", PEERS]
_COMPOSED = " ".join(_COMPOSE)
_BUILD_AND_UP = f"{_COMPOSED} build --no-cache && exec {_COMPOSED} up --detach"
COMPOSE = Tool(
    name="compose",
    rebuild=["sh", "-c", _BUILD_AND_UP],
    up=[*_COMPOSE, "up", "--detach"],
    execute=[*_COMPOSE, "exec", "-T", "dev", "true"],
    # Right after its start supervisord does not hear SIGTERM yet: it is not waited for.
    down=[*_COMPOSE, "down", "--timeout", "0"],
)
COMPOSE_STATUS = [*_COMPOSE, "ps"]
COMPOSE_WAITS = Tool(
    name="compose --wait",
    rebuild=["sh", "-c", f"{_BUILD_AND_UP} --wait"],
    up=[*_COMPOSE, "up", "--detach", "--wait"],
    execute=COMPOSE.execute,
    down=[*_COMPOSE, "down"],
)

_CLI = str(CLI_FOLDER / "node_modules" / ".bin" / "devcontainer")
_FOLDER = ["--workspace-folder", PEERS]
DEV_CONTAINERS = Tool(
    name="dev containers",
    # Its own --build-no-cache also pulls the base anew, which the others do not.
    rebuild=["env", "BENCH_NO_CACHE=true", _CLI, "up", *_FOLDER],
    up=[_CLI, "up", *_FOLDER],
    execute=[_CLI, "exec", *_FOLDER, "true"],
    down=["docker", "rm", "--force", "bench-devcontainer"],  # its CLI has no such verb
)


def fetch_dev_containers() -> str:
    """Have the Dev Containers CLI in the cache folder; why not, where it cannot be had."""
    if Path(_CLI).exists():
        return ""
    if process.find("npm") is None:
        return "there is no npm"
    package = f"@devcontainers/cli@{CLI_VERSION}"
    CLI_FOLDER.mkdir(parents=True, exist_ok=True)
    words = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(CLI_FOLDER), package]
    fetched = process.run(words, check=False)
    return "" if fetched.code == 0 else fetched.stderr.strip().splitlines()[-1]


def remove_everything() -> None:
    """Take down what the bench brought up, and remove the images that it built."""
    process.run([*COMPOSE.down, "--volumes"], cwd=PROJECT, check=False)
    process.run([*PROVISION.down, "--volumes", "--images"], cwd=PROJECT, check=False)
    process.run(DEV_CONTAINERS.down, check=False)
    for label in ("provision.bench", "provision.environment=bench"):
        listed = process.run(["docker", "images", "--quiet", "--filter", f"label={label}"])
        for image in set(listed.stdout.split()):
            process.run(["docker", "rmi", "--force", image], check=False)
