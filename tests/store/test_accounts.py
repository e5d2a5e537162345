"""People of directories in the store: who may be added and let in by a password alone, and who is bound to which id.

Guards first, each by the one fact that must stop it, in every order in which rows, ids and tokens can come to be.
RFC 4530 (entryUUID): an id is one person's, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Final

import pytest

from radiusd2fa.core.model import AddAccount, NoteAccount, NoteLogin
from radiusd2fa.store.sqlite import StoreUnavailableError

from .conftest import NOW, Desk, Site, hotp

CARL: Final = AddAccount("carl@x", "ldap", "id-9", ("staff",), NOW, admitted=True, without_kin=True)
"""A newcomer whom a rule lets in by their password."""


def add(site: Site, name: str, source: str = "ldap", directory_id: str | None = None, *, token: str = "") -> int:
    """Add a person by hand, perhaps with a token; return the number of the row."""
    with site.registry() as registry:
        registry.add_user(name, None, (), NOW, source=source, directory_id=directory_id)
        if token:
            registry.add_token(hotp(token), name, NOW)
    return number_of(site, name)


def number_of(site: Site, name: str) -> int:
    """The number of somebody's row."""
    [(number,)] = site.sql("SELECT id FROM users WHERE name = ?", name)
    return int(number)


def people(site: Site) -> list[tuple[object, ...]]:
    """All rows of people."""
    return site.sql("SELECT * FROM users ORDER BY id")


# --- a newcomer who is let in -----------------------------------------------------------------------------------------

KIN: Final = {
    "no id on either side": ("carl", "ldap", None, None),
    "no id of the kin": ("carl", "ldap", None, "id-9"),
    "no id of the newcomer": ("carl", "ldap", "id-1", None),
    "another source with another id": ("carl", "wifi", "id-1", "id-9"),
    "another source with the same id": ("carl", "wifi", "id-9", "id-9"),
    "a local account": ("carl", "local", None, "id-9"),
    "another realm": ("carl@y", "ldap", None, None),
    "a realm before the name": ("corp\\carl", "ldap", None, None),
    "realms on both sides": ("corp\\carl@y", "ldap", None, None),
    "an empty realm": ("carl@", "ldap", None, None),
}
"""Who has a token already: name, source, id; and the newcomer's id."""

Kin = tuple[str, str, str | None, str | None]


def newcomer(directory_id: str | None, *, admitted: bool = True) -> AddAccount:
    """The newcomer, with this id."""
    return AddAccount("carl@x", "ldap", directory_id, (), NOW, admitted, without_kin=admitted)


@pytest.mark.both_stores
@pytest.mark.parametrize("taken", [False, True], ids=["has a token", "had one"])
@pytest.mark.parametrize("kin", KIN.values(), ids=KIN.keys())
def test_nobody_is_let_in_beside_enrolled_kin(site: Site, desk: Desk, kin: Kin, taken: bool) -> None:
    """Whoever may be somebody with a token is not added by being let in, and nothing is written, not even the audit."""
    name, source, theirs, mine = kin
    add(site, name, source, theirs, token="K1")
    if taken:
        with site.registry() as registry:
            registry.unassign("K1", NOW)
    before = (people(site), site.sql("SELECT * FROM events"))
    assert desk.store.has_kin("carl@x", "ldap", mine) is True
    assert desk.commit(newcomer(mine)) is False
    assert (people(site), site.sql("SELECT * FROM events")) == before


@pytest.mark.both_stores
@pytest.mark.parametrize("kin", KIN.values(), ids=KIN.keys())
def test_kin_without_a_token_bars_nobody(site: Site, desk: Desk, kin: Kin) -> None:
    """The guard is for tokens: two newcomers of one name may both come to be."""
    name, source, theirs, mine = kin
    add(site, name, source, theirs)
    assert desk.store.has_kin("carl@x", "ldap", mine) is False
    assert desk.commit(newcomer(mine)) is True
    assert number_of(site, "carl@x")


@pytest.mark.both_stores
@pytest.mark.parametrize("kin", [kin for kin in KIN.values() if kin[2] != "id-9"])
def test_a_row_that_lets_nobody_in_is_added_beside_anybody(site: Site, desk: Desk, kin: Kin) -> None:
    """Where a code is wanted all the same, two people of one name in two realms are both known."""
    name, source, theirs, mine = kin
    add(site, name, source, theirs, token="K1")
    assert desk.commit(newcomer(mine, admitted=False)) is True
    assert site.sql("SELECT enrolled, last_login FROM users WHERE name = 'carl@x'") == [(0, None)]


