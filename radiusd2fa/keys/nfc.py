"""Security keys that are held to an NFC reader: which readers there are, what lies on them, and a connection to it.

Without pyscard, without pcscd and without a reader there is simply no key, and `trouble` says why; a card that is taken
away is an OSError like a key that is pulled out. PC/SC part 5 (the calls), CTAP 2.1, 11.3 (FIDO over NFC).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, Any, Final

from radiusd2fa.keys.model import FoundKey, printable

if TYPE_CHECKING:
    from fido2.pcsc import CtapPcscDevice

GRACE: Final = 0.5
"""Seconds in which a card may still answer after it was told to stop."""
RETRY: Final = 1.0
"""Seconds between two looks for a reader where there is none."""

_LOOK: Final = 100
"""Milliseconds of one wait for a card: so long does a cancel take to be noticed."""
_COMINGS: Final = 16
"""From this bit on, a reader's state counts how often a card has come or gone."""
_SELECT_FIDO: Final = [0x00, 0xA4, 0x04, 0x00, 0x08, 0xA0, 0x00, 0x00, 0x06, 0x47, 0x2F, 0x00, 0x01, 0x00]
_SUCCESS: Final = (0x90, 0x00)
_NO_PYSCARD: Final = "NFC needs pyscard, which is not installed; it is compiled: hardware/README.md says how."
_NO_SERVICE: Final = "pcscd is not running: install the package pcscd and run 'systemctl enable --now pcscd.socket'."
_NOT_PERMITTED: Final = "pcscd does not let this user in: install the polkit rule for the service that reads keys."
_NO_READER: Final = "pcscd sees no NFC reader: plug one in, and see that its driver (package libccid) is installed."


# --- what is there ---------------------------------------------------------------------------------------------------


def readers() -> list[str]:
    """Return the names of the readers; none where there is no pyscard or no pcscd."""
    try:
        with _context() as context:
            return _listed(context)
    except OSError:
        return []


def find_keys() -> list[FoundKey]:
    """Return the FIDO cards that lie on readers now. A card that another program holds cannot be told from none."""
    found = []
    for reader in readers():
        with suppress(OSError):
            found.append(_key_on(reader))
    return [key for key in found if key is not None]


def trouble() -> str | None:
    """Return in one sentence why no card can be read, with the remedy; None when there is a reader."""
    try:
        with _context() as context:
            return None if _listed(context) else _NO_READER
    except OSError as fault:
        return str(fault.strerror)


def wait_for_card(reader: str | None, timeout: float, cancel: Event) -> FoundKey | None:
    """Wait until a FIDO card lies on this reader (None: on any). None after `timeout` seconds, or soon after `cancel`.

    A reader that is missing, and a pcscd that is down, are waited for as well.
    """
    deadline = time.monotonic() + timeout

    def left() -> float:
        return 0.0 if cancel.is_set() else max(0.0, deadline - time.monotonic())

    while left():
        try:
            with _context() as context:
                key = _next_card(context, reader, left, cancel)
        except OSError:
            key = None
        if key is not None:
            return key
        cancel.wait(min(RETRY, left()))
    return None


def _next_card(
    context: Any,  # noqa: ANN401  # see _established
    reader: str | None,
    left: Callable[[], float],
    cancel: Event,
) -> FoundKey | None:
    """Watch the readers that are there now; None when there is none, or no time is left."""
    scard = _scard()
    known: dict[str, int] = {}
    no_keys: dict[str, int] = {}
    while left():
        known = {name: known.get(name, 0) for name in _listed(context) if reader in {None, name}}
        if not known:
            return None
        result, states = scard.SCardGetStatusChange(context, _LOOK, list(known.items()))
        if result == scard.SCARD_E_TIMEOUT:
            continue
        _check(result)
        for name, state, _atr in states:
            known[name] = state & ~scard.SCARD_STATE_CHANGED
            coming = state >> _COMINGS
            if not state & scard.SCARD_STATE_PRESENT or no_keys.get(name) == coming:
                continue
            try:
                key = _key_on(name)
            except OSError:
                known[name] = scard.SCARD_STATE_UNAWARE  # not well placed yet, or held by another program: look again
                cancel.wait(_LOOK / 1000)
                continue
            if key is not None:
                return key
            no_keys[name] = coming
    return None


def _key_on(reader: str) -> FoundKey | None:
    """Return the key on a reader, None for another card. Raises OSError where there is no card, or none for us."""
    card = _Card(reader, Event())
    try:
        card.connect()
        _, *status = card.transmit(_SELECT_FIDO)
    finally:
        card.disconnect()
    return FoundKey(reader, f"security key on {printable(reader)}", "nfc") if tuple(status) == _SUCCESS else None


