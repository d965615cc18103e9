"""Downloads from mirrors: how long each is waited for, and what is tried again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

ANSWER_WITHIN = 20  # seconds in which a mirror has to send something more; package managers get it too
RETRIES = 2  # of each file, after the first time
PAUSE = 1.0  # seconds before the first of them, and twice as long before the next
ENOUGH = 30.0  # seconds after which nothing is tried again: a mirror that stalls takes its time each time
SERVER_ERROR, TOO_MANY = 500, 429


class Broken(OSError):
    """The connection ended before the answer did."""


def fetch(url: str, *, largest: int | None = None) -> bytes:
    """What a URL answers, whole, or its first `largest` bytes.

    A server that fails, breaks off or does not answer is asked again.

    Raises:
        urllib.error.HTTPError: the status that the server answers; closed.
        OSError: it does not answer, or breaks off.
    """
    from urllib.error import HTTPError
    from urllib.request import build_opener

    begun = time.monotonic()
    # An opener of its own asks the environment for a proxy, and asks it now.
    opener = build_opener()
    for attempt in range(RETRIES + 1):
        last = attempt == RETRIES
        try:
            return _read(opener, url, largest)
        except HTTPError as error:
            error.close()  # it is an open answer too
            if last or (error.code < SERVER_ERROR and error.code != TOO_MANY):
                raise
        except OSError:
            if last or time.monotonic() - begun > ENOUGH:
                raise
        time.sleep(PAUSE * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _read(opener: OpenerDirector, url: str, largest: int | None) -> bytes:
    from http.client import HTTPException, IncompleteRead

    try:
        with opener.open(url, timeout=ANSWER_WITHIN) as answer:
            data: bytes = answer.read() if largest is None else answer.read(largest)
    except IncompleteRead as error:
        raise Broken(f"the answer breaks off after {len(error.partial)} bytes") from error
    except HTTPException as error:
        raise Broken(f"the answer is no HTTP: {error!r}") from error
    return data
