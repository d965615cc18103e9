"""Changes to what the engine has, builds, and commands in containers.

Each raises CommandFailed where the engine refuses, with its words as evidence, unless it says otherwise.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from provision import process
from provision.docker_client import api, multiplexing, queries
from provision.errors import EnvironmentFailed
from provision.target import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_REFUSED = "Error response from daemon"
_ALONE = ("docker", "run", "--rm", "--interactive", "--network", "none")


def start(container: str) -> None:
    """Start a container."""
    process.run(["docker", "start", container])


def restart(container: str) -> None:
    """Stop a container properly, and start it again."""
    process.run(["docker", "restart", container])


def pause(containers: Sequence[str]) -> None:
    """Freeze the processes of containers."""
    process.run(["docker", "pause", *containers])


def unpause(containers: Sequence[str]) -> None:
    """Let paused containers go on."""
    process.run(["docker", "unpause", *containers])


def stop(containers: Sequence[str], *, check: bool = True) -> None:
    """Stop containers at the same time; without `check`, those that cannot be stopped go on."""
    process.run(["docker", "stop", *containers], check=check)


def remove_containers(containers: Sequence[str], *, volumes: bool) -> None:
    """Remove containers, and with `volumes` those of their volumes that have no name."""
    process.run(["docker", "rm", "--force", *(["--volumes"] if volumes else []), *containers])


def remove_networks(networks: Sequence[str]) -> None:
    """Remove networks that no container uses."""
    process.run(["docker", "network", "rm", *networks])


def remove_volumes(volumes: Sequence[str]) -> None:
    """Remove volumes, with what is in them."""
    process.run(["docker", "volume", "rm", *volumes])


def remove_images(images: Sequence[str]) -> None:
    """Remove names of images, or images by their ids; those that a container needs stay."""
    process.run(["docker", "image", "rm", *images], check=False)


def pull(image: str, each_line: Callable[[str], None]) -> None:
    """Pull an image from its registry."""
    process.stream(["docker", "pull", image], each_line)


def push(reference: str, each_line: Callable[[str], None]) -> None:
    """Push an image to the registry that its name begins with."""
    process.stream(["docker", "push", reference], each_line)


def tag(image: str, name: str) -> None:
    """Give an image another name; one that had it loses it."""
    process.run(["docker", "tag", image, name])


def commit(container: str, image: str) -> None:
    """Make an image of a container's own layer, as that is now.

    Raises:
        EnvironmentFailed: the engine refused.
    """
    name, _, tag = image.rpartition(":")
    # Not by `docker commit`, whose empty question Podman does not read.
    _ask(f"{container} could not be saved", lambda client: client.commit(container, name, tag, pause=False))


def create_volume(volume: str, label: str) -> None:
    """Create a volume that carries a label, KEY=VALUE; one that is there stays as it is."""
    process.run(["docker", "volume", "create", "--label", label, volume])


def copy_volume(source: str, destination: str, image: str, script: str, labels: Sequence[str]) -> None:
    """Run a script for `sh` in a container of an image, with one volume at /from and another at /to.

    The container carries the labels, each KEY=VALUE, over those of the image.
    """
    process.run(
        ["docker", "run", "--rm", "--network", "none", "--user", "0:0", "--entrypoint", "sh",
         *(word for label in labels for word in ("--label", label)),
         "--volume", f"{source}:/from:ro", "--volume", f"{destination}:/to", image, "-c", script]
    )  # fmt: skip


def volume_made(volume: str) -> str:
    """When a volume was made, as the engine writes it: another one with its name has another time."""
    words = ["docker", "volume", "inspect", "--format", "{{.CreatedAt}}", volume]
    return process.run(words).stdout.strip()


def volume_words(volume: str, image: str, script: str, words: Sequence[str] = ()) -> list[str]:
    """The command that runs a script for `sh`, as root in a container of an image, with a volume at /to."""
    return [*_ALONE, "--user", "0:0", "--entrypoint", "sh", "--volume", f"{volume}:/to",
            image, "-c", script, "sh", *words]  # fmt: skip


def image_words(image: str, script: str, words: Sequence[str] = ()) -> list[str]:
    """The command that runs a script for `sh` in a container of an image."""
    return [*_ALONE, "--user", "0:0", "--entrypoint", "sh", image, "-c", script, "sh", *words]


def copy_words(container: str, folder: str) -> list[str]:
    """The command that unpacks a tar from its standard input in a container, running or not."""
    return ["docker", "cp", "--archive", "--quiet", "-", f"{container}:{folder}"]


def create_container(name: str, configuration: Mapping[str, object]) -> None:
    """Create a container from the whole configuration of another, for which `docker create` lacks options.

    Raises:
        EnvironmentFailed: the engine refused.
    """
    _ask(
        f"the container {name} could not be created",
        lambda client: client.create_container_from_config(dict(configuration), name=name),
    )


def _ask(failure: str, question: Callable[[Any], object]) -> None:
    """Have Docker's own library ask the engine; EnvironmentFailed if that refuses."""
    import docker  # slow: 0.2 s
    from docker.errors import DockerException

    try:
        with (
            multiplexing.reachable(queries.endpoint()) as address,
            closing(docker.APIClient(base_url=address, version="auto")) as client,
        ):
            question(client)
    except DockerException as error:
        raise EnvironmentFailed(failure, evidence=[str(error)]) from error


