"""A RADIUS server that reads its lines from a script, made of pyrad's packets: the other side for the NAS's tests.

It never decides anything and keeps no state; each datagram takes the next line of the script, and what came is kept.
RFC 2865 4.2 to 4.4, RFC 5997.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket, StatusServer

SECRET = b"sixteen octets!!"


@dataclass(frozen=True)
class Reply:
    """One line of the script. `sign_with` is another secret for the whole reply, `mangle` has the last word."""

    code: int
    attributes: tuple[tuple[int, bytes], ...] = ()
    sign: bool = True
    sign_with: bytes = SECRET
    mangle: Callable[[bytes], bytes] = bytes


def accept(*attributes: tuple[int, bytes]) -> Reply:
    """Let in."""
    return Reply(AccessAccept, attributes)


def reject(message: str = "") -> Reply:
    """Turn away."""
    return Reply(AccessReject, ((18, message.encode()),) if message else ())


def challenge(prompt: str, state: bytes, *attributes: tuple[int, bytes]) -> Reply:
    """Ask for more."""
    return Reply(AccessChallenge, ((18, prompt.encode()), (24, state), *attributes))


SILENCE: tuple[Reply, ...] = ()


@dataclass(frozen=True)
class Seen:
    """One datagram as it came."""

    raw: bytes
    source: tuple[str, int]
    packet: AuthPacket

    @property
    def password(self) -> str:
        """User-Password in the clear."""
        return str(self.packet.PwDecrypt(self.packet[2][0]))


@dataclass
class Responder:
    """Plays its script on a loopback port of its own. A line may be several replies to one request, or none, which is
    silence; so is everything after the end."""

    script: Iterable[Reply | tuple[Reply, ...]] = ()
    host: str = "127.0.0.1"
    secret: bytes = SECRET
    answers_status: bool = True
    seen: list[Seen] = field(default_factory=list)
    """Every request but Status-Server."""
    status_seen: list[Seen] = field(default_factory=list)

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((self.host, 0))
        self.server: tuple[str, int] = self._socket.getsockname()[:2]
        self._lines = iter(self.script)
        self._thread = threading.Thread(target=self._play)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.sendto(b"", self.server)
        self._thread.join()
        self._socket.close()

    def _play(self) -> None:
        while True:
            raw, source = self._socket.recvfrom(8192)
            if not raw:
                return
            request = AuthPacket(packet=raw, secret=self.secret)
            line: Reply | tuple[Reply, ...]
            if request.code == StatusServer:
                self.status_seen.append(Seen(raw, source[:2], request))
                line = Reply(AccessAccept) if self.answers_status else SILENCE
            else:
                self.seen.append(Seen(raw, source[:2], request))
                line = next(self._lines, SILENCE)
            for reply in line if isinstance(line, tuple) else (line,):
                self._socket.sendto(_encode(request, reply), source)


def _encode(request: AuthPacket, line: Reply) -> bytes:
    reply = request.CreateReply(message_authenticator=line.sign or None)
    reply.code, reply.secret = line.code, line.sign_with
    for number, value in line.attributes:
        reply.setdefault(number, []).append(value)
    return line.mangle(reply.ReplyPacket())
