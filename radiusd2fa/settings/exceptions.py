"""How a rule says what counts besides its factors: grants, emergency codes, and tokens that people take themselves.

Nothing is decided here; what could never work, or would hand out tokens to whoever asks, is refused. What the words
mean is ``core.rules``' business. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator

from radiusd2fa.core.model import Flow
from radiusd2fa.core.rules import GRANTS, BreakGlass
from radiusd2fa.settings.section import each_once
from radiusd2fa.settings.words import Surroundings, choice, refused, yes_no
from radiusd2fa.settings.yaml_lines import Word

PRINTED_ON: Final = frozenset({"hotp", "totp", "yubico"})
"""Factors whose tokens bear a serial that a person can type."""


def _off_or_list(raw: object) -> object:
    """``off`` is a word like any other here."""
    if isinstance(raw, Word) and raw == "off":
        return ()
    if isinstance(raw, Word) and raw:
        raise refused("is neither off nor a list", "write off, or a list such as [temporary]")
    if isinstance(raw, list) and not raw:
        raise refused("is empty", "write off")
    return raw


Grant = Annotated[str, choice({name: name for name in GRANTS})]
Grants = Annotated[tuple[Grant, ...], BeforeValidator(_off_or_list), AfterValidator(each_once)]
Emergency = Annotated[BreakGlass, choice({one.value: one for one in BreakGlass})]
SelfAssign = Annotated[bool, yes_no]


def after_a_password(taken: bool, rule: Mapping[str, Any], around: Surroundings) -> bool:
    """Refuse that people take tokens where nobody has seen who they are, or where no token has a serial to type."""
    if not taken:
        return taken
    primary, flow = rule.get("primary"), rule.get("flow")
    unchecked = around.no_password_anywhere if primary is None else around.backends.get(primary) == "none"
    if flow is Flow.CODE_ONLY or unchecked:
        raise refused(
            "would give a token to whoever asks, because nobody checks a password",
            "delete it, or write a flow with a password and a primary that checks it",
        )
    if PRINTED_ON.isdisjoint(rule.get("factors", PRINTED_ON)):
        raise refused("needs tokens with a serial on them", "add hotp, totp or yubico to the factors, or delete it")
    return taken
