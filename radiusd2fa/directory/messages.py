"""What is said to a directory and what it answers: the messages of RFC 4511 that a login needs, and no other.

Nothing here sends anything, follows a referral or knows SASL. A password is in a Request and nowhere else.
RFC 4511 4.2 (bind), 4.5 (search), 4.12 (extended), 4.14 (StartTLS); RFC 4532 (Who am I?).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import IntEnum
from typing import Final

from radiusd2fa.core.record import record
from radiusd2fa.directory import ber
from radiusd2fa.directory.ber import MalformedError

_VERSION: Final = 3
_START_TLS: Final = "1.3.6.1.4.1.1466.20037"
_WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"
PASSWORD_POLICY: Final = "1.3.6.1.4.1.42.2.27.8.5.1"
"""draft-behera-ldap-password-policy: why a bind was refused."""

_BIND_REQUEST, _UNBIND_REQUEST, _SEARCH_REQUEST, _EXTENDED_REQUEST = 0x60, 0x42, 0x63, 0x77
BIND_ANSWER: Final = 0x61
ENTRY: Final = 0x64
SEARCH_ANSWER: Final = 0x65
REFERENCE: Final = 0x73
EXTENDED_ANSWER: Final = 0x78
INTERMEDIATE: Final = 0x79
_CONTROLS: Final = 0xA0
_SIMPLE: Final = 0x80
_EXTENDED_NAME: Final = 0x80
_EXTENDED_VALUE: Final = 0x8B
_SEVERAL: Final = 3
"""Elements that every LDAPResult has."""


class Code(IntEnum):
    """The result codes that mean something to us (RFC 4511 A.1)."""

    SUCCESS = 0
    OPERATIONS_ERROR = 1
    PROTOCOL_ERROR = 2
    SIZE_LIMIT_EXCEEDED = 4
    REFERRAL = 10
    CONSTRAINT_VIOLATION = 19
    NO_SUCH_OBJECT = 32
    INVALID_DN_SYNTAX = 34
    INAPPROPRIATE_AUTHENTICATION = 48
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53


class Scope(IntEnum):
    """How far below its base a search looks."""

    BASE = 0
    SUBTREE = 2


@record
class Request:
    """One operation, ready to be sent, and what may come back."""

    operation: bytes = field(repr=False)
    answer: int
    """The tag of the message that ends the answer."""
    controls: bytes = field(default=b"", repr=False)
    most: int = 0
    """How many entries may come before that."""


@record
class Result:
    """How an operation ended."""

    code: int
    diagnostic: str = ""
    value: bytes | None = None
    """What an extended operation answers."""
    controls: Mapping[str, bytes] = field(default_factory=dict)
    """By object identifier."""


@record
class Entry:
    """One entry, as far as it was asked for and may be read."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]
    """By description, in lower case (RFC 4512 2.5: case does not count)."""

    def texts(self, attribute: str) -> list[str]:
        """Return the values of an attribute that are texts."""
        texts = []
        for value in self.attributes.get(attribute.lower(), ()):
            try:
                texts.append(value.decode())
            except UnicodeDecodeError:
                continue
        return texts

    def text(self, attribute: str) -> str:
        """Return the first of them, or nothing."""
        texts = self.texts(attribute)
        return texts[0] if texts else ""


@record
class Message:
    """An LDAPMessage, its operation not yet taken apart."""

    id: int
    tag: int
    body: bytes
    controls: bytes = b""


def write(number: int, request: Request) -> bytes:
    """Write the LDAPMessage that asks for an operation."""
    return ber.element(ber.SEQUENCE, ber.integer(number), request.operation, request.controls)


def unbind(number: int) -> bytes:
    """Write what ends a conversation (RFC 4511 4.3); nothing answers it."""
    return ber.element(ber.SEQUENCE, ber.integer(number), bytes((_UNBIND_REQUEST, 0)))


_WITH_POLICY: Final = ber.element(_CONTROLS, ber.element(ber.SEQUENCE, ber.octets(PASSWORD_POLICY)))


