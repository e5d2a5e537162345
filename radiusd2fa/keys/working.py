"""The thread that talks to one key: it opens it, looks, waits to be chosen, and lets it answer.

It reports everything that goes wrong and raises nothing; two threads of one process never talk to one key. What a
conversation is like is said in talk.py, and who is chosen is decided in asking.py.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Lock
from typing import Final, TypeVar

from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.base import Ctap2
from fido2.hid import CAPABILITY

from radiusd2fa.keys import nfc, usb
from radiusd2fa.keys.asking import Asked, Table
from radiusd2fa.keys.ctap1 import U2fConversation
from radiusd2fa.keys.ctap2 import Ctap2Conversation
from radiusd2fa.keys.model import Answer, Failed, FoundKey, Ready, Request
from radiusd2fa.keys.talk import Conversation, Talk, failure

T = TypeVar("T")

logging.getLogger("fido2").addHandler(logging.NullHandler())  # else its warnings go to standard error

_TICK: Final = 0.05
_in_use: Final[set[str]] = set()
_taking: Final = Lock()


def work(asked: Asked, request: Request, table: Table) -> None:
    """Talk to one key, and put on the table first what it says at a look, then its answer."""

    def report(said: Ready | Answer) -> None:
        table.reports.put((asked, said))

    try:
        with _sole_use(asked.key), _open(asked.key, asked.ended) as device:
            conversation = _conversation(Talk(asked.key, device, request, _Ear(asked, table), asked.ended))
            said = conversation.look()
            report(said)
            if isinstance(said, Failed):
                return
            asked.chosen.wait()
            if not asked.ended.is_set():
                report(conversation.answer((lambda: table.claim(asked)) if asked.has_rivals else None))
    except Exception as fault:  # noqa: BLE001  # python-fido2's parsers raise whatever a strange answer leads them to
        report(failure(asked.key, fault))


@contextmanager
def _sole_use(key: FoundKey) -> Iterator[None]:
    with _taking:
        if key.path in _in_use:
            raise OSError(errno.EBUSY, "the key is being asked already")
        _in_use.add(key.path)
    try:
        yield
    finally:
        with _taking:
            _in_use.discard(key.path)


def _open(key: FoundKey, ended: Event) -> AbstractContextManager[CtapDevice]:
    return nfc.open_key(key, ended) if key.transport == "nfc" else usb.open_key(key, ended)


def _conversation(talk: Talk) -> Conversation:
    if talk.device.capabilities & CAPABILITY.CBOR:
        try:
            return Ctap2Conversation(talk, Ctap2(talk.device))
        except CtapError as fault:
            if fault.code != CtapError.ERR.INVALID_COMMAND:
                raise
    return U2fConversation(talk)


class _Ear:
    """The person as one key may address them: one key at a time, and never for a key that was let go."""

    def __init__(self, asked: Asked, table: Table) -> None:
        self._asked = asked
        self._table = table

    def touch(self, key: FoundKey) -> None:
        self._in_turn(lambda: self._table.person.touch(key))

    def pin(self, key: FoundKey, tries_left: int | None) -> str | None:
        return self._in_turn(lambda: self._table.person.pin(key, tries_left))

    def _in_turn(self, speak: Callable[[], T]) -> T | None:
        while not self._table.ear.acquire(timeout=_TICK):
            if self._asked.ended.is_set():
                return None
        try:
            said = None if self._asked.ended.is_set() else speak()
        except BaseException as fault:  # it is raised where `ask` was called
            self._table.fault = fault
            raise ConnectionAbortedError("there is nobody to talk to") from fault
        finally:
            self._table.ear.release()
        return None if self._asked.ended.is_set() else said  # what was said too late is not heard
