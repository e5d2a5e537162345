"""Deliveries: all tokens of a file or none, and each seed once.

Refusals first, on the real database; then what a delivery leaves behind. What happens meanwhile stands beside it.
RFC 4226 7.2: a seed that is here twice lets one code in twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from sqlalchemy.exc import DBAPIError

from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.model import AdvanceMovingFactor, Event, TokenState
from radiusd2fa.imports.seeds import YUBICO_DIGITS, Seed
from radiusd2fa.store import connecting, deliveries
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.deliveries import Step, TakenIn
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.sqlite import StoreUnavailableError
from radiusd2fa.vault import VaultError

from .conftest import ACTOR, NOW, SEED, Desk, Site, hotp
from .delivered import LATER, a_seed, during, everything, highest_id, some, take_in

# --- refusals --------------------------------------------------------------------------------------------------------

KNOWN_SEED: Final = b"another seed of bob's"
"""That of H2, which is bob's."""

FAULTS: Final[dict[str, tuple[Seed, str]]] = {
    "a serial that is here with another seed": (a_seed("H2"), "another token H2 here"),
    "a serial that is here with the same seed of another kind": (
        a_seed("H2", kind="totp", secret=KNOWN_SEED),
        "another token H2 here",
    ),
    "a token that is here": (a_seed("H2", secret=KNOWN_SEED), "--skip-known"),
    "a seed that is here under another serial": (a_seed("N1", secret=KNOWN_SEED), "as token H2"),
    "the same seed with octets behind it that do not count": (a_seed("N1", secret=KNOWN_SEED + b"\0\0"), "token H2"),
    "the same seed in a token of another kind": (a_seed("N1", kind="totp", secret=KNOWN_SEED), "as token H2"),
    "a person who is not here": (a_seed("N1", user="carol"), "`radiusd2fa user add carol` first"),
    "a name that can be nobody's": (a_seed("N1", user="ca\x1brol"), "can be no name"),
    "no name at all": (a_seed("N1", user=""), "can be no name"),
    "a seed that is too short": (a_seed("N1", secret=b"short"), "5 octets"),
}


