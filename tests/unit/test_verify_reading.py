"""What is read from inside: sockets, processes, answers, differences."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from provision.model import Check, Expected, Origin, Result
from provision.verify import accounts
from provision.verify.files import _difference
from provision.verify.http import Answer, Request
from provision.verify.packages import _agrees
from provision.verify.report import as_json, as_junit, write_junit
from provision.verify.sockets import _sockets, wanted
from provision.verify.values import (
    Unanswered,
    mode_problems,
    shortened,
    text_problems,
    value_problems,
)

if TYPE_CHECKING:
    from pathlib import Path

TABLES = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101
   2: 0100007F:18EB 0100007F:A0B2 01 00000000:00000000 00:00000000 00000000   101
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0
   1: 00000000000000000000000001000000:18EB 00000000000000000000000000000000:0000 0A 0
   2: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 0
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
  10: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0
"""


def test_sockets_that_listen() -> None:
    assert [str(socket) for socket in _sockets(TABLES)] == [
        "tcp://0.0.0.0:8080",
        "tcp://127.0.0.1:6379",
        "tcp://[::]:80",
        "tcp://[::1]:6379",
        "tcp://127.0.0.1:8081",
        "udp://0.0.0.0:53",
    ]
    everywhere, here, *_ = _sockets(TABLES)
    assert everywhere.takes("tcp", "127.0.0.1", 8080)
    assert here.takes("tcp", None, 6379)
    assert not here.takes("tcp", "10.0.0.1", 6379)
    assert not here.takes("udp", None, 6379)
    assert here.local
    assert not everywhere.local


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8080", ("tcp", None, 8080)),
        ("53/udp", ("udp", None, 53)),
        ("tcp://22", ("tcp", None, 22)),
        ("tcp://127.0.0.1:22", ("tcp", "127.0.0.1", 22)),
        ("udp://[::1]:53", ("udp", "::1", 53)),
    ],
)
def test_ports_as_they_are_written(text: str, expected: object) -> None:
    assert wanted(text) == expected


def test_no_port() -> None:
    with pytest.raises(ValueError, match="web is not a port"):
        wanted("web")


def test_requests() -> None:
    request = Request.of("http://localhost:8080/a?b=c#d")
    assert (request.host, request.port, request.tls) == ("localhost", 8080, False)
    assert request.text.startswith("GET /a?b=c HTTP/1.0\r\nHost: localhost:8080\r\n")
    assert Request.of("https://[::1]").port == 443
    for bad in ("localhost:8080", "ftp://x/", "http://x:99999/", "http:///path"):
        with pytest.raises(Unanswered):
            Request.of(bad)


