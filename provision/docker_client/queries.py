"""What the engine has and is, as typed values; nothing here changes anything."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from provision import process
from provision.docker_client import api
from provision.errors import EnvironmentFailed, HostLacks
from provision.model import PortStatus
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

START_HINT = (
    "start it (`systemctl start docker`, or Docker Desktop), or install it: scripts/host-setup docker"
)
Cgroups = Literal["1", "2"]
NOT_FOUND = 404
BUILDKIT = "2"  # the version of the builder, in the engine's own counting
_UNITS = {"": 1, "k": 1000, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4,
          "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}  # fmt: skip
_LIST = {"containers": ["ps", "--all"], "volumes": ["volume", "ls"], "networks": ["network", "ls"]}


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container as it is; `health` is healthy, unhealthy, starting, or empty without a check.

    One that is paused or about to be restarted is not `running`.
    """

    name: str
    running: bool
    paused: bool
    restarting: bool
    health: str
    exit_code: int
    address: str | None
    image: str
    labels: Mapping[str, str]
    ports: tuple[PortStatus, ...]
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image; `size` in bytes, `architecture` as Go names it: amd64, arm64.

    `tagged` is when it last got a name, in seconds since the epoch: a build gives it one. `digests`
    are those by which registries know it (`debian@sha256:…`), `layers` the hashes of its layers.
    """

    id: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    size: int
    architecture: str
    tagged: float = 0.0
    digests: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Objects:
    """What was asked for and exists, by name; volumes and networks by their labels alone."""

    containers: Mapping[str, Container]
    images: Mapping[str, Image]
    volumes: Mapping[str, Mapping[str, str]]
    networks: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class ImageUsage:
    """What an image takes that no other image does, in bytes; whether a container is of it."""

    size: int
    containers: bool


@dataclass(frozen=True, kw_only=True)
class DiskUsage:
    """What takes the engine's disk: images by id; containers and volumes by labels and bytes."""

    images: Mapping[str, ImageUsage]
    containers: tuple[tuple[Mapping[str, str], int], ...]
    volumes: tuple[tuple[Mapping[str, str], int], ...]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The engine itself; `cgroups` is the version of its cgroups, 1 or 2."""

    version: str
    kernel: str
    system: str
    architecture: str
    storage: str
    root: str
    cgroups: Cgroups
    has_gpu: bool
    runtimes: tuple[str, ...]
    security_options: tuple[str, ...]

    @property
    def is_apart(self) -> bool:
        """Whether root inside is nobody outside: it is rootless, or maps users."""
        return any(each.startswith(("name=rootless", "name=userns")) for each in self.security_options)


@dataclass(frozen=True, kw_only=True)
class Version:
    """The engine's version, and the architecture that it builds for, as Go names it."""

    version: str
    architecture: str


@dataclass(frozen=True, kw_only=True)
class Features:
    """What engines differ in: the version of Docker's API that one speaks, and whether it has BuildKit."""

    api: tuple[int, ...]
    buildkit: bool


# What one has that cannot be asked quickly: it is not on a local socket.
CURRENT = Features(api=(1, 44), buildkit=True)


def is_installed() -> bool:
    """Whether the host has the command line of Docker."""
    return process.find("docker") is not None


def inspect(
    *,
    containers: Iterable[str] = (),
    images: Iterable[str] = (),
    volumes: Iterable[str] = (),
    networks: Iterable[str] = (),
) -> Objects:
    """What the engine has under these names.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    names = {
        "containers": tuple(dict.fromkeys(containers)),
        "images": tuple(dict.fromkeys(images)),
        "volumes": tuple(dict.fromkeys(volumes)),
        "networks": tuple(dict.fromkeys(networks)),
    }
    raw = _inspect_all(names)
    found = map(_image, raw["images"])
    tagged = {name: image for image in found for name in (*image.tags, *image.digests)}
    return Objects(
        containers={container.name: container for container in map(_container, raw["containers"])},
        images={tag.removesuffix(":latest"): image for tag, image in tagged.items()},
        volumes={volume["Name"]: dict(volume["Labels"] or {}) for volume in raw["volumes"]},
        networks={network["Name"]: dict(network["Labels"] or {}) for network in raw["networks"]},
    )


def image(name: str) -> Image | None:
    """The image that a name, with or without a tag, or an id stands for; None if the engine has none.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    images = _inspect_all({"images": (name,)})["images"]
    return _image(images[0]) if images else None


