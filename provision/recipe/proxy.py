"""A machine's proxy as variables: passed to builds and running processes, stored in no image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provision import guest_paths
from provision.rendering import RenderedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provision.model import Machine

DIRECT = ("localhost", "127.0.0.1", "::1")
# Whom the programs and languages of a machine ask for the certificates they trust.
TRUSTING = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "PIP_CERT",
            "NODE_EXTRA_CA_CERTS")  # fmt: skip


def proxy_variables(machine: Machine, beside: Iterable[str] = ()) -> Mapping[str, str]:
    """The proxy's variables, in both spellings; nothing where there is none.

    Args:
        machine: whose they are.
        beside: names that it asks directly, those of the environment's machines.
    """
    proxy = machine.proxy
    if proxy is None:
        return {}
    direct = ",".join(dict.fromkeys((*DIRECT, machine.name, *beside, *proxy.no_proxy)))
    variables = {"http_proxy": proxy.http, "https_proxy": proxy.https, "no_proxy": direct}
    lower = {name: value for name, value in variables.items() if value}
    return lower | {name.upper(): value for name, value in lower.items()}


def trust_variables(machine: Machine) -> Mapping[str, str]:
    """The variables that name the certificates to trust, where the proxy has one of its own."""
    if machine.proxy is None or machine.proxy.ca is None:
        return {}
    return dict.fromkeys(TRUSTING, f"{guest_paths.PROXY}/bundle.crt")


def proxy_files(machine: Machine, beside: Iterable[str] = ()) -> Mapping[str, RenderedFile]:
    """What a machine is brought that no container has: its variables, and the certificate."""
    if machine.proxy is None:
        return {}
    variables = {**proxy_variables(machine, beside), **trust_variables(machine)}
    text = "".join(f"export {name}='{value}'\n" for name, value in variables.items())
    ca = {} if machine.proxy.ca is None else {"ca.crt": RenderedFile(content=machine.proxy.ca)}
    return ca | {"environment": RenderedFile(content=text.encode())}  # a reader that sees this one sees all
