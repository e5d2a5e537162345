"""`radiusd2fa doctor`: what it says about a client, and about all of them, from what the daemon has noted.

The notes are made by the daemon's own memory of packets and put where the daemon puts them. Exit codes: 0 nothing is
wrong, 1 something is, 2 wrong usage. What can be wrong is core.diagnosis's, and tested there.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Final

import pytest

from radiusd2fa.cli.doctor import _device
from radiusd2fa.core.diagnosis import Device
from radiusd2fa.core.model import Flow
from radiusd2fa.radius.packet import Code, Packet, decode, encode_request, hide_password
from radiusd2fa.settings import load_settings
from radiusd2fa.settings.profiles import PROFILES, mschap_remedy
from radiusd2fa.sightings import STRANGERS, Sightings

from .conftest import Shell

SECRET: Final = b"a secret of enough characters"
MONDAY: Final = 1_800_000_000.0
VPN: Final = "  vpn: {networks: [192.0.2.1], secret: 'a secret of enough characters'}\n"


def request(identifier: int = 1, *, sign: bool = True, state: bool = False) -> Packet:
    """What a NAS sends."""
    authenticator = bytes([identifier]) * 16
    attributes = [(1, b"alice"), (2, hide_password(b"x", SECRET, authenticator)), (31, b"198.51.100.7")]
    if state:
        attributes.append((24, b"f" * 32))
    return decode(encode_request(Code.ACCESS_REQUEST, identifier, authenticator, attributes, SECRET, sign=sign))


def logged_in(sightings: Sightings, client: str = "lab") -> None:
    """A login as it should be."""
    for turn, fate in enumerate(("challenged:code_wanted", "accepted:ok")):
        packet = request(turn + 1, state=bool(turn))
        sighting = sightings.saw(client, "127.0.0.1", 40000, MONDAY + 9 * turn, packet, fate)
        sighting.latency = 0.004


def note(shell: Shell, sightings: Sightings) -> None:
    """Write down what is new, as the daemon does."""
    rows = [(client, MONDAY + 20, text) for client, text in sightings.news()]
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database, database:
        database.executemany("INSERT INTO sightings (client, updated, packets) VALUES (?, ?, ?)", rows)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_client_that_is_not_there(shell: Shell) -> None:
    """The clients that there are are named."""
    assert shell.wrong("doctor", "vpn") == "error: there is no client vpn; clients: lab\n"


@pytest.mark.parametrize("text", ["[", '[{"time": 1}]'])
def test_notes_that_cannot_be_read(shell: Shell, text: str) -> None:
    """One sentence, without a traceback."""
    with closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database, database:
        database.execute("INSERT INTO sightings (client, updated, packets) VALUES ('lab', 0, ?)", (text,))
    assert "cannot be read" in shell.refused("doctor", "lab")


# --- one client ------------------------------------------------------------------------------------------------------


def test_before_anything_was_noted(shell: Shell) -> None:
    """On a fresh site the daemon itself is the first thing to look at."""
    said = shell.say("doctor", "lab")
    assert said.code == 1
    assert "fault: the daemon has noted no packet at all" in said.out
    assert "start it" in said.out


def test_a_healthy_client(shell: Shell) -> None:
    """The numbers, and that nothing is wrong."""
    sightings = Sightings()
    logged_in(sightings)
    note(shell, sightings)
    lines = shell.run("doctor", "lab").splitlines()
    assert lines[0].split() == ["client", "lab"]
    assert lines[2].startswith("packets      2, from ")
    assert lines[3] == "outcome      1 accepted, 1 asked for more, 0 refused, 0 unanswered"
    assert lines[4] == "median time  4.0 ms"
    assert lines[-1] == "nothing is wrong with lab"


def test_a_client_that_does_not_sign(shell: Shell) -> None:
    """What is wrong, below it what to write, and no word of all being well."""
    sightings = Sightings()
    sightings.saw("lab", "127.0.0.1", 40000, MONDAY, request(sign=False), "no_message_authenticator")
    note(shell, sightings)
    said = shell.say("doctor", "lab")
    assert said.code == 1
    lines = said.out.splitlines()
    at = lines.index("fault: it sends no Message-Authenticator: its only request got no answer")
    assert lines[at + 1] == "  update it or switch that on there; until then write message_authenticator: observe"
    assert "nothing is wrong" not in said.out


def test_what_is_worth_knowing_is_no_fault(shell: Shell) -> None:
    """A note leaves the exit code at 0."""
    shell.change("message_authenticator: required", "message_authenticator: observe")
    sightings = Sightings()
    sightings.saw("lab", "127.0.0.1", 40000, MONDAY, request(sign=False), "challenged:code_wanted")
    note(shell, sightings)
    out = shell.run("doctor", "lab")
    assert "note: its only request carried no Message-Authenticator" in out
    assert "nothing is wrong with lab" in out


def test_a_client_that_was_never_seen(shell: Shell) -> None:
    """Its networks, and who has asked without being a client."""
    shell.change("  lab:\n", f"{VPN}  lab:\n")
    sightings = Sightings()
    logged_in(sightings)
    sightings.saw(STRANGERS, "203.0.113.9", 40000, MONDAY, None, "unknown_client")
    note(shell, sightings)
    said = shell.say("doctor", "vpn")
    assert said.code == 1
    assert "fault: no packet ever came from 192.0.2.1/32" in said.out
    assert "note: 203.0.113.9 asks and is no client" in said.out
    assert "if that is vpn, add networks: [203.0.113.9] to it" in said.out


def test_the_profile_of_a_client(shell: Shell) -> None:
    """What is known about the make is said, with its source; what contradicts it, too."""
    shell.change("    flow:", "    profile: mikrotik\n    reject_delay: 1s\n    flow:")
    sightings = Sightings()
    logged_in(sightings)
    note(shell, sightings)
    out = shell.run("doctor", "lab")
    assert "note: mikrotik waits 300 ms by default, and a refusal leaves after 1 s" in out
    assert "about MikroTik RouterOS:" in out
    assert all(f"  {fact}" in out for fact in PROFILES["mikrotik"].notes)


def test_the_profile_says_what_to_set_against_mschap(shell: Shell) -> None:
    """The remedy is for just that device."""
    shell.change("    flow:", "    profile: fortigate\n    flow:")
    challenge = (26, (311).to_bytes(4, "big") + bytes((11, 18)) + bytes(16))
    packet = decode(encode_request(Code.ACCESS_REQUEST, 1, bytes(16), [(1, b"alice"), challenge], SECRET))
    sightings = Sightings()
    sightings.saw("lab", "127.0.0.1", 40000, MONDAY, packet, "rejected:mschap_not_possible")
    note(shell, sightings)
    said = shell.say("doctor", "lab")
    assert said.code == 1
    assert "let it send PAP; on Fortinet FortiGate: config user radius / edit NAME / set auth-type pap" in said.out


def test_for_programs(shell: Shell) -> None:
    """The same as JSON, with words that stay."""
    sightings = Sightings()
    logged_in(sightings)
    sightings.saw("lab", "127.0.0.1", 40000, MONDAY + 30, request(9, sign=False), "no_message_authenticator")
    note(shell, sightings)
    said = shell.say("doctor", "lab", "--json")
    assert said.code == 1
    told = said.json()
    assert (told["client"], told["profile"], told["packets"]) == ("lab", None, 3)
    assert (told["accepted"], told["challenged"], told["rejected"], told["unanswered"]) == (1, 1, 0, 1)
    assert [(one["word"], one["gravity"]) for one in told["findings"]] == [("no_message_authenticator", "fault")]
    assert "observe" in told["findings"][0]["remedy"]


def test_a_forged_note_cannot_steer_the_terminal(shell: Shell) -> None:
    """Whoever can write the database writes no control characters to the administrator's screen."""
    sightings = Sightings()
    sightings.saw("lab", "127.0.0.1", 40000, MONDAY, None, "bad\a\u202elength")
    sightings.saw(STRANGERS, "203.0.113.9\a\u202e", 40000, MONDAY, None, "unknown_client")
    note(shell, sightings)
    for out in (shell.say("doctor", "lab").out, shell.say("doctor").out):
        assert "\\x07\\u202e" in out
        assert "\a" not in out
        assert "\u202e" not in out


