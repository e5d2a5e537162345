"""Administration: each change with its audit row, each refusal without a trace, and no moving factor ever lowered.

Tables of cases on the real database. Refusals say what to do.
RFC 4226 7.2: what was used stays used, also for administrators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.model import AdvanceMovingFactor, TokenState
from radiusd2fa.store import connecting
from radiusd2fa.store.administration import GONE, RefusedError
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.sqlite import StoreUnavailableError

from .conftest import ACTOR, NOW, SEED, Site, hotp

LATER: Final = NOW + 100
NEW_SEED: Final = b"a seed that is new to all"
Change = Callable[[Registry], object]


def rows(site: Site) -> list[list[tuple[object, ...]]]:
    """Everything that administration could change."""
    return [site.sql(f"SELECT * FROM {table} ORDER BY id") for table in ("users", "tokens", "events")]  # noqa: S608


def done(site: Site, change: Change) -> object:
    """Make a change on a registry of its own, as a command does."""
    with site.registry() as registry:
        return change(registry)


# --- refusals --------------------------------------------------------------------------------------------------------

REFUSALS: Final[dict[str, tuple[tuple[Change, ...], Change, str]]] = {
    "a name that is taken": ((), lambda r: r.add_user("alice", None, (), LATER), "alice already"),
    "somebody unknown": ((), lambda r: r.user("carol"), "no user carol"),
    "the password of somebody unknown": ((), lambda r: r.set_password("carol", "x", LATER), "no user carol"),
    "enabling somebody unknown": ((), lambda r: r.set_enabled("carol", LATER, enabled=True), "no user carol"),
    "unlocking somebody unknown": ((), lambda r: r.unlock("carol", LATER), "no user carol"),
    "removing somebody unknown": ((), lambda r: r.remove_user("carol", LATER), "no user carol"),
    "an unknown token": ((), lambda r: r.token("H9"), "no token H9"),
    "the seed of an unknown token": ((), lambda r: r.with_seed("H9"), "no token H9"),
    "a serial that is taken": ((), lambda r: r.add_token(hotp("H1", NEW_SEED), "bob", LATER), "H1 already"),
    "a token for somebody unknown": ((), lambda r: r.add_token(hotp("H9", NEW_SEED), "carol", LATER), "no user carol"),
    "a seed that the person has": ((), lambda r: r.add_token(hotp("H9"), "alice", LATER), "as token H1"),
    "a seed that the person has, elsewhere in its life": (
        (),
        lambda r: r.add_token(hotp("H9", counter=500), "alice", LATER),
        "as token H1",
    ),
    "a seed that the person has in a disabled token": (
        (lambda r: r.set_state("H1", TokenState.DISABLED, NOW),),
        lambda r: r.add_token(hotp("H9"), "alice", LATER),
        "as token H1",
    ),
    "a stock token with a seed that the person has": (
        (lambda r: r.add_token(hotp("H9"), None, NOW),),
        lambda r: r.assign("H9", "alice", LATER),
        "as token H1",
    ),
    "assigning what belongs to somebody": ((), lambda r: r.assign("H1", "bob", LATER), "belongs to alice"),
    "assigning to somebody unknown": (
        (lambda r: r.unassign("H1", NOW),),
        lambda r: r.assign("H1", "carol", LATER),
        "no user carol",
    ),
    "assigning an unknown token": ((), lambda r: r.assign("H9", "bob", LATER), "no token H9"),
    "assigning what is revoked": (
        (lambda r: r.unassign("H1", NOW), lambda r: r.set_state("H1", TokenState.REVOKED, NOW)),
        lambda r: r.assign("H1", "bob", LATER),
        "revoked and stays so",
    ),
    "unassigning what belongs to nobody": (
        (lambda r: r.unassign("H1", NOW),),
        lambda r: r.unassign("H1", LATER),
        "belongs to nobody",
    ),
    "unassigning what is revoked": (
        (lambda r: r.set_state("H1", TokenState.REVOKED, NOW),),
        lambda r: r.unassign("H1", LATER),
        "revoked and stays so",
    ),
    "enabling what belongs to nobody": (
        (lambda r: r.unassign("H1", NOW),),
        lambda r: r.set_state("H1", TokenState.ACTIVE, LATER),
        "belongs to nobody",
    ),
    "enabling what is revoked": (
        (lambda r: r.set_state("H1", TokenState.REVOKED, NOW),),
        lambda r: r.set_state("H1", TokenState.ACTIVE, LATER),
        "revoked and stays so",
    ),
    "disabling what is revoked": (
        (lambda r: r.set_state("H1", TokenState.REVOKED, NOW),),
        lambda r: r.set_state("H1", TokenState.DISABLED, LATER),
        "revoked and stays so",
    ),
    "resynchronising what is revoked": (
        (lambda r: r.set_state("H1", TokenState.REVOKED, NOW),),
        lambda r: r.with_seed("H1"),
        "revoked and stays so",
    ),
    "resynchronising to where the token is": (
        (),
        lambda r: r.resynchronise(r.with_seed("H1"), 5, 0, LATER),
        "two fresh codes",
    ),
    "resynchronising backwards": ((), lambda r: r.resynchronise(r.with_seed("H1"), 4, 0, LATER), "two fresh codes"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_refused_changes_leave_no_trace(site: Site, refusal: tuple[tuple[Change, ...], Change, str]) -> None:
    """What cannot be done changes nothing, writes no audit row, says why, and never shows a seed."""
    before, change, reason = refusal
    for step in before:
        done(site, step)
    untouched = rows(site)
    with pytest.raises(RefusedError, match=reason) as refused:
        done(site, change)
    assert rows(site) == untouched
    assert SEED.hex() not in str(refused.value)
    assert SEED.decode() not in str(refused.value)


@pytest.mark.parametrize("state", sorted(GONE))
def test_no_token_comes_back_from_where_none_returns(site: Site, state: TokenState) -> None:
    """Revoked, lost and expired tokens are not enabled, disabled, assigned, unassigned or resynchronised."""
    site.sql("UPDATE tokens SET state = ? WHERE id = 1", state)
    tries: tuple[Change, ...] = (
        lambda r: r.set_state("H1", TokenState.ACTIVE, LATER),
        lambda r: r.set_state("H1", TokenState.DISABLED, LATER),
        lambda r: r.unassign("H1", LATER),
        lambda r: r.with_seed("H1"),
    )
    for change in tries:
        with pytest.raises(RefusedError):
            done(site, change)
    assert site.sql("SELECT state FROM tokens WHERE id = 1") == [(state,)]


# --- changes, each with its audit row --------------------------------------------------------------------------------

CHANGES: Final[dict[str, tuple[tuple[Change, ...], Change, tuple[str, str, str, str]]]] = {
    "add a user": ((), lambda r: r.add_user("carol", "hash", ("a", "b"), LATER), ("user.added", "carol", "", "")),
    "set a password": ((), lambda r: r.set_password("bob", "hash", LATER), ("user.password_set", "bob", "", "")),
    "disable a user": ((), lambda r: r.set_enabled("bob", LATER, enabled=False), ("user.disabled", "bob", "", "")),
    "enable a user": ((), lambda r: r.set_enabled("bob", LATER, enabled=True), ("user.enabled", "bob", "", "")),
    "unlock a user": ((), lambda r: r.unlock("bob", LATER), ("user.unlocked", "bob", "", "")),
    "remove a user": (
        (lambda r: r.unassign("H2", NOW),),
        lambda r: r.remove_user("bob", LATER),
        ("user.removed", "bob", "", ""),
    ),
    "add a token": (
        (),
        lambda r: r.add_token(hotp("H9", NEW_SEED), "bob", LATER),
        ("token.added", "bob", "hotp", "H9"),
    ),
    "add a token to the stock": (
        (),
        lambda r: r.add_token(hotp("H9"), None, LATER),
        ("token.added", "", "hotp", "H9"),
    ),
    "assign a token": (
        (lambda r: r.unassign("H1", NOW),),
        lambda r: r.assign("H1", "bob", LATER),
        ("token.assigned", "bob", "hotp", "H1"),
    ),
    "unassign a token": ((), lambda r: r.unassign("H1", LATER), ("token.unassigned", "alice", "hotp", "H1")),
    "disable a token": (
        (),
        lambda r: r.set_state("H1", TokenState.DISABLED, LATER),
        ("token.disabled", "alice", "hotp", "H1"),
    ),
    "enable a token": (
        (lambda r: r.set_state("H1", TokenState.DISABLED, NOW),),
        lambda r: r.set_state("H1", TokenState.ACTIVE, LATER),
        ("token.enabled", "alice", "hotp", "H1"),
    ),
    "revoke a token": (
        (),
        lambda r: r.set_state("H1", TokenState.REVOKED, LATER),
        ("token.revoked", "alice", "hotp", "H1"),
    ),
    "resynchronise a token": (
        (),
        lambda r: r.resynchronise(r.with_seed("H1"), 60, 0, LATER),
        ("token.resynchronised", "alice", "hotp", "H1"),
    ),
}


@pytest.mark.parametrize("case", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_has_its_audit_row(
    site: Site, case: tuple[tuple[Change, ...], Change, tuple[str, str, str, str]]
) -> None:
    """Exactly one row, with the time, what was done, to whom or what, and by whom."""
    before, change, (name, user, factor, serial) = case
    for step in before:
        done(site, step)
    count = len(site.sql("SELECT id FROM events"))
    done(site, change)
    with site.registry() as registry:
        event = registry.events(1)[0]
    assert len(site.sql("SELECT id FROM events")) == count + 1
    assert (event.name, event.user, event.factor, event.serial) == (name, user, factor, serial)
    assert (event.time, event.actor, event.outcome) == (LATER, ACTOR, "done")


def test_an_error_inside_a_change_leaves_neither_change_nor_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If sealing fails half way through, there is no token without a seed and no row that speaks of one."""
    before = rows(site)

    def failing(*_: object) -> bytes:
        raise OSError("no randomness")

    with site.registry() as registry:
        monkeypatch.setattr(type(site.vault), "seal", failing)
        with pytest.raises(OSError, match="no randomness"):
            registry.add_token(hotp("H9", NEW_SEED), "bob", LATER)
    assert rows(site) == before


