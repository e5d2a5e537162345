"""pyrad's own Client against the daemon, with `enforce_ma`: it accepts no reply without a right Message-Authenticator.

Nothing of radiusd2fa's own NAS is used here, only classes that pyrad ships.
RFC 2865 4, RFC 3579 3.2, RFC 5997, RFC 2865 5.3 (CHAP).
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from typing import Any, Final

import pyrad.packet
import pytest
from pyrad.client import Client, Timeout
from pyrad.dictionary import Dictionary

from tests.daemon.site import PASSWORD, SECRET, Daemon, Person, Site

from .oathtool import needs_oathtool, totp

DICTIONARY: Final = """
ATTRIBUTE User-Name              1   string
ATTRIBUTE User-Password          2   octets
ATTRIBUTE CHAP-Password          3   octets
ATTRIBUTE Reply-Message         18   string
ATTRIBUTE State                 24   octets
ATTRIBUTE Proxy-State           33   octets
ATTRIBUTE CHAP-Challenge        60   octets
ATTRIBUTE Message-Authenticator 80   octets
"""


def _client(daemon: Daemon) -> Client:
    dictionary = Dictionary(io.StringIO(DICTIONARY))
    host, port = daemon.address
    return Client(server=host, authport=port, secret=SECRET, dict=dictionary, retries=1, timeout=5, enforce_ma=True)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    """pyrad's client at the challenge flow."""
    client = _client(daemon)
    yield client
    client._CloseSocket()


@pytest.fixture
def code_client(code_daemon: Daemon) -> Iterator[Client]:
    """pyrad's client at the code-only flow."""
    client = _client(code_daemon)
    yield client
    client._CloseSocket()


def _ask(client: Client, user: str, password: str, state: bytes | None = None) -> Any:  # noqa: ANN401 - pyrad's packet
    request = client.CreateAuthPacket(code=pyrad.packet.AccessRequest, User_Name=user, message_authenticator=True)
    request["User-Password"] = request.PwCrypt(password)
    if state is not None:
        request["State"] = state
    return client.SendPacket(request)


@pytest.fixture(scope="module")
def alice(site: Site) -> Person:
    """Somebody with password and fob."""
    return site.person("alice-of-pyrad")


def test_password_then_code(client: Client, alice: Person) -> None:
    """A challenge is answered with its State, and pyrad finds every reply signed."""
    challenge = _ask(client, alice.name, PASSWORD)
    assert challenge.code == pyrad.packet.AccessChallenge
    assert challenge["Reply-Message"] == ["Enter the code from your token: "]
    assert _ask(client, alice.name, alice.press(), challenge["State"][0]).code == pyrad.packet.AccessAccept


def test_a_wrong_password_is_refused(client: Client, alice: Person) -> None:
    """A Reject is signed like any other reply."""
    assert _ask(client, alice.name, "wrong").code == pyrad.packet.AccessReject


def test_a_retransmission_gets_the_same_octets(client: Client, alice: Person) -> None:
    """The same packet, sent again, is answered by the same octets and counts as one try."""
    state = _ask(client, alice.name, PASSWORD)["State"][0]
    request = client.CreateAuthPacket(User_Name=alice.name, message_authenticator=True)
    request["User-Password"] = request.PwCrypt(alice.press())
    request["State"] = state
    first, second = (client.SendPacket(request) for _ in range(2))
    assert first.code == pyrad.packet.AccessAccept
    assert first.raw_packet == second.raw_packet


def test_status_server(client: Client) -> None:
    """The server says that it lives."""
    request = client.CreateAuthPacket(code=pyrad.packet.StatusServer, message_authenticator=True)
    assert client.SendPacket(request).code == pyrad.packet.AccessAccept


def test_an_unsigned_request_gets_no_answer(client: Client, alice: Person) -> None:
    """Without a Message-Authenticator pyrad runs into its time-out."""
    client.timeout = 0.3
    request = client.CreateAuthPacket(User_Name=alice.name, message_authenticator=False)
    request["User-Password"] = request.PwCrypt(PASSWORD)
    with pytest.raises(Timeout):
        client.SendPacket(request)


def test_proxy_state_comes_back_in_order(client: Client, alice: Person) -> None:
    """All Proxy-State attributes come back as they were, also in a Reject."""
    given = [os.urandom(8) for _ in range(3)]
    request = client.CreateAuthPacket(User_Name=alice.name, message_authenticator=True)
    request["User-Password"] = request.PwCrypt("wrong")
    request["Proxy-State"] = given
    reply = client.SendPacket(request)
    assert reply.code == pyrad.packet.AccessReject
    assert reply["Proxy-State"] == given


@pytest.mark.parametrize("own_challenge", [True, False], ids=["CHAP-Challenge", "authenticator"])
def test_chap(code_site: Site, code_client: Client, *, own_challenge: bool) -> None:
    """A code in a CHAP-Password is accepted once, whether the challenge is an attribute or the authenticator."""
    person = code_site.person(f"chap-{own_challenge:d}", password=None)
    code = person.press()
    answers = []
    for _ in range(2):
        request = code_client.CreateAuthPacket(User_Name=person.name, message_authenticator=True)
        request.authenticator = os.urandom(16)
        challenge = os.urandom(24) if own_challenge else request.authenticator
        digest = hashlib.md5(b"\x07" + code.encode() + challenge, usedforsecurity=False).digest()
        request["CHAP-Password"] = b"\x07" + digest
        if own_challenge:
            request["CHAP-Challenge"] = challenge
        answers.append(code_client.SendPacket(request).code)
    assert answers == [pyrad.packet.AccessAccept, pyrad.packet.AccessReject]


@needs_oathtool
def test_a_login_with_oathtool(site: Site, client: Client) -> None:
    """Password and a code of oathtool's clock, by challenge, let in once."""
    seed = b"a seed that oathtool has"
    site.person("otto", "totp", algorithm="sha256", seed=seed)
    code = totp(seed, time.time(), 8, "sha256")
    assert _ask(client, "otto", code, _ask(client, "otto", PASSWORD)["State"][0]).code == pyrad.packet.AccessAccept
    again = _ask(client, "otto", code, _ask(client, "otto", PASSWORD)["State"][0])
    assert again.code == pyrad.packet.AccessChallenge
    assert again["Reply-Message"] == ["Enter the next code: "]
