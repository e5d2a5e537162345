"""Other implementations as judges of our reply attributes: pyrad with our dictionaries, radclient with FreeRADIUS' own.

pyrad decodes what we encode and encodes the same; radclient asks a socket of the test's own on loopback and prints what
it has understood of the reply. RFC 2865 5.26, RFC 2868 3, RFC 2548 2.4.2.
"""

from __future__ import annotations

import logging
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrad import tools
from pyrad.dictionary import Dictionary as PyradDictionary
from pyrad.packet import AuthPacket

from radiusd2fa.core.attributes import Person, ReplyAttribute
from radiusd2fa.radius.packet import Code, decode, encode_reply
from radiusd2fa.radius.reply import compile_reply, encode
from radiusd2fa.settings.dictionaries import SHIPPED, shipped_dictionary

RADCLIENT: Final = shutil.which("radclient")
PATIENCE: Final = 20.0

SECRET: Final = b"correct horse battery staple"
AUTHENTICATOR: Final = bytes(range(100, 116))
ALICE: Final = Person("alice@example.org", "alice", "example.org", ("vpn", "admins"))

# pyrad skips what it cannot decode with a warning of its logger's
logging.getLogger("pyrad").setLevel(logging.ERROR)
PYRAD: Final = PyradDictionary(str(SHIPPED / "dictionary"))


def made(name: str, value: str, *groups: str) -> ReplyAttribute:
    return compile_reply(shipped_dictionary(), name, value, rule_groups=groups)


def accept(attributes: list[ReplyAttribute], request: bytes, salts: bytes) -> bytes:
    packet = decode(request)
    return encode_reply(
        Code.ACCESS_ACCEPT, packet, encode(attributes, ALICE, SECRET, packet.authenticator, salts), SECRET
    )


def read_by_pyrad(attributes: list[ReplyAttribute], salts: bytes = b"\x12\x34") -> AuthPacket:
    """An Access-Accept with these attributes, verified and decoded by pyrad."""
    request = AuthPacket(secret=SECRET, authenticator=AUTHENTICATOR, dict=PYRAD, id=7)
    request["User-Name"] = "alice"
    request.add_message_authenticator()
    octets = accept(attributes, request.RequestPacket(), salts)
    reply = request.CreateReply(packet=octets)
    reply.request_authenticator = AUTHENTICATOR  # as pyrad's own client does
    assert request.VerifyReply(reply, octets, enforce_ma=True)
    return reply


# --- pyrad -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("Session-Timeout", "3600", 3600),
        ("Service-Type", "Administrative-User", "Administrative-User"),
        ("Framed-IP-Address", "192.0.2.1", "192.0.2.1"),
        ("Filter-Id", "jörg's filter", "jörg's filter"),
        ("Filter-Id", "0x41", "0x41"),
        ("Class", "0x00ff", b"\x00\xff"),
        ("Class", "OU=Employees;", b"OU=Employees;"),
        ("Framed-IPv6-Address", "2001:db8::1", "2001:db8::1"),
        ("Framed-IPv6-Prefix", "2001:db8:8000::/33", "2001:db8:8000::/33"),
        ("Framed-IPv6-Prefix", "::/0", "::/0"),
        ("Framed-Interface-Id", "0:0:c0:1", "0:0:c0:1"),
        ("Tunnel-Type:1", "VLAN", "VLAN"),
        ("Tunnel-Type", "VLAN", "VLAN"),
        ("Tunnel-Private-Group-Id:1", "42", "42"),
        ("Tunnel-Private-Group-Id", "42", "42"),
        ("Tunnel-Password:3", "hunter2", "hunter2"),
        ("Tunnel-Password", "x" * 239, "x" * 239),
        ("MS-MPPE-Send-Key", "0x" + "a5" * 32, b"\xa5" * 32),
        ("MS-Primary-DNS-Server", "192.0.2.53", "192.0.2.53"),
        ("Cisco-AVPair", "shell:priv-lvl=15", "shell:priv-lvl=15"),
        ("Fortinet-Group-Name", "%{user}", "alice@example.org"),
        ("ASA-Privilege-Level", "15", 15),
        ("F5-LTM-User-Role", "Guest", "Guest"),
    ],
)
def test_pyrad_reads_what_was_written(name: str, value: str, read: object) -> None:
    """With the same dictionary pyrad finds name, tag and value in our Access-Accept, hidden ones too."""
    assert read_by_pyrad([made(name, value)])[name] == [read]


def test_pyrad_reads_them_all_together() -> None:
    """Several tunnels, groups and hidden values in one reply keep their tags and their order."""
    attributes = [
        made("Tunnel-Type:1", "VLAN"),
        made("Tunnel-Type:2", "L2TP"),
        made("Tunnel-Password:1", "one"),
        made("Tunnel-Password:2", "two"),
        made("Class", "%{group}", "vpn", "Admins", "nobody"),
    ]
    reply = read_by_pyrad(attributes, b"\xff\xff")
    assert (reply["Tunnel-Type:1"], reply["Tunnel-Type:2"]) == (["VLAN"], ["L2TP"])
    assert (reply["Tunnel-Password:1"], reply["Tunnel-Password:2"]) == (["one"], ["two"])
    assert reply["Class"] == [b"Admins", b"vpn"]


