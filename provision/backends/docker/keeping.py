"""What the engine keeps of environments: what they take, and images for their next start."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from provision import process
from provision.backends.base import Cached, Usage
from provision.backends.docker import engine
from provision.backends.docker.images import RECORD, ImagesRecord, remembered_images
from provision.backends.docker.ownership import ID, RECIPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provision.state import KnownEnvironment, StateDir

DOCKER = "docker"
UNTAGGED = "<none>"
_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}


def usage(state_dirs: Sequence[StateDir]) -> Mapping[str, Usage]:
    """What environments take, by their id: containers, volumes, and images that only they use.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    if not state_dirs:
        return {}
    known = _disk_usage()
    processes = _processes()
    unique = {f"{each['Repository']}:{each['Tag']}": _bytes(each["UniqueSize"]) for each in known["Images"]}
    disk = {each.id: sum(unique.get(name, 0) for name in remembered_images(each)) for each in state_dirs}
    for each in (*known["Containers"], *known["Volumes"]):
        identity = _labels(each["Labels"]).get(ID)
        if identity in disk:
            disk[identity] += _bytes(each["Size"].partition(" ")[0])
    return {name: Usage(processes=processes.get(name, ()), disk=size) for name, size in disk.items()}


def cached(environments: Sequence[KnownEnvironment], gone: Sequence[KnownEnvironment]) -> tuple[Cached, ...]:
    """The images that provision built, those that lost their name too.

    Args:
        environments: those whose project is there: they need their current images.
        gone: those whose project was removed.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    form = "{{.ID}}\t{{.Repository}}:{{.Tag}}"
    listed = engine.lines("image", "ls", "--no-trunc", "--filter", f"label={RECIPE}", "--format", form)
    if not listed:
        return ()
    known = {each["ID"]: each for each in _disk_usage()["Images"]}
    needed, used, recorded = _records(environments, gone)
    made = _made({line.split("\t")[0] for line in listed})
    tags = {name.rpartition(":")[2] for name in recorded}
    found = []
    for line in listed:
        image, name = line.split("\t")
        size = known.get(image)
        if size is None:  # it was removed meanwhile
            continue
        untagged, (recipe, tagged) = UNTAGGED in name, made.get(image, ("", 0.0))
        found.append(
            Cached(
                kind="image",
                name=image if untagged else name,
                size=_bytes(size["UniqueSize"]),
                used=used.get(name, tagged),
                in_use=size["Containers"] not in ("0", "N/A"),
                needed_by=tuple(needed.get(name, ())),
                recorded=recipe[:12] in tags if untagged else name in recorded,
            )
        )
    return tuple(found)


def discard(images: Sequence[Cached]) -> None:
    """Remove images; the engine keeps one that a container is of."""
    for each in images:
        process.run(["docker", "image", "rm", each.name], check=False)


def _records(
    environments: Sequence[KnownEnvironment], gone: Sequence[KnownEnvironment]
) -> tuple[Mapping[str, list[str]], Mapping[str, float], set[str]]:
    """By an image's name: who needs it, and when one last did; and all names that any environment knows."""
    needed: dict[str, list[str]] = {}
    used: dict[str, float] = {}
    names: set[str] = set()
    there = {each.folder for each in environments}
    for each in (*environments, *gone):
        state_dir = each.state_dir(DOCKER)
        record = state_dir.load_sound(RECORD, ImagesRecord)
        if record is None:
            continue
        names |= {*record.names}
        when = 0.0
        with suppress(OSError):
            when = state_dir.path_of(RECORD).stat().st_mtime
        for name in record.names:
            used[name] = max(when, used.get(name, 0.0))
        if each.folder in there:
            for name in record.current or record.names:
                needed.setdefault(name, []).append(state_dir.unique_name)
    return needed, used, names


def _made(images: set[str]) -> Mapping[str, tuple[str, float]]:
    """The recipe of each image, and when it last got a name: the engine's nearest to when it was built."""
    answer = process.ask(["docker", "image", "inspect", *images]).stdout or "[]"
    found = {}
    for each in json.loads(answer):
        times = [(each.get("Metadata") or {}).get("LastTagTime", ""), each.get("Created", "")]
        recipe = str((each["Config"].get("Labels") or {}).get(RECIPE, ""))
        found[each["Id"]] = (recipe, max(map(_seconds, times)))
    return found


def _seconds(text: str) -> float:
    """Of a time as the engine writes it; 0 for none."""
    match = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", text or "")
    if match is None or text.startswith("0001"):
        return 0.0
    return datetime.fromisoformat(match[1] + match[2].replace("Z", "+00:00")).timestamp()


def _disk_usage() -> Any:
    return json.loads("".join(engine.lines("system", "df", "--verbose", "--format", "{{json .}}")))


def _processes() -> Mapping[str, tuple[int, ...]]:
    """The processes of the running containers that this host sees, by their environment's id."""
    import psutil

    found: dict[str, list[int]] = {}
    names = engine.ask("ps", "--quiet", "--no-trunc", "--filter", f"label={ID}")
    form = f'{{{{.State.Pid}}}} {{{{index .Config.Labels "{ID}"}}}}'
    for line in engine.lines("inspect", "--format", form, *names) if names else ():
        number, identity = line.split(" ", 1)
        with suppress(psutil.Error, ValueError):
            found.setdefault(identity, []).extend(_tree(int(number)))
    return {identity: tuple(numbers) for identity, numbers in found.items()}


def _tree(number: int) -> Iterator[int]:
    import psutil

    init = psutil.Process(number)
    yield number
    yield from (child.pid for child in init.children(recursive=True))


def _labels(text: str) -> Mapping[str, str]:
    """The engine's `a=b,c=d`; a value with a comma in it is cut, which an id has not."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _bytes(text: str) -> int:
    """The engine's words for a size: 18.28kB."""
    match = re.fullmatch(r"([0-9.]+(?:e[+-]?\d+)?)([kMGT]?)B", text)
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0