def follow_events(label: str, each_line: Callable[[str], None]) -> None:
    """Pass each event of the containers that carry a label on, as a line of JSON, until interrupted."""
    filters = ["--filter", "type=container", "--filter", f"label={label}"]
    process.stream(["docker", "events", *filters, "--format", "{{json .}}"], each_line)


def import_image(tar: Path, image: str, changes: Sequence[str]) -> None:
    """Make an image of a root file system in a tar; `changes` are lines of a Dockerfile."""
    options = [word for change in changes for word in ("--change", change)]
    process.run(["docker", "import", *options, str(tar), image])


def save_words(images: Sequence[str]) -> tuple[str, ...]:
    """The command that prints images as a tar, as another engine would load them."""
    return ("docker", "save", *images)


def compose(
    words: Sequence[str], each_line: Callable[[str], None], *, cwd: Path, env: Mapping[str, str]
) -> None:
    """Run `docker compose`, with its progress in plain lines before `words` of a verb.

    Args:
        words: Compose's options, and the verb with its own.
        each_line: gets each line that it prints.
        cwd: where it runs.
        env: variables that override those of this process.
    """
    builder = {} if queries.features().buildkit else {"DOCKER_BUILDKIT": "0"}
    words = ["docker", "compose", "--progress", "plain", *words]
    process.stream(words, each_line, cwd=cwd, env={**env, **builder})


def build(words: Sequence[str], each_line: Callable[[str], None], *, env: Mapping[str, str]) -> None:
    """Run `docker buildx build`, with its progress in plain lines."""
    process.stream(["docker", "buildx", "build", "--progress", "plain", *words], each_line, env=env)


def build_records() -> tuple[str, ...]:
    """The records of the builder's cache, each as a text of several lines; none if it does not tell."""
    listed = process.run(["docker", "buildx", "du", "--verbose"], check=False)
    return tuple(listed.stdout.split("\n\n"))


def prune_build_record(identity: str) -> None:
    """Remove one record from the builder's cache, unless it is in use."""
    process.run(["docker", "buildx", "prune", "--force", "--filter", f"id={identity}"], check=False)


def logs_words(container: str, options: Sequence[str] = ()) -> list[str]:
    """The command that prints a container's output."""
    return ["docker", "logs", *options, container]


def exec_words(
    container: str,
    words: Sequence[str],
    *,
    user: str = "",
    variables: Mapping[str, str] | None = None,
    workdir: str = "",
    interactive: bool = False,
    terminal: bool = False,
    host: str = "",
) -> list[str]:
    """The command on the host that runs `words` in a container.

    Args:
        container: a running container.
        words: the command inside.
        user: who runs it; the container's own user otherwise.
        variables: set for it.
        workdir: where it runs; the container's own folder otherwise.
        interactive: it reads this command's standard input.
        terminal: it has a terminal.
        host: the address of the engine that has the container, where `docker` uses another.
    """
    options = [*(["--interactive"] if interactive else []), *(["--tty"] if terminal else [])]
    options += ["--user", user] if user else []
    options += [word for name, value in (variables or {}).items() for word in ("--env", f"{name}={value}")]
    options += ["--workdir", workdir] if workdir else []
    return ["docker", *(["--host", host] if host else []), "exec", *options, container, *words]


def execute(
    container: str,
    words: Sequence[str],
    *,
    user: str = "",
    variables: Mapping[str, str] | None = None,
    workdir: str = "",
    timeout: float = process.ANSWERS_WITHIN,
) -> process.Completed:
    """Run a short command in a container, and return its output, whatever its exit code; stdin is empty.

    Raises:
        Unreachable: the container does not run, or runs no commands.
    """
    known = dict(variables or {})
    ended = api.execute(container, [*words], user=user, variables=known, workdir=workdir, timeout=timeout)
    if isinstance(ended, api.Response):
        raise _unreachable(container, [ended.message])
    if ended is not None:
        return ended
    argv = exec_words(container, words, user=user, variables=known, workdir=workdir)
    try:
        completed = process.run(argv, check=False, timeout=timeout)
    except process.CommandFailed as error:
        raise _unreachable(container, error.evidence) from error
    if completed.code != 0 and completed.stderr.startswith(_REFUSED):
        raise _unreachable(container, completed.stderr.splitlines())
    return completed


def run_inside(container: str, words: Sequence[str], *, check: bool = True) -> None:
    """Run a command in a container, as its own user, until it has ended."""
    process.run(["docker", "exec", container, *words], check=check)


def begin_inside(container: str, words: Sequence[str]) -> None:
    """Start a command in a container, and do not wait for it."""
    process.run(["docker", "exec", "--detach", container, *words])


def _unreachable(container: str, evidence: Sequence[str]) -> Unreachable:
    return Unreachable(f"the container {container} does not answer", evidence=evidence)
