"""A key plugged into a pseudo-terminal: its path is a character device that stock FIDO clients take for a HID device.

It answers no ioctl, so clients must be given the path; and it has one reader at a time, because a terminal gives each
octet to one reader only.
CTAP 2.1 11.2 (USB HID): clients write 65 octets with the report id 0 in front, or 64, and read 64.
"""

from __future__ import annotations

import os
import select
import termios
import threading
import tty
from types import TracebackType
from typing import Final, Self

from radiusd2fa.emulators.softkey.ctaphid import PACKET_OCTETS, CtapHid
from radiusd2fa.emulators.softkey.key import SoftKey

POLL_EVERY: Final = 0.02
"""Seconds between two looks at the button, or for a new client."""
_READ_OCTETS: Final = 4096


class PtyKey:
    """A key at `path`. In a `with` block a thread serves it; `serve` does the same in the caller's own."""

    def __init__(self, key: SoftKey) -> None:
        self._hid = CtapHid(key)
        self._master, slave = os.openpty()
        self.path = os.ttyname(slave)
        for end in (self._master, slave):
            tty.setraw(end)
        ways = termios.tcgetattr(slave)
        ways[6][termios.VMIN] = PACKET_OCTETS  # a read gets a whole packet or waits
        termios.tcsetattr(slave, termios.TCSANOW, ways)
        os.close(slave)  # held open it would hide from us that a client has gone
        os.set_blocking(self._master, False)  # what a client does not read must not hold us up
        self.is_free = threading.Event()
        """Set while no client has the path open, or none that has been noticed."""
        self.is_free.set()
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve_or_fail, name=f"soft key at {self.path}", daemon=True)
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
        """Pull the key out for good."""
        self._unplug()
        for end in (self._stop_reader, self._stop_writer):
            os.close(end)

    def serve(self) -> None:
        """Answer one client after the other until the key is unplugged, or `__exit__` ends it."""
        while not self._hid.gone:
            attached = self._is_attached()
            if self._is_stopped(0 if attached else POLL_EVERY):
                return
            if attached:
                self.is_free.clear()
                self._serve_client()
                self._forget_client()
                self.is_free.set()
        self._unplug()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _serve_or_fail(self) -> None:
        try:
            self.serve()
        except BaseException as failure:  # noqa: BLE001 it is raised again where the `with` block ends
            self._failure = failure
            self._unplug()

    def _is_attached(self) -> bool:
        """Whether a client has the path open, or had it and has written something."""
        master = select.poll()
        master.register(self._master, select.POLLIN)
        return not any(event & select.POLLHUP and not event & select.POLLIN for _, event in master.poll(0))

    def _is_stopped(self, seconds: float) -> bool:
        return bool(select.select([self._stop_reader], [], [], seconds)[0])

    def _serve_client(self) -> None:
        """Answer until the client closes the path, the key is unplugged, or the end is wanted."""
        both = select.poll()
        both.register(self._master, select.POLLIN)
        both.register(self._stop_reader, select.POLLIN)
        received = b""
        while not self._hid.gone:
            ready = dict(both.poll(POLL_EVERY * 1000 if received or self._hid.is_busy else None))
            if self._stop_reader in ready:
                return
            event = ready.get(self._master, 0)
            if event & select.POLLIN:
                received = self._take(received + os.read(self._master, _READ_OCTETS))
            elif event:
                return
            else:
                received = b""  # half a packet, and then nothing: no client of ours
                self._write(self._hid.poll())

    def _take(self, received: bytes) -> bytes:
        """Obey each whole packet; return what is left over."""
        while received:
            packet = received[1:] if received[0] == 0 else received  # the report id
            if len(packet) < PACKET_OCTETS:
                break
            received = packet[PACKET_OCTETS:]
            self._write(self._hid.receive(packet[:PACKET_OCTETS]))
        return received

    def _write(self, packets: list[bytes]) -> None:
        for packet in packets:
            try:
                os.write(self._master, packet)
            except BlockingIOError:
                return  # nobody reads; a HID device drops such packets too

    def _forget_client(self) -> None:
        """Drop what the client has left unread and unfinished: the next one must find neither."""
        if self._hid.gone:
            return
        self._hid.abandon()
        slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        termios.tcflush(slave, termios.TCIFLUSH)
        os.close(slave)

    def _unplug(self) -> None:
        if self._master >= 0:
            os.close(self._master)
        self._master = -1