# --- what the changes do ---------------------------------------------------------------------------------------------


def test_a_new_person(site: Site) -> None:
    """Groups, hash and time are kept; without a hash there is no password; people come in the order of their names."""
    with site.registry() as registry:
        registry.add_user("carol", "$argon2id$carol", ("a", "b"), LATER)
        registry.add_user("aaron", None, (), LATER)
        carol = registry.user("carol")
        assert (carol.name, carol.groups, carol.has_password, carol.enabled, carol.created) == (
            "carol",
            ("a", "b"),
            True,
            True,
            LATER,
        )
        assert not registry.user("aaron").has_password
        assert [user.name for user in registry.users()] == ["aaron", "alice", "bob", "carol"]
        assert registry.users()[1] == registry.user("alice")
        assert registry.user("alice").tokens == ("H1", "T1")


def test_records_hold_no_secret(site: Site) -> None:
    """What administration lists has no field for a seed or a hash."""
    with site.registry() as registry:
        shown = f"{registry.users()} {registry.tokens()} {registry.events()} {registry.with_seed('H1')}"
    assert "argon2id" not in shown
    assert repr(SEED)[2:-1] not in shown
    assert "sealed" not in shown


def test_an_unlocked_person_has_a_clean_slate(site: Site) -> None:
    """Lock and failures go together."""
    site.sql("UPDATE users SET failures = 12, locked_until = ?", NOW + 5000)
    done(site, lambda r: r.unlock("alice", LATER))
    assert site.sql("SELECT failures, locked_until FROM users ORDER BY id") == [(0, 0.0), (12, NOW + 5000)]


