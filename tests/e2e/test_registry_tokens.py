"""A registry that wants tokens of another server, as those of the big houses do."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from provision.docker_client.credentials import Login
from provision.oci.client import Client, digest_of
from provision.oci.errors import RegistryFailed
from provision.oci.reference import parse
from tests.e2e.test_registry import SPEC, host, images, up
from tests.registry_server import PASSWORD, USER, certify, serve
from tests.token_server import token_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.registry_server import Server
    from tests.token_server import TokenServer

TEAM = Login(user=USER, password=PASSWORD)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    """It has a CA of its own, which is not the registry's."""
    folder = tmp_path_factory.mktemp("tokens")
    certify(folder)
    with token_server(folder, user=USER, password=PASSWORD) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("registry"), tls=True, tokens=tokens) as running:
        yield running


@pytest.fixture
def by_system(tokens: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts the server of tokens."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tokens.folder / "ca.crt"))


def client(server: Server, login: Login | None, *, writes: bool = True) -> Client:
    repository = parse(server.repository)
    assert repository is not None
    return Client(repository=repository, login=login, authority=server.ca, writes=writes)


@pytest.mark.usefixtures("by_system")
def test_a_token_is_asked_for_with_the_login_once(server: Server, tokens: TokenServer) -> None:
    tokens.asked.clear()
    content = uuid4().bytes
    team = client(server, TEAM)
    for _ in range(3):
        team.put_blob(content, digest_of(content))
    assert team.has_blob(digest_of(content))
    assert tokens.asked == [(USER, "repository:team/environments:pull,push")]


@pytest.mark.usefixtures("by_system")
def test_who_has_no_login_may_pull_and_no_more(server: Server, tokens: TokenServer) -> None:
    content = uuid4().bytes
    client(server, TEAM).put_blob(content, digest_of(content))
    tokens.asked.clear()
    assert client(server, None, writes=False).has_blob(digest_of(content))
    assert tokens.asked == [("", "repository:team/environments:pull")]
    with pytest.raises(RegistryFailed, match="refuses access to team/environments without a login"):
        client(server, None).put_blob(b"other", digest_of(b"other"))


@pytest.mark.usefixtures("by_system")
def test_a_wrong_password_is_told(server: Server) -> None:
    with pytest.raises(RegistryFailed, match=f"refuses access to team/environments as {USER}"):
        client(server, Login(user=USER, password="guessed")).has_blob(digest_of(b"none"))


@pytest.mark.usefixtures("by_system")
def test_a_token_that_has_expired_is_replaced(server: Server, tokens: TokenServer) -> None:
    tokens.asked.clear()
    tokens.lasts = -120  # the registry allows for clocks that differ by a minute
    team = client(server, TEAM)
    with pytest.raises(RegistryFailed, match="refuses access"):
        team.has_blob(digest_of(b"none"))
    tokens.lasts = 60
    assert not team.has_blob(digest_of(b"none"))
    assert len(tokens.asked) == 2


def test_nobody_whom_neither_side_trusts_gets_the_login(server: Server, tokens: TokenServer) -> None:
    tokens.asked.clear()
    with pytest.raises(RegistryFailed, match="is not trusted") as refused:
        client(server, TEAM).has_blob(digest_of(b"none"))
    assert "certs.d" in refused.value.hint
    assert tokens.asked == []


def test_the_registrys_authority_counts_for_its_tokens_too(tmp_path: Path) -> None:
    """As with Docker; and Docker's own push and pull get their tokens there, too."""
    mark = str(uuid4())
    folder = tmp_path / "registry"
    folder.mkdir()
    certify(folder)
    with (
        token_server(folder, user=USER, password=PASSWORD) as tokens,
        serve(folder, tls=True, tokens=tokens) as server,
    ):
        first, second = (host(tmp_path / name, server) for name in ("first", "second"))
        for each in (first, second):
            each.spec(SPEC.format(mark=mark))
        try:
            up(first)
            assert first.run("push", "--format", "json").json()["pushed"][0]["sent"] > 0
            first.good("down", "--volumes", "--images")
            assert "building" not in up(second).stderr
            assert (USER, "repository:team/environments:pull,push") in tokens.asked
        finally:
            for each in (first, second):
                each.run("down", "--volumes", "--images")
    assert images("provision/shared") == []