@pytest.mark.both_stores
@pytest.mark.parametrize("kin", [kin for kin in KIN.values() if kin[2] != "id-9"])
def test_where_everybody_is_let_in_kin_is_no_reason(site: Site, desk: Desk, kin: Kin) -> None:
    """Whom a network lets in without a code, token or none, is let in: only that they are new is held to."""
    name, source, theirs, mine = kin
    add(site, name, source, theirs, token="K1")
    everybodys = replace(newcomer(mine), without_kin=False)
    assert desk.commit(everybodys) is True
    assert desk.commit(everybodys) is False


@pytest.mark.both_stores
@pytest.mark.parametrize("name", ["carl", "carl@y", "corp\\carl"])
def test_one_directory_tells_its_people_apart(site: Site, desk: Desk, name: str) -> None:
    """Two ids of one source are two people, token or none."""
    add(site, name, "ldap", "id-1", token="K1")
    assert desk.store.has_kin("carl@x", "ldap", "id-9") is False
    assert desk.commit(CARL) is True
    assert desk.commit(NoteLogin(number_of(site, "carl@x"), NOW + 1, unenrolled=True)) is True


@pytest.mark.both_stores
@pytest.mark.parametrize("name", ["carla", "car", "xcarl", "carl.x", "carl-x", "x", "carl_", "%", "carl%", "c_rl"])
def test_other_names_are_no_kin(site: Site, desk: Desk, name: str) -> None:
    """What only looks like the name is somebody else, and no character of it stands for others."""
    add(site, name, "ldap", None, token="K1")
    assert desk.store.has_kin("carl@x", "ldap", None) is False
    assert desk.commit(newcomer(None)) is True


@pytest.mark.both_stores
def test_nobody_is_let_in_as_somebody_who_came_to_be_meanwhile(site: Site, desk: Desk) -> None:
    """A row of that name, or of that id, stops it: the login is looked at again."""
    add(site, "carl@x")
    assert desk.commit(CARL) is False
    assert desk.commit(AddAccount("carl@y", "ldap", "id-9", (), NOW, admitted=True, without_kin=True)) is True
    before = people(site)
    assert desk.commit(AddAccount("karl", "ldap", "id-9", (), NOW, admitted=True, without_kin=True)) is False
    assert people(site) == before


@pytest.mark.both_stores
def test_two_logins_of_one_newcomer_in_one_group_make_one_row(site: Site, desk: Desk) -> None:
    """The first is let in by its row; the second finds it there, and is looked at again."""
    desk.queue(CARL)
    desk.queue(CARL)
    assert desk.write() == [True, False]
    assert len(site.sql("SELECT 1 FROM users WHERE name = 'carl@x'")) == 1


@pytest.mark.both_stores
@pytest.mark.parametrize("source", ["ldap", "wifi"])
def test_an_id_is_one_persons_in_every_backend(site: Site, desk: Desk, source: str) -> None:
    """Two backends may ask one directory: under no other name is somebody let in whose id has a token."""
    add(site, "carolus", "ldap", "id-9", token="K1")
    assert desk.store.namesake("carl@x", source, "id-9") == "carolus"
    desk.store.flush()
    before = people(site)
    assert desk.commit(AddAccount("carl@x", source, "id-9", (), NOW, admitted=True, without_kin=True)) is False
    assert people(site) == before
    assert desk.store.namesake("carl@x", source, "id-8") is None
    desk.store.flush()
    assert desk.commit(AddAccount("carl@x", source, "id-8", (), NOW, admitted=True, without_kin=True)) is True


# --- somebody who is known and let in ---------------------------------------------------------------------------------


@pytest.mark.both_stores
@pytest.mark.parametrize("kin", KIN.values(), ids=KIN.keys())
@pytest.mark.parametrize("first", ["kin", "newcomer"])
def test_nobody_known_is_let_in_beside_enrolled_kin(site: Site, desk: Desk, kin: Kin, first: str) -> None:
    """Which of the rows was there first does not matter, nor when the token came."""
    name, source, theirs, mine = kin
    if first == "kin":
        add(site, name, source, theirs)
    assert desk.commit(newcomer(mine)) is True
    if first == "newcomer":
        add(site, name, source, theirs)
    mine_row = number_of(site, "carl@x")
    note = NoteLogin(mine_row, NOW + 1, unenrolled=True)
    assert desk.commit(note) is True
    with site.registry() as registry:
        registry.add_token(hotp("K1"), name, NOW)
    before = people(site)
    assert desk.store.has_kin("carl@x", "ldap", mine) is True
    assert desk.commit(note) is False
    assert people(site) == before
    assert desk.commit(NoteLogin(mine_row, NOW + 2, unenrolled=False)) is True


STEPS: Final = ("row of carl", "row of carl@x", "token", "look", "accept")


