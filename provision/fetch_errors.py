"""What apt, apk and dnf say when a mirror or a proxy does not answer, as an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision.errors import EnvironmentFailed
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHOWN = 5

# The URL that was asked for, and why it could not be had.
_SAID = (
    re.compile(r"(?P<fatal>[EW]): Failed to fetch (?P<url>\w+://\S+)\s+(?P<why>\S.*)"),  # apt
    re.compile(
        r"(?:ERROR|WARNING): (?:Ignoring |fetching |updating and opening )?(?P<url>https?://\S+?): "
        r"(?P<why>temporary error.*|network error.*|DNS .*|could not connect.*|\w*operation timed out.*"
        r"|connection (?:refused|aborted|reset).*|.*unreachable.*|TLS: .*)"
    ),  # apk
    re.compile(r"(?P<why>Curl error \(\d+\): .+?) for (?P<url>\w+://\S+)(?P<more> \[.*\])?"),  # dnf
    re.compile(r"(?P<why>Status code: 5\d\d) for (?P<url>\w+://\S+)"),  # dnf
)
# What the mirror itself said of a file: it answers.
_ANSWERED = re.compile(r"\b(?:404|410)\b|sign(?:ed|ature)|NO_PUBKEY", re.IGNORECASE)
# It gave another file than its index promises, of another size or content.
_DAMAGED = re.compile(r"Hash Sum mismatch|size mismatch|unexpected size", re.IGNORECASE)
_REFUSED = re.compile(r"\b(5\d\d|403|407) +([A-Z][\w ]+?)(?: {2,}| \[|$)|Status code: (5\d\d)")
# Whom it tried to reach: a host other than the URL's is a proxy.
_TRIED = re.compile(
    r"(?:Could not|Unable to|Failed to|Cannot) (?:connect to|resolve(?: host:| proxy:)?) "
    r"'?(?P<host>\[[^\]]+\]|[^\s:'\]]+)(?:(?::| port )(?P<port>\d+))?"
)
_BY_PROXY = re.compile(r"from proxy|proxy CONNECT|CONNECT tunnel failed", re.IGNORECASE)


class FetchFailed(EnvironmentFailed):
    """A mirror or proxy did not give what a build needs."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One URL that could not be fetched; `fatal` where the package manager gave up for it."""

    url: str
    reason: str
    fatal: bool
    line: str

    @property
    def message(self) -> str:
        """Who did not answer, in a sentence without a full stop."""
        parts = urlsplit(self.url)
        mirror = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        tried = _TRIED.search(self.reason)
        refused = _REFUSED.search(self.reason)
        if _DAMAGED.search(self.reason):
            return f"the mirror {mirror} gives a file that is not the one of its index"
        if _BY_PROXY.search(self.reason):
            return f"the proxy refuses to connect to {mirror}: {self.reason}"
        if tried and tried["host"].strip("[]") != parts.hostname:
            proxy = tried["host"] + (f":{tried['port']}" if tried["port"] else "")
            return f"the proxy {proxy}, used for {mirror}, does not answer"
        if refused:
            status = f"{refused[1]} {refused[2]}" if refused[1] else refused[3]
            return f"the mirror {mirror} answers {status}"
        return f"the mirror {mirror} does not answer"


def find_failures(lines: Iterable[str]) -> tuple[Failure, ...]:
    """The mirrors and proxies that did not answer, by what a package manager printed."""
    failures = []
    for line in lines:
        for pattern in _SAID:
            match = pattern.search(line)
            if match is None:
                continue
            groups = match.groupdict()
            reason = groups["why"] + (groups.get("more") or "")
            if not _ANSWERED.search(reason):
                fatal = groups.get("fatal", "E") == "E" and "WARNING:" not in line
                failures.append(Failure(url=groups["url"], reason=reason, fatal=fatal, line=line.strip()))
            break
    return tuple(failures)


def fetch_failed(failures: Sequence[Failure], log: str = "") -> FetchFailed:
    """The error for what could not be fetched; there is one failure at least."""
    lines = dict.fromkeys(failure.line for failure in failures)
    return FetchFailed(
        failures[0].message,
        evidence=list(lines)[:SHOWN],
        hint="check the network, and `proxy` in the spec or your own configuration, then try again"
        + (f"; full log: {log}" if log else ""),
    )
