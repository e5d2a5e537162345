"""Linux-PAM by ctypes: is this the password, and may the account log in? One question and one answer, no session.

It never asks a person anything, and never sets credentials. Every call may take as long as a module likes; ctypes lets
other threads run meanwhile. Why it is ours: docs/decisions/0014-pam.md.
pam_start(3), pam_conv(3), pam_authenticate(3), pam_acct_mgmt(3), pam_fail_delay(3).
"""

from __future__ import annotations

import ctypes
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from radiusd2fa.core.record import record

if TYPE_CHECKING:
    from ctypes import _Pointer

    Messages = _Pointer[_Pointer["_Message"]]
    Responses = _Pointer[ctypes.c_void_p]

FOLDERS: Final = tuple(map(Path, ("/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d", "/usr/share/pam.d")))
"""Where Linux-PAM, and those who package it, keep service files."""


class Status(IntEnum):
    """The return values of PAM that mean something to us (security/_pam_types.h of Linux-PAM)."""

    OTHER_USER = -1
    """None of PAM's: a module has put another user in the place of the one who was asked about."""
    SUCCESS = 0
    BUF_ERR = 5
    PERM_DENIED = 6
    AUTH_ERR = 7
    USER_UNKNOWN = 10
    MAXTRIES = 11
    NEW_AUTHTOK_REQD = 12
    ACCT_EXPIRED = 13
    CRED_EXPIRED = 16
    CONV_ERR = 19
    AUTHTOK_EXPIRED = 27


_USER: Final = 2
_RHOST: Final = 4
_FAIL_DELAY: Final = 10
_PROMPT_ECHO_OFF: Final = 1
_ERROR_MSG: Final = 3
_TEXT_INFO: Final = 4
_MAX_MESSAGES: Final = 32
_QUIETLY: Final = 0x8000 | 0x1
"""PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK"""


class _Message(ctypes.Structure):
    """struct pam_message"""

    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    """struct pam_response; the text is an address, for PAM frees it."""

    _fields_ = (("text", ctypes.c_void_p), ("unused", ctypes.c_int))


_Converse = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
)
_Delay = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)


class _PamConv(ctypes.Structure):
    """struct pam_conv"""

    _fields_ = (("converse", _Converse), ("data", ctypes.c_void_p))


# PAM sleeps for some seconds after a wrong password unless this is called instead: the daemon has its own reject_delay,
# and a few guesses would put every thread to sleep.
_NO_DELAY: Final = _Delay(lambda _status, _microseconds, _data: None)

_libc: Final = ctypes.CDLL(None)
_libc.calloc.restype = ctypes.c_void_p
_libc.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
_libc.free.restype = None
_libc.free.argtypes = (ctypes.c_void_p,)
_libc.getgrouplist.argtypes = (ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))


class Conversation:
    """Gives the password to the first who asks for one, and has no other answer."""

    def __init__(self, password: bytes | None) -> None:
        self._password = password
        self.asked_for_more = False

    def converse(self, count: int, messages: Messages, responses: Responses, _: int | None) -> int:
        """Answer a module (pam_conv(3)); whatever goes wrong is an error to it: ctypes would return success."""
        try:
            return self._converse(count, messages, responses)
        except Exception:  # noqa: BLE001 - fail closed
            return Status.CONV_ERR

    def _converse(self, count: int, messages: Messages, responses: Responses) -> int:
        if not 0 < count <= _MAX_MESSAGES:
            return Status.CONV_ERR
        styles = [messages[at].contents.style for at in range(count)]
        questions = [style for style in styles if style not in {_TEXT_INFO, _ERROR_MSG}]
        if questions and (self._password is None or questions != [_PROMPT_ECHO_OFF]):
            self.asked_for_more = True
            return Status.CONV_ERR
        block = _libc.calloc(count, ctypes.sizeof(_Response))
        if not block:
            return Status.BUF_ERR
        if questions and self._password is not None:
            answer = _libc.calloc(1, len(self._password) + 1)
            if not answer:
                _libc.free(block)
                return Status.BUF_ERR
            ctypes.memmove(answer, self._password, len(self._password))
            self._password = None
            at = styles.index(_PROMPT_ECHO_OFF)
            _Response.from_address(block + at * ctypes.sizeof(_Response)).text = answer
        responses[0] = block
        return Status.SUCCESS


