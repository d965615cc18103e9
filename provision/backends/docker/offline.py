"""What `up` would have to download for containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_image import folder_names, image_names
from provision.backends.container_labels import RECIPE
from provision.backends.docker.images import remembered_images
from provision.backends.offline import steps_to_fetch
from provision.docker_client import queries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def missing(environment: Environment, state_dir: StateDir, rendering: Rendering) -> Iterator[str]:
    """The images of bases that are not here, and packages that no built layer holds."""
    images = image_names(environment, rendering.recipes)
    folders = folder_names(environment, rendering.recipes)
    bases = {machine.base.image for machine in environment.machines}
    former_images = remembered_images(state_dir)
    seen = queries.inspect(images=[*images.values(), *former_images, *bases]).images
    built_before = any(name in seen for name in former_images)
    needed: dict[str, None] = {}
    # Of equal machines one is asked: the image is that of all.
    for image, machine in {images[machine.name]: machine for machine in environment.machines}.items():
        built = seen.get(image)
        if built is not None and built.labels.get(RECIPE) == rendering.recipes[machine.name]:
            continue
        needed[machine.base.image] = None
        folder = f"{folders[machine.name]}/".removeprefix("./")
        former = state_dir.rendering if built_before else state_dir.rendering / "none"
        yield from steps_to_fetch(machine, rendering, folder, former)
    for name in needed:
        if name not in seen:
            yield f"the image {name}"
