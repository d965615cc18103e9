"""Mirrors on bad days, in the build of either form: an error in a bounded time that says what it is."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from provision.bases.catalogue import find
from provision.bases.image import ensure_image
from provision.progress import Silent
from tests.contract.test_packages import make_package, run
from tests.mirrors import answering, stalling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Project
    from tests.mirrors import Answer

SECONDS = 1  # that apt waits, by the base's own configuration: it goes before provision's
STALLED = "provision-test-stalled:1"
# Two attempts more than the first, for each of three indexes; the rest is for a busy host.
BOUND = 3 * 3 * (SECONDS + 1) + 60


@pytest.fixture(scope="module")
def stalled() -> Iterator[tuple[str, str]]:
    """An image whose mirror accepts every connection and never answers; and that mirror."""
    ensure_image(find("debian:12"), Silent())
    with stalling("") as (url, _):
        dockerfile = f"""
        FROM debian:12
        RUN rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/* && \
            echo 'deb [trusted=yes] {url}/debian bookworm main' >/etc/apt/sources.list && \
            echo 'Acquire::http::Timeout "{SECONDS}";' >/etc/apt/apt.conf.d/99short
        """
        words = ["docker", "build", "--quiet", "--tag", STALLED, "-"]
        subprocess.run(words, input=dockerfile.encode(), check=True, capture_output=True)
        try:
            yield STALLED, url
        finally:
            subprocess.run(["docker", "rmi", "--force", STALLED], check=False, capture_output=True)


def test_a_mirror_that_never_answers_is_named_in_a_bounded_time(
    own: Project, backend: str, stalled: tuple[str, str]
) -> None:
    image, url = stalled
    packages = "[hello]" if backend == "docker" else "[]"  # a machine needs some of its own
    own.spec(f"""
        version: 1
        name: stalled
        base: {{image: "{image}", family: apt}}
        packages: {packages}
    """)
    begun = time.monotonic()
    said = own.run("up")
    assert said.code == 1, said.all
    assert f"error: the mirror {url} does not answer" in said.stderr
    assert time.monotonic() - begun < BOUND


class Repository:
    """A flat repository with one package, whose file is not what the index promises, or not at first."""

    def __init__(self, index: bytes, package: bytes, fault: str) -> None:
        self._index, self._package, self._fault = index, package, fault

    def answer(self, path: str, count: int) -> Answer:
        if path.endswith("/Packages"):
            return 200, self._index, len(self._index)
        if not path.endswith(".deb"):
            return 404, b"", 0
        whole = (200, self._package, len(self._package))
        return {
            "is not there": (404, b"", 0),
            "fails": (503, b"", 0),
            "breaks off once": (200, self._package[:100], len(self._package)) if count == 1 else whole,
            "breaks off": (200, self._package[:100], len(self._package)),
            "is another": (200, self._package[:-1] + b"?", len(self._package)),
            "is truncated": (200, self._package[:100], 100),
        }[self._fault]


# The error's first line; None where it is tried again, and good.
FAULTS = {
    "breaks off once": None,
    "fails": "the mirror URL answers 503 Service Unavailable",
    "is not there": "the step packages exited with code 100",
    "breaks off": "the mirror URL does not answer",
    "is another": "the mirror URL gives a file that is not the one of its index",
    "is truncated": "the mirror URL gives a file that is not the one of its index",
}


@pytest.mark.thorough
@pytest.mark.parametrize("fault", FAULTS)
def test_a_package_that_cannot_be_had_whole_is_never_installed(
    own: Project, tmp_path_factory: pytest.TempPathFactory, fault: str
) -> None:
    folder = tmp_path_factory.mktemp("repository")
    version = f"1.{time.time_ns()}"  # which no cache of packages has
    make_package(folder, "hello-fault", version, "#!/bin/sh\necho hello\n")
    index = run("dpkg-scanpackages", "--multiversion", ".", cwd=folder)
    repository = Repository(index, next(folder.glob("*.deb")).read_bytes(), fault)
    with answering(repository.answer, "") as (url, asked):
        own.spec(f"""
            version: 1
            name: faults
            base: debian:12
            run:
              - name: repository
                before: packages
                script: echo 'deb [trusted=yes] {url}/ ./' >/etc/apt/sources.list.d/faults.list
            packages: [hello-fault]
        """)
        said = own.run("up", "--no-verify")
    fetched = [path for path in asked if path.endswith(".deb")]
    assert fetched
    expected = FAULTS[fault]
    if expected is None:
        assert said.code == 0, said.all
        assert own.inside("hello-fault") == "hello\n"
        assert len(fetched) == 2
        return
    assert said.code == 1, said.all
    assert f"error: {expected.replace('URL', url)}" in said.stderr, said.all
