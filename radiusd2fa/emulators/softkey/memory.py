"""A key plugged into this very process: python-fido2 clients talk to it without any device.

The key works in the thread of whoever reads from it, so there is nothing to start and nothing to stop.
CTAP 2.1 11.2 (USB HID), as python-fido2's connections carry it.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from typing import Final

from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor

from radiusd2fa.emulators.softkey.ctaphid import PACKET_OCTETS, CtapHid
from radiusd2fa.emulators.softkey.key import SoftKey

VENDOR_ID: Final = 0x0000
PRODUCT_ID: Final = 0x0000
PRODUCT_NAME: Final = "radiusd2fa soft key (a file, no second factor)"
POLL_EVERY: Final = 0.01
"""Seconds between two looks at the button."""


class Connection(CtapHidConnection):
    """A client's connection. A silent key makes a read wait until `close`, which would not help on a real device."""

    def __init__(self, hid: CtapHid) -> None:
        self._hid = hid
        self._outgoing: deque[bytes] = deque()
        self._closed = threading.Event()

    def write_packet(self, data: bytes) -> None:
        """Hand the key one packet."""
        self._refuse_if_gone()
        self._outgoing.extend(self._hid.receive(data))

    def read_packet(self) -> bytes:
        """Return the key's next packet, when it comes. Raises OSError once the key or the connection is gone."""
        while not self._outgoing:
            self._refuse_if_gone()
            self._outgoing.extend(self._hid.poll())
            if not self._outgoing:
                self._closed.wait(POLL_EVERY)
        return self._outgoing.popleft()

    def close(self) -> None:
        """End it."""
        self._closed.set()

    def _refuse_if_gone(self) -> None:
        if self._hid.gone:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self._closed.is_set():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def connect(key: SoftKey) -> CtapHidDevice:
    """Plug the key in, as a device for python-fido2's clients. Each call is a USB port of its own."""
    descriptor = HidDescriptor("memory", VENDOR_ID, PRODUCT_ID, PACKET_OCTETS, PACKET_OCTETS, PRODUCT_NAME, None)
    return CtapHidDevice(descriptor, Connection(CtapHid(key)))