def test_a_new_password_is_that_persons_alone(site: Site) -> None:
    """Nobody else's hash is touched."""
    done(site, lambda r: r.set_password("bob", "$argon2id$bob", LATER))
    assert site.sql("SELECT password_hash FROM users ORDER BY id") == [("$argon2id$alice",), ("$argon2id$bob",)]


def test_the_tokens_of_somebody_removed(site: Site) -> None:
    """They go back to the stock with their place in life; a revoked one stays revoked and is not said to be there."""
    done(site, lambda r: r.set_state("T1", TokenState.REVOKED, NOW))
    assert done(site, lambda r: r.remove_user("alice", LATER)) == ("H1",)
    assert site.sql("SELECT serial, user_id, state, moving_factor FROM tokens WHERE id != 3 ORDER BY id") == [
        ("H1", None, "stock", 5),
        ("T1", None, "revoked", 0),
    ]
    with site.registry() as registry, pytest.raises(RefusedError):
        registry.user("alice")


def test_a_name_that_is_given_again_is_somebody_new(site: Site) -> None:
    """Nothing of the one who left is left for the one who comes: no token, no password, no group, no open question."""
    site.sql(
        "INSERT INTO challenges (handle, nas, user_name, user_id, kind, password_passed, login, expires, tries) "
        "SELECT '55', 'vpn', name, id, 'code', true, '1', 1e12, 3 FROM users WHERE name = 'alice'"
    )
    done(site, lambda r: r.remove_user("alice", NOW))
    done(site, lambda r: r.add_user("alice", None, (), LATER))
    with site.registry() as registry:
        alice = registry.user("alice")
    assert (alice.tokens, alice.groups, alice.has_password, alice.failures) == ((), (), False, 0)
    assert site.sql("SELECT * FROM challenges") == []


