"""What the daemon remembers of its last datagrams: first what it must never write down, then what it does.

Packets are made here as a NAS makes them, and read back from the JSON as the doctor reads them. RFC 2865 5.
"""

from __future__ import annotations

import json
import os
from typing import Final

import pytest

from radiusd2fa.core.seen import CallerForm, Credential, NameForm, Seen, SeenPacket
from radiusd2fa.radius.packet import Code, Packet, decode, encode_request, hide_password
from radiusd2fa.sightings import (
    MOST_ATTRIBUTES,
    MOST_CLIENTS_A_CALL,
    MOST_OF_A_CLIENT,
    MOST_OF_STRANGERS,
    MOST_PACKETS_A_CALL,
    STRANGERS,
    Sightings,
    read_sightings,
)

SECRET: Final = b"canary-shared-secret"
PASSWORD: Final = b"canary-password"
STATE: Final = b"canary-state-0123456789abcdef"
NAME: Final = b"canary-name"
MONDAY: Final = 1_800_000_000.0
AUTHENTICATOR: Final = bytes(range(16))

USER_NAME, USER_PASSWORD, CHAP_PASSWORD, STATE_TYPE, VENDOR, CALLER, PROXY_STATE, EAP = 1, 2, 3, 24, 26, 31, 33, 79
MSCHAP_CHALLENGE: Final = (311).to_bytes(4, "big") + bytes((11, 18)) + bytes(16)


def request(
    *attributes: tuple[int, bytes], name: bytes = NAME, sign: bool = False, authenticator: bytes = AUTHENTICATOR
) -> Packet:
    """An Access-Request; the password unless another credential is given."""
    given = attributes
    if not {CHAP_PASSWORD, VENDOR, EAP} & {kind for kind, _ in attributes}:
        given = ((USER_PASSWORD, hide_password(PASSWORD, SECRET, authenticator)), *attributes)
    return decode(encode_request(Code.ACCESS_REQUEST, 7, authenticator, ((USER_NAME, name), *given), SECRET, sign=sign))


def seen_of(*packets: Packet | None, client: str = "vpn", fate: str = "accepted:ok") -> list[Seen]:
    """What the doctor reads of these packets."""
    sightings = Sightings()
    for turn, packet in enumerate(packets):
        sightings.saw(client, "192.0.2.1", 40000, MONDAY + turn, packet, fate)
    ((told, text),) = sightings.news()
    assert told == client
    return read_sightings(text)


def packet_of(packet: Packet) -> SeenPacket:
    """What the doctor reads of this one."""
    (one,) = seen_of(packet)
    assert one.packet is not None
    return one.packet


# --- what must not be written down -----------------------------------------------------------------------------------


def test_no_secret_is_written_down() -> None:
    """Neither password, hidden or not, nor name, State, shared secret, Calling-Station-Id or authenticator."""
    hidden = hide_password(PASSWORD, SECRET, AUTHENTICATOR)
    packet = request((STATE_TYPE, STATE), (CALLER, b"198.51.100.77"), (PROXY_STATE, b"canary-proxy"), sign=True)
    sightings = Sightings()
    sightings.saw("vpn", "192.0.2.1", 40000, MONDAY, packet, "accepted:ok")
    ((_, text),) = sightings.news()
    assert "canary" not in text
    assert "198.51.100.77" not in text
    for octets in (PASSWORD, hidden, NAME, STATE, SECRET, AUTHENTICATOR, packet.raw):
        assert octets.hex() not in text
        assert octets.hex()[:16] not in text


def test_names_cannot_be_tried() -> None:
    """The same person is the same to one daemon, and somebody else to another: the hash has a key that is not kept."""
    one, two, other = request(), request(name=NAME.upper()), request(name=b"bob")
    same, upper, bob = [entry.packet for entry in seen_of(one, two, other)]
    assert same is not None
    assert upper is not None
    assert bob is not None
    assert same.person == upper.person != bob.person
    assert packet_of(one).person != same.person


def test_packets_are_let_go() -> None:
    """Once described, a packet is no longer in memory, and with it what it hides."""
    sightings = Sightings()
    sighting = sightings.saw("vpn", "192.0.2.1", 40000, MONDAY, request(), "accepted:ok")
    sightings.news()
    assert sighting.packet is None


# --- what is ---------------------------------------------------------------------------------------------------------


