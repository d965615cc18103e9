"""What a distribution's archive has now: the newest version of each package, read from its indexes."""

from __future__ import annotations

import gzip
import lzma
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from provision.bases import catalogue
from provision.fetch_errors import FetchFailed
from provision.fetching import fetch
from provision.lockfile.versions import compare

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from provision.model import Machine

NOT_FOUND = 404
DISTRIBUTION = 500  # apt's rank of a repository from which it upgrades


def newest_versions(machine: Machine, architecture: str, names: Collection[str]) -> Mapping[str, str] | None:
    """The newest version of each of these packages that a machine would get now, by name.

    Reads the indexes of the base's archive, and of the spec's repositories from which apt upgrades,
    without checking signatures: nothing is installed by this.

    Returns:
        what was found; None where the base has no such archive (dnf, apk, an image of the spec's own).

    Raises:
        FetchFailed: a mirror does not answer.
    """
    with ThreadPoolExecutor(4) as pool:
        urls = list(_indexes(machine, architecture))
        if not urls:
            return None
        texts = pool.map(_fetch, urls)
        return newest(texts, names)


def newest(indexes: Iterable[str], names: Collection[str]) -> Mapping[str, str]:
    """The newest version of each of these packages in indexes of apt; pure."""
    wanted, found = frozenset(names), dict[str, str]()
    for text in indexes:
        name = ""
        for line in text.splitlines():
            if line.startswith("Package: "):
                name = line[9:]
            elif name in wanted and line.startswith("Version: "):
                version = line[9:]
                if name not in found or compare(version, found[name]) > 0:
                    found[name] = version
    return found


def _indexes(machine: Machine, architecture: str) -> Iterator[str]:
    """The addresses of the indexes, without their ending."""
    archive = catalogue.archive(machine.base)
    if archive is None or machine.base.suite is None:
        return
    for pocket in archive.pockets(machine.base):
        for component in machine.base.components:
            yield f"{pocket.url}/dists/{pocket.suite}/{component}/binary-{architecture}/Packages"
    for repository in machine.repositories:
        if repository.pin < DISTRIBUTION:
            continue
        url = repository.url.rstrip("/")
        if repository.suite.endswith("/"):
            yield f"{url}/{repository.suite.rstrip('/')}/Packages"
        for component in () if repository.suite.endswith("/") else repository.components:
            yield f"{url}/dists/{repository.suite}/{component}/binary-{architecture}/Packages"


def _fetch(url: str) -> str:
    from urllib.error import HTTPError

    for ending, unpack in ((".xz", lzma.decompress), (".gz", gzip.decompress), ("", bytes)):
        try:
            return unpack(fetch(f"{url}{ending}")).decode("utf-8", "replace")
        except HTTPError as error:
            if error.code != NOT_FOUND:
                raise _failed(url, f"{error.code} {error.reason}") from error
        except OSError as error:
            raise _failed(url, str(getattr(error, "reason", error))) from error
        except (EOFError, lzma.LZMAError, zlib.error) as error:
            raise _failed(f"{url}{ending}", f"it is damaged: {error}") from error
    raise _failed(url, "there is no such index")


def _failed(url: str, reason: str) -> FetchFailed:
    return FetchFailed(
        "the mirror does not give its index",
        evidence=[f"{url}: {reason}"],
        hint="check the network; behind a proxy, set http_proxy",
    )
