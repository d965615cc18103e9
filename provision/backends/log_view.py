"""Which lines of the services' logs are wanted, and how they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from provision.quick_dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LogView:
    """Which lines of the logs to show; all of them by default.

    Args:
        follow: go on with the lines to come.
        tail: of those that are there, only so many last ones of each machine.
        since: only what was written at this time or later, in seconds of the epoch.
        timestamps: each line begins with when it was written.
    """

    follow: bool = False
    tail: int | None = None
    since: float | None = None
    timestamps: bool = False


ALL = LogView()


def stamped(line: str, label: str, microseconds: int, view: LogView) -> str:
    """A line as it is shown: its service's name if it has one, then its time if wanted."""
    time = ""
    if view.timestamps:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
        time = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z "
    return f"{label} | {time}{line}" if label else f"{time}{line}"