@record
class Outcome:
    """How one transaction ended."""

    status: int
    """A Status, or another of PAM's numbers, which is trouble."""
    words: str
    """What PAM calls that."""
    asked_for_more: bool
    """Whether a module has asked for something else than one password, and had no answer."""


class LibPam:
    """The library, for one service. ``check`` may be called from several threads at once."""

    def __init__(self, service: str, folder: Path | None) -> None:
        """Load it; OSError when this host has none, or one that knows no folder but its own."""
        self._service = service.lower()  # as PAM itself does
        self._folder = folder
        library = ctypes.CDLL("libpam.so.0")
        handle, number, words = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
        address = ctypes.POINTER(ctypes.c_void_p)
        self._start = library.pam_start
        self._start.argtypes = (words, words, ctypes.POINTER(_PamConv), address)
        if folder is not None:
            try:
                self._start = library.pam_start_confdir
            except AttributeError as error:
                raise OSError("this libpam is older than 1.4 and knows no folder but its own") from error
            self._start.argtypes = (words, words, ctypes.POINTER(_PamConv), words, address)
        self._end = library.pam_end
        self._end.argtypes = (handle, number)
        self._set_item = library.pam_set_item
        self._set_item.argtypes = (handle, number, handle)
        self._get_item = library.pam_get_item
        self._get_item.argtypes = (handle, number, address)
        self._authenticate = library.pam_authenticate
        self._authenticate.argtypes = (handle, number)
        self._acct_mgmt = library.pam_acct_mgmt
        self._acct_mgmt.argtypes = (handle, number)
        self._strerror = library.pam_strerror
        self._strerror.argtypes = (handle, number)
        self._strerror.restype = words

    def has_service(self) -> bool:
        """Whether the service has a file of its own; without one PAM would take that of the service ``other``."""
        folders = FOLDERS if self._folder is None else (self._folder,)
        return any((folder / self._service).is_file() for folder in folders)

    def check(self, name: bytes, password: bytes | None, rhost: bytes) -> Outcome:
        """Ask whether this is the password and the account may log in; without a password, only the latter.

        ``name`` and ``password`` are without NUL.
        """
        conversation = Conversation(password)
        conv = _PamConv(_Converse(conversation.converse), None)
        handle = ctypes.c_void_p()
        folder = () if self._folder is None else (str(self._folder).encode(),)
        status: int = self._start(self._service.encode(), name, ctypes.byref(conv), *folder, ctypes.byref(handle))
        try:
            if status == Status.SUCCESS:
                status = self._steps(handle, name, password, rhost)
            words: bytes | None = self._strerror(handle, status)
        finally:
            if handle:
                self._end(handle, status)
        return Outcome(status, (words or b"").decode(errors="replace"), conversation.asked_for_more)

    def _steps(self, handle: ctypes.c_void_p, name: bytes, password: bytes | None, rhost: bytes) -> int:
        """The first failure; success when there was none and PAM still speaks of the same user."""
        status: int = self._set_item(handle, _FAIL_DELAY, ctypes.cast(_NO_DELAY, ctypes.c_void_p))
        if status == Status.SUCCESS and rhost:
            status = self._set_item(handle, _RHOST, rhost)
        if status == Status.SUCCESS and password is not None:
            status = self._authenticate(handle, _QUIETLY)
        if status == Status.SUCCESS:
            status = self._acct_mgmt(handle, _QUIETLY)
        if status == Status.SUCCESS and self._user(handle) != name:
            return Status.OTHER_USER
        return status

    def _user(self, handle: ctypes.c_void_p) -> bytes | None:
        found = ctypes.c_void_p()
        if self._get_item(handle, _USER, ctypes.byref(found)) != Status.SUCCESS:
            return None
        return ctypes.cast(found, ctypes.c_char_p).value


def group_ids(name: bytes, first: int) -> list[int]:
    """Return what os.getgrouplist would; that one stops every thread of Python while a directory behind NSS is slow."""
    room = ctypes.c_int(64)
    while True:
        offered = room.value
        found = (ctypes.c_uint * offered)()
        if _libc.getgrouplist(name, first, found, ctypes.byref(room)) >= 0:
            return list(found[: room.value])
        if room.value <= offered:  # no room is not what was wrong
            return [first]
