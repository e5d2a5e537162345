"""A crowd of people with security keys behind one NAS: password, prompt with a code, pasted response; a closed loop.

The expensive half of each signature is made beforehand: the nonce k with its r and its inverse is drawn from a pool,
which leaves one multiplication for a login. That would betray the private key of anything but a benchmark, and it costs
the server exactly what an honest signature does. RFC 2865 5.2, RFC 3579 3.2, WebAuthn 6.3.3, SEC 1 4.1.3 (ECDSA).
"""

from __future__ import annotations

import hashlib
import itertools
import random
import resource
import select
import socket
import time
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.webauthn import Aaguid, AttestedCredentialData
from packets import ACCEPT, CHALLENGE, REPLY_MESSAGE, STATE, answers, attributes, request
from report import Load
from servers import name_of

from radiusd2fa.core.responder import (
    KeyResponse,
    authenticator_data,
    client_data,
    find_code,
    responder_challenge,
    selector,
)

RP_ID: Final = "bench.example.org"
ORIGIN: Final = "https://bench.example.org"
ADDRESS: Final = "127.0.0.3"
"""Where the NAS with the security keys asks from."""
POOL: Final = 2000

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PRIVATE: Final = int.from_bytes(hashlib.sha256(b"bench").digest(), "big") % _ORDER
_PATIENCE: Final = 8.0


def credential_id(index: int) -> bytes:
    """The credential of one person; all share one private key, which nobody can tell from the outside."""
    return hashlib.sha256(b"credential" + index.to_bytes(8, "big")).digest()


def attested(index: int) -> bytes:
    """What the store keeps of that credential."""
    public = ec.derive_private_key(_PRIVATE, ec.SECP256R1()).public_key()
    return bytes(AttestedCredentialData.create(Aaguid.NONE, credential_id(index), ES256.from_cryptography_key(public)))  # type: ignore[no-untyped-call]


@dataclass(slots=True)
class _Login:
    index: int
    began: float
    asked: bytes
    answering: bool = False


class Crowd:
    """People who log in one after the other, so many at a time; never one of them twice at once."""

    def __init__(self, port: int, users: int, outstanding: int) -> None:
        self._server = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._users, self._outstanding = users, outstanding
        self._pool = itertools.cycle(_pool())
        self._counter = int(time.time())  # grows from run to run
        self._free = list(range(users))
        random.shuffle(self._free)
        self._identifiers = itertools.cycle(range(256))
        self._waiting: dict[int, _Login] = {}

    def run(self, seconds: float, warm_up: float = 0.5) -> Load:
        """Log in for so long; SystemExit on the first refusal, bad reply or silence."""
        latencies: list[float] = []
        challenges = accepts = 0
        cpu = _cpu()
        begin = time.perf_counter() + warm_up
        end = begin + seconds
        for _ in range(self._outstanding):
            self._start()
        while self._waiting:
            if not select.select([self._socket], [], [], _PATIENCE)[0]:
                raise SystemExit("bench: security keys: no answer")
            reply = self._socket.recv(4096)
            login = self._waiting.pop(reply[1])
            self._verify(reply, login)
            now = time.perf_counter()
            if reply[0] == CHALLENGE and not login.answering:
                challenges += 1
                self._answer(login, reply)
                continue
            if reply[0] != ACCEPT:
                raise SystemExit(f"bench: security keys: {name_of(login.index)} got a reply of code {reply[0]}")
            accepts += 1
            self._free.append(login.index)
            if begin <= now < end:
                latencies.append(now - login.began)
            if now < end:
                self._start()
        self._socket.close()
        latencies.sort()
        micro = [latencies[min(int(len(latencies) * part), len(latencies) - 1)] * 1e6 for part in (0.5, 0.95, 0.99, 1)]
        return Load(
            outstanding=self._outstanding,
            users=self._users,
            seconds=seconds,
            logins=len(latencies),
            logins_per_second=len(latencies) / seconds,
            p50_us=micro[0],
            p95_us=micro[1],
            p99_us=micro[2],
            max_us=micro[3],
            accepts=accepts,
            challenges=challenges,
            rejects=0,
            silences=0,
            bad_replies=0,
            retransmissions=0,
            strays=0,
            generator_us_per_login=(_cpu() - cpu) / accepts * 1e6,
        )

    def _start(self) -> None:
        index = self._free.pop(0)
        login = _Login(index, time.perf_counter(), b"")
        self._send(login, b"correct horse", b"")

    def _answer(self, login: _Login, reply: bytes) -> None:
        found = dict(attributes(reply))
        code = find_code(found[REPLY_MESSAGE].decode())
        if code is None:
            raise SystemExit(f"bench: security keys: {found[REPLY_MESSAGE]!r} holds no code")
        user, own = name_of(login.index), credential_id(login.index)
        self._counter += 1
        data = authenticator_data(RP_ID, 1, self._counter)
        signed = data + hashlib.sha256(client_data(responder_challenge(code.nonce, user, ""), ORIGIN)).digest()
        r, inverse = next(self._pool)
        z = int.from_bytes(hashlib.sha256(signed).digest(), "big")
        s = inverse * (z + r * _PRIVATE) % _ORDER
        response = KeyResponse(selector(own), 1, self._counter, r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        login.answering = True
        self._send(login, str(response).encode(), found[STATE])

    def _send(self, login: _Login, password: bytes, state: bytes) -> None:
        identifier = next(self._identifiers)
        login.asked = request(identifier, name_of(login.index), password, state)
        self._waiting[identifier] = login
        self._socket.sendto(login.asked, self._server)

    def _verify(self, reply: bytes, login: _Login) -> None:
        if not answers(reply, login.asked):
            raise SystemExit("bench: security keys: a reply that is not signed with our secret")


def _pool() -> list[tuple[int, int]]:
    """Pairs of r and the inverse of its k."""
    pairs = []
    for index in range(POOL):
        k = int.from_bytes(hashlib.sha256(b"nonce" + index.to_bytes(8, "big")).digest(), "big") % _ORDER
        x = ec.derive_private_key(k, ec.SECP256R1()).public_key().public_numbers().x
        pairs.append((x % _ORDER, pow(k, -1, _ORDER)))
    return pairs


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