def test_what_the_site_says_of_a_client(shell: Shell) -> None:
    """All of it reaches those who look for the fault, and the profile adds what it knows."""
    shell.change("127.0.0.1:0", "127.0.0.1:1645")
    told = "    profile: ios\n    strip_realm: yes\n    sign_replies: no\n    reject_delay: 2s\n    flow: append #"
    shell.change("    flow:", told)
    shell.change("message_authenticator: required", "message_authenticator: observe")
    settings = load_settings(shell.config)
    assert _device(settings.clients[0], settings) == Device(
        name="lab",
        profile="ios",
        flow=Flow.APPEND,
        require_message_authenticator=False,
        sign_replies=False,
        reject_delay=2.0,
        strip_realm=True,
        networks=("127.0.0.1/32", "::1/128"),
        timeout=5.0,
        asks_at=(1645,),
        listening=(1645,),
        mschap_remedy=mschap_remedy(PROFILES["ios"]),
    )


# --- all clients -----------------------------------------------------------------------------------------------------


def test_all_clients(shell: Shell) -> None:
    """One line each with the words of its faults; below them who has asked without being a client."""
    shell.change("  lab:\n", f"{VPN}  lab:\n")
    sightings = Sightings()
    logged_in(sightings)
    for turn in range(3):
        sightings.saw(STRANGERS, "203.0.113.9", 40000 + turn, MONDAY + turn, None, "unknown_client")
    note(shell, sightings)
    said = shell.say("doctor")
    assert said.code == 1
    lines = [line.split() for line in said.out.splitlines()]
    (vpn,) = [line for line in lines if line[:1] == ["vpn"]]
    (lab,) = [line for line in lines if line[:1] == ["lab"]]
    assert vpn[-1] == "never_seen"
    assert lab[:3] == ["lab", "-", "2"]
    assert lab[-1] == "-"
    assert "no client's: 203.0.113.9 has asked 3 times" in said.out


def test_all_clients_are_well(shell: Shell) -> None:
    """Then the exit code is 0."""
    sightings = Sightings()
    logged_in(sightings)
    note(shell, sightings)
    assert "lab" in shell.run("doctor")


def test_all_clients_for_programs(shell: Shell) -> None:
    """The same as one JSON document."""
    sightings = Sightings()
    logged_in(sightings)
    sightings.saw(STRANGERS, "203.0.113.9", 40000, MONDAY, None, "unknown_client")
    note(shell, sightings)
    said = shell.say("doctor", "--json")
    assert said.code == 0
    told = said.json()
    assert [client["client"] for client in told["clients"]] == ["lab"]
    assert told["strangers"] == [{"source": "203.0.113.9", "packets": 1, "last": MONDAY}]
