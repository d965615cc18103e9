"""What images of containers would have to download to be built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.container_image import folder_names, image_names
from provision.backends.offline import steps_to_fetch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from provision.model import Environment
    from provision.rendering import Rendering
    from provision.state import StateDir


def to_fetch(
    environment: Environment,
    state_dir: StateDir,
    rendering: Rendering,
    *,
    building: Collection[str],
    former: Collection[str],
    there: Collection[str],
) -> Iterator[str]:
    """The images of bases that are not there, and packages that no built layer holds, in words.

    Args:
        environment: what the spec describes.
        state_dir: the environment's; the rendering that was built last lies there.
        rendering: what would be built.
        building: the images that would be built.
        former: those that were built last.
        there: the images that the engine has, of all these and of bases.
    """
    images = image_names(environment, rendering.recipes)
    folders = folder_names(environment, rendering.recipes)
    built_before = any(name in there for name in former)
    layers_of = state_dir.rendering if built_before else state_dir.rendering / "none"
    needed: dict[str, None] = {}
    # Equal machines share an image, so one of them is enough.
    for image, machine in {images[machine.name]: machine for machine in environment.machines}.items():
        if image in building:
            needed[machine.base.image] = None
            folder = f"{folders[machine.name]}/".removeprefix("./")
            yield from steps_to_fetch(machine, rendering, folder, layers_of)
    yield from (f"the image {name}" for name in needed if name not in there)
