"""Root file systems, built from a distribution's mirror: the start of images and boxes."""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from provision import process
from provision.bases.catalogue import SNAPSHOT, archive
from provision.errors import HostLacks
from provision.fetch_errors import FetchFailed, fetch_failed, find_failures
from provision.fetching import ANSWER_WITHIN, RETRIES, SERVER_ERROR, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provision.bases.archive import Archive, Pocket
    from provision.model import Base
    from provision.progress import Progress


def can_make(base: Base) -> bool:
    """Whether the catalogue says how `base` is made; not whether this host can."""
    return archive(base) is not None


def archive_time(base: Base) -> datetime:
    """When the archive of `base` last changed, or the time of its dated one.

    Asks the mirror for each index, so it also proves that the archive is there.

    Raises:
        HostLacks: the mirror has no such archive.
        FetchFailed: the mirror does not answer.
    """
    newest = max(_index_time(pocket) for pocket in _archive(base).pockets(base))
    if base.snapshot is None:
        return newest
    return datetime.strptime(base.snapshot, SNAPSHOT).replace(tzinfo=UTC)


def make_root(
    base: Base,
    tar: Path,
    progress: Progress,
    *,
    time: datetime,
    packages: Sequence[str] = (),
    customize: Sequence[str] = (),
    starts_daemons: bool = True,
) -> None:
    """Write the root file system of `base` as a tar file; the same archive gives the same bytes.

    It holds the distribution's essential and required packages and apt, as its official
    image does, and a sources.list with updates and security fixes.

    Args:
        base: what to make; `can_make` must hold.
        tar: the file to write; its folder is also where the work is done.
        progress: sees each line of mmdebstrap.
        time: of the archive, as `archive_time` says: no file is younger.
        packages: more of them.
        customize: shell texts that run at the end, the root's path in "$1".
        starts_daemons: else it has a policy-rc.d by which no package starts its daemon.

    Raises:
        HostLacks: mmdebstrap or the archive's keyring is missing, or it failed.
        FetchFailed: the mirror stopped to answer.
    """
    origin = _archive(base)
    _require(base, origin)
    sources = origin.sources(base)
    words = [
        *_apart(),
        "mmdebstrap",
        "--mode=auto",
        "--variant=minbase",
        "--format=tar",
        # Debian counts apt among the required packages, Ubuntu does not.
        f"--include={','.join(('apt', *packages))}",
        *_PATIENCE,
        *([] if starts_daemons else _START_NOTHING),
        *(f"--customize-hook={text}" for text in customize),
        # Nothing of this host may stay: it copies both in, for the time of its work.
        '--customize-hook=: >"$1/etc/hostname"; : >"$1/etc/resolv.conf"',
        '--customize-hook=chmod 0644 "$1/etc/hostname" "$1/etc/resolv.conf"',
        f"{base.suite}",
        str(tar),
        *sources.splitlines(),
    ]
    # Without root it works as another user of a namespace, who must get in.
    tar.parent.chmod(0o755)
    try:
        process.stream(
            words,
            progress.line,
            env={
                "LC_ALL": "C.UTF-8",
                "SOURCE_DATE_EPOCH": str(int(time.timestamp())),
                "TMPDIR": str(tar.parent),
            },
        )
    except process.CommandFailed as error:
        tar.unlink(missing_ok=True)
        if failures := find_failures(error.evidence):
            raise fetch_failed(failures) from error
        raise HostLacks(
            f"{base.name} could not be built from {base.mirror}",
            evidence=error.evidence,
            hint=f"mmdebstrap exited with code {error.code}; its last lines say why",
        ) from error


def write_file(path: str, content: str, *, mode: int = 0o644) -> str:
    """The text for `customize` that writes a file into the root."""
    target = f'"$1"{shlex.quote(path)}'
    return f"printf %s {shlex.quote(content)} >{target} && chmod {mode:o} {target}"


# apt's settings while it works: a mirror that never answers is given up. Its own option for them would
# leave them in the root.
_PATIENCE = (
    '--setup-hook=mkdir -p "$1/etc/apt/apt.conf.d"; '
    + write_file(
        "/etc/apt/apt.conf.d/00provision",
        f'Acquire::Retries "{RETRIES}"; Acquire::http::Timeout "{ANSWER_WITHIN}";'
        f' Acquire::https::Timeout "{ANSWER_WITHIN}";\n',
    ),
    '--customize-hook=rm "$1/etc/apt/apt.conf.d/00provision"',
)
_START_NOTHING = (
    # mmdebstrap has one while it works, takes it away at the end, and would take ours.
    "--skip=chroot/policy-rc.d",
    "--extract-hook=" + write_file("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", mode=0o755),
)


def _apart() -> tuple[str, ...]:
    """What keeps root's mmdebstrap in namespaces of its own.

    Its processes and mounts end with it, however it ends: an interrupted one would leave
    the host's /dev and /proc mounted in a folder that is about to be removed.
    """
    words = ("unshare", "--mount-proc", "--pid", "--fork", "--kill-child")
    if os.geteuid() != 0 or process.find("unshare") is None:
        return ()
    return words if process.run([*words, "true"], check=False).code == 0 else ()


def _archive(base: Base) -> Archive:
    origin = archive(base)
    if origin is None:
        raise HostLacks(
            f"{base.name} is only available from a registry: provision cannot build it",
            hint="log in to a registry that has it, or choose Debian or Ubuntu",
        )
    return origin


def _require(base: Base, origin: Archive) -> None:
    if process.find("mmdebstrap") is None:
        raise HostLacks(
            f"mmdebstrap is missing; provision needs it to build {base.name} from {base.mirror}",
            hint="apt-get install mmdebstrap, or scripts/host-setup docker",
        )
    if not Path(origin.keyring_path).is_file():
        raise HostLacks(
            f"the keys that sign {base.mirror} are missing: {origin.keyring_path}",
            hint=f"install the package {origin.keyring_package}, or run scripts/host-setup docker",
        )


def _index_time(pocket: Pocket) -> datetime:
    from email.utils import parsedate_to_datetime
    from urllib.error import HTTPError

    try:
        head = fetch(pocket.release, largest=4096).decode("utf-8", "replace")
    except HTTPError as error:
        if error.code >= SERVER_ERROR:
            raise FetchFailed(
                f"the mirror {pocket.url} answers {error.code} {error.reason}",
                evidence=[pocket.release],
                hint="try again later, or name another mirror",
            ) from error
        raise HostLacks(
            f"{pocket.url} has no archive {pocket.suite}",
            evidence=[f"{pocket.release}: {error.code} {error.reason}"],
            hint="choose another snapshot, or a base that the mirror still has",
        ) from error
    except OSError as error:
        raise FetchFailed(
            f"the mirror {pocket.url} does not answer",
            evidence=[f"{pocket.release}: {getattr(error, 'reason', error)}"],
            hint="check the network; behind a proxy, set http_proxy",
        ) from error
    dates = [line.partition(":")[2] for line in head.splitlines() if line.startswith("Date:")]
    if not dates:
        raise HostLacks(
            f"{pocket.url} does not look like a mirror",
            evidence=[f"{pocket.release} has no date", *head.splitlines()[:5]],
            hint="is a captive portal or proxy in between?",
        )
    return parsedate_to_datetime(dates[0].strip())
