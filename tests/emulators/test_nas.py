"""The NAS emulator against a scripted server: what it sends, what it believes, and what it throws away.

Both sides are pyrad here; the daemon itself is asked by this NAS elsewhere. No test waits longer than a missing reply.
RFC 2865 3 to 5, RFC 3579 3.2, RFC 5997.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import inspect
import itertools
import socket
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from radiusd2fa.emulators import nas as module
from radiusd2fa.emulators.nas import Nas

from .responder import SECRET, SILENCE, Reply, Responder, accept, challenge, reject

SOON = 0.05
"""Seconds to wait where nothing will come; where something will, the NAS waits for as long as it takes."""


def _nas(responder: Responder, **options: object) -> Nas:
    return Nas(responder.server, SECRET, **({"timeout": 30, "retries": 0} | options))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_login_by_challenge(host: str) -> None:
    """Password, challenge, code, Accept: the prompt is shown and the State comes back, over IPv4 and IPv6."""
    script = [challenge("Enter the code: ", b"0123456789abcdef"), accept()]
    with Responder(script, host=host) as server, _nas(server) as nas:
        first = nas.ask("alice", "hunter2")
        second = nas.ask("alice", "755224", first.state)
    assert (first.kind, first.prompt, first.state) == ("challenge", "Enter the code: ", b"0123456789abcdef")
    assert second.kind == "accept"
    assert [seen.password for seen in server.seen] == ["hunter2", "755224"]
    assert server.seen[1].packet[24] == [b"0123456789abcdef"]


@pytest.mark.parametrize("state", [b"0x4142434445", b"31415926535897932384626433832795", b"65", b"\x00\xff\x00", b"0x"])
def test_a_state_comes_back_octet_for_octet(state: bytes) -> None:
    """A State that looks like a number or like hex, or is no text at all, is returned as it was."""
    with Responder([challenge("Code: ", state), reject()]) as server, _nas(server) as nas:
        nas.ask("alice", "123456", nas.ask("alice", "hunter2").state)
    assert server.seen[1].packet[24] == [state]


def test_a_request_has_everything_that_a_nas_sends() -> None:
    """Name, password, NAS-Identifier, Calling-Station-Id and further attributes arrive, signed, in one packet."""
    with Responder([accept()]) as server, _nas(server, calling_station_id="192.0.2.7") as nas:
        nas.ask("jörg", b"p\xc3\xa4ss", attributes=[(33, b"0x01"), (33, b"2")])
    packet = server.seen[0].packet
    assert packet[1] == ["jörg".encode()]
    assert server.seen[0].password == "päss"
    assert packet[31] == [b"192.0.2.7"]
    assert packet[32] == [b"radiusd2fa-login"]
    assert packet[33] == [b"0x01", b"2"]
    assert packet.verify_message_authenticator()


def test_signing_can_be_left_out() -> None:
    """With `sign=False` the request carries no Message-Authenticator, as most PAP clients do."""
    with Responder([accept()]) as server, _nas(server, sign=False) as nas:
        assert nas.ask("alice", "x").kind == "accept"
    assert 80 not in server.seen[0].packet


def test_authenticators_are_never_the_same_and_identifiers_change() -> None:
    """Equal logins in a row have different Request Authenticators, and neighbours have different identifiers."""
    with Responder([reject()] * 40) as server, _nas(server) as nas:
        for _ in range(40):
            nas.ask("alice", "x")
    assert len({seen.packet.authenticator for seen in server.seen}) == 40
    identifiers = [seen.packet.id for seen in server.seen]
    assert all(one != next_one for one, next_one in itertools.pairwise(identifiers))
    assert len({(next_one - one) % 256 for one, next_one in itertools.pairwise(identifiers)}) > 10


def test_a_repetition_is_the_same_datagram() -> None:
    """`repeat` sends the octets of the last request from the same port, whatever Status-Server was sent between."""
    with Responder([challenge("Code: ", b"s"), accept(), accept()]) as server, _nas(server) as nas:
        nas.ask("alice", "123456", nas.ask("alice", "hunter2").state)
        assert nas.status()
        again = nas.repeat()
    assert server.seen[2].raw == server.seen[1].raw != server.seen[0].raw
    assert server.seen[2].source == server.seen[1].source
    assert again.kind == "accept"


def test_nothing_can_be_repeated_before_something_was_asked() -> None:
    """`repeat` on a new NAS is the caller's mistake."""
    with Responder() as server, _nas(server) as nas, pytest.raises(ValueError, match="nothing was asked"):
        nas.repeat()


