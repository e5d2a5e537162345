"""What lets somebody in besides the factors of a rule, in words: grants, emergency codes, tokens that people take.

It changes nothing and decides nothing: core.login does. The words are those of the settings; it answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from radiusd2fa.cli.tables import moment

if TYPE_CHECKING:
    from radiusd2fa.core.model import Nas
    from radiusd2fa.core.rules import Rule
    from radiusd2fa.store.endings import GrantRecord
    from radiusd2fa.store.inventory import TokenRecord

_EMERGENCY: Final = {"with_password": "count beside the password", "alone": "count without a password"}
_GRANTED: Final = {"skip": "no second factor", "temporary": "temporary codes", "breakglass": "emergency codes"}


def exceptions_of(rule: Rule) -> dict[str, str]:
    """Say what a rule lets in besides its factors, as far as it is not what every rule does."""
    from radiusd2fa.core.rules import GRANTS

    facts = {}
    if not rule.grants.issuperset(GRANTS) and rule.factors:
        facts["grants"] = ", ".join(grant for grant in GRANTS if grant in rule.grants) or "none count"
    if rule.break_glass.value in _EMERGENCY:
        facts["emergency codes"] = f"{_EMERGENCY[rule.break_glass.value]}, once two administrators have opened them"
    if rule.self_assign:
        facts["who has no token"] = "may take one out of the stock, with the password, its serial and its code"
    return facts


def facts_about_grants(
    granted: Sequence[GrantRecord], rule: Rule, tokens: Iterable[TokenRecord], now: float
) -> dict[str, str]:
    """Say what is open for somebody at that moment, and whether it counts under the rule."""
    facts = {}
    left = {token.serial: token.left for token in tokens}
    for grant in granted:
        words = [f"until {moment(grant.until)} by {grant.granted_by}: {grant.reason}"]
        if grant.approved_by:
            words = [f"until {moment(grant.until)} by {grant.granted_by} and {grant.approved_by}: {grant.reason}"]
        if left.get(grant.serial) is not None:
            words.append(f"{left[grant.serial]} left")
        if not _counts(grant, rule):
            words.append("but this rule lets none count")
        facts[f"granted {_GRANTED.get(grant.kind, grant.kind)}"] = ", ".join(words)
    if any(token.kind == "breakglass" and not _is_open(token, now) and token.left for token in tokens):
        facts["sealed emergency codes"] = "there are some"
    return facts


def grant_for_programs(grant: GrantRecord, rule: Rule) -> dict[str, Any]:
    """Return an open grant, and whether it counts under the rule."""
    return {
        "kind": grant.kind,
        "serial": grant.serial,
        "until": grant.until,
        "reason": grant.reason,
        "granted_by": grant.granted_by,
        "approved_by": grant.approved_by,
        "counts": _counts(grant, rule),
    }


def until_when_skipping(granted: Iterable[GrantRecord], rule: Rule) -> float | None:
    """Return until when somebody is asked for no second factor by a grant; None: they are asked."""
    return max((grant.until for grant in granted if grant.kind == "skip" and _counts(grant, rule)), default=None)


def may_take(rule: Rule, nas: Nas, usable: Iterable[TokenRecord]) -> bool:
    """Whether somebody may take a token out of the stock there: who has one that works may not."""
    from radiusd2fa.core.model import Flow
    from radiusd2fa.core.sheets import SHEETS

    asks = (rule.flow or nas.flow) in (Flow.CHALLENGE, Flow.AUTO)
    return rule.self_assign and asks and all(token.kind in SHEETS for token in usable)


def _counts(grant: GrantRecord, rule: Rule) -> bool:
    return grant.kind in rule.grants if grant.kind == "skip" else grant.kind in rule.kinds


def _is_open(token: TokenRecord, now: float) -> bool:
    return token.valid_until is not None and now < token.valid_until