@pytest.mark.parametrize(
    "order", [order for order in permutations(STEPS) if order.index("look") < order.index("accept")]
)
@pytest.mark.parametrize("ids", [(None, None), ("id-1", None), (None, "id-9")])
def test_in_no_order_is_anybody_let_in_after_the_token(
    site: Site, order: tuple[str, ...], ids: tuple[str | None, str | None]
) -> None:
    """Rows, token, the daemon's look and its commit in each order, over two connections: the commit knows best."""
    theirs, mine = ids
    desk = site.desk()
    effect: AddAccount | NoteLogin = newcomer(mine)
    given = False
    for step in order:
        match step:
            case "row of carl":
                add(site, "carl", "ldap", theirs)
                if order.index("token") < order.index(step):
                    with site.registry() as registry:
                        registry.assign("K1", "carl", NOW)
                    given = True
            case "row of carl@x":
                if not site.sql("SELECT 1 FROM users WHERE name = 'carl@x'"):  # else the login has made it
                    add(site, "carl@x", "ldap", mine)
            case "token":
                there = order.index("row of carl") < order.index(step)
                with site.registry() as registry:
                    registry.add_token(hotp("K1"), "carl" if there else None, NOW)
                given = there
            case "look":
                user = desk.load("carl@x").user
                effect = newcomer(mine) if user is None else NoteLogin(user.id, NOW, unenrolled=True)
                assert desk.store.has_kin("carl@x", "ldap", mine) is given
                desk.store.flush()
            case "accept":
                raced = isinstance(effect, AddAccount) and order.index("row of carl@x") < order.index(step)
                assert desk.commit(effect) is not (given or raced)
    desk.store.close()


@pytest.mark.both_stores
@pytest.mark.parametrize(
    "plant",
    [
        "UPDATE users SET enabled = false WHERE name = 'bob'",
        "UPDATE users SET locked_until = 1700000000.5 WHERE name = 'bob'",
        "DELETE FROM users WHERE name = 'bob'",
        "UPDATE users SET enrolled = true WHERE name = 'bob'",
    ],
    ids=["disabled", "locked", "removed", "enrolled"],
)
def test_each_guard_of_an_accept_by_password_holds_alone(site: Site, desk: Desk, plant: str) -> None:
    """Whoever was disabled, locked, removed or given a token since the look is not let in."""
    site.sql("DELETE FROM tokens WHERE user_id = 2")
    site.sql("UPDATE users SET enrolled = false WHERE name = 'bob'")
    assert desk.commit(NoteLogin(2, NOW, unenrolled=True)) is True
    site.sql(plant)
    assert desk.commit(NoteLogin(2, NOW, unenrolled=True)) is False


@pytest.mark.both_stores
def test_a_token_that_is_gone_leaves_its_person_enrolled(site: Site, desk: Desk) -> None:
    """Taken back, revoked or deleted past all of our code: whoever had one has had one."""
    for statement in ("UPDATE tokens SET state = 'revoked'", "UPDATE tokens SET user_id = NULL", "DELETE FROM tokens"):
        site.sql(statement)
        assert desk.user("bob").enrolled
        assert desk.commit(NoteLogin(2, NOW, unenrolled=True)) is False


# --- who is bound to which id -----------------------------------------------------------------------------------------


@pytest.mark.both_stores
@pytest.mark.parametrize("said", ["id-2", "ID-1", "", None])
def test_somebody_bound_is_never_bound_anew(site: Site, desk: Desk, said: str | None) -> None:
    """Another id since the look, or none any more, changes nothing, the groups neither."""
    dora = add(site, "dora", "ldap", "id-1")
    before = people(site)
    assert desk.commit(NoteAccount(dora, said, ("admins",))) is False
    assert people(site) == before


@pytest.mark.both_stores
def test_of_two_that_bind_one_account_at_a_time_the_first_counts(site: Site, desk: Desk) -> None:
    """Both looked while it was unbound; the second is looked at again."""
    dora = add(site, "dora")
    desk.queue(NoteAccount(dora, "id-1", ("staff",)))
    desk.queue(NoteAccount(dora, "id-2", ("admins",)))
    assert desk.write() == [True, False]
    assert (desk.user("dora").directory_id, desk.user("dora").groups) == ("id-1", ("staff",))
    assert desk.commit(NoteAccount(dora, "id-1", None)) is True
    assert desk.user("dora").groups == ("staff",)
    assert desk.commit(NoteAccount(dora, "id-1", ())) is True
    assert desk.user("dora").groups == ()


