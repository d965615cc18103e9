"""What images of containers would have to download to be built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_image import folder_names, image_names
from provision.backends.offline import steps_to_fetch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from provision.model import Environment
    from provision.rendering import Rendering


def to_fetch(
    environment: Environment,
    rendering: Rendering,
    *,
    building: Collection[str],
    there: Collection[str],
    former: Path,
) -> Iterator[str]:
    """The images of bases that are not there, and packages that no built layer holds, in words.

    Args:
        environment: what the spec describes.
        rendering: of it.
        building: the images that would be built.
        there: the images that the engine has.
        former: the rendering whose layers it has; a folder that is not there, where it has none.
    """
    images = image_names(environment, rendering.recipes)
    folders = folder_names(environment, rendering.recipes)
    needed: dict[str, None] = {}
    # Of equal machines one is asked: the image is that of all.
    for image, machine in {images[machine.name]: machine for machine in environment.machines}.items():
        if image in building:
            needed[machine.base.image] = None
            folder = f"{folders[machine.name]}/".removeprefix("./")
            yield from steps_to_fetch(machine, rendering, folder, former)
    yield from (f"the image {name}" for name in needed if name not in there)
