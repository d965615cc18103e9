"""What the containers of an environment use of this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.backends.base import Footprint
from provision.backends.docker.containers import of_environment
from provision.docker_client import commands, queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.docker_client.queries import Container
    from provision.state import StateDir

PROXY = "docker-proxy"


def footprint(state_dir: StateDir) -> Footprint:
    """Of the running containers of an environment.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    containers = [each for each in of_environment(state_dir) if each.running]
    names = [each.name for each in containers]
    images = list(dict.fromkeys(each.image for each in containers))
    return Footprint(
        processes=tuple(dict.fromkeys(_processes(containers))) or None,
        stored=_size(images),
        own=sum(queries.written_bytes(names).values()),
        sent=(commands.save_words(images),) if images else (),
        escape=_escape(),
    )


def _processes(containers: Sequence[Container]) -> Iterator[int]:
    """Those of the containers, the shim above each, and the proxies of their ports."""
    import psutil

    for container in containers:
        ids = queries.process_ids(container.name)
        known = [each for each in ids if psutil.pid_exists(each)]
        yield from known
        for each in known[:1]:  # the first is the container's own init
            parent = psutil.Process(each).parent()
            if parent is not None and "shim" in parent.name():
                yield parent.pid
    addresses = {each.address for each in containers}
    for other in psutil.process_iter(["cmdline"]):
        words = other.info["cmdline"] or [""]
        if words[0].endswith(PROXY) and addresses & set(words):
            yield other.pid


def _size(images: Sequence[str]) -> int | None:
    """The bytes of one image; None for several, because they share layers."""
    if len(images) != 1:
        return None
    image = queries.image(images[0])
    return image.size if image else None


def _escape() -> str:
    if queries.engine().is_apart:
        return "the host's kernel, as a user without rights"
    return "the host's kernel, which everything on this host shares; then root of this host"
