"""What builds print, and the errors that follow: each family of packages, both forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision import spec
from provision.backends.build_problems import refuse_found
from provision.errors import ProvisionError, SpecError
from provision.fetch_errors import FetchFailed, find_failures

if TYPE_CHECKING:
    from pathlib import Path

    from provision.model import Environment

NO_PACKAGE = "provision: no package curl: cupsd curlew curlftpfs libcurl4"
RESOLVE = "W: Failed to fetch http://m.example/debian/dists/x/InRelease  Could not resolve 'm.example'"
REFUSED = (
    "W: Failed to fetch http://deb.example/debian/dists/x/InRelease  "
    "Could not connect to 10.0.0.1:9 (10.0.0.1). - connect (111: Connection refused)"
)
NO_ANSWER = {
    "apt resolves no mirror": (RESOLVE, "the mirror http://m.example does not answer"),
    "apt connects to no mirror": (
        ("W: Failed to fetch http://10.0.0.1:9/debian/dists/x/InRelease  "
        "Could not connect to 10.0.0.1:9 (10.0.0.1). - connect (111: Connection refused)"),
        "the mirror http://10.0.0.1:9 does not answer",
    ),
    "apt connects to no proxy": (
        REFUSED, "the proxy 10.0.0.1:9, used for http://deb.example, does not answer",
    ),
    "apt resolves no proxy": (
        "W: Failed to fetch http://deb.example/dists/x/InRelease  Could not resolve 'proxy.example'",
        "the proxy proxy.example, used for http://deb.example, does not answer",
    ),
    "apt's mirror fails": (
        "E: Failed to fetch http://deb.example/pool/a.deb  502  Bad Gateway [IP: 10.0.0.1 80]",
        "the mirror http://deb.example answers 502 Bad Gateway",
    ),
    "apt times out": (
        "E: Failed to fetch http://deb.example/pool/a.deb  Connection timed out [IP: 10.0.0.1 80]",
        "the mirror http://deb.example does not answer",
    ),
    "apt gets another file": (
        "E: Failed to fetch http://deb.example/pool/a.deb  Hash Sum mismatch",
        "the mirror http://deb.example gives a file that is not the one of its index",
    ),
    "apt gets half a file": (
        ("E: Failed to fetch http://deb.example/pool/a.deb  File has unexpected size (100 != 728). "
        "Mirror sync in progress? [IP: 10.0.0.1 80]"),
        "the mirror http://deb.example gives a file that is not the one of its index",
    ),
    "apt's proxy refuses": (
        ("W: Failed to fetch https://deb.example/dists/x/InRelease  "
        "Invalid response from proxy: HTTP/1.1 502 Bad Gateway [IP: 10.0.0.1 3142]"),
        "the proxy refuses to connect to https://deb.example: *",
    ),
    "apk": (
        "WARNING: Ignoring https://apk.example/v3/main: temporary error (try again later)",
        "the mirror https://apk.example does not answer",
    ),
    "apk, fatal": (
        "ERROR: https://apk.example/v3/main/x86_64/APKINDEX.tar.gz: network error (check Internet)",
        "the mirror https://apk.example does not answer",
    ),
    "dnf connects to no mirror": (
        ("  - Curl error (7): Couldn't connect to server for http://dnf.example/repomd.xml "
        "[Failed to connect to dnf.example port 80: Connection refused]"),
        "the mirror http://dnf.example does not answer",
    ),
    "dnf connects to no proxy": (
        ("  - Curl error (7): Couldn't connect to server for http://dnf.example/repomd.xml "
        "[Failed to connect to 10.0.0.1 port 9: Connection refused]"),
        "the proxy 10.0.0.1:9, used for http://dnf.example, does not answer",
    ),
    "dnf resolves no mirror": (
        ("Error: Failed to download metadata for repo 'a': Cannot prepare list: Curl error (6): "
        "Couldn't resolve host name for https://dnf.example/list?a [Could not resolve host: dnf.example]"),
        "the mirror https://dnf.example does not answer",
    ),
    "dnf times out": (
        ("  - Curl error (28): Timeout was reached for https://dnf.example/repomd.xml [Connection timed out "
        "after 30000 milliseconds]"),
        "the mirror https://dnf.example does not answer",
    ),
}  # fmt: skip
ANSWERED = (
    "E: Failed to fetch http://deb.example/pool/a.deb  404  Not Found [IP: 10.0.0.1 80]",
    "W: Failed to fetch http://deb.example/dists/x/InRelease  404  Not Found [IP: 10.0.0.1 80]",
    "W: Failed to fetch http://deb.example/InRelease  The signatures aren't valid: NO_PUBKEY 511904AC58",
    "  - Status code: 404 for http://dnf.example/repomd.xml (IP: 10.0.0.1)",
    "ERROR: unable to select packages:",
    "Ign:1 http://deb.example/debian bookworm InRelease",
)


def container(*lines: str) -> list[str]:
    """As BuildKit's log has them: a step before, the step that failed, its end once more."""
    return [
        "#6 0.100 " + REFUSED,
        "#6 DONE 0.2s",
        *(f"#7 1.000 {line}" for line in lines),
        '#7 ERROR: process "/bin/sh -c sh steps/020-packages.sh" did not complete: exit code: 100',
        "------",
        *(f"1.000 {line}" for line in lines),
    ]


