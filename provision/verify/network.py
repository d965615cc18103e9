"""Checks of ports and HTTP, from inside or from the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision.verify import http
from provision.verify.connections import problems_of, reachable
from provision.verify.context import text_of
from provision.verify.sockets import listening, wanted
from provision.verify.values import Unanswered, text_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provision.model import Check, PortStatus, Protocol
    from provision.verify.context import CheckContext
    from provision.verify.sockets import Listening

PORT_FIELDS = frozenset({"address", "protocol", "published", "listens"})
HTTP_FIELDS = frozenset({"method", "status", "body", "headers"})


def port(context: CheckContext, check: Check) -> Iterator[str]:
    """Something listens there: inside, or seen from the host through the published port."""
    protocol, address, number = wanted(check.subject)
    protocol = "udp" if check.fields.get("protocol", protocol) == "udp" else "tcp"
    address = str(check.fields["address"]) if "address" in check.fields else address
    if check.from_host:
        yield from _from_host(context, check, protocol, number)
        return
    there = [one for one in listening(context.host) if one.takes(protocol, None, number)]
    is_listening = any(one.takes(protocol, address, number) for one in there)
    if there and not is_listening:
        yield f"listens on {', '.join(one.address for one in there)}, expected {address}"
    elif not is_listening:
        yield "nothing listens"
    elif check.fields.get("published") and all(one.local for one in there):
        yield _unreachable(there)


def _unreachable(there: Sequence[Listening]) -> str:
    return (
        f"listens only on {there[0].address}, where its published port cannot reach it:"
        " let it listen on 0.0.0.0"
    )


def _from_host(context: CheckContext, check: Check, protocol: Protocol, number: int) -> Iterator[str]:
    ports = [p for p in context.target.ports if (p.guest, p.protocol) == (number, protocol)]
    if len(ports) < max(1, int(str(check.fields.get("published", 1)))):
        yield "is not published on the host"
        return
    if protocol == "udp":
        return  # a datagram that nobody answers proves nothing
    if "published" in check.fields:  # a forwarder accepts, whatever is behind it
        there = [one for one in listening(context.host) if one.takes(protocol, None, number)]
        if not there and not check.fields.get("listens"):
            return
        if not there:
            yield (
                "nothing listens on it inside (if you start that by hand, say"
                f" `ports: [{{guest: {number}, optional: true}}]`)"
            )
            return
        if all(one.local for one in there):
            yield _unreachable(there)
            return
    for port in ports:
        if port in context.lasting:
            context.lasting.remove(port)
        else:
            yield from problems_of(port)


def published(context: CheckContext, guest: int, protocol: Protocol) -> PortStatus | None:
    """How a port of the machine is forwarded now; the first, where it is more than once."""
    ports = [p for p in context.target.ports if (p.guest, p.protocol) == (guest, protocol)]
    return ports[0] if ports else None


def http_answer(context: CheckContext, check: Check) -> Iterator[str]:
    """A request returns this status (200), with these headers and this body."""
    request = http.Request.of(check.subject, str(check.fields.get("method", "GET")))
    if check.from_host:
        status = published(context, request.port, "tcp")
        if status is None:
            raise Unanswered(f"port {request.port} is not published on the host")
        raw = http.from_host(request, reachable(status.address), status.host)
    else:
        raw = http.inside(request, context.target)
    if isinstance(raw, str):
        yield raw
        return
    answer = http.Answer.of(raw)
    if answer is None:
        yield f"what answers does not speak HTTP: {text_of(raw[:60])!r}"
        return
    expected = check.fields.get("status", 200)
    if answer.status != expected:
        where = f" (to {answer.headers['location']})" if "location" in answer.headers else ""
        yield f"status is {answer.status}{where}, expected {expected}"
    if "body" in check.fields:
        yield from text_problems("body", text_of(answer.body), check.fields["body"])
    headers = check.fields.get("headers", {})
    for name, value in dict(headers).items() if isinstance(headers, dict) else ():
        header = answer.headers.get(name.lower())
        if header is None:
            yield f"header {name} is missing"
        else:
            yield from text_problems(f"header {name}", header, value)
