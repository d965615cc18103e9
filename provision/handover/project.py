"""The project's folder on another host: a copy that follows this one."""

from __future__ import annotations

import hashlib
import secrets
import shlex
import threading
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from provision import changes, process, records, resources
from provision.errors import EnvironmentFailed, ProvisionError
from provision.lock import hold
from provision.quick_dataclasses import dataclass
from provision.state import person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provision.handover.connection import Connection
    from provision.progress import Progress

FOLDER = ".local/share/provision/projects"  # in the home folder there


@dataclass(frozen=True, kw_only=True)
class SentRecord:
    """What a copy has: the mark that lies beside it, and what tells each path apart."""

    mark: str
    paths: Mapping[str, str]


class Copy:
    """The copy of a project on another host.

    What is only in the copy stays: a machine may have made it there.
    """

    def __init__(self, project: Path, connection: Connection) -> None:
        key = hashlib.sha256(f"{person()}\0{project}\0{connection.address}".encode()).hexdigest()[:16]
        self._project, self._connection = project, connection
        beside = f"{FOLDER}/{key}"
        self.folder = PurePosixPath(beside, project.name or "project")
        self.mark_file = f"{beside}/mark"
        self._record = resources.cache() / "handed-over" / f"{key}.json"
        self._mark = ""

    def found(self, mark: str) -> None:
        """Take what is in `mark_file`: the mark of the copy that is there."""
        self._mark = mark

    @property
    def is_there(self) -> bool:
        """Whether there is a copy."""
        return bool(self._mark)

    def send(self, progress: Progress) -> None:
        """Send what has changed since it was last sent.

        Raises:
            EnvironmentFailed: something cannot be read here, or written there.
        """
        self._record.parent.mkdir(parents=True, exist_ok=True)
        with hold(self._record.with_suffix(".lock"), progress, holder=lambda: "another copy"):
            try:
                with progress.wait(f"copying {self._project.name} to {self._connection.host}"):
                    self._send()
            except (process.CommandFailed, OSError) as error:
                raise EnvironmentFailed(
                    f"{self._project} cannot be copied to {self._connection.host}",
                    evidence=error.evidence if isinstance(error, process.CommandFailed) else [str(error)],
                    hint="the next try sends what is missing",
                ) from error

    def _send(self) -> None:
        sent = self._load()
        mark, folder = self._mark or secrets.token_hex(8), shlex.quote(str(self.folder))

        def remove(paths: Sequence[str]) -> None:
            self._connection.run(f"cd {folder} && set -- {shlex.join(paths)} && {changes.REMOVE}")

        def receive(write: Callable[[IO[bytes]], None]) -> None:
            self._connection.feed(
                f"umask 077 && mkdir -p {folder} && tar -xpf - --no-same-owner -C {folder}"
                f" && echo {mark} >{self.mark_file}",
                write,
            )

        former = sent.paths if sent is not None and sent.mark == self._mark else None
        now = changes.send(self._project, former, remove=remove, receive=receive)
        if now is not None:
            records.save(self._record, SentRecord(mark=mark, paths=now))
            self._mark = mark

    def _load(self) -> SentRecord | None:
        try:
            return records.load(self._record, SentRecord)
        except records.DamagedRecord:
            return None

    @contextmanager
    def watching(self, progress: Progress) -> Iterator[None]:
        """Meanwhile each change is sent as it is made."""
        from watchfiles import watch

        ended = threading.Event()

        def send() -> None:
            for _ in watch(self._project, stop_event=ended, watch_filter=None):
                try:
                    self.send(progress)
                except ProvisionError as error:  # the next change sends it too
                    progress.note(f"{error.message}: {'; '.join(error.evidence)}")

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(5)
