"""The load generator: do other programs agree with its codes and packets, and does it notice every fault?

Nothing here is timed: a run is a number of logins. RFC 4226 for the codes, RFC 2865 3 and RFC 3579 3.2 for the packets.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import select
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp
import pytest
from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket

BENCH = Path(__file__).parent.parent / "bench"
SECRET = b"a shared secret of the test"
DICTIONARY = Dictionary(
    io.StringIO(
        "ATTRIBUTE User-Name 1 string\nATTRIBUTE User-Password 2 octets\nATTRIBUTE NAS-IP-Address 4 ipaddr\n"
        "ATTRIBUTE NAS-Port 5 integer\nATTRIBUTE State 24 octets\nATTRIBUTE NAS-Identifier 32 string\n"
        "ATTRIBUTE Message-Authenticator 80 octets\n"
    )
)

Answer = Callable[[AuthPacket], bytes]


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (package gcc)")
    program = tmp_path_factory.mktemp("bench") / "load"
    subprocess.run([compiler, "-O2", "-o", program, BENCH / "load.c"], check=True)
    return program


def seed(index: int) -> bytes:
    return hashlib.sha1(b"bench" + index.to_bytes(8, "big")).digest()  # noqa: S324  # a name turned into a seed


CODES = [(0, 0), (0, 1), (7, 9), (9_999_999, 2**31 - 1), (123, 2**32 + 5)]


@pytest.mark.parametrize(("index", "counter"), CODES)
def test_codes_agree_with_pyotp(generator: Path, index: int, counter: int) -> None:
    """The generator's fob shows what pyotp's shows."""
    expected = pyotp.HOTP(base64.b32encode(seed(index)).decode()).at(counter)
    assert code_of(generator, index, counter) == expected


@pytest.mark.skipif(shutil.which("oathtool") is None, reason="oathtool is missing (package oathtool)")
@pytest.mark.parametrize(("index", "counter"), CODES)
def test_codes_agree_with_oathtool(generator: Path, index: int, counter: int) -> None:
    """The generator's fob shows what oathtool's shows."""
    command = ["oathtool", "--hotp", f"--counter={counter}", seed(index).hex()]
    assert code_of(generator, index, counter) == subprocess.check_output(command, text=True).strip()


def test_logins_are_what_a_server_expects(generator: Path) -> None:
    """Each login is a password, a State that comes back and a code never seen before, signed as pyrad would sign it."""
    codes: set[tuple[str, str]] = set()

    def answer(request: AuthPacket) -> bytes:
        name, password = request["User-Name"][0], request.PwDecrypt(request[2][0])
        assert request["NAS-Identifier"] == ["bench"]
        if "State" not in request:
            assert password == "correct horse"
            return reply(AccessChallenge, request, b"\x18\x0a" + name[-8:].encode())
        assert request["State"] == [name[-8:].encode()]
        counter = sum(seen == name for seen, _ in codes)
        assert password == pyotp.HOTP(base64.b32encode(seed(int(name[4:]))).decode()).at(counter)
        codes.add((name, password))
        return reply(AccessAccept, request)

    status, found = play(generator, "challenge", answer)
    assert status == 0
    assert (found["accepts"], found["challenges"], len(codes)) == (40, 40, 40)


def forged_response(request: AuthPacket) -> bytes:
    packet = bytearray(reply(AccessAccept, request))
    packet[4] ^= 1
    return bytes(packet)


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        pytest.param(lambda request: reply(AccessReject, request), "rejects", id="a reject"),
        pytest.param(forged_response, "bad_replies", id="a wrong Response Authenticator"),
        pytest.param(lambda request: reply(AccessAccept, request, sign=b"?"), "bad_replies", id="a wrong signature"),
        pytest.param(lambda request: reply(AccessAccept, request, sign=None), "bad_replies", id="no signature"),
        pytest.param(lambda request: reply(AccessAccept, request, b"\x12\x09?"), "bad_replies", id="a cut attribute"),
        pytest.param(
            lambda request: reply(AccessChallenge, request, b"\x18\x03?"),
            "bad_replies",
            id="a challenge nobody expects",
        ),
    ],
)
def test_every_fault_fails_the_run(generator: Path, answer: Answer, count: str) -> None:
    """One reply that is not a verified Accept, after ten that are, fails the run and is counted as what it is."""
    requests: list[AuthPacket] = []

    def answer_eleventh(request: AuthPacket) -> bytes:
        requests.append(request)
        return answer(request) if len(requests) == 11 else reply(AccessAccept, request)

    status, found = play(generator, "code-only", answer_eleventh)
    assert status == 1
    assert 10 <= found["accepts"] < 40
    assert found[count] == 1


def code_of(generator: Path, index: int, counter: int) -> str:
    return subprocess.check_output([generator, "hotp", str(index), str(counter)], text=True).strip()


def reply(code: int, request: AuthPacket, attributes: bytes = b"", sign: bytes | None = SECRET) -> bytes:
    """A reply put together by hand, Message-Authenticator first, signed with ``sign``."""
    zeros = b"\x50\x12" + bytes(16) if sign else b""
    head = bytes([code, request.id]) + (20 + len(zeros) + len(attributes)).to_bytes(2, "big")
    if sign:
        sum_ = hmac.digest(sign, head + request.authenticator + zeros + attributes, "md5")
        attributes = b"\x50\x12" + sum_ + attributes
    authenticator = hashlib.md5(head + request.authenticator + attributes + SECRET).digest()  # noqa: S324  # RFC 2865 3
    return head + authenticator + attributes


def play(generator: Path, mode: str, answer: Answer) -> tuple[int, dict[str, Any]]:
    """Let 40 logins, four at a time, meet a server of one function; every request must satisfy pyrad first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        command: list[str | Path | bytes] = [generator, mode, str(server.getsockname()[1]), SECRET]
        command += ["--users", "20", "--outstanding", "4", "--logins", "40", "--warm-up", "0", "--seconds", "60"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                while process.poll() is None:
                    if select.select([server], [], [], 0.05)[0]:
                        packet, nas = server.recvfrom(4096)
                        request = AuthPacket(packet=packet, secret=SECRET, dict=DICTIONARY)
                        assert request.verify_message_authenticator()
                        server.sendto(answer(request), nas)
            finally:
                process.kill()
            assert process.stdout is not None
            return process.returncode, json.loads(process.stdout.read())
