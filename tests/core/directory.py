"""People whom a directory or an upstream server knows, and sites that ask it: builders for tests of the decision.

Nothing here decides, and nobody is asked over a network. What a directory knows is its answer to one password, and to
None for the account alone. RFC 4530 (entryUUID), RFC 2865 4.4 (State).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    Account,
    Challenge,
    Flow,
    Known,
    Nas,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    Reject,
    Relay,
    User,
    Verdict,
)
from radiusd2fa.core.rules import NOBODY, Backend, Rule, Rules

from .facts import ALICE, NONCE, NOW, PASSWORD, SMALL, Ask, Decided, run

LDAP: Final = Backend("ldap", looks_up=True)
OLD: Final = Backend("old")
"""Another system that knows about second factors of its own."""
CALLER: Final = "192.0.2.7"
NONCES: Final = tuple(bytes((packet,)) + NONCE[1:] for packet in range(20))
"""One for each packet of a login."""

STAFF: Final = Account("id-1", ("staff",))
"""Alice's entry."""
FILTER_ID: Final = ((11, b"upstream-filter"),)
"""What the upstream server wants in an Access-Accept."""

OWNER: Final = replace(ALICE, source="ldap", directory_id="id-1", groups=("staff",), password_hash=None)
"""Alice from the directory, with her token."""
FRESH: Final = replace(OWNER, tokens=(), enrolled=False)
"""The same before she ever had one."""


def site(*rules: Rule, primary: Backend = LDAP, beside: Sequence[Backend] = (), like: Rules = SMALL) -> Rules:
    """A site with these rules, whose passwords the directory checks unless told otherwise."""
    others = {backend.name: backend for backend in (LDAP, OLD, NOBODY, *beside) if backend.name != primary.name}
    return replace(like, rules=rules or (Rule("all"),), primary=primary, backends=others)


def says(
    account: Account | None = STAFF,
    password: bytes = PASSWORD,
    *,
    attributes: tuple[tuple[int, bytes], ...] = (),
    refusal: Reason | None = None,
) -> Ask:
    """A directory that knows one account and its password; ``refusal`` is why it refuses everything else."""

    def ask(asked: bytes | None) -> PrimaryAnswer:
        if asked in (password, None):
            return PrimaryAnswer(Verdict.PASSED, account=account, attributes=attributes)
        return PrimaryAnswer(Verdict.REFUSED, reason=refusal)

    return ask


def passes(account: Account | None = STAFF, *, attributes: tuple[tuple[int, bytes], ...] = ()) -> Ask:
    """An upstream server that passes whatever comes."""
    return lambda _: PrimaryAnswer(Verdict.PASSED, account=account, attributes=attributes)


def asks(prompt: str, state: bytes = b"upstream state") -> PrimaryAnswer:
    """What an upstream server says that asks something of its own."""
    return PrimaryAnswer(Verdict.CHALLENGED, relay=Relay(prompt, state, "192.0.2.1:1812"))


def refuses(reason: Reason | None = None) -> Ask:
    """A directory that refuses everything, the account itself too."""
    return lambda _: PrimaryAnswer(Verdict.REFUSED, reason=reason)


def is_silent(_: bytes | None) -> Verdict:
    """A directory that cannot be reached."""
    return Verdict.UNAVAILABLE


def packet(
    text: bytes,
    flow: Flow = Flow.CHALLENGE,
    *,
    state: str | None = None,
    caller: str = CALLER,
    attributes: tuple[tuple[int, bytes], ...] = (),
    name: str = "alice",
    realm: str = "",
) -> AccessRequest:
    """Build a request."""
    return AccessRequest(Nas("vpn", flow), name, text, state=state, caller=caller, realm=realm, attributes=attributes)


def first(
    rules: Rules,
    user: User | None,
    ask: Ask,
    text: bytes = PASSWORD,
    flow: Flow = Flow.CHALLENGE,
    *,
    now: float = NOW,
    caller: str = CALLER,
    namesake: str | None = None,
) -> Decided:
    """Decide the first packet of a login."""
    return run(packet(text, flow, caller=caller), Known(user=user, namesake=namesake), ask, rules=rules, now=now)


def then(
    rules: Rules,
    user: User | None,
    ask: Ask,
    to: PendingChallenge,
    text: bytes,
    flow: Flow = Flow.CHALLENGE,
    *,
    now: float = NOW,
    caller: str = CALLER,
    nonce: bytes = NONCES[1],
    attributes: tuple[tuple[int, bytes], ...] = (),
) -> Decided:
    """Decide the answer to a question of that login."""
    request = packet(text, flow, state=to.handle, caller=caller, attributes=attributes)
    return run(request, Known(user=user, challenge=to), ask, rules=rules, now=now, nonce=nonce)


def accepted(decided: Decided) -> Accept:
    """It must be an Accept."""
    assert isinstance(decided.outcome, Accept), decided.outcome
    return decided.outcome


def asked_again(decided: Decided) -> Challenge:
    """It must be a question."""
    assert isinstance(decided.outcome, Challenge), decided.outcome
    return decided.outcome


def refused(decided: Decided) -> Reject:
    """It must be a refusal."""
    assert isinstance(decided.outcome, Reject), decided.outcome
    return decided.outcome