@pytest.mark.both_stores
def test_an_account_without_an_id_stays_without(site: Site, desk: Desk) -> None:
    """Where the directory gives none, groups are noted and nobody is bound."""
    dora = add(site, "dora")
    assert desk.commit(NoteAccount(dora, None, ("staff",))) is True
    assert (desk.user("dora").directory_id, desk.user("dora").groups) == (None, ("staff",))


@pytest.mark.both_stores
def test_no_two_rows_of_a_source_are_bound_to_one_id(site: Site, desk: Desk) -> None:
    """Neither by a note nor by a newcomer; a second source may have the same one."""
    add(site, "dora", "ldap", "id-1")
    dori = add(site, "dori")
    before = people(site)
    assert desk.commit(NoteAccount(dori, "id-1", ("admins",))) is False
    assert desk.commit(AddAccount("doro", "ldap", "id-1", (), NOW, admitted=True, without_kin=True)) is False
    assert people(site) == before
    assert desk.commit(AddAccount("dorli", "wifi", "id-1", (), NOW, admitted=True, without_kin=True)) is True


@pytest.mark.both_stores
def test_a_person_of_a_directory_is_known_under_their_name(site: Site, desk: Desk) -> None:
    """By their id, and by it alone: not one in other letters, and not one of another source."""
    add(site, "dora", "ldap", "id-1")
    assert desk.store.namesake("theodora", "ldap", "id-1") == "dora"
    assert desk.store.namesake("dora", "ldap", "id-1") == "dora"
    assert desk.store.namesake("theodora", "ldap", "ID-1") is None
    assert desk.store.namesake("theodora", "ldap", "id-") is None


@pytest.mark.both_stores
@pytest.mark.parametrize("name", ["dora@x", "corp\\dora", "dora@", "corp\\dora@x"])
def test_a_row_without_an_id_may_be_whoever_is_called_so(site: Site, desk: Desk, name: str) -> None:
    """Until it is bound; then it is one id's, and others of the name are others."""
    dora = add(site, "dora")
    assert desk.store.namesake(name, "ldap", "id-1") == "dora"
    assert desk.store.namesake(name, "wifi", "id-1") is None
    assert desk.store.namesake("theodora", "ldap", "id-1") is None
    desk.store.flush()
    assert desk.commit(NoteAccount(dora, "id-1", ())) is True
    assert desk.store.namesake(name, "ldap", "id-1") == "dora"
    assert desk.store.namesake(name, "ldap", "id-2") is None


# --- every way in which a name can come to be or change ---------------------------------------------------------------


def by_hand(site: Site, desk: Desk) -> None:
    """An administrator adds it."""
    add(site, "corp\\dora@x", "radius")


def by_login(site: Site, desk: Desk) -> None:
    """A login does."""
    assert desk.commit(AddAccount("corp\\dora@x", "radius", None, (), NOW))


def by_waiver(site: Site, desk: Desk) -> None:
    """A login that was let in does."""
    assert desk.commit(AddAccount("corp\\dora@x", "radius", None, (), NOW, admitted=True, without_kin=True))


def by_renaming(site: Site, desk: Desk) -> None:
    """An administrator gives somebody this name."""
    add(site, "theodora", "radius")
    with site.registry() as registry:
        registry.rename("theodora", "corp\\dora@x", NOW)


@pytest.mark.both_stores
@pytest.mark.parametrize("comes_to_be", [by_hand, by_login, by_waiver, by_renaming])
def test_whoever_comes_to_be_is_known_without_realms(
    site: Site, desk: Desk, comes_to_be: Callable[[Site, Desk], None]
) -> None:
    """Else their token would bar nobody."""
    comes_to_be(site, desk)
    with site.registry() as registry:
        registry.add_token(hotp("K1"), "corp\\dora@x", NOW)
    assert desk.store.has_kin("dora", "radius", None) is True
    assert desk.store.has_kin("theodora", "radius", None) is False
    assert desk.commit(AddAccount("dora", "radius", None, (), NOW, admitted=True, without_kin=True)) is False


@pytest.mark.both_stores
def test_nobody_is_their_own_kin(site: Site, desk: Desk) -> None:
    """An enrolled person is no stranger to themselves."""
    add(site, "dora@x", "radius", None, token="K1")
    assert desk.store.has_kin("dora@x", "radius", None) is False


@pytest.mark.both_stores
def test_a_broken_store_knows_no_kin_and_no_namesake(site: Site, desk: Desk) -> None:
    """It says that it cannot look, which is not the same as that there is nobody."""
    desk.load()
    site.sql("ALTER TABLE users RENAME TO elsewhere")
    for look in (
        lambda: desk.store.namesake("carl@x", "ldap", "id-9"),
        lambda: desk.store.has_kin("carl@x", "ldap", None),
    ):
        with pytest.raises(StoreUnavailableError):
            look()
