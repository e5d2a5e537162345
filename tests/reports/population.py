"""People and what is in their hands, for the reports: made by hand where a test says what counts, by chance elsewhere.

No store, no clock: all moments are measured from NOW. Answers to no RFC.
"""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from radiusd2fa.core.model import Token, TokenState
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.reports.records import Holding, Person
from radiusd2fa.reports.report import Cell, Report, Table

NOW: Final = 1_900_000_000.0
A_DAY: Final = 86400.0
KINDS: Final = ("fido", "yubico", "totp", "hotp")
GROUPS: Final = ("staff", "netadmin", "sales")


def person(
    number: int,
    *,
    enabled: bool = True,
    groups: tuple[str, ...] = (),
    enrolled: bool = True,
    last_login: float | None = None,
    created: float = 0.0,
    skip_until: float = 0.0,
    locked_until: float = 0.0,
) -> Person:
    """Return somebody called u1, u2, ..."""
    return Person(
        id=number,
        name=f"u{number}",
        enabled=enabled,
        groups=groups,
        created=created,
        enrolled=enrolled,
        last_login=last_login,
        skip_until=skip_until,
        locked_until=locked_until,
    )


def token(
    number: int,
    owner: int | None = 1,
    kind: str = "totp",
    state: TokenState = TokenState.ACTIVE,
    *,
    valid_from: float = 0.0,
    valid_until: float | None = None,
    last_used: float | None = None,
    activate_by: float | None = None,
    model: str = "",
    delivered: float | None = None,
    handed_at: float | None = None,
    batch: str = "",
    box: str = "",
) -> Holding:
    """Return a token T1, T2, ... in somebody's hands, or in nobody's."""
    return Holding(
        token=Token(
            id=number,
            serial=f"T{number}",
            kind=kind,
            moving_factor=0,
            secret=b"",
            state=state,
            valid_from=valid_from,
            valid_until=valid_until,
            last_used=last_used,
            activate_by=activate_by,
        ),
        created=0.0,
        owner=owner,
        user=None if owner is None else f"u{owner}",
        model=model,
        batch=batch,
        box=box,
        delivered=delivered,
        handed_at=handed_at,
        handed_by="carol",
    )


def sheet(
    number: int,
    owner: int = 1,
    kind: str = "recovery",
    state: TokenState = TokenState.ACTIVE,
    *,
    codes: int = 10,
    used: int = 0,
    valid_until: float | None = None,
    last_used: float | None = None,
) -> Holding:
    """Return a sheet S1, S2, ... of which so many codes were used."""
    return Holding(
        token=Token(
            id=number,
            serial=f"S{number}",
            kind=kind,
            moving_factor=2**used - 1,
            secret=b"",
            state=state,
            valid_until=valid_until,
            last_used=last_used,
        ),
        created=0.0,
        owner=owner,
        user=f"u{owner}",
        codes=codes,
    )


def table(report: Report, name: str) -> Table:
    """Return one of a report's tables."""
    return next(one for one in report.tables if one.name == name)


def column(report: Report, name: str, title: str) -> list[Cell]:
    """Return one column of one table."""
    found = table(report, name)
    at = [one.name for one in found.columns].index(title)
    return [row[at] for row in found.rows]


def value(report: Report, name: str) -> int:
    """Return one of a report's figures."""
    return report.figure(name).value


MOMENTS: Final = st.sampled_from((None, NOW - 400 * A_DAY, NOW - A_DAY, NOW, NOW + A_DAY))
"""Over, just over, now, and to come."""


@st.composite
def populations(draw: st.DrawFn) -> tuple[tuple[Person, ...], tuple[Holding, ...]]:
    """Draw a few people with a few tokens and sheets in any state."""
    people = tuple(
        person(
            number,
            enabled=draw(st.booleans()),
            groups=tuple(draw(st.sets(st.sampled_from(GROUPS)))),
            enrolled=draw(st.booleans()),
            last_login=draw(MOMENTS),
            skip_until=draw(st.sampled_from((0.0, NOW, NOW + 1))),
        )
        for number in range(1, draw(st.integers(0, 5)) + 1)
    )
    owners = st.sampled_from([None, *(one.id for one in people)])
    holdings = []
    for number in range(1, draw(st.integers(0, 12)) + 1):
        owner, kind = draw(owners), draw(st.sampled_from((*KINDS, *SHEETS)))
        state, until = draw(st.sampled_from(TokenState)), draw(MOMENTS)
        if kind in SHEETS:
            holdings.append(
                sheet(number, owner or 0, kind, state, codes=3, used=draw(st.integers(0, 3)), valid_until=until)
            )
            continue
        holdings.append(
            token(
                number,
                owner,
                kind,
                state,
                valid_from=draw(st.sampled_from((0.0, NOW, NOW + 1))),
                valid_until=until,
                last_used=draw(MOMENTS),
                activate_by=draw(MOMENTS) if state is TokenState.ASSIGNED else None,
                delivered=draw(MOMENTS),
                model=draw(st.sampled_from(("", "c200", "go6"))),
            )
        )
    return people, tuple(holdings)