def test_a_packet_as_the_doctor_reads_it() -> None:
    """Everything about one packet, whole."""
    cisco = (9).to_bytes(4, "big") + bytes((1, 6)) + b"abcd" + bytes((2, 3)) + b"x"
    packet = request(
        (6, (8).to_bytes(4, "big")),
        (61, (5).to_bytes(4, "big")),
        (CALLER, b"192.0.2.9"),
        (STATE_TYPE, STATE),
        (PROXY_STATE, b"1"),
        (PROXY_STATE, b"2"),
        (USER_PASSWORD, hide_password(PASSWORD, SECRET, AUTHENTICATOR)),
        (VENDOR, cisco),
        sign=True,
    )
    sightings = Sightings()
    sighting = sightings.saw("vpn", "192.0.2.1", 40000, MONDAY, packet)
    sighting.latency, sighting.fate = 0.25, "challenged:code_wanted"
    ((_, text),) = sightings.news()
    (one,) = read_sightings(text)
    assert one.packet is not None
    assert one == Seen(
        time=MONDAY,
        source="192.0.2.1",
        port=40000,
        fate="challenged:code_wanted",
        latency=0.25,
        packet=SeenPacket(
            code=1,
            identifier=7,
            authenticator=one.packet.authenticator,
            attributes=("80", "1", "6", "61", "31", "24", "33", "33", "2", "26.9.1", "26.9.2"),
            signed=True,
            credential=Credential.PAP,
            name=NameForm.PLAIN,
            person=one.packet.person,
            states=1,
            proxy_states=2,
            caller=CallerForm.IPV4,
            service_type=8,
            nas_port_type=5,
            length=len(packet.raw),
        ),
    )
    assert (one.outcome, one.reason, one.duplicate) == ("challenged", "code_wanted", False)


def test_what_could_not_be_read() -> None:
    """Of a malformed datagram, and of a stranger's, there is the address and the reason."""
    (one,) = seen_of(None, fate="cut_attribute")
    assert (one.source, one.fate, one.packet, one.outcome, one.reason) == (
        "192.0.2.1",
        "cut_attribute",
        None,
        "",
        "cut_attribute",
    )


def test_a_retransmission_has_the_same_authenticator() -> None:
    """A new packet has another."""
    again, new = request(), request(authenticator=os.urandom(16))
    first, copy, other = [one.packet for one in seen_of(request(), again, new)]
    assert first is not None
    assert other is not None
    assert first == copy
    assert first.authenticator != other.authenticator


@pytest.mark.parametrize(
    ("attribute", "credential"),
    [
        ((CHAP_PASSWORD, bytes(17)), Credential.CHAP),
        ((VENDOR, MSCHAP_CHALLENGE), Credential.MSCHAP),
        ((EAP, bytes(5)), Credential.EAP),
        ((VENDOR, b"\0\0\0\x09\x01\x03x"), Credential.NONE),
    ],
)
def test_credentials(attribute: tuple[int, bytes], credential: Credential) -> None:
    """What a request offers as proof, when it is no password."""
    assert packet_of(request(attribute, sign=True)).credential is credential


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (b"alice", NameForm.PLAIN),
        (b"alice@example.org", NameForm.REALM),
        (b"EXAMPLE\\alice", NameForm.DOMAIN),
        (b"\xff", NameForm.UNREADABLE),
        (b"ali\nce", NameForm.UNREADABLE),
    ],
)
def test_names(name: bytes, form: NameForm) -> None:
    """How a name is written, without the name."""
    assert packet_of(request(name=name)).name is form


def test_status_server_has_no_name() -> None:
    """Nobody logs in with it."""
    packet = decode(encode_request(Code.STATUS_SERVER, 1, AUTHENTICATOR, (), SECRET))
    seen = packet_of(packet)
    assert (seen.code, seen.name, seen.person, seen.credential) == (12, NameForm.ABSENT, "", Credential.NONE)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        (b"192.0.2.1", CallerForm.IPV4),
        (b"2001:db8::1", CallerForm.IPV6),
        (b"192.0.2.1[4500]", CallerForm.IPV4_WITH_PORT),
        (b"192.0.2.1:4500", CallerForm.IPV4_WITH_PORT),
        (b"192.0.2.1:4500x", CallerForm.TEXT),
        (b"02-00-5e-00-53-01", CallerForm.MAC),
        (b"02:00:5E:00:53:01", CallerForm.MAC),
        (b"0200.5e00.5301", CallerForm.MAC),
        (b"bastion.example.org", CallerForm.TEXT),
        (b"\xff\xfe", CallerForm.TEXT),
        (b"", CallerForm.ABSENT),
    ],
)
def test_callers(written: bytes, form: CallerForm) -> None:
    """How Calling-Station-Id is written, without the address."""
    assert packet_of(request((CALLER, written))).caller is form


def test_an_absent_caller() -> None:
    """Absent is a form of its own."""
    assert packet_of(request()).caller is CallerForm.ABSENT


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0", b"\0\0\0\x09\x01", b"\0\0\0\x09\x01\0", b"\0\0\0\x09\x01\xff"])
def test_vendors_that_do_not_number_as_others_do(value: bytes) -> None:
    """Nonsense within a Vendor-Specific is no reason to fail: the number of the attribute says enough."""
    kinds = packet_of(request((VENDOR, value), (USER_PASSWORD, bytes(16)))).attributes
    assert kinds[1] in {"26", "26.9.1"}


def test_a_packet_full_of_vendors_is_cut_short() -> None:
    """Two thousand sub-attributes of no length are no reason to write two thousand words."""
    full = (VENDOR, b"\0\0\0\x09" + bytes(249))
    assert len(packet_of(request(*[full] * 15)).attributes) == MOST_ATTRIBUTES


