"""The soft key's pseudo-terminal, octet by octet: what clients write there, and what an earlier one has left behind.

A terminal knows no packets, so what a HID device gets from the kernel the key has to find out for itself.
CTAP 2.1 11.2.4.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from radiusd2fa.emulators.softkey import KeyFileError, Misbehaviour, SoftKey
from radiusd2fa.emulators.softkey.pty import PtyKey

from .ceremonies import at_path, register

PATIENCE: Final = 20.0
INIT: Final = (b"\xff\xff\xff\xff\x86\x00\x08" + b"12345678").ljust(64, b"\0")
REPORT_ID: Final = b"\0"


def _packet(channel: bytes, kind: int, content: bytes) -> bytes:
    return (channel + bytes((kind,)) + len(content).to_bytes(2, "big") + content).ljust(64, b"\0")


@contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _comes(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def _read(descriptor: int) -> bytes:
    assert _comes(descriptor, PATIENCE)
    return os.read(descriptor, 64)


def test_a_failure_of_the_key_is_seen() -> None:
    """What goes wrong in the key's thread is raised where the `with` block ends, and clients see an unplugged key."""
    key = SoftKey.make()

    def broken(_octets: int) -> bytes:
        raise KeyFileError("the file is gone")

    with pytest.raises(KeyFileError, match="the file is gone"):
        _register_at(key, broken)


def _register_at(key: SoftKey, broken: Callable[[int], bytes]) -> None:
    with PtyKey(key) as plugged_in:
        device = at_path(plugged_in.path)
        try:
            key.random = broken
            with pytest.raises(Exception, match=r"Input/output error|unpack_from"):  # python-fido2 expects no end
                register(device)
        finally:
            device.close()


def test_half_a_packet_is_forgotten() -> None:
    """Stray octets are not answered, and do not spoil what the next client writes."""
    with PtyKey(SoftKey.make()) as plugged_in, _opened(plugged_in.path) as client:
        os.write(client, b"who is there?\n")
        assert not _comes(client, 0.2)
        os.write(client, INIT)
        assert _read(client)[7:15] == b"12345678"


@pytest.mark.parametrize("before", [b"", REPORT_ID], ids=["64 octets", "65 octets"])
def test_packets_with_and_without_report_id(before: bytes) -> None:
    """Clients may write the report id 0 in front or leave it out, and several packets may come as one piece."""
    with PtyKey(SoftKey.make()) as plugged_in, _opened(plugged_in.path) as client:
        os.write(client, before + INIT)
        channel = _read(client)[15:19]
        pings = [_packet(channel, 0x81, bytes((number,)) * 5) for number in range(5)]
        os.write(client, b"".join(before + ping for ping in pings))
        assert [_read(client) for _ in pings] == pings


def test_a_new_client_finds_the_key_free() -> None:
    """A client that died in the middle of a wait leaves neither packets nor a busy key to the next."""
    key = SoftKey.make()
    key.misbehaviour = Misbehaviour(never_touched=True)
    with PtyKey(key) as plugged_in:
        with _opened(plugged_in.path) as dead:
            os.write(dead, INIT)
            os.write(dead, _packet(_read(dead)[15:19], 0x90, b"\x0b"))
            assert _comes(dead, PATIENCE), "a keep-alive that nobody reads"
            assert not plugged_in.is_free.is_set()
        assert plugged_in.is_free.wait(PATIENCE)
        device = at_path(plugged_in.path)
        try:
            assert device.ping(b"free?") == b"free?"
            key.misbehaviour = Misbehaviour()
            register(device)
        finally:
            device.close()


def test_nothing_is_left_running() -> None:
    """After the `with` block thread and path are gone."""
    before = threading.active_count()
    with PtyKey(SoftKey.make()) as plugged_in:
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert not os.path.exists(plugged_in.path)  # noqa: PTH110 it is a device's name
