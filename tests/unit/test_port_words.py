"""What the words of `provision port` mean, and the lines that it prints."""

from __future__ import annotations

import click
import pytest

from provision.cli.port import lines, parse, select
from provision.model import PortStatus

WEB = PortStatus(guest=80, host=8080, address="127.0.0.1", protocol="tcp")
SIX = PortStatus(guest=80, host=8081, address="::1", protocol="tcp")
NAMES = PortStatus(guest=53, host=5353, address="127.0.0.1", protocol="udp")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((), (None, None)),
        (("80",), (None, (80, "tcp"))),
        (("80/tcp",), (None, (80, "tcp"))),
        (("53/udp",), (None, (53, "udp"))),
        (("65535",), (None, (65535, "tcp"))),
        (("web",), ("web", None)),
        (("web-1", "80"), ("web-1", (80, "tcp"))),
        (("web", "53/udp"), ("web", (53, "udp"))),
        (("7", "80"), ("7", (80, "tcp"))),  # the first of two is a machine
    ],
)
def test_the_words(words: tuple[str, ...], meant: object) -> None:
    assert parse(words) == meant


@pytest.mark.parametrize(
    "words", [("web", "http"), ("web", "db", "80"), ("0",), ("65536",), ("web", "80/sctp"), ("web", "80/")]
)
def test_what_is_no_port_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match=r"port \[SPEC\]|1 to 65535"):
        parse(words)


@pytest.mark.parametrize(
    ("ports", "wanted", "printed"),
    [
        ({"dev": (WEB, SIX, NAMES)}, (80, "tcp"), ["127.0.0.1:8080", "[::1]:8081"]),
        ({"dev": (WEB, NAMES)}, (53, "udp"), ["127.0.0.1:5353"]),
        ({"dev": (WEB, NAMES)}, (53, "tcp"), []),
        ({"dev": (WEB, NAMES)}, None, ["80/tcp -> 127.0.0.1:8080", "53/udp -> 127.0.0.1:5353"]),
        ({"a": (WEB,), "b": (NAMES,)}, (80, "tcp"), ["127.0.0.1:8080"]),
        ({"a": (WEB,), "b": (SIX,)}, (80, "tcp"), ["a 127.0.0.1:8080", "b [::1]:8081"]),
        ({"a": (WEB,), "b": ()}, None, ["a 80/tcp -> 127.0.0.1:8080"]),
    ],
)
def test_the_lines(
    ports: dict[str, tuple[PortStatus, ...]], wanted: tuple[int, str] | None, printed: list[str]
) -> None:
    selected = {machine: select(each, wanted) for machine, each in ports.items()}
    assert lines(selected, named=wanted is not None) == printed
