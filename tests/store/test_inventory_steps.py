"""From hand to hand: what each command makes of a token in each state, and which states log anybody in.

Tables of cases on the real database; what is refused leaves no trace and says what to do. Answers to no RFC but
RFC 4226 7.2: a used code stays used, in whosever hands the token is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from radiusd2fa.core.finding import is_usable
from radiusd2fa.core.model import AdvanceMovingFactor, TokenState
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.custody import STEPS
from radiusd2fa.store.inventory import can_log_in
from radiusd2fa.store.registry import Registry

from .conftest import ACTOR, NOW, Desk, Site, hotp
from .inventory_tokens import FOB, add, put, whose

LATER: Final = NOW + 100
DEADLINE: Final = NOW + 1000

Command = Callable[[Registry, str], object]

COMMANDS: Final[dict[str, Command]] = {
    "assign": lambda r, serial: r.assign(serial, "bob", LATER, activate_by=DEADLINE),
    "unassign": lambda r, serial: r.unassign(serial, LATER),
    "return": lambda r, serial: r.take_back(serial, LATER),
    "restock": lambda r, serial: r.restock(serial, LATER),
    "enable": lambda r, serial: r.set_state(serial, TokenState.ACTIVE, LATER),
    "disable": lambda r, serial: r.set_state(serial, TokenState.DISABLED, LATER),
    "lost": lambda r, serial: r.set_state(serial, TokenState.LOST, LATER),
    "revoke": lambda r, serial: r.set_state(serial, TokenState.REVOKED, LATER),
}

OF_A_FOB: Final = """
             stock     assigned  active    disabled  lost      returned  revoked   expired
    assign   assigned  -         -         -         -         -         -         -
    unassign -         stock     stock     -         -         -         -         -
    return   -         returned  returned  returned  returned  -         -         -
    restock  -         -         -         -         -         stock     -         -
    enable   -         -         active    active    -         -         -         -
    disable  -         disabled  disabled  disabled  -         -         -         -
    lost     lost      lost      lost      lost      lost      lost      -         -
    revoke   revoked   revoked   revoked   revoked   revoked   revoked   revoked   -
"""
OF_A_KEY: Final = """
             active    disabled  lost      revoked   expired
    assign   -         -         -         -         -
    unassign -         -         -         -         -
    return   -         -         -         -         -
    restock  -         -         -         -         -
    enable   active    active    -         -         -
    disable  disabled  disabled  -         -         -
    lost     lost      lost      lost      -         -
    revoke   revoked   revoked   revoked   revoked   -
"""
OF_A_SHEET: Final = """
             active    disabled  revoked   expired
    assign   -         -         -         -
    unassign -         -         -         -
    return   -         -         -         -
    restock  -         -         -         -
    enable   active    -         -         -
    disable  -         disabled  -         -
    lost     -         -         -         -
    revoke   revoked   revoked   revoked   -
