"""The catalogue of bases: names, dates, sources, and what is said where one cannot be made."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from provision.bases import catalogue as room
from provision.bases import distributions
from provision.bases.catalogue import (
    NoSnapshot,
    UnknownBase,
    aliases,
    archive,
    catalogue,
    find,
)
from provision.bases.root import archive_time, make_root
from provision.errors import HostLacks
from provision.fetch_errors import FetchFailed
from provision.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provision.bases.archive import Archive

NOON = "20261101T120000Z"


def debian_archive() -> Archive:
    found = archive(find("debian:12"))
    assert found is not None
    return found


def test_the_catalogue_names_what_it_promises() -> None:
    promised = {"debian:11", "debian:12", "debian:13", "ubuntu:22.04", "ubuntu:24.04"}
    promised |= {"rocky:9", "alma:9"}
    assert promised <= set(catalogue())
    assert {name.partition(":")[0] for name in catalogue()} >= {"fedora", "alpine"}


@pytest.mark.parametrize("name", catalogue())
def test_every_base_says_where_it_is_had(name: str) -> None:
    base = catalogue()[name]
    assert base.name == name
    assert base.image.endswith(f":{name.partition(':')[2]}")
    assert base.box
    assert base.family in {"apt", "dnf", "apk"}
    assert (archive(base) is not None) == bool(base.suite and base.mirror and base.components)


def test_an_alias_is_another_name_of_the_same_base() -> None:
    assert find("debian:bookworm") is find("debian:12")
    assert set(aliases().values()) <= set(catalogue())
    assert not set(aliases()) & set(catalogue())


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("debain:12", "debian:12"),
        ("Debian:12", "debian:12"),
        ("debian", "debian:13"),
        ("debian:sid", "debian:13"),
        ("ubuntu:2404", "ubuntu:24.04"),
        ("rockylinux", "rockylinux:9"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(UnknownBase) as caught:
        find(wrong)
    assert nearest in caught.value.nearest
    assert caught.value.name == wrong
    assert caught.value.known == tuple(catalogue())


def test_a_name_like_no_other_has_no_nearest() -> None:
    with pytest.raises(UnknownBase) as caught:
        find("../../etc/passwd")
    assert caught.value.nearest == ()


def test_a_dated_base_has_an_image_of_its_own_and_a_dated_mirror() -> None:
    today, dated = find("debian:12"), find("debian:bookworm", NOON)
    assert dated == replace(
        today,
        image=f"provision/debian:12-{NOON}",
        box=None,
        mirror=f"http://snapshot.debian.org/archive/debian/{NOON}",
        snapshot=NOON,
    )


@pytest.mark.parametrize(
    "snapshot", ["", "2026-11-01", "20261301T000000Z", "2026111T000000Z", "20261101T000000", "x"]
)
def test_a_snapshot_that_is_no_time_is_refused(snapshot: str) -> None:
    with pytest.raises(NoSnapshot) as caught:
        find("debian:12", snapshot)
    assert repr(snapshot) in str(caught.value)
    assert caught.value.hint == "write it as 20261101T000000Z"


def test_a_distribution_without_dated_archives_says_which_have_them() -> None:
    with pytest.raises(NoSnapshot, match=r"fedora:43 has no dated archive") as caught:
        find("fedora:43", NOON)
    assert "debian:12" in caught.value.hint
    assert "fedora" not in caught.value.hint


def test_the_sources_are_release_updates_and_security() -> None:
    key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert debian_archive().sources(find("debian:12")) == (
        f"deb {key} http://deb.debian.org/debian bookworm main\n"
        f"deb {key} http://deb.debian.org/debian bookworm-updates main\n"
        f"deb {key} http://deb.debian.org/debian-security bookworm-security main\n"
    )


def test_dated_sources_may_have_expired_and_are_all_of_that_day() -> None:
    for line in debian_archive().sources(find("debian:12", NOON)).splitlines():
        assert "check-valid-until=no" in line
        assert f"snapshot.debian.org/archive/debian{'-security' * ('-security' in line)}/{NOON}" in line


def test_a_new_distribution_is_one_file_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "void.py").write_text(
        "from provision.model import Base\n"
        'BASES = (Base(name="void:1", family="apk", image="void:1"),)\n'
        'ALIASES = {"void": "void:1"}\n'
    )
    caches = (room._distributions, room.catalogue, room.aliases)
    with monkeypatch.context() as patch:
        patch.setattr(distributions, "__path__", [*distributions.__path__, str(tmp_path)])
        for cached in caches:
            cached.cache_clear()
        assert find("void").image == "void:1"
    for cached in caches:
        cached.cache_clear()
    with pytest.raises(UnknownBase):
        find("void")


@contextmanager
def mirror_that_answers(code: int, body: str) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/debian"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_mirror_without_the_archive_is_named_with_its_answer() -> None:
    with mirror_that_answers(404, "") as mirror, pytest.raises(HostLacks) as caught:
        archive_time(replace(find("debian:12"), mirror=mirror))
    assert caught.value.message == f"{mirror} has no archive bookworm"
    assert "404" in caught.value.evidence[0]


def test_a_portal_is_not_taken_for_a_mirror() -> None:
    with (
        mirror_that_answers(200, "<html>log in</html>") as mirror,
        pytest.raises(HostLacks) as caught,
    ):
        archive_time(replace(find("debian:12"), mirror=mirror))
    assert caught.value.message == f"{mirror} does not look like a mirror"
    assert "<html>log in</html>" in caught.value.evidence


def test_a_mirror_that_is_not_there_does_not_answer() -> None:
    with pytest.raises(FetchFailed) as caught:
        archive_time(replace(find("debian:12"), mirror="http://127.0.0.1:1/debian"))
    assert caught.value.message == "the mirror http://127.0.0.1:1/debian does not answer"
    assert caught.value.evidence
    assert caught.value.exit_code == 1


def test_a_mirror_that_fails_is_named_with_its_answer() -> None:
    with mirror_that_answers(503, "") as mirror, pytest.raises(FetchFailed) as caught:
        archive_time(replace(find("debian:12"), mirror=mirror))
    assert caught.value.message.startswith(f"the mirror {mirror} answers 503 ")


def test_what_only_a_registry_has_is_not_made() -> None:
    with pytest.raises(HostLacks, match="fedora:43 is only available from a registry"):
        archive_time(find("fedora:43"))


def test_without_mmdebstrap_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostLacks, match="mmdebstrap is missing") as caught:
        make_root(
            find("debian:12"),
            tmp_path / "root.tar",
            Silent(),
            time=datetime(2026, 11, 1, tzinfo=UTC),
        )
    assert "apt-get install mmdebstrap" in caught.value.hint