def test_a_new_password_ends_what_began_with_the_old_one(site: Site) -> None:
    """Whoever was asked for a code on the strength of the old password begins again; others' questions stay."""
    site.sql(
        "INSERT INTO challenges (handle, nas, user_name, user_id, kind, password_passed, login, expires, tries) "
        "SELECT name, 'vpn', name, id, 'code', true, '1', 1e12, 3 FROM users ORDER BY id"
    )
    done(site, lambda r: r.set_password("alice", "$argon2id$new", LATER))
    assert site.sql("SELECT user_name FROM challenges") == [("bob",)]


def test_a_new_token_is_sealed_for_its_own_row(site: Site) -> None:
    """The seed comes back by the vault and this row's id, and by no other."""
    done(site, lambda r: r.add_token(hotp("H9", NEW_SEED, counter=17), "bob", LATER))
    (token_id, sealed, state, moving_factor) = site.sql(
        "SELECT id, sealed, state, moving_factor FROM tokens WHERE serial = 'H9'"
    )[0]
    assert site.vault.open(token_id, sealed) == NEW_SEED
    assert (state, moving_factor) == ("active", 17)
    with site.registry() as registry:
        assert registry.with_seed("H9").secret == NEW_SEED


def test_a_seed_may_be_two_peoples(site: Site) -> None:
    """Only for one person would a code count twice."""
    done(site, lambda r: r.add_token(hotp("H9"), "bob", LATER))
    assert site.sql("SELECT user_id FROM tokens WHERE serial = 'H9'") == [(2,)]


