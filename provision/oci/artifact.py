"""A folder of files in a registry, in compressed chunks: pushed, and pulled whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from provision.errors import EnvironmentFailed
from provision.oci import compression
from provision.oci.chunks import LARGEST, cut
from provision.oci.client import AT_ONCE, digest_of
from provision.oci.errors import Damaged
from provision.oci.model import (
    CHUNK,
    OCI_MANIFEST,
    Chunk,
    Descriptor,
    StoredFile,
    Unreadable,
    artifact_config,
    artifact_manifest,
    descriptor,
    read_artifact,
)
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from provision.oci.client import Client
    from provision.oci.model import Manifest
    from provision.progress import Progress

S = TypeVar("S")
T = TypeVar("T")
CHUNKS = "chunks"  # a folder beside what is pulled, with what has come so far
_MEBIBYTE = 1 << 20
_LARGEST_CONFIG = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A manifest by its digest; of its `size` bytes, compressed, `sent` went over the wire."""

    digest: str
    size: int
    sent: int


def push(
    client: Client, tag: str, kind: str, files: Sequence[Path], about: Mapping[str, str], progress: Progress
) -> Transfer:
    """Store files under a tag; of their chunks only those that the repository lacks.

    Args:
        client: of the repository.
        tag: the name there.
        kind: the artifact's type.
        files: what to store, each by the last part of its path.
        about: what is to be known of it, as words.
        progress: told how far it is.

    Raises:
        RegistryFailed: no answer, or no right to push. What was sent so far serves the next try.
    """
    pushing = _Pushing(client, progress, sum(file.stat().st_size for file in files))
    stored = tuple(pushing.file(file) for file in files)
    kind_of_config = kind.replace("+json", "") + ".config+json"
    content = artifact_config(stored, about)
    config = Descriptor(media_type=kind_of_config, digest=digest_of(content), size=len(content))
    pushing.blob(content, config.digest)
    manifest = artifact_manifest(config, stored, kind)
    digest = client.put_manifest(tag, OCI_MANIFEST, manifest)
    sizes = {each.layer.digest: each.layer.size for file in stored for each in file.chunks}
    own = len(content) + len(manifest)
    return Transfer(digest=digest, size=sum(sizes.values()) + own, sent=pushing.sent + len(manifest))


class _Pushing:
    """Sends chunks, several at once, and counts."""

    def __init__(self, client: Client, progress: Progress, total: int) -> None:
        self._client = client
        self._progress = progress
        self._total = total
        self._done = 0
        self.sent = 0

    def file(self, file: Path) -> StoredFile:
        chunks, size, whole = [], 0, hashlib.sha256()
        with file.open("rb") as stream, ThreadPoolExecutor(AT_ONCE) as pool:
            pieces = _ahead(cut(stream), whole)
            for chunk, sent in _mapped(pool, self._chunk, pieces):
                chunks.append(chunk)
                size += chunk.size
                self.sent += sent
                self._done += chunk.size
                self._progress.line(
                    f"{self._done // _MEBIBYTE} of {self._total // _MEBIBYTE} MiB read,"
                    f" {self.sent // _MEBIBYTE} MiB sent"
                )
        return StoredFile(
            name=file.name, size=size, digest=f"sha256:{whole.hexdigest()}", chunks=tuple(chunks)
        )

    def _chunk(self, content: bytes) -> tuple[Chunk, int]:
        packed = compression.compress(content)
        layer = Descriptor(media_type=CHUNK, digest=digest_of(packed), size=len(packed))
        sent = 0
        if not self._client.has_blob(layer.digest):
            self._client.put_blob(packed, layer.digest)
            sent = len(packed)
        return Chunk(digest=digest_of(content), size=len(content), layer=layer), sent

    def blob(self, content: bytes, digest: str) -> None:
        if not self._client.has_blob(digest):
            self._client.put_blob(content, digest)
            self.sent += len(content)


def pull(
    client: Client, manifest: Manifest, folder: Path, progress: Progress, *, known: Sequence[Path] = ()
) -> tuple[Transfer, Mapping[str, str]]:
    """Put the files of an artifact into a folder; and say what is known of it.

    What came before the connection was cut is kept in the folder, and the next call goes on from there.

    Args:
        client: of the repository.
        manifest: the artifact's.
        folder: is made if it is not there.
        progress: told how far it is.
        known: files of this host that may have some of the chunks.

    Raises:
        Damaged: a chunk, a file or the whole is not what its digest says; nothing of it is left.
        RegistryFailed: no answer, or no access.
        EnvironmentFailed: it does not fit on the disk.
    """
    files, about, config = _read(client, manifest)
    chunks = {each.digest: each for file in files for each in file.chunks}
    layers = {each.layer.digest: each.layer.size for each in chunks.values()}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        pulling = _Pulling(client, folder / CHUNKS, progress, known, len(layers))
        _require_room(folder, sum(file.size for file in files) + sum(layers.values()))
        pulling.fetch(list(chunks.values()))
        for file in files:
            pulling.assemble(file, folder / file.name)
    except Damaged:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder / CHUNKS)
    own = config + len(manifest.content)
    size = sum(layers.values()) + own
    return Transfer(digest=manifest.digest, size=size, sent=pulling.sent + own), about