def bind(name: str, password: bytes) -> Request:
    """Ask to become ``name`` by a password. Neither may be empty: that would pass without proving anything.

    RFC 4513 5.1.2: an unauthenticated bind "is not intended to be used for authentication", and servers say success.
    """
    if not name or not password:
        raise ValueError("a bind without a name or a password proves nothing")
    operation = ber.element(_BIND_REQUEST, ber.integer(_VERSION), ber.octets(name), ber.octets(password, _SIMPLE))
    return Request(operation, BIND_ANSWER, _WITH_POLICY)


def search(
    base: str, filter_octets: bytes, attributes: Iterable[str], *, most: int, seconds: int, scope: Scope = Scope.SUBTREE
) -> Request:
    """Ask for entries; aliases are never followed. A ``most + 1``-th entry is refused by the server and by us."""
    operation = ber.element(
        _SEARCH_REQUEST,
        ber.octets(base),
        ber.integer(scope, ber.ENUMERATED),
        ber.integer(0, ber.ENUMERATED),  # neverDerefAliases
        ber.integer(most),
        ber.integer(seconds),
        ber.boolean(False),
        filter_octets,
        ber.element(ber.SEQUENCE, *map(ber.octets, attributes)),
    )
    return Request(operation, SEARCH_ANSWER, most=most)


def _extended(name: str) -> Request:
    return Request(ber.element(_EXTENDED_REQUEST, ber.octets(name, _EXTENDED_NAME)), EXTENDED_ANSWER)


START_TLS: Final = _extended(_START_TLS)
WHO_AM_I: Final = _extended(_WHO_AM_I)
ANYTHING: Final = ber.octets("objectClass", 0x87)
"""The filter that every entry fits: (objectClass=*)."""
ARE_YOU_THERE: Final = search("", ANYTHING, ["1.1"], most=1, seconds=1, scope=Scope.BASE)
"""A look at the root of the server's own data (RFC 4512 5.1): any answer is a sign of life."""


def read(data: bytes) -> Message:
    """Read one LDAPMessage, which fills ``data``."""
    outer = ber.elements(data)
    if len(outer) != 1 or outer[0][0] != ber.SEQUENCE:
        raise MalformedError("not an LDAPMessage")
    match ber.elements(outer[0][1]):
        case [(ber.INTEGER, number), (tag, body)]:
            return Message(ber.number(number), tag, body)
        case [(ber.INTEGER, number), (tag, body), (0xA0, controls)]:
            return Message(ber.number(number), tag, body, controls)
    raise MalformedError("not an LDAPMessage")


def read_entry(body: bytes) -> Entry:
    """Read a SearchResultEntry."""
    match ber.elements(body):
        case [(ber.OCTETS, dn), (ber.SEQUENCE, attributes)]:
            return Entry(_text(dn), dict(map(_attribute, ber.elements(attributes))))
    raise MalformedError("not an entry")


def _attribute(partial: tuple[int, bytes]) -> tuple[str, tuple[bytes, ...]]:
    match ber.elements(partial[1]):
        case [(ber.OCTETS, description), (ber.SET, values)]:
            return _text(description).lower(), tuple(value for _, value in ber.elements(values))
    raise MalformedError("not an attribute")


def read_result(message: Message) -> Result:
    """Read an LDAPResult with what a bind or an extended operation adds to it."""
    parts = ber.elements(message.body)
    if [tag for tag, _ in parts[:_SEVERAL]] != [ber.ENUMERATED, ber.OCTETS, ber.OCTETS]:
        raise MalformedError("not a result")
    value = None
    for tag, content in parts[_SEVERAL:]:
        if tag == _EXTENDED_VALUE and message.tag == EXTENDED_ANSWER:
            value = content
    diagnostic = parts[2][1].decode(errors="replace")
    return Result(ber.number(parts[0][1]), diagnostic, value, _controls(message.controls))


def _controls(data: bytes) -> dict[str, bytes]:
    controls = {}
    for _, control in ber.elements(data):
        parts = ber.elements(control)
        if not parts or parts[0][0] != ber.OCTETS:
            raise MalformedError("not a control")
        value = parts[-1][1] if len(parts) > 1 and parts[-1][0] == ber.OCTETS else b""
        controls[_text(parts[0][1])] = value
    return controls


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise MalformedError("not UTF-8 where LDAP wants it") from None