def test_silence_is_asked_again_with_the_same_octets() -> None:
    """A missing reply is answered by further sendings of the same packet, and the reply to a later one counts."""
    with Responder([SILENCE, SILENCE, accept()]) as server, _nas(server, timeout=SOON, retries=200) as nas:
        assert nas.ask("alice", "x").kind == "accept"
    assert len(server.seen) >= 3
    assert len({(seen.raw, seen.source) for seen in server.seen}) == 1


def test_silence_in_the_end() -> None:
    """After one sending and `retries` more the answer is silence, with nothing discarded and nobody refusing."""
    with Responder() as server, _nas(server, timeout=SOON, retries=2) as nas:
        answer = nas.ask("alice", "x")
    assert (answer.kind, answer.refused, answer.discarded, answer.raw) == ("silence", False, 0, b"")
    assert len(server.seen) == 3


def test_a_closed_port_is_told_from_silence() -> None:
    """Where no program listens the answer is silence, marked as refused, without waiting for the time-out."""
    with Responder() as server:
        gone = server.server
    with Nas(gone, SECRET, timeout=30) as nas:
        answer = nas.ask("alice", "x")
    assert (answer.kind, answer.refused) == ("silence", True)


def test_a_reject_carries_its_message() -> None:
    """The text of an Access-Reject reaches the caller."""
    with Responder([reject("Not today")]) as server, _nas(server) as nas:
        answer = nas.ask("alice", "x")
    assert (answer.kind, answer.prompt, answer.state) == ("reject", "Not today", None)


def test_the_attributes_of_an_accept_are_readable() -> None:
    """Texts, numbers, addresses, vendors' and unknown attributes come under their names; odd lengths as octets."""
    cisco = struct.pack("!LBB", 9, 1, 2 + 15) + b"shell:priv=15.."
    reply = accept(
        (27, struct.pack("!L", 3600)),
        (8, bytes([192, 0, 2, 9])),
        (26, cisco),
        (25, b"0x41"),
        (28, b"odd"),
        (79, b"\x01\x02"),
        (26, struct.pack("!LBB", 311, 7, 3) + b"x"),
    )
    with Responder([reply]) as server, _nas(server) as nas:
        answer = nas.ask("alice", "x", attributes=[(33, b"65")])
    assert next(iter(answer.attributes)) == "Message-Authenticator"
    expected = {
        "Session-Timeout": (3600,),
        "Framed-IP-Address": ("192.0.2.9",),
        "Cisco-AVPair": ("shell:priv=15..",),
        "Class": (b"0x41",),
        "Idle-Timeout": (b"odd",),
        "Attribute-79": (b"\x01\x02",),
        "Vendor-311-Attribute-7": (b"x",),
        "Proxy-State": (b"65",),
    }
    assert {name: answer.attributes[name] for name in expected} == expected


@pytest.mark.parametrize(("prompt", "hidden"), [(0, True), (1, False), (None, False)])
def test_prompt_zero_means_hidden(prompt: int | None, hidden: bool) -> None:
    """Only Prompt = 0 asks for hidden input."""
    extra = () if prompt is None else ((76, struct.pack("!L", prompt)),)
    with Responder([challenge("Code: ", b"s", *extra)]) as server, _nas(server) as nas:
        assert nas.ask("alice", "x").hidden is hidden


def test_two_reply_messages_are_one_prompt_and_bad_text_is_shown_somehow() -> None:
    """Several Reply-Message attributes are joined, and octets that are not UTF-8 do not end the login."""
    reply = Reply(11, ((18, b"one "), (18, b"two \xff"), (24, b"s")))
    with Responder([reply]) as server, _nas(server) as nas:
        assert nas.ask("alice", "x").prompt == "one two \ufffd"


def _signed_again(raw: bytes, request_authenticator: bytes) -> bytes:
    """A reply that begins with Message-Authenticator, both signatures made right for its attributes of now."""
    header = raw[:2] + struct.pack("!H", len(raw))
    unsigned = header + request_authenticator + raw[20:22] + bytes(16) + raw[38:]
    attributes = raw[20:22] + hmac.digest(SECRET, unsigned, "md5") + raw[38:]
    authenticator = hashlib.md5(header + request_authenticator + attributes + SECRET, usedforsecurity=False).digest()
    return header + authenticator + attributes