def machine(*lines: str) -> list[str]:
    """As a machine says it that takes its steps itself."""
    return ["==> 010-system: its system", REFUSED, "==> 020-packages: packages", *lines]


FORMS = {"container": container, "machine": machine}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    file = tmp_path / "provision.yaml"
    file.write_text("version: 1\nname: x\nbase: debian:12\npackages: [curl]\n")
    return spec.load(file, backend="docker")


def refused(lines: list[str], environment: Environment) -> ProvisionError | None:
    try:
        refuse_found(lines, environment.machines)
    except ProvisionError as error:
        return error
    return None


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", NO_ANSWER)
def test_a_mirror_that_does_not_answer_is_no_problem_of_the_spec(
    environment: Environment, form: str, case: str
) -> None:
    line, message = NO_ANSWER[case]
    error = refused(FORMS[form](line, NO_PACKAGE), environment)
    assert isinstance(error, FetchFailed)
    assert error.exit_code == 1
    assert error.message.startswith(message.rstrip("*"))
    assert message.endswith("*") or error.message == message
    assert error.evidence == (line.strip(),)
    assert error.hint


@pytest.mark.parametrize("form", FORMS)
def test_a_package_that_is_nowhere_is_a_problem_at_its_place(environment: Environment, form: str) -> None:
    error = refused(FORMS[form]("E: Unable to locate package curl", NO_PACKAGE), environment)
    assert isinstance(error, SpecError)
    assert error.exit_code == 2
    assert [(p.message, p.origin.line) for p in error.problems] == [("debian:12 has no package curl", 4)]
    assert error.problems[0].hint == "did you mean curlew?"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("line", ANSWERED)
def test_a_mirror_that_answers_is_not_blamed(environment: Environment, form: str, line: str) -> None:
    assert find_failures([line]) == ()
    assert refused(FORMS[form](line), environment) is None


@pytest.mark.parametrize("form", FORMS)
def test_a_mirror_is_named_where_a_package_of_ours_is_not_found(environment: Environment, form: str) -> None:
    error = refused(FORMS[form](RESOLVE, "E: Unable to locate package qemu-utils"), environment)
    assert isinstance(error, FetchFailed)
    assert error.message == "the mirror http://m.example does not answer"


@pytest.mark.parametrize("form", FORMS)
def test_a_warning_alone_is_not_why_a_step_failed(environment: Environment, form: str) -> None:
    assert refused(FORMS[form](RESOLVE, "the user's own script failed"), environment) is None
