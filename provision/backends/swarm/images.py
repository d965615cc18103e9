"""Builds the images on the manager and pushes them to the registry, from which the nodes pull."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from provision import process, runtime, secrets
from provision.backends.build_errors import build_failed
from provision.backends.build_lines import BuildLines
from provision.backends.build_problems import refuse_found
from provision.backends.container_image import images_of
from provision.backends.container_labels import RECIPE
from provision.backends.swarm.observe import in_registry
from provision.backends.swarm.render import certificate_file
from provision.docker_client import commands, swarm
from provision.errors import EnvironmentFailed
from provision.recipe.proxy import proxy_variables
from provision.records import require_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from provision.backends.container_image import Image
    from provision.model import Environment, Machine
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir


def build(
    environment: Environment,
    state_dir: StateDir,
    rendering: Rendering,
    stale: Collection[str],
    progress: Progress,
    *,
    rebuild: bool,
) -> None:
    """Build the images with these names, each once; the rendering lies in the state's folder.

    Raises:
        EnvironmentFailed: a build failed, with its last lines.
    """
    from provision.bases.image import ensure_image

    images = images_of(environment)
    machines = {
        images[each.name].name: each for each in environment.machines if images[each.name].name in stale
    }
    for base in {machine.base.image: machine.base for machine in machines.values()}.values():
        ensure_image(base, progress)
    with progress.step("building the image" if len(machines) == 1 else "building the images"):
        for name, machine in machines.items():
            words = ["--load", "--provenance=false", "--tag", name,
                     "--label", f"{RECIPE}={rendering.recipes[machine.name]}"]  # fmt: skip
            words += ["--no-cache"] if rebuild else []
            try:
                with _secrets(machine, images[machine.name], state_dir) as given:
                    folder = state_dir.rendering / images[machine.name].folder
                    each_line = _logged(state_dir, progress)
                    arguments = [*_arguments(environment, machine), *given]
                    commands.build([*words, *arguments, str(folder)], each_line, env={})
            except process.CommandFailed as error:
                if process.was_interrupted(error):
                    raise KeyboardInterrupt from error
                refuse_found(state_dir.log.read_text().splitlines(), [machine])
                raise build_failed(error, state_dir, [machine]) from error


def push(images: Collection[str], registry: str, state_dir: StateDir, progress: Progress) -> None:
    """Have images in the registry.

    Raises:
        EnvironmentFailed: it takes them not, with its own words.
    """
    with progress.step(f"pushing to {registry}"):
        for image in images:
            named = in_registry(image, registry)
            swarm.tag(image, named)
            try:
                swarm.push(named, _logged(state_dir, progress))
            except process.CommandFailed as error:
                raise EnvironmentFailed(
                    f"the image {named} could not be pushed",
                    evidence=error.evidence[-3:],
                    hint=f"log in with `docker login {registry.partition('/')[0]}`; if it has no TLS,"
                    ' each engine needs "insecure-registries" in its daemon.json',
                ) from error


def _arguments(environment: Environment, machine: Machine) -> list[str]:
    proxy = proxy_variables(machine, environment.names)
    return [word for name, value in proxy.items() for word in ("--build-arg", f"{name}={value}")]


@contextmanager
def _secrets(machine: Machine, image: Image, state_dir: StateDir) -> Iterator[list[str]]:
    """The options that give the steps their secrets, which lie in the host's memory meanwhile."""
    wanted = set(image.secrets)
    options = []
    if machine.proxy and machine.proxy.ca:
        path = state_dir.rendering / certificate_file(machine.proxy.ca)
        options += ["--secret", f"id=proxy.ca,src={path}"]
    with TemporaryDirectory(dir=runtime.memory(), prefix=runtime.TEMPORARY) as folder:
        for secret in machine.secrets:
            if secret.name in wanted:
                require_name(secret.name, "the secret")
                place = Path(folder) / secret.name
                place.touch(0o600)
                place.write_bytes(secrets.value_of(secret))
                options += ["--secret", f"id={secret.name},src={place}"]
        yield options


def _logged(state_dir: StateDir, progress: Progress) -> Callable[[str], None]:
    """What takes each line of a command: the log as it is, the person as it can be read."""
    lines = BuildLines()

    def each_line(line: str) -> None:
        with state_dir.log.open("a") as log:
            log.write(line + "\n")
        progress.line(lines.readable(line))
        if done := lines.done(line):
            progress.note(done)

    return each_line
