"""The U2F (CTAP1) commands of an emulated key: one APDU in, its response and status word out.

It waits for nobody: without a touch it says so at once, and the client asks again. Its credentials are those of CTAP2,
so what is registered here can log in there.
FIDO U2F raw message formats 1.2: 4 (registration), 5 (authentication), 6 (version); ISO 7816-4 5.1 (APDUs).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from radiusd2fa.emulators.softkey.credential import Algorithm, Flag, sign_es256
from radiusd2fa.emulators.softkey.key import SoftKey
from radiusd2fa.emulators.softkey.state import PinPolicy

VERSION: Final = b"U2F_V2"
REGISTER: Final = 0x01
AUTHENTICATE: Final = 0x02
GET_VERSION: Final = 0x03
_CHECK_ONLY: Final = 0x07
_ENFORCE_PRESENCE: Final = 0x03
_PRESENCE_NOT_NEEDED: Final = 0x08
_HASH_OCTETS: Final = 32
_SHORT_LE: Final = 256
_EXTENDED_LE: Final = 65536


class StatusWord(IntEnum):
    """How an APDU ends."""

    OK = 0x9000
    WRONG_LENGTH = 0x6700
    CONDITIONS_NOT_SATISFIED = 0x6985
    WRONG_DATA = 0x6A80
    FILE_NOT_FOUND = 0x6A82
    INCORRECT_P1_P2 = 0x6A86
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00
    COMMAND_NOT_ALLOWED = 0x6986

    def octets(self) -> bytes:
        """Return the two octets."""
        return self.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Apdu:
    """A command APDU. `expected` is the longest response that the client takes; extended ones take it whole."""

    header: bytes
    data: bytes = b""
    expected: int = _SHORT_LE
    extended: bool = False

    @property
    def cla(self) -> int:
        """The class: 0 for U2F."""
        return self.header[0]

    @property
    def ins(self) -> int:
        """The instruction."""
        return self.header[1]

    @property
    def p1(self) -> int:
        """The first parameter."""
        return self.header[2]


def read_apdu(octets: bytes) -> Apdu | None:
    """Read a short or an extended APDU; None where its lengths do not add up."""
    if len(octets) < 4:
        return None
    header, body = octets[:4], octets[4:]
    if not body:
        return Apdu(header)
    if len(body) == 1:
        return Apdu(header, expected=body[0] or _SHORT_LE)
    if body[0]:
        return _with_data(header, body[1 : 1 + body[0]], body[0], body[1 + body[0] :], extended=False)
    if len(body) == 3:
        return Apdu(header, expected=int.from_bytes(body[1:], "big") or _EXTENDED_LE, extended=True)
    if len(body) < 3:
        return None
    length = int.from_bytes(body[1:3], "big")
    return _with_data(header, body[3 : 3 + length], length, body[3 + length :], extended=True)


def _with_data(header: bytes, data: bytes, length: int, end: bytes, *, extended: bool) -> Apdu | None:
    if len(data) != length or len(end) not in ((0, 2) if extended else (0, 1)):
        return None
    expected = int.from_bytes(end, "big") or (_EXTENDED_LE if extended else _SHORT_LE)
    return Apdu(header, data, expected, extended)


def answer(key: SoftKey, apdu: Apdu) -> bytes:
    """Answer a U2F command: the response data and the status word."""
    outcome = _outcome(key, apdu)
    return outcome.octets() if isinstance(outcome, StatusWord) else outcome + StatusWord.OK.octets()


def _outcome(key: SoftKey, apdu: Apdu) -> bytes | StatusWord:
    if apdu.cla:
        return StatusWord.CLA_NOT_SUPPORTED
    if key.state.pin_policy is PinPolicy.ALWAYS:
        return StatusWord.INS_NOT_SUPPORTED  # U2F knows no PIN
    match apdu.ins:
        case 0x01:
            return _register(key, apdu.data)
        case 0x02:
            return _authenticate(key, apdu.p1, apdu.data)
        case 0x03:
            return StatusWord.WRONG_LENGTH if apdu.data else VERSION
        case _:
            return StatusWord.INS_NOT_SUPPORTED


def _register(key: SoftKey, data: bytes) -> bytes | StatusWord:
    if len(data) != 2 * _HASH_OCTETS:
        return StatusWord.WRONG_LENGTH
    if not key.is_touched_for_u2f("register by U2F"):
        return StatusWord.CONDITIONS_NOT_SATISFIED
    client_data_hash, rp_id_hash = data[:_HASH_OCTETS], data[_HASH_OCTETS:]
    key_handle, pair = key.new_credential(Algorithm.ES256, rp_id_hash)
    batch = key.attesting_batch()
    signed = b"\0" + key.claimed_rp(rp_id_hash) + client_data_hash + key_handle + pair.point()
    introduced = pair.point() + bytes((len(key_handle),)) + key_handle + batch.chain[0]
    return b"\x05" + introduced + key.spoiled(sign_es256(batch.key, signed))


def _authenticate(key: SoftKey, control: int, data: bytes) -> bytes | StatusWord:
    length_at = 2 * _HASH_OCTETS
    if len(data) <= length_at or len(data) != length_at + 1 + data[length_at]:
        return StatusWord.WRONG_LENGTH
    client_data_hash, rp_id_hash = data[:_HASH_OCTETS], data[_HASH_OCTETS:length_at]
    key_handle = data[length_at + 1 :]
    pair = key.key_pair(key_handle, rp_id_hash)
    if pair is None or pair.algorithm is not Algorithm.ES256:
        return StatusWord.WRONG_DATA
    if control == _CHECK_ONLY:
        # "if the key handle was created by this token ... SW_CONDITIONS_NOT_SATISFIED"
        return StatusWord.CONDITIONS_NOT_SATISFIED
    if control not in {_ENFORCE_PRESENCE, _PRESENCE_NOT_NEEDED}:
        return StatusWord.INCORRECT_P1_P2
    present = control == _ENFORCE_PRESENCE
    if present and not key.is_touched_for_u2f("log in by U2F"):
        return StatusWord.CONDITIONS_NOT_SATISFIED
    _, signer = key.signer(key_handle, pair, rp_id_hash)
    flags = Flag.USER_PRESENT if present and not key.misbehaviour.no_user_presence else Flag.NONE
    said = bytes((flags,)) + key.count().to_bytes(4, "big")
    return said + key.spoiled(signer.sign(key.claimed_rp(rp_id_hash) + said + client_data_hash))


def needs_touch(apdu: Apdu | None) -> bool:
    """Whether an APDU is one that a person has to touch the key for."""
    return apdu is not None and apdu.cla == 0 and apdu.ins in {REGISTER, AUTHENTICATE}
