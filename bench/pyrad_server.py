"""The obvious way: pyrad's own server asks pyotp about the code, and a table in SQLite remembers the counter.

It is what the documentation of both leads to, written without malice: one thread, a commit for each login, SQLite as it
comes. So a used code can come back after a power cut (journal DELETE), a retransmission is refused as a replay, nobody
counts wrong codes, and nothing is written down. RFC 2865, RFC 4226.
"""

from __future__ import annotations

import io
import sqlite3
import sys
from pathlib import Path
from typing import Any, Final

import pyotp
from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessReject
from pyrad.server import RemoteHost, Server

LOOK_AHEAD: Final = 10
_ATTRIBUTES: Final = """
ATTRIBUTE User-Name 1 string
ATTRIBUTE User-Password 2 octets
ATTRIBUTE NAS-IP-Address 4 ipaddr
ATTRIBUTE NAS-Port 5 integer
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Message-Authenticator 80 octets
"""


class Codes(Server):  # type: ignore[misc]  # pyrad has no types
    """Answers code-only logins."""

    def __init__(self, database: Path, secret: str, port: int) -> None:
        hosts = {"127.0.0.1": RemoteHost("127.0.0.1", secret.encode(), "bench")}
        super().__init__(
            addresses=["127.0.0.1"],
            authport=port,
            hosts=hosts,
            dict=Dictionary(io.StringIO(_ATTRIBUTES)),
            acct_enabled=False,
            enforce_ma=True,
        )
        self.database = sqlite3.connect(database)

    def HandleAuthPacket(self, pkt: Any) -> None:  # noqa: ANN401, N802 - pyrad's name, and no types
        """Accept a code that is one of the next ones, and move the counter behind it."""
        name, code = pkt["User-Name"][0], pkt.PwDecrypt(pkt["User-Password"][0])
        reply = self.CreateReplyPacket(pkt)
        reply.code = AccessAccept if self._is_right(name, code) else AccessReject
        reply.add_message_authenticator()
        self.SendReplyPacket(pkt.fd, reply)

    def _is_right(self, name: str, code: str) -> bool:
        row = self.database.execute("SELECT secret, counter FROM users WHERE name = ?", (name,)).fetchone()
        if row is None:
            return False
        secret, counter = row
        fob = pyotp.HOTP(secret)
        for ahead in range(LOOK_AHEAD):
            if fob.verify(code, counter + ahead):
                self.database.execute("UPDATE users SET counter = ? WHERE name = ?", (counter + ahead + 1, name))
                self.database.commit()
                return True
        return False


if __name__ == "__main__":
    server = Codes(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    print("ready", flush=True)
    server.Run()