def about(client: Client, manifest: Manifest) -> Mapping[str, str] | None:
    """What is known of an artifact; None where it is none of ours."""
    try:
        return _read(client, manifest)[1]
    except Damaged:
        return None


def _read(client: Client, manifest: Manifest) -> tuple[tuple[StoredFile, ...], Mapping[str, str], int]:
    """What an artifact is of, what is known of it, and the bytes of its config."""
    try:
        config = descriptor(manifest.data.get("config"))
        if config.size > _LARGEST_CONFIG:
            raise Unreadable("its config is too large")  # noqa: TRY301 - as what is read below raises
        files, about = read_artifact(manifest, client.blob(config), largest=LARGEST)
    except Unreadable as error:
        raise Damaged(
            f"{client.repository.pinned(manifest.digest)} is nothing that provision wrote", str(error)
        ) from error
    return files, about, config.size


class _Pulling:
    """Takes chunks, several at once, and puts files together."""

    def __init__(
        self, client: Client, folder: Path, progress: Progress, known: Sequence[Path], count: int
    ) -> None:
        self._client = client
        self._folder = folder
        self._progress = progress
        self._known = known
        self._here: dict[str, tuple[Path, int]] = {}
        self._count = count
        self._done = 0
        self.sent = 0
        folder.mkdir(exist_ok=True)

    def fetch(self, chunks: Sequence[Chunk]) -> None:
        """Have every chunk on this host, checked."""
        missing = [each for each in chunks if not self._place(each).exists()]
        if missing and self._known:
            self._here = dict(_positions(self._known))
            missing = [each for each in missing if each.digest not in self._here]
        self._done = self._count - len(missing)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for size in _mapped(pool, self._fetch, iter(missing)):
                self.sent += size
                self._done += 1
                self._progress.line(
                    f"{self._done} of {self._count} chunks, {self.sent // _MEBIBYTE} MiB received"
                )

    def assemble(self, file: StoredFile, path: Path) -> None:
        """Put a file together, and check the whole."""
        whole = hashlib.sha256()
        with path.open("wb") as out:
            for chunk in file.chunks:
                content = self._content(chunk)
                whole.update(content)
                out.write(content)
        if f"sha256:{whole.hexdigest()}" != file.digest:
            raise self._damaged(file.name, f"its digest is sha256:{whole.hexdigest()}")

    def _place(self, chunk: Chunk) -> Path:
        return self._folder / chunk.layer.digest.removeprefix("sha256:")

    def _fetch(self, chunk: Chunk) -> int:
        packed = self._client.blob(chunk.layer)
        place = self._place(chunk)
        half = place.with_suffix(".half")
        half.write_bytes(packed)
        half.replace(place)
        return len(packed)

    def _content(self, chunk: Chunk) -> bytes:
        """A chunk, of this host's or unpacked, and what its digest says."""
        content = self._unpacked(chunk) if self._place(chunk).exists() else self._read_here(chunk)
        if len(content) != chunk.size or digest_of(content) != chunk.digest:
            raise self._damaged(f"the chunk {chunk.digest}", f"what was unpacked has {digest_of(content)}")
        return content

    def _unpacked(self, chunk: Chunk) -> bytes:
        try:
            return compression.decompress(self._place(chunk).read_bytes(), chunk.size + 1)
        except compression.Failed as error:
            raise self._damaged(f"the chunk {chunk.digest}", str(error)) from error

    def _read_here(self, chunk: Chunk) -> bytes:
        path, begin = self._here[chunk.digest]
        with path.open("rb") as stream:
            stream.seek(begin)
            return stream.read(chunk.size)

    def _damaged(self, what: str, reason: str) -> Damaged:
        return Damaged(
            f"{what} of {self._client.repository} is damaged",
            reason,
            hint="push it again from a host that has it, or build it here: up --pull never",
        )


def _positions(files: Sequence[Path]) -> Iterator[tuple[str, tuple[Path, int]]]:
    """Where on this host a chunk is, by the digest of its content."""
    for path in files:
        begin = 0
        try:
            with path.open("rb") as stream:
                for content in cut(stream):
                    yield digest_of(content), (path, begin)
                    begin += len(content)
        except OSError:
            continue  # it was removed meanwhile


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise EnvironmentFailed(
            f"{size // _MEBIBYTE} MiB are to be pulled, but {free // _MEBIBYTE} MiB are free in {folder}",
            hint="free some space there, or set XDG_CACHE_HOME to a disk with space",
        )


def _ahead(pieces: Iterator[bytes], whole: hashlib._Hash) -> Iterator[bytes]:
    for piece in pieces:
        whole.update(piece)
        yield piece


def _mapped(pool: ThreadPoolExecutor, function: Callable[[S], T], values: Iterator[S]) -> Iterator[T]:
    """As `pool.map`, but no more values are taken than are worked on soon: they are in memory."""
    pending: deque[Future[T]] = deque()
    try:
        for value in values:
            pending.append(pool.submit(function, value))
            if len(pending) >= 2 * AT_ONCE:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