def test_answers() -> None:
    answer = Answer.of(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nbody\r\n\r\nrest")
    assert answer == Answer(status=200, headers={"content-type": "text/plain"}, body=b"body\r\n\r\nrest")
    chunked = Answer.of(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n2;x=y\r\n !\r\n0\r\n\r\n"
    )
    assert chunked is not None
    assert chunked.body == b"hello !"
    cut = Answer.of(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\nX-A: 1\r\n\r\nhel")
    assert cut == Answer(status=200, headers={"content-length": "9", "x-a": "1"}, body=b"hel")
    again = Answer.of(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    assert again is not None
    assert again.status == 204
    for nonsense in (b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 hello\r\n\r\n"):
        assert Answer.of(nonsense) is None


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        (b"a\nb\n", b"a\nc\n", 'line 2 is "b", expected "c"'),
        (b"a\n", b"a\nb\n", 'it ends before line 2, expected "b"'),
        (b"", b"a", 'it ends before line 1, expected "a"'),
        (b"a\nb\n", b"a\n", 'line 2 is "b", expected the end of the file'),
        (b"a", b"a\n", "its last line has no newline, expected one"),
        (b"a\n", b"a", "its last line has a newline, expected none"),
        (b"a\r\n", b"a\n", 'line 1 is "a\\x0d", expected "a"'),
        (b"\0\1", b"\0", "content differs (2 bytes, expected 1)"),
        (b"\xff\n", b"\xfe\n", 'line 1 is "\\\\xff", expected "\\\\xfe"'),
    ],
)
def test_differences_of_files(found: bytes, expected: bytes, said: str) -> None:
    assert _difference(found, len(found), expected) == said


@pytest.mark.parametrize(
    ("found", "expected", "agrees"),
    [
        ("7.0.15-1~deb12u1", "7", True),
        ("7.0.15-1~deb12u1", "7.0.15-1~deb12u1", True),
        ("5:7.0.15-1", "7.0", True),
        ("5:7.0.15-1", "5:7.0", True),
        ("7.0.15-1", "7.0*", True),
        ("7.0.15-1", "7.0.1", False),
        ("17.0", "7", False),
        ("7.0", "", False),
    ],
)
def test_versions(found: str, expected: str, agrees: bool) -> None:
    assert _agrees(found, expected) is agrees


def expected(how: str, text: str) -> Expected:
    return Expected(how=how, text=text)  # type: ignore[arg-type]


def test_texts() -> None:
    assert [*text_problems("stdout", "one\ntwo\n", "one")] == []
    assert [*text_problems("stdout", "one\n", expected("equals", "one"))] == []
    assert [*text_problems("stdout", "one\ntwo\n", expected("matches", "^two$"))] == []
    assert [*text_problems("stdout", "one\n\n", expected("equals", "one"))] != []
    assert [*text_problems("stdout", "PONG", expected("lacks", "ON"))] == [
        'stdout is "PONG", expected no "ON" in it'
    ]
    with pytest.raises(Unanswered, match="not a regular expression"):
        [*text_problems("stdout", "", expected("matches", "("))]


def test_values() -> None:
    assert [*value_problems("uid", "1000", 1000)] == []
    assert [*value_problems("groups", ["a", "b"], ("b",))] == []
    assert [*value_problems("groups", ["a"], ("b", "c"))] == ["groups: b, c missing in a"]
    assert [*value_problems("running", False, True)] == ["is not running"]
    assert [*mode_problems(0o640, "0640")] == [*mode_problems(0o640, 0o640)] == []
    assert [*mode_problems(0o4755, "0755")] == ["mode is 4755, expected 0755"]


def test_long_texts_are_shortened_and_stay_on_one_line() -> None:
    said = shortened("begin\n" + "x" * 10_000 + "\x1b[31mend")
    assert len(said) < 200
    assert said.startswith('"begin\\nxxx')
    assert said.endswith('\\x1b[31mend"')


RESULTS = (
    Result(machine="a", check="one", outcome="passed", message="", seconds=0.25),
    Result(machine="a", check="two & <2>", outcome="failed", message='is "\x00ü"', seconds=0.5),
    Result(machine="b", check="three", outcome="skipped", message="no kernel", seconds=0),
)


def test_json() -> None:
    report = json.loads(json.dumps(as_json("dev", "docker", RESULTS)))
    assert {key: report[key] for key in ("name", "backend", "passed", "failed", "skipped")} == {
        "name": "dev", "backend": "docker", "passed": 1, "failed": 1, "skipped": 1,
    }  # fmt: skip
    assert report["checks"][0] == {
        "machine": "a", "check": "one", "outcome": "passed", "message": "", "seconds": 0.25,
    }  # fmt: skip


def test_junit(tmp_path: Path) -> None:
    root = ET.fromstring(as_junit("dev", {"docker": RESULTS}))
    first, second = root.findall("testsuite")
    assert root.attrib == {
        "name": "dev (docker)", "tests": "3", "failures": "1", "errors": "0", "skipped": "1",
        "time": "0.7500",
    }  # fmt: skip
    assert (first.get("name"), first.get("tests"), second.get("skipped")) == (
        "docker: a", "2", "1",
    )  # fmt: skip
    case = first.findall("testcase")[1]
    assert (case.get("name"), case.get("classname")) == ("two & <2>", "dev.docker.a")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == failure.text == 'is "\N{REPLACEMENT CHARACTER}ü"'
    skipped = second.find("testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "no kernel"
    assert {p.get("name"): p.get("value") for p in first.iter("property")} == {
        "environment": "dev", "backend": "docker", "machine": "a",
    }  # fmt: skip
    write_junit(tmp_path / "deep" / "junit.xml", "dev", {"docker": RESULTS})
    assert ET.parse(tmp_path / "deep" / "junit.xml").getroot().tag == "testsuites"


@pytest.mark.parametrize(
    ("shell", "said"),
    [("/bin/sh", []), ("/bin/zsh", ["its shell /bin/zsh is not there: add its package, `packages: [zsh]`"])],
)
def test_a_shell_that_is_not_there_is_a_problem_of_its_user(shell: str, said: list[str]) -> None:
    there = {"/bin/sh"}
    asked = SimpleNamespace(exists=True, shell=shell)
    context = SimpleNamespace(
        host=SimpleNamespace(user=lambda _: asked),
        run=lambda text, **_: SimpleNamespace(code=int(text.split()[-1] not in there)),
    )
    check = Check(
        kind="user",
        subject="dev",
        fields={"shell": shell},
        name="user dev",
        origin=Origin(file="dev.yaml", line=1, column=1),
    )
    assert list(accounts.user(context, check)) == said  # type: ignore[arg-type]