def test_an_integer_of_another_length_is_none() -> None:
    """Service-Type in three octets means nothing."""
    assert packet_of(request((6, b"\0\0\x08"))).service_type is None


# --- how much --------------------------------------------------------------------------------------------------------


def test_the_last_of_a_client_are_kept() -> None:
    """However many came, the newest stay, oldest first."""
    seen = seen_of(*[None] * 100, fate="bad_length")
    assert [one.time - MONDAY for one in seen] == list(range(100 - MOST_OF_A_CLIENT, 100))


def test_the_last_of_strangers_are_kept() -> None:
    """A flood from nowhere costs no more memory than a few clients."""
    assert len(seen_of(*[None] * 500, client=STRANGERS, fate="unknown_client")) == MOST_OF_STRANGERS


def test_news_are_told_once() -> None:
    """Nothing new is no news; one more packet makes all of that client news again, and of no other."""
    sightings = Sightings()
    sightings.saw("vpn", "192.0.2.1", 40000, MONDAY, request(), "accepted:ok")
    sightings.saw("lab", "192.0.2.2", 40000, MONDAY, request(), "accepted:ok")
    assert [client for client, _ in sightings.news()] == ["vpn", "lab"]
    assert sightings.news() == []
    sightings.saw("lab", "192.0.2.2", 40000, MONDAY + 1, request(), "accepted:ok")
    ((client, text),) = sightings.news()
    assert (client, len(read_sightings(text))) == ("lab", 2)


def test_a_fate_that_comes_later_is_news() -> None:
    """A login in work is told as such, then once more when it ends; in between nothing is new."""
    sightings = Sightings()
    sighting = sightings.saw("vpn", "192.0.2.1", 40000, MONDAY, request())
    ((_, text),) = sightings.news()
    assert [(one.fate, one.latency) for one in read_sightings(text)] == [("", None)]
    assert sightings.news() == []
    sighting.latency, sighting.fate = 1.5, "rejected:wrong_code"
    ((_, text),) = sightings.news()
    assert [(one.fate, one.latency) for one in read_sightings(text)] == [("rejected:wrong_code", 1.5)]
    assert sightings.news() == []


def test_many_clients_take_turns() -> None:
    """A call is short, and nobody waits for ever: those who are left out come first the next time."""
    sightings = Sightings()
    names = [f"client-{number}" for number in range(MOST_CLIENTS_A_CALL + 10)]
    for name in names:
        sightings.saw(name, "192.0.2.1", 40000, MONDAY, None, "bad_length")
    first = [client for client, _ in sightings.news()]
    for name in names[:20]:
        sightings.saw(name, "192.0.2.1", 40000, MONDAY, None, "bad_length")
    second = [client for client, _ in sightings.news()]
    assert first == names[:MOST_CLIENTS_A_CALL]
    assert second[:10] == names[MOST_CLIENTS_A_CALL:]


def test_unfinished_logins_do_not_keep_others_waiting() -> None:
    """Clients whose logins never end go to the end of the queue each time."""
    sightings = Sightings()
    for number in range(MOST_CLIENTS_A_CALL):
        sightings.saw(f"stuck-{number}", "192.0.2.1", 40000, MONDAY, None)
    sightings.news()
    sightings.saw("vpn", "192.0.2.1", 40000, MONDAY, None, "bad_length")
    told = [client for client, _ in (*sightings.news(), *sightings.news())]
    assert told == ["vpn"]


def test_few_packets_are_described_at_a_time() -> None:
    """Ten busy clients are told in several calls, all of them in the end."""
    sightings = Sightings()
    for number in range(10):
        for turn in range(MOST_OF_A_CLIENT):
            sightings.saw(f"client-{number}", "192.0.2.1", 40000, MONDAY + turn, request(), "accepted:ok")
    calls = []
    while news := sightings.news():
        calls.append(len(news))
    assert calls[0] == MOST_PACKETS_A_CALL // MOST_OF_A_CLIENT
    assert sum(calls) == 10


# --- reading it again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "{", "7", "[7]", "[{}]", "null", '[{"time":1}]', '[{"time":"x","source":"","port":1}]', "[[]]"]
)
def test_what_this_version_has_not_written(text: str) -> None:
    """One kind of error, so that the doctor can say it in one sentence."""
    with pytest.raises(ValueError):  # noqa: PT011 - json's and ours, which is one
        read_sightings(text)


def test_an_unknown_word_is_refused() -> None:
    """A credential that this version does not know was written by a later one."""
    sightings = Sightings()
    sightings.saw("vpn", "192.0.2.1", 40000, MONDAY, request(), "accepted:ok")
    ((_, text),) = sightings.news()
    with pytest.raises(ValueError, match="telepathy"):
        read_sightings(text.replace('"pap"', '"telepathy"'))


def test_a_source_with_a_zone_is_json() -> None:
    """Whatever stands in an address or a fate, the JSON stays one."""
    sightings = Sightings()
    sightings.saw("vpn", 'fe80::1%"eth0', 40000, MONDAY, None, 'a "fate"')
    ((_, text),) = sightings.news()
    assert json.loads(text)[0]["source"] == 'fe80::1%"eth0'
