"""A key held to the virtual reader of vsmartcard's vpcd, so that the real pcscd has a card in it.

It is the card's side of a TCP connection only: pcscd and vpcd are started by somebody else.
No RFC speaks here: vpcd's messages are two octets of length and a body, of which one octet alone is a control.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from types import TracebackType
from typing import Final, Self

from radiusd2fa.emulators.softkey.key import SoftKey
from radiusd2fa.emulators.softkey.nfc import ATR, Card

PORT: Final = 35963
"""Where vpcd's first slot listens."""
CONNECT_TIMEOUT: Final = 5.0
_POWER_ON: Final = b"\x01"
_RESET: Final = b"\x02"
_GET_ATR: Final = b"\x04"
_READ_OCTETS: Final = 4096


class VpcdKey:
    """A key in the reader. In a `with` block a thread serves it; `serve` does the same in the caller's own."""

    def __init__(self, key: SoftKey, address: tuple[str, int] = ("127.0.0.1", PORT)) -> None:
        self._card = Card(key)
        self._socket = socket.create_connection(address, timeout=CONNECT_TIMEOUT)
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve_or_fail, name="soft key in a reader", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._stop_writer, b"\0")
        if self._thread is not None:
            self._thread.join()
        self.close()
        if self._failure is not None and error is None:
            raise self._failure

    def close(self) -> None:
        """Take the key out of the reader for good."""
        self._socket.close()
        for end in (self._stop_reader, self._stop_writer):
            os.close(end)

    def serve(self) -> None:
        """Answer the reader until the key is taken away, pcscd ends, or `__exit__` ends it."""
        received = b""
        while not self._card.gone:
            ready, _, _ = select.select([self._socket.fileno(), self._stop_reader], [], [])
            if self._stop_reader in ready:
                return
            # vpcd writes a length and its body apart, and the second waits for our acknowledgement of the first
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            octets = self._socket.recv(_READ_OCTETS)
            if not octets:
                break
            received = self._take(received + octets)
        self._socket.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _serve_or_fail(self) -> None:
        try:
            self.serve()
        except BaseException as failure:  # noqa: BLE001 it is raised again where the `with` block ends
            self._failure = failure
            self._socket.close()

    def _take(self, received: bytes) -> bytes:
        """Answer each whole message; return what is left over."""
        while len(received) >= 2:
            end = 2 + int.from_bytes(received[:2], "big")
            if len(received) < end:
                break
            message, received = received[2:end], received[end:]
            answer = self._answer(message)
            if answer is not None:
                self._socket.sendall(len(answer).to_bytes(2, "big") + answer)
        return received

    def _answer(self, message: bytes) -> bytes | None:
        if message == _GET_ATR:
            return ATR
        if message in {_POWER_ON, _RESET}:
            self._card.power_up()
        return self._card.exchange(message) if len(message) > 1 else None