# --- talking to a card -----------------------------------------------------------------------------------------------


@contextmanager
def open_key(key: FoundKey, ended: Event) -> Iterator[CtapPcscDevice]:
    """Open the card for one conversation, which is over soon after ``ended`` is set, if the reader lets go of it."""
    _scard()  # before the import below, which needs it as well
    from fido2.pcsc import CtapPcscDevice

    card = _Card(key.path, ended)
    try:
        try:
            device = CtapPcscDevice(card, key.path)
        except ValueError:  # it does not know the FIDO application
            raise OSError(errno.ENOENT, "this card is no security key") from None
        yield device
    finally:
        card.disconnect()


class _Card:
    """A connection to the card on one reader, for us alone: a second program in a chain of commands would spoil it."""

    def __init__(self, reader: str, ended: Event) -> None:
        self._reader = reader
        self._ended = ended
        self._ended_at: float | None = None
        self._context: Any = None
        self._card: Any = None
        self._protocol: Any = None

    def connect(self) -> None:
        scard = _scard()
        self.disconnect()
        self._context = _established()
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        result, card, protocol = scard.SCardConnect(self._context, self._reader, scard.SCARD_SHARE_EXCLUSIVE, protocols)
        if result in {scard.SCARD_E_NO_SMARTCARD, scard.SCARD_W_REMOVED_CARD}:
            raise OSError(errno.ENOENT, "no card lies on the reader")
        _check(result)
        self._card = card
        self._protocol = scard.SCARD_PCI_T0 if protocol == scard.SCARD_PROTOCOL_T0 else scard.SCARD_PCI_T1

    def transmit(self, command: list[int], _protocol: int | None = None) -> tuple[list[int], int, int]:
        """Send one command; return the response and its two status octets."""
        self._stop_if_ended()
        result, said = _scard().SCardTransmit(self._card, self._protocol, command)
        _check(result)
        if len(said) < len(_SUCCESS):
            raise OSError(errno.EIO, "the card was lost")
        *response, sw1, sw2 = (octet & 0xFF for octet in said)
        return response, sw1, sw2

    def disconnect(self) -> None:
        """Take the power from the card and forget it; a card that is gone already is no fault."""
        scard = _scard()
        card, self._card = self._card, None
        context, self._context = self._context, None
        if card is not None:
            scard.SCardDisconnect(card, scard.SCARD_UNPOWER_CARD)
        if context is not None:
            scard.SCardReleaseContext(context)

    def _stop_if_ended(self) -> None:
        if not self._ended.is_set():
            return
        now = time.monotonic()
        self._ended_at = self._ended_at or now
        if now >= self._ended_at + GRACE:
            raise TimeoutError(errno.ETIMEDOUT, "the card does not stop")


# --- PC/SC -----------------------------------------------------------------------------------------------------------


@cache
def _scard() -> Any:  # noqa: ANN401  # pyscard has no types; what leaves this file has
    try:
        from smartcard import scard
    except ImportError:
        raise OSError(errno.ENOSYS, _NO_PYSCARD) from None
    return scard


def _established() -> Any:  # noqa: ANN401  # a number, or an object in some versions
    scard = _scard()
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    _check(result)
    return context


@contextmanager
def _context() -> Iterator[Any]:
    context = _established()
    try:
        yield context
    finally:
        _scard().SCardReleaseContext(context)


def _listed(context: Any) -> list[str]:  # noqa: ANN401  # see _established
    scard = _scard()
    result, names = scard.SCardListReaders(context, [])
    if result in {scard.SCARD_E_NO_READERS_AVAILABLE, scard.SCARD_E_READER_UNAVAILABLE}:
        return []
    _check(result)
    return [str(name) for name in names]


def _check(result: int) -> None:
    """Raise the OSError that says the same as a PC/SC result."""
    scard = _scard()
    if result == scard.SCARD_S_SUCCESS:
        return
    number, text = {
        scard.SCARD_E_NO_SERVICE: (errno.ENOSYS, _NO_SERVICE),
        scard.SCARD_E_SERVICE_STOPPED: (errno.ENOSYS, _NO_SERVICE),
        scard.SCARD_W_SECURITY_VIOLATION: (errno.EACCES, _NOT_PERMITTED),
        scard.SCARD_E_NO_ACCESS: (errno.EACCES, _NOT_PERMITTED),
        scard.SCARD_E_UNKNOWN_READER: (errno.ENOENT, "there is no such reader"),
        scard.SCARD_E_SHARING_VIOLATION: (errno.EBUSY, "another program is using the card"),
        scard.SCARD_E_TIMEOUT: (errno.ETIMEDOUT, "the card does not answer"),
    }.get(result, (errno.EIO, "the card was lost"))
    raise OSError(number, text)