def test_a_token_keeps_its_place_wherever_it_goes(site: Site) -> None:
    """Taken back, handed to somebody else, disabled and enabled: used codes stay used."""
    changes: tuple[Change, ...] = (
        lambda r: r.resynchronise(r.with_seed("H1"), 60, 0, NOW),
        lambda r: r.unassign("H1", NOW),
        lambda r: r.assign("H1", "bob", NOW),
        lambda r: r.set_state("H1", TokenState.DISABLED, NOW),
        lambda r: r.set_state("H1", TokenState.ACTIVE, NOW),
    )
    for change in changes:
        done(site, change)
        assert site.sql("SELECT moving_factor FROM tokens WHERE id = 1") == [(60,)]
    with site.registry() as registry:
        assert (registry.token("H1").user, registry.token("H1").state) == ("bob", TokenState.ACTIVE)


def test_a_resynchronisation_that_was_overtaken_is_refused(site: Site) -> None:
    """When a login has moved the token beyond the two codes meanwhile, they are not new any more."""
    desk = site.desk()
    with site.registry() as registry:
        token = registry.with_seed("H1")
        assert desk.commit(AdvanceMovingFactor(1, 1, 80, 0, NOW)) is True
        with pytest.raises(RefusedError, match="used meanwhile"):
            registry.resynchronise(token, 60, 0, LATER)
    assert desk.token().moving_factor == 80
    desk.store.close()


def test_a_resynchronisation_ends_a_candidate(site: Site) -> None:
    """A code that was noted at a login is worth nothing after the administrator's work."""
    site.sql("UPDATE tokens SET candidate = 90, candidate_until = 1e12 WHERE id = 1")
    done(site, lambda r: r.resynchronise(r.with_seed("H1"), 60, 3, LATER))
    assert site.sql("SELECT moving_factor, drift, candidate, candidate_until FROM tokens WHERE id = 1") == [
        (60, 3, None, 0.0)
    ]


def test_what_is_so_already_is_done_again(site: Site) -> None:
    """Disabling twice is no error; the token stays as it is."""
    for _ in range(2):
        done(site, lambda r: r.set_state("H1", TokenState.DISABLED, LATER))
    assert site.sql("SELECT state FROM tokens WHERE id = 1") == [("disabled",)]


def test_tokens_are_listed_by_serial_and_by_person(site: Site) -> None:
    """All of them, or one person's."""
    with site.registry() as registry:
        assert [(token.serial, token.user) for token in registry.tokens()] == [
            ("H1", "alice"),
            ("H2", "bob"),
            ("T1", "alice"),
        ]
        assert [token.serial for token in registry.tokens("alice")] == ["H1", "T1"]
        assert registry.tokens("carol") == []
        assert registry.tokens()[0] == registry.token("H1")


def test_the_newest_events_come_last(site: Site) -> None:
    """As many as asked for, in the order in which they happened."""
    for number in range(5):
        done(site, lambda r, number=number: r.unlock("alice", NOW + number))  # type: ignore[misc]
    with site.registry() as registry:
        assert [event.time for event in registry.events(3)] == [NOW + 2, NOW + 3, NOW + 4]


@pytest.mark.parametrize("name", ["x' OR '1'='1", "x; DROP TABLE users", 'x"', "x%", "x_", "x\\"])
def test_names_are_data(site: Site, name: str) -> None:
    """Whatever a name looks like, it is looked up and stored as it is."""
    with site.registry() as registry:
        with pytest.raises(RefusedError):
            registry.user(name)
        registry.add_user(name, None, (), LATER)
        assert registry.user(name).name == name
        with pytest.raises(RefusedError):
            registry.token(name)
        registry.add_token(replace(hotp("H9", NEW_SEED), serial=name), name, LATER)
        assert registry.token(name).user == name
        assert len(registry.users()) == 3


def test_a_busy_database_is_waited_for_and_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the database a change ends in an error, not in half a change."""
    monkeypatch.setattr(connecting, "PATIENCE", 0.05)
    with site.held(), pytest.raises(StoreUnavailableError, match="try again"), site.registry() as registry:
        registry.unlock("alice", LATER)
    done(site, lambda r: r.unlock("alice", LATER))