def _flip(place: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


GOOD = accept((18, b"Welcome"))


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(replace(GOOD, sign_with=b"another secret!!"), id="another secret"),
        pytest.param(replace(GOOD, sign=False), id="no Message-Authenticator"),
        pytest.param(replace(GOOD, mangle=_flip(4)), id="Response Authenticator changed"),
        pytest.param(replace(GOOD, mangle=_flip(-1)), id="attribute changed"),
        pytest.param(replace(GOOD, mangle=_flip(22)), id="Message-Authenticator changed"),
        pytest.param(replace(GOOD, mangle=_flip(0)), id="code changed"),
        pytest.param(replace(GOOD, mangle=lambda raw: raw[:-1]), id="cut off"),
        pytest.param(Reply(5), id="an accounting reply"),
        pytest.param(Reply(12), id="a request"),
    ],
)
def test_a_forged_reply_is_thrown_away_and_counted(forged: Reply) -> None:
    """A reply with one fault counts as no reply; the NAS goes on waiting, and says how many it threw away."""
    with Responder([(forged, reject("the real one"))]) as server, _nas(server) as nas:
        answer = nas.ask("alice", "x")
    assert (answer.kind, answer.prompt, answer.discarded) == ("reject", "the real one", 1)


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(bytes([18, 200]) + b"cut", id="an attribute longer than the packet"),
        pytest.param(bytes([18]), id="half an attribute header"),
        pytest.param(bytes([80, 18]) + bytes(16), id="a second Message-Authenticator"),
    ],
)
def test_a_malformed_reply_is_thrown_away_although_its_signatures_are_right(tail: bytes) -> None:
    """What pyrad lets through (a cut-off last attribute, a second signature) is no reply for this NAS."""

    def signed_again(raw: bytes) -> bytes:
        return _signed_again(raw, server.seen[-1].packet.authenticator)

    malformed = Reply(2, mangle=lambda raw: signed_again(raw + tail))
    well_formed = Reply(3, mangle=signed_again)
    with Responder([(malformed, well_formed)]) as server, _nas(server) as nas:
        answer = nas.ask("alice", "x")
    assert (answer.kind, answer.discarded) == ("reject", 1)


def test_a_late_second_copy_does_not_disturb_the_next_question() -> None:
    """A doubled reply to the first request is not taken for the reply to the second, nor held against the server."""
    asked = challenge("Code: ", b"s")
    with Responder([(asked, asked), accept()]) as server, _nas(server) as nas:
        answer = nas.ask("alice", "123456", nas.ask("alice", "hunter2").state)
    assert (answer.kind, answer.discarded) == ("accept", 0)


def test_a_reply_from_another_address_is_not_heard() -> None:
    """A rightly signed Accept from another port than the one that was asked does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))

        def from_elsewhere(raw: bytes) -> bytes:
            stranger.sendto(raw, server.seen[-1].source)
            return b"nothing"

        with Responder([(replace(accept(), mangle=from_elsewhere), reject())]) as server, _nas(server) as nas:
            assert nas.ask("alice", "x").kind == "reject"


def test_two_nas_never_share_a_port() -> None:
    """The socket lets nobody else bind its port, as pyrad's own socket would."""
    with Responder() as server, _nas(server) as nas:
        assert nas._client._socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
        assert nas.address == "127.0.0.1"


def test_status_server_is_answered_or_not() -> None:
    """`status` is true when the server answers Status-Server, which is always signed, and false when it is silent."""
    with Responder() as server, _nas(server, sign=False) as nas:
        assert nas.status()
    assert server.status_seen[0].packet.verify_message_authenticator()
    with Responder(answers_status=False) as server, _nas(server, timeout=SOON) as nas:
        assert not nas.status()


def test_a_password_of_129_octets_is_refused_before_it_is_sent() -> None:
    """RFC 2865 5.2 has room for 128 octets of password; an empty one is legal."""
    with Responder([reject(), reject()]) as server, _nas(server) as nas:
        with pytest.raises(ValueError, match="at most 128 octets, this one has 130"):
            nas.ask("alice", "ä" * 65)
        nas.ask("alice", "x" * 128)
        nas.ask("alice", "")
    assert [len(seen.packet[2][0]) for seen in server.seen] == [128, 16]


def test_no_secret_in_the_repr() -> None:
    """Neither the shared secret nor a State is in a printed NAS or answer."""
    with Responder([challenge("Code: ", b"handle-of-a-challenge")]) as server, _nas(server) as nas:
        shown = repr(nas) + repr(nas.ask("alice", "hunter2"))
    assert SECRET.decode() not in shown
    assert "handle-of-a-challenge" not in shown


def test_the_judge_knows_nothing_of_our_own_codec() -> None:
    """The NAS imports nothing of radiusd2fa, so the daemon is judged by pyrad alone."""
    imported = [
        name
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
    ]
    assert "pyrad.client" in imported
    assert not [name for name in imported if name.startswith("radiusd2fa")]
