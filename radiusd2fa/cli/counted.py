"""Says plainly when what is being handed out would let nobody in, because no rule of the site counts it.

It refuses nothing: the rule may be written a minute later. Answers to no RFC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from radiusd2fa.core.rules import Rule
    from radiusd2fa.settings import Settings

_REMEDIES = {
    "recovery": ("recovery codes", "name `recovery` among the factors of a rule"),
    "temporary": ("temporary codes", "name `temporary` in the `grants` of a rule"),
    "skip": ("such a grant", "name `skip` in the `grants` of a rule"),
    "breakglass": ("emergency codes", "write `break_glass: with_password`, or `alone`, into a rule"),
}


def warn_if_uncounted(settings: Settings, kind: str) -> None:
    """Warn on standard error when no rule of the site lets that count."""
    if not any(_counts(rule, kind) for rule in settings.rules.rules):
        what, remedy = _REMEDIES[kind]
        typer.echo(f"warning: no rule here lets {what} count, so nobody gets in by this: {remedy}", err=True)


def _counts(rule: Rule, kind: str) -> bool:
    return kind in rule.kinds or kind in rule.grants
