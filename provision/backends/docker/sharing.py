"""The images of containers in a registry: plain ones, which `docker pull` takes too.

Each architecture has a tag, which `docker push` stores; an index under the tag without an architecture
leads to all of them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from provision import process
from provision.backends.base import Pulled, Pushed, Shareable
from provision.backends.container_image import image_names
from provision.backends.container_labels import RECIPE
from provision.backends.docker.planning import plan_for
from provision.docker_client import commands, queries
from provision.errors import UsageError
from provision.hints import command
from provision.oci.errors import Damaged, RegistryFailed, forbidden, unreachable, untrusted
from provision.oci.model import DOCKER_LIST, DOCKER_MANIFEST, INDEXES, OCI_INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provision.model import Environment
    from provision.oci.model import Manifest
    from provision.oci.reference import Repository
    from provision.oci.registry import Registry
    from provision.progress import Progress
    from provision.rendering import Rendering
    from provision.state import StateDir

KIND = "image"
_PUSHED = re.compile(r"([0-9a-f]{12}): Pushed")
_PULLED = re.compile(r"([0-9a-f]{12}): Pull complete")


def to_pull(
    environment: Environment, state_dir: StateDir, rendering: Rendering, *, always: bool, any_state: bool
) -> tuple[Shareable, ...]:
    """The images that `up` would build; with `any_state` those that are not here; or all of them."""
    found = _images(environment, rendering)
    if always:
        return found
    if any_state:
        here = queries.inspect(images=[each.name for each in found]).images
        return tuple(each for each in found if not _is(here.get(each.name), each))
    built = {each.image for each in plan_for(environment, state_dir, rendering)[1].build}
    return tuple(each for each in found if each.name in built)


def to_push(environment: Environment, rendering: Rendering) -> tuple[Shareable, ...]:
    """The images of all machines.

    Raises:
        UsageError: one is not built.
    """
    found = _images(environment, rendering)
    here = queries.inspect(images=[each.name for each in found]).images
    if missing := [each.title for each in found if not _is(here.get(each.name), each)]:
        raise UsageError(
            f"{environment.name} is not built as the spec is now",
            evidence=[f"not here: {each}" for each in missing],
            hint=f"{command('up')} builds it; then push",
        )
    return found


def pull(item: Shareable, manifest: Manifest, registry: Registry, progress: Progress) -> Pulled:
    """By the engine, exactly what the registry was asked for; then it has the name that a build gives it.

    Raises:
        RegistryFailed: the engine could not pull it.
        Damaged: it is not made of what its name says.
    """
    reference = registry.repository.pinned(manifest.digest)
    pulled: list[str] = []

    def each_line(line: str) -> None:
        progress.line(line)
        pulled.extend(_PULLED.findall(line))

    try:
        commands.pull(reference, each_line)
    except process.CommandFailed as error:
        raise _failed(error, registry.repository) from error
    try:
        found = queries.image(reference)
        if not _is(found, item):
            says = found.labels.get(RECIPE, "nothing") if found else "nothing"
            raise Damaged(
                f"{reference} is another image than {registry.repository.tagged(item.tag)} says",
                f"it is made of {says[:64]}",
                hint=f"{command('push')} where it is built stores it again",
            )
        commands.tag(reference, item.name)
    finally:
        commands.remove_images([reference])  # the name that a build gives it is enough, and `down` knows it
    sizes = _layers(manifest.data)
    received = sum(size for digest, size in sizes if digest[7:19] in pulled)
    return Pulled(item=item, digest=manifest.digest, size=sum(size for _, size in sizes), received=received)


def push(item: Shareable, registry: Registry, progress: Progress) -> Pushed:
    """By the engine, then the index.

    Raises:
        RegistryFailed: the engine could not push it, or the index was refused.
    """
    repository, tag = registry.repository, f"{item.tag}-{item.architecture}"
    sent: list[str] = []

    def each_line(line: str) -> None:
        progress.line(line)
        sent.extend(_PUSHED.findall(line))

    commands.tag(item.name, repository.tagged(tag))
    try:
        commands.push(repository.tagged(tag), each_line)
    except process.CommandFailed as error:
        raise _failed(error, repository) from error
    finally:
        commands.remove_images([repository.tagged(tag)])
    manifest = registry.client.manifest(tag)
    if manifest is None:
        raise RegistryFailed(f"{repository.tagged(tag)} was pushed, but is not there", "no such manifest")
    _add_to_index(item, manifest, registry)
    image = queries.image(item.name)
    sizes = [size for _, size in _layers(manifest.data)]
    layers = image.layers if image else ()
    return Pushed(
        item=item,
        reference=repository.tagged(item.tag),
        digest=manifest.digest,
        size=sum(sizes),
        sent=sum(size for size, layer in zip(sizes, layers, strict=False) if layer[7:19] in sent),
    )


def _images(environment: Environment, rendering: Rendering) -> tuple[Shareable, ...]:
    """The images of the environment, each once."""
    version = queries.version()
    architecture = version.architecture if version else ""
    names = image_names(environment, rendering.recipes)
    return tuple(
        Shareable(
            kind=KIND,
            name=name,
            title=f"the image {name}",
            tag=f"{KIND}-{rendering.recipes[machine]}",
            architecture=architecture,
            key=rendering.recipes[machine],
        )
        for name, machine in {name: machine for machine, name in names.items()}.items()
    )


def _is(image: queries.Image | None, item: Shareable) -> bool:
    """Whether an image is made of what the tag of an item says."""
    return image is not None and image.labels.get(RECIPE) == item.key


def _add_to_index(item: Shareable, manifest: Manifest, registry: Registry) -> None:
    """Let the tag without an architecture lead to this image too, beside those of other architectures."""
    former = registry.client.manifest(item.tag)
    known: Sequence[Any] = ()
    if former is not None and former.media_type in INDEXES:
        known = former.data.get("manifests", ())
    others = [each for each in known if (each.get("platform") or {}).get("architecture") != item.architecture]
    ours = {
        "mediaType": manifest.media_type,
        "size": len(manifest.content),
        "digest": manifest.digest,
        "platform": {"architecture": item.architecture, "os": "linux"},
    }
    kind = DOCKER_LIST if manifest.media_type == DOCKER_MANIFEST else OCI_INDEX
    index = {"schemaVersion": 2, "mediaType": kind, "manifests": [*others, ours]}
    registry.client.put_manifest(item.tag, kind, json.dumps(index).encode())


def _layers(manifest: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The digests and sizes of an image's layers, compressed."""
    return [(str(each["digest"]), int(each["size"])) for each in manifest.get("layers", ())]


def _failed(error: process.CommandFailed, repository: Repository) -> BaseException:
    """What the engine said, in our words: it asks the registry itself, with certificates of its own."""
    if process.was_interrupted(error):
        return KeyboardInterrupt()
    last = error.evidence[-1] if error.evidence else str(error.code)
    text = "\n".join(error.evidence)
    if "x509" in text or "certificate" in text:
        return untrusted(repository, f"Docker says: {last}")
    if "unauthorized" in text or "denied" in text or "no basic auth" in text:
        return forbidden(repository, f"Docker says: {last}", user="")
    return unreachable(repository, f"Docker says: {last}")