@pytest.mark.parametrize(("seed", "said"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("dry_run", [False, True], ids=["", "dry run"])
def test_one_fault_keeps_all_of_a_file_out(site: Site, seed: Seed, said: str, dry_run: bool) -> None:
    """The line is named, and nothing has changed."""
    before = everything(site)
    done = take_in(site, [a_seed("N0", 7), replace(seed, line=8), a_seed("N2", 9)], dry_run=dry_run)
    (flaw,) = done.faults
    assert (done.taken, flaw.line, flaw.serial) == (0, 8, seed.serial)
    assert said in f"{flaw.problem}; {flaw.remedy}"
    assert everything(site) == before


def test_every_fault_is_said_in_the_order_of_the_file(site: Site) -> None:
    """Whoever mends a file wants to mend it once."""
    wrong = [replace(seed, line=line) for line, (seed, _) in enumerate(FAULTS.values())]
    distinct = list({seed.serial: seed for seed in wrong}.values())
    assert [flaw.line for flaw in take_in(site, distinct).faults] == [seed.line for seed in distinct]


def test_a_serial_that_comes_twice_names_both_lines(site: Site) -> None:
    """Whether or not the seeds differ."""
    (flaw,) = take_in(site, [a_seed("N1", 4), a_seed("N1", 9, secret=b"of another token")]).faults
    assert (flaw.line, flaw.serial) == (9, "N1")
    assert "line 4" in flaw.problem


def test_a_seed_that_comes_twice_names_both_tokens(site: Site) -> None:
    """Two fobs with one seed would let one code in twice; zero octets behind it make no other HMAC key."""
    (flaw,) = take_in(site, [a_seed("N1", 4), a_seed("N2", 9, secret=a_seed("N1").secret + b"\0")]).faults
    assert (flaw.line, flaw.serial) == (9, "N2")
    assert "N1 in line 4" in flaw.problem


def test_another_public_id_makes_no_other_key(site: Site) -> None:
    """What a YubiKey types behind its public id would count for both."""
    one = a_seed("Y1", 4, kind="yubico", secret=bytes(range(1, 29)), digits=YUBICO_DIGITS + 12)
    other = replace(one, serial="Y2", line=9, secret=bytes(range(1, 28)) + b"!")
    (flaw,) = take_in(site, [one, other]).faults
    assert "Y1 in line 4" in flaw.problem
    assert take_in(site, [one]).taken == 1
    site.sql("UPDATE tokens SET fingerprint = NULL")
    (flaw,) = take_in(site, [other]).faults
    assert "as token Y1" in flaw.problem


@pytest.mark.parametrize("state", list(TokenState))
def test_a_seed_is_here_whatever_became_of_its_token(site: Site, state: TokenState) -> None:
    """A revoked token's codes were used too."""
    site.sql("UPDATE tokens SET state = ? WHERE serial = 'H2'", state.value)
    (flaw,) = take_in(site, [a_seed("N1", secret=KNOWN_SEED)]).faults
    assert "as token H2" in flaw.problem


@pytest.mark.parametrize("dry_run", [False, True], ids=["", "dry run"])
def test_seeds_of_before_fingerprints_are_found(site: Site, dry_run: bool) -> None:
    """Rows of an older version are opened and compared; a dry run changes nothing even there."""
    site.sql("UPDATE tokens SET fingerprint = NULL")
    said = [flaw.problem for flaw in take_in(site, [a_seed("N1", secret=KNOWN_SEED)], dry_run=dry_run).faults]
    assert said == ["the seed of N1 is here already, as token H2"]
    marked = site.sql("SELECT count(*) FROM tokens WHERE fingerprint IS NOT NULL")
    assert marked == [(0 if dry_run else 3,)]


@pytest.mark.parametrize("dry_run", [False, True], ids=["", "dry run"])
def test_a_token_of_before_fingerprints_is_known(site: Site, dry_run: bool) -> None:
    """So that --skip-known passes over it too."""
    site.sql("UPDATE tokens SET fingerprint = NULL")
    seeds = [a_seed("H2", secret=KNOWN_SEED), a_seed("N1")]
    assert take_in(site, seeds, dry_run=dry_run, skip_known=True) == TakenIn(1, frozenset({0}))


def test_a_row_that_does_not_open_stops_the_comparison(site: Site) -> None:
    """What was not compared is not called new."""
    site.sql("UPDATE tokens SET fingerprint = NULL, sealed = ? WHERE serial = 'H2'", b"\0")
    with pytest.raises(VaultError):
        take_in(site, some(1))


def test_more_tokens_than_logins_can_wait_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of one delivery is bounded, and the remedy is said."""
    monkeypatch.setattr(deliveries, "MOST_AT_ONCE", 3)
    assert take_in(site, some(3)).taken == 3
    with pytest.raises(RefusedError, match="split the file"):
        take_in(site, some(4))


def test_a_failure_inside_the_transaction_leaves_nothing(site: Site) -> None:
    """No row of the audit is there when one of the tokens cannot be."""
    if isinstance(site.address, SqliteFile):
        site.sql(
            "CREATE TRIGGER no_space_left BEFORE INSERT ON tokens WHEN NEW.serial = 'F0002' "
            "BEGIN SELECT RAISE(ABORT, 'no_space_left'); END"
        )
    else:
        site.sql("ALTER TABLE tokens ADD CONSTRAINT no_space_left CHECK (serial <> 'F0002')")
    before = everything(site)
    with pytest.raises(DBAPIError, match="no_space_left"):
        take_in(site, some(3))
    assert everything(site) == before


def test_a_database_that_another_command_holds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that the same command may go through later, and nothing is half done."""
    monkeypatch.setattr(connecting, "PATIENCE", 0.01)
    before = everything(site)
    with site.held(), pytest.raises(StoreUnavailableError, match="try again"):
        take_in(site, some(3))
    assert everything(site) == before


# --- what comes in ---------------------------------------------------------------------------------------------------


def test_nothing_is_no_delivery(site: Site) -> None:
    """An empty list is no fault, and no row in the audit."""
    before = everything(site)
    assert take_in(site, []) == TakenIn()
    assert everything(site) == before


def test_a_dry_run_says_what_would_come_in(site: Site) -> None:
    """And nothing does; no id is used up either."""
    before = [*everything(site), highest_id(site)]
    assert take_in(site, some(3), dry_run=True) == TakenIn(3)
    assert [*everything(site), highest_id(site)] == before


def test_all_that_the_file_says_is_kept(site: Site) -> None:
    """Kind, digits, algorithm, step, counter, drift, dates, label, model; and what the administrator says beside it."""
    seed = a_seed(
        "N1",
        kind="totp",
        digits=8,
        algorithm="sha512",
        step=60,
        moving_factor=28_000_000,
        drift=-2,
        valid_from=NOW,
        valid_until=NOW + 1e6,
        label="spare",
        model="Maker C200",
    )
    assert take_in(site, [seed], batch="2026-11", box="7", delivered=NOW - 5).taken == 1
    columns = (
        "serial, user_id, kind, digits, algorithm, step, moving_factor, drift, valid_from, valid_until, label, model, "
        "batch, box, delivered, state, created, handed_by, activate_by, last_used, candidate"
    )
    (row,) = site.sql(f"SELECT {columns} FROM tokens WHERE serial = 'N1'")  # noqa: S608
    assert row == (
        *("N1", None, "totp", 8, "sha512", 60, 28_000_000, -2, NOW, NOW + 1e6, "spare", "Maker C200"),
        *("2026-11", "7", NOW - 5, "stock", LATER, "", None, None, None),
    )
    (found,) = site.sql("SELECT id, sealed, fingerprint FROM tokens WHERE serial = 'N1'")
    assert site.vault.open(found[0], found[1]) == seed.secret
    assert found[2] == site.vault.fingerprint(seed.secret)


def test_tokens_of_all_kinds(site: Site) -> None:
    """A Yubico OTP comes as its octets, and its length."""
    yubico = a_seed("Y1", kind="yubico", secret=bytes(range(28)), digits=YUBICO_DIGITS + 12, moving_factor=513)
    assert take_in(site, [yubico, a_seed("C1", kind="totp"), a_seed("B1")]).taken == 3
    assert site.sql("SELECT kind, digits, moving_factor FROM tokens WHERE serial = 'Y1'") == [("yubico", 44, 513)]


def test_a_token_that_names_a_person_is_theirs(site: Site, desk: Desk) -> None:
    """Active at once, with its counter, under the one spelling of their name; and they are somebody with a token."""
    site.sql("UPDATE users SET enrolled = false WHERE name = 'bob'")
    assert take_in(site, [a_seed("N1", user="BOB", moving_factor=77)]).taken == 1
    token = desk.token("N1", "bob")
    assert (token.state, token.moving_factor, token.secret) == (TokenState.ACTIVE, 77, a_seed("N1").secret)
    assert desk.user("bob").enrolled
    assert desk.commit(AdvanceMovingFactor(token.id, desk.user("bob").id, 78, 0, LATER)) is True


def test_each_token_stands_in_the_audit_and_the_delivery_once(site: Site) -> None:
    """With serial, kind, person and who did it; the reason is the batch, or the file."""
    told: list[str] = []

    def hear(row: Event | Checkpoint) -> None:
        if isinstance(row, Event):
            told.append(row.name)

    with Registry(site.address, site.vault, ACTOR, tell=hear) as registry:
        before = len(registry.events())
        registry.take_in([a_seed("N1"), a_seed("N2", user="bob")], LATER, source="seeds.xml")
        registry.take_in([a_seed("N3")], LATER, source="seeds.xml", batch="2026-11")
        rows = registry.events()[before:]
    assert [(row.name, row.serial, row.factor, row.user, row.reason) for row in rows] == [
        ("token.imported", "N1", "hotp", "", "seeds.xml"),
        ("token.imported", "N2", "hotp", "bob", "seeds.xml"),
        ("tokens.imported", "", "", "", "2 of seeds.xml"),
        ("token.imported", "N3", "hotp", "", "2026-11"),
        ("tokens.imported", "", "", "", "1 of 2026-11"),
    ]
    assert {(row.time, row.outcome, row.actor) for row in rows} == {(LATER, "done", ACTOR)}
    assert told == ["tokens.imported", "tokens.imported"]


def test_what_is_known_is_passed_over_and_left_as_it_is(site: Site) -> None:
    """The mended file comes in beside it; the counter, the owner and the state of a known token stay what they are."""
    before = site.sql("SELECT * FROM tokens WHERE serial = 'H2'")
    seeds = [a_seed("N1"), a_seed("H2", secret=KNOWN_SEED, moving_factor=0, user="carol"), a_seed("N2")]
    assert take_in(site, seeds, skip_known=True) == TakenIn(2, frozenset({1}))
    assert site.sql("SELECT * FROM tokens WHERE serial = 'H2'") == before
    assert take_in(site, seeds, skip_known=True) == TakenIn(0, frozenset({0, 1, 2}))


@pytest.mark.parametrize("kind", ["hotp", "totp", "yubico"])
def test_a_known_token_that_has_gone_on_elsewhere_is_moved_forward(site: Site, kind: str) -> None:
    """A code that was used in the old system since the first import does not count here; an audit row says whose."""
    digits = YUBICO_DIGITS if kind == "yubico" else 6
    one = a_seed("N1", kind=kind, digits=digits, secret=bytes(range(22)), moving_factor=600, user="bob")
    assert take_in(site, [one]).taken == 1
    site.sql("UPDATE tokens SET candidate = 650, candidate_until = 9e9 WHERE serial = 'N1'")
    farther = replace(one, moving_factor=700, user=None)
    columns = "SELECT moving_factor, candidate, candidate_until FROM tokens WHERE serial = 'N1'"
    assert take_in(site, [farther], skip_known=True, dry_run=True) == TakenIn(0, frozenset({0}), frozenset({0}))
    assert site.sql(columns) == [(600, 650, 9e9)]
    assert take_in(site, [farther], skip_known=True) == TakenIn(0, frozenset({0}), frozenset({0}))
    assert site.sql(columns) == [(700, None, 0.0)]
    audit = 'SELECT name, "user", factor, serial, reason, actor, time FROM events ORDER BY id DESC LIMIT 2'
    assert site.sql(audit) == [
        ("tokens.imported", "", "", "", "0 of seeds.xml, 1 moved forward", ACTOR, LATER),
        ("token.counter_raised", "bob", kind, "N1", "seeds.xml", ACTOR, LATER),
    ]
    before = everything(site)
    assert take_in(site, [farther, one][:1], skip_known=True) == TakenIn(0, frozenset({0}))
    assert everything(site) == before


def test_a_known_token_is_never_moved_back(site: Site) -> None:
    """A login that comes while the others are sealed counts: what it has used is not given back."""
    take_in(site, [a_seed("N1", moving_factor=600)])

    def log_in() -> None:
        site.sql("UPDATE tokens SET moving_factor = 800 WHERE serial = 'N1'")

    farther = [a_seed("N1", moving_factor=700), a_seed("N2")]
    done = take_in(site, farther, skip_known=True, progress=during(Step.SEALING, log_in))
    assert done == TakenIn(1, frozenset({0}))
    assert site.sql("SELECT moving_factor FROM tokens WHERE serial = 'N1'") == [(800,)]
    assert site.sql("SELECT count(*) FROM events WHERE name = 'token.counter_raised'") == [(0,)]


def test_steps_of_another_length_move_nothing(site: Site) -> None:
    """The number of a step of 30 seconds says nothing of steps of 60, and would shut a token out for years."""
    take_in(site, [a_seed("N1", kind="totp", step=60, moving_factor=28_000_000)])
    other = a_seed("N1", kind="totp", step=30, moving_factor=56_000_000)
    assert take_in(site, [other], skip_known=True) == TakenIn(0, frozenset({0}))


def test_no_fault_and_no_forgiveness_moves_a_token(site: Site) -> None:
    """Where the file is refused, or --skip-known was not said, a known token stays where it is."""
    take_in(site, [a_seed("N1", moving_factor=600)])
    before = everything(site)
    farther = a_seed("N1", moving_factor=700)
    assert len(take_in(site, [farther]).faults) == 1
    assert len(take_in(site, [farther, a_seed("N2", user="carol")], skip_known=True).faults) == 1
    assert everything(site) == before


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry run", ""])
def test_a_token_of_before_fingerprints_is_moved_forward_too(site: Site, dry_run: bool) -> None:
    """It is marked on the way, or on a dry run compared beside the table."""
    site.sql("UPDATE tokens SET fingerprint = NULL")
    farther = a_seed("H2", secret=KNOWN_SEED, moving_factor=700)
    done = take_in(site, [farther], skip_known=True, dry_run=dry_run)
    assert done == TakenIn(0, frozenset({0}), frozenset({0}))


def test_a_known_token_whose_seed_is_here_twice_is_passed_over(site: Site) -> None:
    """Nothing is added by it: H1 and T1 have had one seed since before."""
    assert take_in(site, [a_seed("H1", secret=SEED)], skip_known=True) == TakenIn(0, frozenset({0}))


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "a token that is here"])
def test_other_faults_are_not_passed_over(site: Site, name: str) -> None:
    """--skip-known forgives nothing but what is here already."""
    assert len(take_in(site, [FAULTS[name][0], a_seed("N9")], skip_known=True).faults) == 1


def test_the_first_tokens_of_a_new_site(site: Site) -> None:
    """Where no token has ever been, the ids begin with 1."""
    site.sql("DELETE FROM tokens")
    if isinstance(site.address, SqliteFile):
        site.sql("DELETE FROM sqlite_sequence")
    else:
        site.sql("ALTER SEQUENCE tokens_id_seq RESTART")
    assert take_in(site, some(2)).taken == 2
    with site.registry() as registry:
        registry.add_token(hotp("X1", b"added after that"), None, LATER)
    assert site.sql("SELECT id FROM tokens ORDER BY serial") in ([(1,), (2,), (3,)], [(2,), (1,), (3,)])