@given(number=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_numbers_are_encoded_as_pyrad_encodes_them(number: int) -> None:
    """Every number becomes the same octets as there, and is the same number when it is read."""
    [(_, octets)] = encode([made("Session-Timeout", str(number))], ALICE, SECRET, AUTHENTICATOR, b"")
    assert octets == tools.EncodeAttr("integer", number)
    assert tools.DecodeAttr("integer", octets) == number


@given(address=st.ip_addresses(v=6))
@settings(deadline=None)
def test_addresses_are_encoded_as_pyrad_encodes_them(address: object) -> None:
    """Every IPv6 address becomes the same octets as there."""
    [(_, octets)] = encode([made("Framed-IPv6-Address", str(address))], ALICE, SECRET, AUTHENTICATOR, b"")
    assert octets == tools.EncodeAttr("ipv6addr", str(address))


@given(value=st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=59))
@settings(deadline=None, max_examples=50)
def test_text_comes_back_as_it_was(value: str) -> None:
    """Any printable text is read by pyrad as it was written: plain, tagged, a vendor's, hidden."""
    written = value.replace("%", "%%")
    names = ("Filter-Id", "Tunnel-Private-Group-Id:9", "Cisco-AVPair", "Tunnel-Password:31")
    reply = read_by_pyrad([made(name, written) for name in names])
    assert [reply[name] for name in names] == [[value]] * len(names)


@given(
    secret=st.binary(min_size=1, max_size=60), value=st.binary(min_size=1, max_size=239), salts=st.binary(min_size=2)
)
@settings(deadline=None, max_examples=50)
def test_what_is_hidden_is_revealed_by_pyrad(secret: bytes, value: bytes, salts: bytes) -> None:
    """For any secret, salt and length pyrad's salt decryption gives back what ours has hidden."""
    [(_, octets)] = encode([made("MS-MPPE-Recv-Key", f"0x{value.hex()}")], ALICE, secret, AUTHENTICATOR, salts)
    receiver = AuthPacket(secret=secret, authenticator=AUTHENTICATOR)
    receiver.request_authenticator = AUTHENTICATOR
    assert receiver.SaltDecrypt(octets[6:]) == value


# --- radclient -------------------------------------------------------------------------------------------------------


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(SECRET)
    return path


def printed_by_radclient(attributes: list[ReplyAttribute], secret_file: Path) -> dict[str, list[str]]:
    """What radclient has read in an Access-Accept with these attributes, by name and in order."""
    assert RADCLIENT is not None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)

        def answer() -> None:
            request, source = server.recvfrom(4096)
            server.sendto(accept(attributes, request, b"\xab\xcd"), source)

        answering = threading.Thread(target=answer)
        answering.start()
        done = subprocess.run(
            [
                RADCLIENT,
                "-x",
                "-r",
                "1",
                "-t",
                "5",
                "-S",
                str(secret_file),
                f"127.0.0.1:{server.getsockname()[1]}",
                "auth",
            ],
            input='User-Name = "alice", User-Password = "x", Message-Authenticator = 0x00\n',
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        answering.join(PATIENCE)
    output = done.stdout.partition("Received Access-Accept")[2]
    assert output, done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^\t([^ ]+) = (.*)$", output, re.MULTILINE):
        found.setdefault(name, []).append(value.strip('"'))
    return found


@pytest.mark.skipif(RADCLIENT is None, reason="needs Debian package freeradius-utils")
def test_radclient_reads_what_was_written(secret_file: Path) -> None:
    """With FreeRADIUS' own dictionaries radclient prints the names and values that the site has written."""
    written = {
        "Service-Type": "NAS-Prompt-User",
        "Session-Timeout": "3600",
        "Framed-IP-Address": "192.0.2.1",
        "Filter-Id": "jörg's filter",
        "Class": "0x00ff41",
        "Framed-IPv6-Prefix": "2001:db8:8000::/33",
        "Framed-IPv6-Address": "2001:db8::1",
        "Framed-Interface-Id": "0:0:c0:1",
        "Tunnel-Type:1": "VLAN",
        "Tunnel-Medium-Type:1": "IEEE-802",
        "Tunnel-Private-Group-Id:1": "42",
        "Tunnel-Password:1": "hunter2",
        "MS-MPPE-Send-Key": "0x" + "a5" * 32,
        "MS-Primary-DNS-Server": "192.0.2.53",
        "Cisco-AVPair": "shell:priv-lvl=15",
        "ASA-Group-Policy": "Employees",
        "Juniper-Local-User-Name": "operator",
        "Fortinet-Group-Name": "vpn",
        "PaloAlto-Admin-Role": "superreader",
        "Mikrotik-Group": "full",
        "Aruba-User-Role": "staff",
        "CP-Gaia-SuperUser-Access": "1",
        "F5-LTM-User-Role": "Guest",
        "Citrix-User-Groups": "vpn",
    }
    found = printed_by_radclient([made(name, value) for name, value in written.items()], secret_file)
    found.pop("Message-Authenticator")
    assert {name: values[0] for name, values in found.items()} == written


@pytest.mark.skipif(RADCLIENT is None, reason="needs Debian package freeradius-utils")
def test_radclient_reads_untagged_tunnels_and_groups(secret_file: Path) -> None:
    """Attributes that could have a tag are understood without one, and several of a kind stay several."""
    attributes = [
        made("Tunnel-Type", "VLAN"),
        made("Tunnel-Private-Group-Id", "42"),
        made("Tunnel-Password", "hunter2"),
        made("Tunnel-Password:2", "x" * 239),
        made("Filter-Id", "%{name} in %{group}", "vpn", "Admins"),
    ]
    found = printed_by_radclient(attributes, secret_file)
    assert found["Tunnel-Type:0"] == ["VLAN"]
    assert [values for name, values in found.items() if name.startswith("Tunnel-Private-Group-Id")] == [["42"]]
    assert (found["Tunnel-Password:0"], found["Tunnel-Password:2"]) == (["hunter2"], ["x" * 239])
    assert found["Filter-Id"] == ["alice in Admins", "alice in vpn"]
