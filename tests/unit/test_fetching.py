"""Downloads of our own, from mirrors that stall, break off, fail and lie."""

from __future__ import annotations

import lzma
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

from provision import fetching
from provision.bases.catalogue import find
from provision.bases.root import archive_time
from provision.fetch_errors import FetchFailed
from provision.fetching import fetch
from provision.lockfile import archive
from tests.mirrors import answering, stalling

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mirrors import Answer

TIMES = 1 + fetching.RETRIES
BODY = b"a package\n" * 1000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(fetching, "PAUSE", 0.01)


def always(status: int, body: bytes = b"", length: int | None = None) -> Callable[[str, int], Answer]:
    return lambda _path, _count: (status, body, len(body) if length is None else length)


def then_good(first: Answer) -> Callable[[str, int], Answer]:
    return lambda _path, count: first if count == 1 else (200, BODY, len(BODY))


@pytest.mark.parametrize(
    "first",
    [(503, b"", 0), (500, b"", 0), (429, b"", 0), (200, BODY[:100], len(BODY)), (200, b"", len(BODY))],
    ids=["503", "500", "429", "broken off", "broken off at once"],
)
def test_what_fails_once_is_tried_again(first: Answer) -> None:
    with answering(then_good(first)) as (url, asked):
        assert fetch(f"{url}/file") == BODY
    assert asked == ["/file", "/file"]


@pytest.mark.parametrize(
    ("status", "times"),
    [(404, 1), (403, 1), (410, 1), (503, TIMES), (429, TIMES)],
)
def test_a_status_is_final_if_the_server_means_it(status: int, times: int) -> None:
    with answering(always(status)) as (url, asked), pytest.raises(HTTPError) as caught:
        fetch(url)
    assert caught.value.code == status
    assert len(asked) == times


def test_what_is_broken_off_each_time_is_never_taken_for_whole() -> None:
    with (
        answering(always(200, BODY[:-1], len(BODY))) as (url, asked),
        pytest.raises(OSError, match=f"breaks off after {len(BODY) - 1} bytes"),
    ):
        fetch(url)
    assert len(asked) == TIMES


def test_a_mirror_that_stalls_is_given_up_in_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with stalling() as (url, called), pytest.raises(TimeoutError):
        fetch(url)
    assert len(called) == TIMES
    monkeypatch.setattr(fetching, "ENOUGH", 0.1)
    begun = time.monotonic()
    with stalling() as (url, called), pytest.raises(TimeoutError):
        fetch(url)
    assert len(called) == 1  # it took its time already
    assert time.monotonic() - begun < 10


def test_a_base_from_a_mirror_that_stalls_names_the_mirror() -> None:
    with stalling() as (url, _), pytest.raises(FetchFailed) as caught:
        archive_time(replace(find("debian:12"), mirror=f"{url}/debian"))
    assert caught.value.message == f"the mirror {url}/debian does not answer"
    assert "timed out" in caught.value.evidence[0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (always(503), "503 Service Unavailable"),
        (always(404), "there is no such index"),
        (always(200, b"not an archive"), "it is damaged: "),
        (always(200, lzma.compress(BODY)[:-20]), "it is damaged: "),
        (always(200, BODY[:10], len(BODY)), "breaks off after 10 bytes"),
    ],
    ids=["503", "404", "no archive", "truncated archive", "broken off"],
)
def test_an_index_that_cannot_be_read_is_an_error(answer: Callable[[str, int], Answer], reason: str) -> None:
    with answering(answer) as (url, _), pytest.raises(FetchFailed) as caught:
        archive._fetch(f"{url}/Packages")
    assert caught.value.message == "the mirror does not give its index"
    assert reason in caught.value.evidence[0]
    assert url in caught.value.evidence[0]


def test_an_index_is_read_after_a_failure() -> None:
    packed = lzma.compress(BODY)
    with answering(lambda _, count: (503, b"", 0) if count == 1 else (200, packed, len(packed))) as (url, _):
        assert archive._fetch(f"{url}/Packages") == BODY.decode()
