"""What is kept in a registry: manifests, and what provision writes of a folder of files."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_LIST)
CHUNK = "application/vnd.provision.chunk.v1+zstd"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}")  # of a file: one component, and none that is hidden
LARGEST_FILE = 1 << 44
VERSION = 1


class Unreadable(ValueError):
    """A text of a registry is not what it should be."""


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """A blob or manifest by its digest, and its bytes."""

    media_type: str
    digest: str
    size: int

    def data(self) -> dict[str, object]:
        """As JSON has it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a registry answered for a tag: exactly these bytes have the digest."""

    media_type: str
    digest: str
    content: bytes

    @property
    def data(self) -> Mapping[str, Any]:
        """The map that it is.

        Raises:
            Unreadable: it is none.
        """
        return parse_map(self.content)


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A piece of a file: `digest` and `size` of the content, `layer` the blob that holds it compressed."""

    digest: str
    size: int
    layer: Descriptor


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file: its name, the bytes it has, their SHA-256, and its chunks in order."""

    name: str
    size: int
    digest: str
    chunks: tuple[Chunk, ...]


def parse_map(content: bytes) -> Mapping[str, Any]:
    """The map of a JSON text.

    Raises:
        Unreadable: it is no JSON, or no map.
    """
    try:
        found = json.loads(content)
    except ValueError as error:
        raise Unreadable("it is not JSON") from error
    if not isinstance(found, dict):
        raise Unreadable("it is not a map")
    return found


def descriptor(raw: Any) -> Descriptor:
    """A descriptor of a manifest.

    Raises:
        Unreadable: it is none.
    """
    try:
        found = Descriptor(media_type=str(raw["mediaType"]), digest=str(raw["digest"]), size=int(raw["size"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable("a descriptor is incomplete") from error
    if not DIGEST.fullmatch(found.digest) or found.size < 0:
        raise Unreadable(f"{found.digest[:80]} is not a SHA-256 digest")
    return found


def artifact_config(files: Sequence[StoredFile], about: Mapping[str, str]) -> bytes:
    """The config of an artifact: which files its layers are put together to, and what is known of it."""
    data = {
        "version": VERSION,
        "about": dict(sorted(about.items())),
        "files": [
            {
                "name": file.name, "size": file.size, "digest": file.digest,
                "chunks": [[each.digest, each.size, each.layer.digest] for each in file.chunks],
            }
            for file in files
        ],
    }  # fmt: skip
    return json.dumps(data, separators=(",", ":")).encode()


def artifact_manifest(config: Descriptor, files: Sequence[StoredFile], kind: str) -> bytes:
    """The manifest of an artifact; a chunk that files share is one layer."""
    layers = {each.layer.digest: each.layer for file in files for each in file.chunks}
    data = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": config.data(),
        "layers": [each.data() for each in layers.values()],
    }
    return json.dumps(data, separators=(",", ":")).encode()


def read_artifact(
    manifest: Manifest, config: bytes, *, largest: int
) -> tuple[tuple[StoredFile, ...], Mapping[str, str]]:
    """The files of an artifact, and what is known of it; no chunk is larger than `largest` bytes.

    Raises:
        Unreadable: it is none of ours.
    """
    layers = {each.digest: each for each in map(descriptor, manifest.data.get("layers", ()))}
    data = parse_map(config)
    if data.get("version") != VERSION:
        raise Unreadable(f"it is of version {str(data.get('version'))[:20]}, this provision reads {VERSION}")
    try:
        files = tuple(_file(raw, layers, largest) for raw in data["files"])
        about = {str(key): str(value) for key, value in data["about"].items()}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unreadable(f"its config is not what provision writes: {error}") from error
    if len({file.name for file in files}) != len(files):
        raise Unreadable("a file is in it twice")
    return files, about


def _file(raw: Any, layers: Mapping[str, Descriptor], largest: int) -> StoredFile:
    chunks = tuple(
        Chunk(digest=str(digest), size=int(size), layer=layers[layer])
        for digest, size, layer in raw["chunks"]
    )
    file = StoredFile(name=str(raw["name"]), size=int(raw["size"]), digest=str(raw["digest"]), chunks=chunks)
    if not _NAME.fullmatch(file.name):
        raise Unreadable(f"{file.name[:40]!r} is not the name of a file")
    if any(not 0 < each.size <= largest for each in chunks) or sum(each.size for each in chunks) != file.size:
        raise Unreadable(f"the chunks of {file.name} are not as long as they should be")
    if not 0 <= file.size <= LARGEST_FILE:
        raise Unreadable(f"{file.name} is too large")
    return file