"""

TABLES: Final = {
    "hotp": OF_A_FOB,
    "yubico": OF_A_FOB,
    "fido": OF_A_KEY,
    "recovery": OF_A_SHEET,
    "temporary": OF_A_SHEET,
    "breakglass": OF_A_SHEET,
}


def cases(kind: str) -> Iterator[tuple[str, TokenState, TokenState | None]]:
    """Read a table: command, state before, and the state after or None where it is refused."""
    head, *lines = (line.split() for line in TABLES[kind].strip().splitlines())
    for command, *afters in lines:
        for before, after in zip(head, afters, strict=True):
            yield command, TokenState(before), None if after == "-" else TokenState(after)


REMEDIES: Final = ("radiusd2fa token", "radiusd2fa key", "give out another one", "for good")


def rows(site: Site) -> list[list[tuple[object, ...]]]:
    """Everything that a command could change."""
    return [site.sql(f"SELECT * FROM {table}") for table in ("users", "tokens", "events")]  # noqa: S608


def test_the_tables_know_every_command() -> None:
    """What is allowed to become of a token is written down here once more, for all commands there are."""
    assert set(COMMANDS) == set(STEPS)


@pytest.mark.parametrize("kind", TABLES)
def test_what_a_command_makes_of_a_token(site: Site, kind: str) -> None:
    """It is refused without a trace and with a remedy, or leads where the table says with one row in the audit."""
    add(site, kind)
    with site.registry() as registry:
        factor = registry.token("X1").moving_factor
        for command, before, after in cases(kind):
            case = f"{command} of what is {before}"
            put(site, before)
            untouched = rows(site)
            if after is None:
                with pytest.raises(RefusedError) as refused:
                    COMMANDS[command](registry, "X1")
                assert rows(site) == untouched, case
                assert any(remedy in str(refused.value) for remedy in REMEDIES), refused.value
                continue
            COMMANDS[command](registry, "X1")
            record, event = registry.token("X1"), registry.events(1)[0]
            owner = {"assign": "bob", "unassign": None, "return": None, "restock": None}.get(command, whose(before))
            assert (record.state, record.user, record.moving_factor) == (after, owner, factor), case
            assert (event.serial, event.factor, event.actor) == ("X1", kind, ACTOR), case
            assert event.user == (("bob" if command == "assign" else whose(before)) or ""), case
            assert len(rows(site)[2]) == len(untouched[2]) + 1, case


# --- who can log in ---------------------------------------------------------------------------------------------------

FOR_EVER: Final = None
MAY_LOG_IN: Final[dict[str, tuple[TokenState, float | None, float, float | None, bool]]] = {
    # state, first code by, valid from, valid until, and whether it logs anybody in now
    **{
        f"{state} and nothing else": (state, FOR_EVER, 0.0, FOR_EVER, state in (TokenState.ACTIVE, TokenState.ASSIGNED))
        for state in TokenState
    },
    "assigned, in time": (TokenState.ASSIGNED, NOW + 1, 0.0, FOR_EVER, True),
    "assigned, the moment after": (TokenState.ASSIGNED, NOW, 0.0, FOR_EVER, False),
    "assigned, too late": (TokenState.ASSIGNED, NOW - 1, 0.0, FOR_EVER, False),
    "assigned in time, but past its validity": (TokenState.ASSIGNED, NOW + 1, 0.0, NOW, False),
    "active, its first code long ago": (TokenState.ACTIVE, NOW - 1, 0.0, FOR_EVER, True),
    "active, valid": (TokenState.ACTIVE, FOR_EVER, NOW, NOW + 1, True),
    "active, not yet valid": (TokenState.ACTIVE, FOR_EVER, NOW + 1, FOR_EVER, False),
    "active, past its validity": (TokenState.ACTIVE, FOR_EVER, 0.0, NOW, False),
    "lost, though valid": (TokenState.LOST, FOR_EVER, 0.0, NOW + 1, False),
}


def test_who_can_log_in(site: Site, desk: Desk) -> None:
    """Only what is active, or assigned and in time, and valid now; the desk and the daemon say the same."""
    with site.registry() as registry:
        for case, (state, by, begins, ends, expected) in MAY_LOG_IN.items():
            site.sql(
                "UPDATE tokens SET state = ?, activate_by = ?, valid_from = ?, valid_until = ? WHERE serial = 'H1'",
                *(state.value, by, begins, ends),
            )
            loaded = [token for token in desk.user().tokens if token.serial == "H1"]
            assert any(is_usable(token, NOW) for token in loaded) is expected, case
            assert can_log_in(registry.token("H1"), NOW) is expected, case


def test_what_is_taken_away_while_a_login_is_under_way(site: Site, desk: Desk) -> None:
    """A code that was judged before the change spends nothing after it, but for a token that is still in use."""
    at = 5
    for state in TokenState:
        site.sql("UPDATE tokens SET state = ? WHERE serial = 'H1'", state.value)
        still = state in (TokenState.ACTIVE, TokenState.ASSIGNED)
        assert desk.commit(AdvanceMovingFactor(token_id=1, user_id=1, to=at + 1, drift=0, now=NOW)) is still, state
        at += still
        assert site.sql("SELECT moving_factor FROM tokens WHERE serial = 'H1'") == [(at,)], state


def test_a_first_code_makes_a_token_active(site: Site, desk: Desk) -> None:
    """Handed out, it waits; after one good code it is active, and stays so when its time for that has passed."""
    with site.registry() as registry:
        registry.add_token(hotp("X1", FOB, counter=3), None, NOW)
        registry.assign("X1", "bob", NOW, activate_by=DEADLINE)
    token = desk.token("X1", "bob")
    assert (token.state, token.activate_by) == (TokenState.ASSIGNED, DEADLINE)
    assert not is_usable(token, DEADLINE)
    assert desk.commit(AdvanceMovingFactor(token.id, 2, 4, 0, LATER)) is True
    assert desk.token("X1", "bob").state is TokenState.ACTIVE
    assert is_usable(desk.token("X1", "bob"), DEADLINE + 1)