def images_with(label: str, *, dangling: bool) -> tuple[Image, ...]:
    """The images that carry a label, KEY or KEY=VALUE: those without a name (`dangling`), or the others."""
    ids = _lines(["image", "ls", "--quiet", "--no-trunc",
                  "--filter", f"dangling={str(dangling).lower()}", "--filter", f"label={label}"])  # fmt: skip
    return tuple(map(_image, _inspect_all({"images": tuple(dict.fromkeys(ids))})["images"]))


def containers_with(label: str) -> tuple[Container, ...]:
    """Every container, running or not, that carries a label: KEY, or KEY=VALUE.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    parameters = {"all": "1", "filters": json.dumps({"label": [label]})}
    response = api.get("/containers/json", parameters)
    if response is None:
        ids = _lines(["ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}"])
    else:
        ids = tuple(container["Id"] for container in _content(response))
    return tuple(inspect(containers=ids).containers.values())


def volumes_with(label: str) -> tuple[str, ...]:
    """The names of the volumes that carry a label."""
    response = api.get("/volumes", {"filters": json.dumps({"label": [label]})})
    if response is None:
        return _lines(["volume", "ls", "--quiet", "--filter", f"label={label}"])
    return tuple(sorted(volume["Name"] for volume in _content(response)["Volumes"] or ()))


def networks_with(label: str) -> tuple[str, ...]:
    """The names of the networks that carry a label."""
    response = api.get("/networks", {"filters": json.dumps({"label": [label]})})
    if response is None:
        return _lines(["network", "ls", "--format", "{{.Name}}", "--filter", f"label={label}"])
    return tuple(network["Name"] for network in _content(response))


def label_values(kind: str, wanted: Sequence[str], *, carrying: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The values of the `wanted` labels of every object that carries all of others.

    Args:
        kind: `containers`, `volumes` or `networks`.
        wanted: the labels whose values are returned, in this order; empty if an object lacks one.
        carrying: the labels that an object must have, each KEY or KEY=VALUE.
    """
    form = "\t".join(f'{{{{.Label "{label}"}}}}' for label in wanted)
    filters = [word for label in carrying for word in ("--filter", f"label={label}")]
    return tuple(tuple(line.split("\t")) for line in _lines([*_LIST[kind], *filters, "--format", form]))


def publisher(port: int, protocol: str) -> tuple[str, str] | None:
    """The running container that publishes a host port, and its Compose project; None if there is none."""
    if not is_installed():
        return None
    form = '{{.Names}}\t{{.Label "com.docker.compose.project"}}'
    listed = process.ask(["docker", "ps", "--filter", f"publish={port}/{protocol}", "--format", form])
    for line in listed.stdout.splitlines():
        name, _, project = line.partition("\t")
        return name, project
    return None


def written_bytes(containers: Sequence[str]) -> Mapping[str, int]:
    """How many bytes each of the containers wrote into its own layer."""
    if not containers:
        return {}
    sized = json.loads(_output(["inspect", "--size", *containers]))
    return {each["Name"].lstrip("/"): int(each.get("SizeRw") or 0) for each in sized}


