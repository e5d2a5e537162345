"""No noun shows a secret when it is printed: a traceback or a log line must be able to hold any of them.

Canaries are put into every field that can hold a secret, and every dataclass of the core is looked through for fields
that could hold one and are shown. No RFC speaks of this.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Final

import mypy.api
import pytest

from radiusd2fa.core import (
    accounts,
    answer,
    attributes,
    ceremonies,
    choosing,
    finding,
    invitation,
    judging,
    login,
    model,
    responder,
    rules,
    texts,
)
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    Account,
    AddAccount,
    Challenge,
    ChallengeKind,
    Chap,
    CloseChallenge,
    Event,
    KeyCeremony,
    Known,
    Nas,
    NeedPrimary,
    OpenChallenge,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    Relay,
    ReplacePasswordHash,
    Token,
    User,
    Verdict,
    WriteEvent,
)
from radiusd2fa.core.rules import Rule, Rules

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CANARY: Final = "canary"
OCTETS: Final = b"canary"

CHAP: Final = Chap(1, OCTETS, OCTETS)
TOKEN: Final = Token(1, "H1", "hotp", 0, OCTETS)
USER: Final = User(1, "alice", password_hash=CANARY, tokens=(TOKEN,))
KEY: Final = Token(2, "K1", "fido", 0, OCTETS, digits=0)
CEREMONY: Final = KeyCeremony(OCTETS, station=True, credentials=(OCTETS,), answer=CANARY)
PENDING: Final = PendingChallenge(CANARY, "vpn", "alice", 1, ChallengeKind.CODE, True, "1", 0.0, 3, CEREMONY)
ASSERTION: Final = answer.Assertion(OCTETS, OCTETS, OCTETS, OCTETS, OCTETS)
KNOWN: Final = Known(USER, PENDING, primary={OCTETS: PrimaryAnswer(Verdict.PASSED, CANARY)})
REQUEST: Final = AccessRequest(Nas("vpn"), "alice", OCTETS, CHAP, state=CANARY)
EFFECTS: Final = (CloseChallenge(CANARY, 0.0), OpenChallenge(PENDING), ReplacePasswordHash(1, CANARY, CANARY))

PRINTED: Final = (
    CHAP,
    TOKEN,
    USER,
    PENDING,
    KNOWN,
    REQUEST,
    EFFECTS,
    PrimaryAnswer(Verdict.PASSED, CANARY),
    Accept(EFFECTS, TOKEN),
    Challenge(EFFECTS, "Code: ", CANARY, token=TOKEN),
    model.Reject(Reason.WRONG_CODE, EFFECTS, TOKEN),
    NeedPrimary(OCTETS),
    answer.TypedCode(OCTETS),
    answer.ChapAnswer(CHAP),
    judging.Facts(
        request=REQUEST,
        name="alice",
        known=KNOWN,
        now=0.0,
        nonce=OCTETS,
        site=Rules(),
        rules=Rules(),
        rule=Rule("all"),
        flow=model.Flow.CHALLENGE,
        blind=False,
        backend=rules.LOCAL,
        groups=("staff",),
        factors={},
    ),
    choosing.Circumstances("vpn", "alice", attributes=((2, OCTETS),)),
    Relay("Code: ", OCTETS, "192.0.2.1:1812"),
    PrimaryAnswer(Verdict.PASSED, CANARY, account=Account("id", ("staff",)), attributes=((25, OCTETS),)),
    PrimaryAnswer(Verdict.CHALLENGED, relay=Relay("Code: ", OCTETS, "192.0.2.1:1812")),
    accounts.Waiver(Reason.GRACE, for_the_unenrolled=True),
    Accept((AddAccount("alice", "ldap", "id", (), 0.0),), None, passed_on=((25, OCTETS),)),
    AccessRequest(Nas("vpn"), "alice", OCTETS, attributes=((2, OCTETS),)),
    NeedPrimary(OCTETS, relay=Relay("Code: ", OCTETS, "192.0.2.1:1812")),
    attributes.ReplyAttribute("Tunnel-Password", 69, salted=True, pair=(69, OCTETS), template=(OCTETS,)),
    judging.Judgement(Reason.OK, TOKEN, finding.Matched(1, 2, 0)),
    KEY,
    CEREMONY,
    ASSERTION,
    answer.KeyAnswer((ASSERTION,), user_verification=True, refused=(ASSERTION,)),
    judging.Judgement(Reason.OK, KEY, finding.Asserted(7)),
    WriteEvent(Event(0.0, "token.cloned", "1", "vpn", "alice", serial="K1")),
    responder.KeyResponse(b"1234", 1, 7, OCTETS),
    ceremonies.StationAnswer("lobby-1", b"id", b"{}", bytes(37), OCTETS),
    invitation.Invitation("rp", "https://rp", "alice", b"handle", OCTETS),
    invitation.RegistrationAnswer(OCTETS, b"{}", b"attestation"),
)


@pytest.mark.parametrize("noun", PRINTED, ids=lambda noun: type(noun).__name__)
def test_nothing_printed_shows_a_secret(noun: object) -> None:
    """Passwords, codes, seeds, hashes, States, nonces and signatures in a noun are not in its repr, however deep."""
    assert CANARY not in repr(noun)
    assert CANARY not in f"{noun} {noun!s} {[noun]!r}"


MODULES: Final = (
    accounts,
    answer,
    attributes,
    ceremonies,
    choosing,
    finding,
    invitation,
    judging,
    login,
    model,
    responder,
    rules,
    texts,
)
NOUNS: Final = [
    noun
    for module in MODULES
    for noun in vars(module).values()
    if dataclasses.is_dataclass(noun) and isinstance(noun, type) and noun.__module__ == module.__name__
]

MAY_BE_SHOWN: Final = {
    "state": {"Token"},  # active, revoked …
    # what a screen shows anyway, or what anybody may know: ids, and what was signed, but not the signature
    "nonce": {"ResponderCode"},
    "selector": {"KeyResponse"},
    "credential": {"KeyCard", "StationAnswer"},
    "credentials": {"Offer"},
    "handle": {"Invitation"},
    "exclude": {"Invitation"},
    "client_data": {"RegistrationAnswer", "StationAnswer"},
    "authenticator_data": {"StationAnswer"},
    "attestation_object": {"RegistrationAnswer"},
    # what the site has written into its rules
    "values": {"AttributeCondition"},
    "prefixes": {"AttributeCondition"},
}
"""Fields that look like a secret and are none, with the nouns that may show them."""


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_no_field_that_could_hold_a_secret_is_shown(noun: type[DataclassInstance]) -> None:
    """Octets are never shown, nor is a text named like a secret: a new noun is under test the moment it exists."""
    suspicious = {"secret", "password", "password_hash", "state", "handle", "code", "seed", "rehashed", "old", "new"}
    suspicious |= {"nonce", "signature", "answer"}
    for field in dataclasses.fields(noun):
        looks_secret = "bytes" in str(field.type) or field.name in suspicious
        if looks_secret and noun.__name__ not in MAY_BE_SHOWN.get(field.name, set()):
            assert not field.repr, f"{noun.__name__}.{field.name}"


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_nouns_are_values(noun: type[DataclassInstance]) -> None:
    """Every noun has slots and a hash, so nothing can be hung on to it."""
    assert "__slots__" in vars(noun)
    assert noun.__hash__ is not object.__hash__


def test_assigning_to_a_field_does_not_pass_the_check() -> None:
    """What was decided about cannot change under the decision: mypy refuses it, as `make check` does."""
    source = "from radiusd2fa.core.finding import Beyond\nfound = Beyond(1)\nfound.moving_factor = 2\n"
    limit = sys.getrecursionlimit()
    try:
        told, _, status = mypy.api.run(["--config-file=", "--no-incremental", "-c", source])
    finally:
        sys.setrecursionlimit(limit)  # mypy raises it, and how deep a parser goes is what other tests are about
    assert status == 1
    assert 'Property "moving_factor" defined in "Beyond" is read-only' in told
