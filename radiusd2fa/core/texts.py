"""Lines of text that carry structured values over channels made for people: a prefix, and JSON in base64url after it.

Reading is strict: one value has one spelling, a size is checked before anything is parsed, and every fault is a
ValueError.
RFC 4648 5 (base64url), RFC 8259 (JSON).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import ClassVar, Final

FEW_BRACKETS: Final = 32


class Text:
    """A value with a text form. ``PREFIX`` tells the kinds apart, ``LONGEST`` (characters) bounds what is looked at."""

    __slots__ = ()

    PREFIX: ClassVar[str]
    LONGEST: ClassVar[int] = 48 * 1024

    def __str__(self) -> str:
        text = json.dumps(self.members(), separators=(",", ":"), ensure_ascii=False)
        return self.PREFIX + base64url(text.encode())

    def members(self) -> dict[str, object]:
        """Return what the JSON says."""
        raise NotImplementedError

    @classmethod
    def read_members(cls, text: str) -> dict[str, object]:
        """Return what the JSON says; ValueError for another kind of text, or one that was cut or changed."""
        if len(text) > cls.LONGEST:
            msg = f"longer than {cls.LONGEST} characters"
            raise ValueError(msg)
        text = "".join(text.split())  # mail programs break long lines
        if not text.startswith(cls.PREFIX):
            msg = f"does not begin with {cls.PREFIX}"
            raise ValueError(msg)
        return json_object(octets(text.removeprefix(cls.PREFIX)))


def json_object(raw: bytes, *, brackets: int = FEW_BRACKETS) -> dict[str, object]:
    """Return the members of a JSON object; ValueError for all else: a member that stands twice, NaN, more ``brackets``.

    RFC 8259 4 lets readers differ about a name that stands twice; here nobody may differ about what a key has signed.
    How deep the parser itself can go depends on who else is on the stack, so the brackets are counted first.
    """
    if raw.count(b"[") + raw.count(b"{") > brackets:
        raise ValueError("nests too deep")
    try:
        members = json.loads(raw.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nests too deep") from error
    if not isinstance(members, dict):
        raise ValueError("is no object")  # noqa: TRY004 - one error for everything that is not such a text
    return members


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the members of an object; ValueError when one stands there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands there twice")
    return members


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def base64url(raw: bytes) -> str:
    """Return base64url without padding, as WebAuthn writes octets."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def octets(text: str) -> bytes:
    """Read base64url without padding; ValueError for every other spelling."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(raw) != text:
        msg = "not base64url"
        raise ValueError(msg)
    return raw


def string(members: Mapping[str, object], name: str) -> str:
    """Return one member that must be a text; ValueError when it is not."""
    value = members.get(name)
    if not isinstance(value, str):
        msg = f"{name} is no text"
        raise ValueError(msg)  # noqa: TRY004 - one error for everything that is not such a text
    value.encode()  # half a surrogate pair, which JSON can write, is no text either
    return value
