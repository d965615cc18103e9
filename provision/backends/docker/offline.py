"""What `up` would have to download for containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_image import image_names
from provision.backends.container_labels import RECIPE
from provision.backends.container_offline import to_fetch
from provision.backends.docker.images import remembered_images
from provision.docker_client import queries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def missing(environment: Environment, state_dir: StateDir, rendering: Rendering) -> Iterator[str]:
    """The images of bases that are not here, and packages that no built layer holds."""
    images = image_names(environment, rendering.recipes)
    former_images = remembered_images(state_dir)
    bases = {machine.base.image for machine in environment.machines}
    seen = queries.inspect(images=[*images.values(), *former_images, *bases]).images
    built = {
        images[name]
        for name, recipe in rendering.recipes.items()
        if (image := seen.get(images[name])) is not None and image.labels.get(RECIPE) == recipe
    }
    building = set(images.values()) - built
    return to_fetch(environment, state_dir, rendering, building=building, former=former_images, there=seen)