def stats(containers: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    """What `docker stats` says of each container, by its own names; it looks for a second or two."""
    lines = _lines(["stats", "--no-stream", "--format", "{{json .}}", *containers])
    return tuple(json.loads(line) for line in lines)


def configuration(container: str) -> Mapping[str, Any]:
    """All that the engine keeps of a container, in its own names.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    found: Mapping[str, Any] = _inspect_all({"containers": (container,)})["containers"][0]
    return found


def endpoint() -> str:
    """The address of the engine that `docker` uses, such as unix:///var/run/docker.sock."""
    return (
        os.environ.get("DOCKER_HOST")
        or _output(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).strip()
    )


def disk_usage() -> DiskUsage:
    """What images, containers and volumes take.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    raw = json.loads(_output(["system", "df", "--verbose", "--format", "{{json .}}"]))
    return DiskUsage(
        images={
            image["ID"]: ImageUsage(
                size=size(image["UniqueSize"]), containers=image["Containers"] not in ("0", "N/A")
            )
            for image in raw["Images"] or ()
        },
        containers=tuple(_sized(container) for container in raw["Containers"] or ()),
        volumes=tuple(_sized(volume) for volume in raw["Volumes"] or ()),
    )


def _sized(raw: Mapping[str, str]) -> tuple[Mapping[str, str], int]:
    return _labels(raw["Labels"]), size(raw["Size"].partition(" ")[0])


def init_processes(label: str) -> tuple[tuple[str, int], ...]:
    """The value of a label of each running container that carries it, and its first process on the host."""
    ids = _lines(["ps", "--quiet", "--no-trunc", "--filter", f"label={label}"])
    form = f'{{{{.State.Pid}}}} {{{{index .Config.Labels "{label}"}}}}'
    lines = _lines(["inspect", "--format", form, *ids]) if ids else ()
    return tuple((value, int(number)) for number, _, value in (line.partition(" ") for line in lines))


def process_ids(container: str) -> tuple[int, ...]:
    """The ids that the container's processes have on the host; the first is its init."""
    return tuple(int(line) for line in _lines(["top", container, "-eo", "pid"])[1:])


def engine() -> Engine:
    """What the engine says of itself.

    Raises:
        HostLacks: there is no engine, or it does not answer.
    """
    response = api.get("/info")
    raw = json.loads(_output(["info", "--format", "{{json .}}"])) if response is None else _content(response)
    if raw.get("ServerErrors"):
        raise refusal(raw["ServerErrors"])
    return Engine(
        version=raw["ServerVersion"],
        kernel=raw["KernelVersion"],
        system=raw["OSType"],
        architecture=raw["Architecture"],
        storage=raw["Driver"],
        root=raw.get("DockerRootDir") or "",
        cgroups="1" if raw.get("CgroupVersion", "1") == "1" else "2",
        has_gpu="nvidia" in (raw.get("Runtimes") or {}),
        runtimes=tuple(raw.get("Runtimes") or {}),
        security_options=tuple(raw.get("SecurityOptions") or ()),
    )


def version() -> Version | None:
    """The engine's version; None if no engine answers."""
    if not is_installed():
        return None
    response = api.get("/version")
    if response is not None:
        raw = _content(response)
    else:
        try:
            completed = process.ask(["docker", "version", "--format", "{{json .Server}}"])
        except HostLacks:  # it accepts connections, and does not answer
            return None
        raw = json.loads(completed.stdout) if completed.code == 0 else None
    return Version(version=raw["Version"], architecture=raw["Arch"]) if raw else None


def features() -> Features:
    """What the engine says of itself in a millisecond; as a current one of Docker's if it does not."""
    response = api.get("/_ping")
    if response is None or response.status >= 300:
        return CURRENT
    numbers = response.headers.get("api-version", "").split(".")
    return Features(
        api=tuple(int(number) for number in numbers if number.isdigit()),
        buildkit=response.headers.get("builder-version") == BUILDKIT,
    )


def plugin(name: str) -> process.Completed:
    """What `docker NAME version` prints, whatever its exit code.

    Raises:
        HostLacks: there is no `docker`.
        CommandFailed: it does not answer.
    """
    return process.run(["docker", name, "version"], check=False, timeout=process.ANSWERS_WITHIN)


def refusal(lines: Sequence[str]) -> EnvironmentFailed | HostLacks:
    """The error for an engine that refused or did not answer, from its own message."""
    text = "\n".join(lines)
    evidence = tuple(dict.fromkeys(lines))  # several parts of one query print the same error
    if "permission denied" in text:
        return HostLacks(
            "this user has no access to the Docker engine",
            evidence=evidence,
            hint="sudo usermod -aG docker $USER, then log in again",
        )
    if "annot connect" in text or "no such file" in text or "dial" in text:
        return HostLacks("the Docker engine does not answer", evidence=evidence, hint=START_HINT)
    return EnvironmentFailed("the Docker engine refused", evidence=evidence)


def _inspect_all(names: Mapping[str, Sequence[str]]) -> Mapping[str, list[Any]]:
    """The engine's own description of each object that exists, by kind."""
    objects: dict[str, list[Any]] = {kind: [] for kind in ("containers", "images", "volumes", "networks")}
    paths = {"containers": "/containers/{}/json", "images": "/images/{}/json"}
    for kind, wanted in names.items():
        for name in wanted:
            response = api.get(paths.get(kind, f"/{kind}/{{}}").format(name))
            if response is None:
                return _inspect_by_command(names)
            if response.status != NOT_FOUND:
                objects[kind].append(_content(response))
    return objects


def _inspect_by_command(names: Mapping[str, Sequence[str]]) -> Mapping[str, list[Any]]:
    """The same, from one `docker inspect`, which finds objects of every kind."""
    completed = process.ask(["docker", "inspect", *(name for wanted in names.values() for name in wanted)])
    wrong = [line for line in completed.stderr.splitlines() if not _is_not_found(line)]
    if wrong and completed.code != 0:
        raise refusal(wrong)
    marks = {"containers": "State", "images": "RepoTags", "volumes": "Mountpoint", "networks": "IPAM"}
    objects: list[dict[str, Any]] = json.loads(completed.stdout or "[]")
    return {kind: [each for each in objects if mark in each] for kind, mark in marks.items()}


def _is_not_found(line: str) -> bool:
    """Whether the engine says that it has no such object: Docker's words, and Podman's."""
    lowered = line.lower()
    return "no such" in lowered or "image not known" in lowered


def _lines(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(_output(words).splitlines())


def _output(words: Sequence[str]) -> str:
    completed = process.ask(["docker", *words])
    if completed.code != 0:
        raise refusal(completed.stderr.splitlines())
    return completed.stdout


def _content(response: api.Response) -> Any:
    if response.status >= 300:
        raise refusal([response.message])
    return json.loads(response.body)


def _image(raw: Mapping[str, Any]) -> Image:
    return Image(
        id=raw["Id"],
        tags=tuple(map(familiar, raw.get("RepoTags") or ())),
        labels=dict((raw.get("Config") or {}).get("Labels") or {}),
        size=int(raw.get("Size") or 0),
        architecture=raw.get("Architecture") or "",
        tagged=max(map(_seconds, ((raw.get("Metadata") or {}).get("LastTagTime"), raw.get("Created")))),
        digests=tuple(raw.get("RepoDigests") or ()),
        layers=tuple((raw.get("RootFS") or {}).get("Layers") or ()),
    )


def familiar(image: str) -> str:
    """An image's name as Docker shortens it: Podman writes out the registry that both take first."""
    return image.removeprefix("docker.io/").removeprefix("library/")


def _seconds(text: str | None) -> float:
    """A time as the engine writes it, in seconds since the epoch; 0 for none."""
    match = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", text or "")
    if match is None or match[1].startswith("0001"):
        return 0.0
    return datetime.fromisoformat(match[1] + match[2].replace("Z", "+00:00")).timestamp()


def size(text: str) -> int:
    """The bytes of a size as the command line writes it, such as 18.28kB or 1.5GiB; 0 for anything else."""
    match = re.fullmatch(r"([0-9.]+(?:e[+-]?\d+)?)([kKMGT]?|[KMGT]i)B", text.strip())
    return int(float(match[1]) * _UNITS[match[2]]) if match else 0


def _labels(text: str) -> Mapping[str, str]:
    """Labels as the command line lists them, `a=b,c=d`: a value with a comma in it is cut."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _container(raw: Mapping[str, Any]) -> Container:
    state, networks = raw["State"], raw["NetworkSettings"]["Networks"] or {}
    addresses = [network["IPAddress"] for network in networks.values() if network["IPAddress"]]
    return Container(
        id=raw["Id"],
        name=raw["Name"].lstrip("/"),
        running=state["Running"] and not state["Restarting"] and not state["Paused"],
        paused=state["Paused"],
        restarting=state["Restarting"],
        health=(state.get("Health") or {}).get("Status", ""),
        exit_code=state["ExitCode"],
        address=addresses[0] if addresses else None,
        image=familiar(raw["Config"].get("Image", "")),
        labels=dict(raw["Config"].get("Labels") or {}),
        ports=_ports(raw["NetworkSettings"]["Ports"] or {}),
    )


def _ports(published: Mapping[str, Any]) -> tuple[PortStatus, ...]:
    ports = []
    for guest, bindings in published.items():
        number, _, protocol = guest.partition("/")
        ports += [
            PortStatus(
                guest=int(number),
                host=int(binding["HostPort"]),
                address=binding["HostIp"],
                protocol="udp" if protocol == "udp" else "tcp",
            )
            for binding in bindings or ()
        ]
    return tuple(sorted(ports, key=lambda port: (port.guest, port.protocol)))
