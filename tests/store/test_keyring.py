"""Security keys in the store: to whom they belong, what ends them, and the invitations to register one.

A credential belongs to one person for good; each refusal leaves neither a key nor an audit row behind.
WebAuthn 7.1, last steps (one credential, one account), 5.4.3 and 14.6.1 (user handles).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.model import TokenState
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.keyring import KeyRecord, Keyring
from tests.factors.keys import eddsa, es256

from .conftest import NOW, Site

NONCE: Final = bytes(range(16))
K1: Final = es256("first").token(0, "K1", 5)
K2: Final = replace(eddsa("second").token(0, "K2", 0), algorithm="eddsa")

Change = Callable[[Keyring], object]


@pytest.fixture
def keyring(site: Site) -> Iterator[Keyring]:
    """The keys of a site where alice has K1 already."""
    with Keyring(site.address, site.vault, "root") as keyring:
        keyring.add("alice", K1, "blue", NOW)
        yield keyring


def _rows(site: Site) -> list[tuple[object, ...]]:
    return [
        *site.sql("SELECT * FROM tokens"),
        *site.sql("SELECT * FROM invitations"),
        *site.sql("SELECT * FROM events"),
    ]


def _credentials(keyring: Keyring, user: str) -> tuple[bytes, ...]:
    return keyring.registrant(user).credentials


# --- refused ---------------------------------------------------------------------------------------------------------

REFUSED: Final[dict[str, tuple[Change, str]]] = {
    "for nobody": (lambda keyring: keyring.add("carol", K2, "", NOW), "there is no user carol"),
    "twice": (lambda keyring: keyring.add("alice", replace(K1, serial="K9"), "", NOW), "registered already"),
    "for somebody else": (lambda keyring: keyring.add("bob", replace(K1, serial="K9"), "", NOW), "registered already"),
    "without the invitation": (lambda k: k.add("bob", K2, "", NOW, invitation=NONCE), "this invitation was used"),
    "invite nobody": (lambda keyring: keyring.invite("carol", "", NONCE, NOW + 900, NOW), "there is no user carol"),
    "invited by nobody": (lambda keyring: keyring.invited(NONCE, NOW), "this invitation was used, or has run out"),
    "list nobody's": (lambda keyring: keyring.keys("carol"), "there is no user carol"),
    "greet nobody": (lambda keyring: keyring.registrant("carol"), "there is no user carol"),
    "show none": (lambda keyring: keyring.key("K9"), "there is no security key K9"),
    "show a fob": (lambda keyring: keyring.key("H1"), "there is no security key H1"),
    "try a fob": (lambda keyring: keyring.credential("H1"), "there is no security key H1"),
    "rename a fob": (lambda keyring: keyring.rename("H1", "x", NOW), "there is no security key H1"),
    "revoke a fob": (lambda keyring: keyring.revoke("H1", NOW), "there is no security key H1"),
    "revoke none": (lambda keyring: keyring.revoke("K9", NOW), "there is no security key K9"),
}


@pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_changes_nothing(site: Site, keyring: Keyring, change: Change, why: str) -> None:
    """A refusal says why, and leaves no key, no invitation and no audit row."""
    before = _rows(site)
    with pytest.raises(RefusedError, match=why):
        change(keyring)
    assert _rows(site) == before


def test_a_key_is_no_fob(site: Site, keyring: Keyring) -> None:
    """A key cannot be handed on, taken back or resynchronised, by whatever command."""
    before = _rows(site)
    with site.registry() as registry:
        for change in (
            lambda: registry.unassign("K1", NOW),
            lambda: registry.assign("K1", "bob", NOW),
            lambda: registry.with_seed("K1"),
        ):
            with pytest.raises(RefusedError):
                change()
    assert _rows(site) == before


def test_revoked_stays_revoked(site: Site, keyring: Keyring) -> None:
    """No command brings a revoked key back, and its credential is never registered again, for anybody."""
    keyring.revoke("K1", NOW)
    keyring.revoke("K1", NOW)
    with pytest.raises(RefusedError, match="is revoked and stays so"), site.registry() as registry:
        registry.set_state("K1", TokenState.ACTIVE, NOW)
    with pytest.raises(RefusedError, match="is revoked and stays so"):
        keyring.credential("K1")
    for user in ("alice", "bob"):
        with pytest.raises(RefusedError, match="registered already"):
            keyring.add(user, replace(K1, serial="K9"), "", NOW)
    assert keyring.key("K1").state is TokenState.REVOKED
    assert _credentials(keyring, "alice") == ()


def test_a_lost_key_can_be_revoked_and_is_offered_no_more(site: Site, keyring: Keyring) -> None:
    """Lost, it may be registered anew when it is found; revoked, it stays so."""
    site.sql("UPDATE tokens SET state = 'lost' WHERE serial = 'K1'")
    assert _credentials(keyring, "alice") == ()
    keyring.revoke("K1", NOW)
    assert keyring.key("K1").state is TokenState.REVOKED


@pytest.mark.parametrize("state", ["expired"])
def test_what_is_gone_is_not_revoked(site: Site, keyring: Keyring, state: str) -> None:
    """An expired key is past revoking, and stays what it is."""
    site.sql("UPDATE tokens SET state = ? WHERE serial = 'K1'", state)
    with pytest.raises(RefusedError, match=f"is {state} and stays so"):
        keyring.revoke("K1", NOW)
    assert keyring.key("K1").state == state


def test_whoever_is_removed_loses_their_keys_for_good(site: Site, keyring: Keyring) -> None:
    """With a person their keys are revoked and their invitations void; a namesake is somebody else to a key."""
    keyring.invite("alice", "", NONCE, NOW + 900, NOW)
    handle = keyring.registrant("alice").handle
    with site.registry() as registry:
        assert "K1" not in registry.remove_user("alice", NOW)
        registry.add_user("alice", None, (), NOW + 1)
    record = keyring.key("K1")
    assert (record.state, record.user) == (TokenState.REVOKED, None)
    with pytest.raises(RefusedError):
        keyring.invited(NONCE, NOW)
    assert keyring.registrant("alice").handle != handle
    assert keyring.keys("alice") == []


def test_an_invitation_is_good_once(site: Site, keyring: Keyring) -> None:
    """The first key that is registered with an invitation uses it up."""
    keyring.invite("bob", "green", NONCE, NOW + 900, NOW)
    keyring.add("bob", K2, "green", NOW, invitation=NONCE)
    with pytest.raises(RefusedError, match="this invitation was used"):
        keyring.add("bob", es256("third").token(0, "K3", 0), "", NOW, invitation=NONCE)
    with pytest.raises(RefusedError, match="this invitation was used"):
        keyring.invited(NONCE, NOW)
    assert [record.serial for record in keyring.keys("bob")] == ["K2"]


def test_an_invitation_is_for_one_person(keyring: Keyring) -> None:
    """Somebody else's invitation registers nothing, and is not used up by the attempt."""
    keyring.invite("bob", "", NONCE, NOW + 900, NOW)
    with pytest.raises(RefusedError, match="this invitation was used"):
        keyring.add("alice", K2, "", NOW, invitation=NONCE)
    keyring.add("bob", K2, "", NOW, invitation=NONCE)
    assert keyring.key("K2").user == "bob"


def test_an_invitation_runs_out(keyring: Keyring) -> None:
    """At the second at which it expires an invitation is over."""
    keyring.invite("bob", "", NONCE, NOW + 900, NOW)
    assert keyring.invited(NONCE, NOW + 899)[0].user == "bob"
    with pytest.raises(RefusedError, match="has run out"):
        keyring.invited(NONCE, NOW + 900)
    with pytest.raises(RefusedError, match="has run out"):
        keyring.add("bob", K2, "", NOW + 900, invitation=NONCE)


def test_a_refused_registration_keeps_the_invitation(keyring: Keyring) -> None:
    """Whoever offers a key that is registered already may try another one."""
    keyring.invite("bob", "", NONCE, NOW + 900, NOW)
    with pytest.raises(RefusedError, match="registered already"):
        keyring.add("bob", replace(K1, serial="K9"), "", NOW, invitation=NONCE)
    assert keyring.invited(NONCE, NOW)[0].user == "bob"


def test_invitations_cannot_be_read_from_the_database(site: Site, keyring: Keyring) -> None:
    """The database keeps a digest only, and forgets it when another invitation is written after it has run out."""
    keyring.invite("bob", "", NONCE, NOW + 900, NOW)
    ((kept,),) = site.sql("SELECT nonce FROM invitations")
    assert NONCE.hex() not in kept
    keyring.invite("bob", "", bytes(16), NOW + 1800, NOW + 900)
    ((other,),) = site.sql("SELECT nonce FROM invitations")
    assert other != kept


def test_a_key_cannot_be_put_into_the_database_past_us(site: Site, keyring: Keyring) -> None:
    """Whoever can write to the database cannot make one person's credential another's: it is sealed to its row."""
    keyring.add("bob", K2, "", NOW)
    site.sql("UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE serial = 'K1') WHERE serial = 'K2'")
    desk = site.desk()
    assert [token.serial for token in desk.user("bob").tokens] == ["H2"]
    assert "K1" in [token.serial for token in desk.user("alice").tokens]
    desk.store.close()


# --- done ------------------------------------------------------------------------------------------------------------


def test_a_key_is_kept_as_it_was_registered(site: Site, keyring: Keyring) -> None:
    """What was registered is shown, loaded for a login with its credential, and written into the audit."""
    keyring.add("bob", K2, "green", NOW + 1)
    model = "00000000-0000-0000-0000-000000000000"
    expected = KeyRecord("K2", "green", "bob", TokenState.ACTIVE, model, "eddsa", 0, NOW + 1, None)
    assert keyring.key("K2") == expected
    assert keyring.keys("bob") == [expected]
    everybody = keyring.keys()
    assert [record.serial for record in everybody] == ["K1", "K2"]
    desk = site.desk()
    loaded = desk.token("K2", "bob")
    desk.store.close()
    assert (loaded.kind, loaded.secret, loaded.digits) == ("fido", K2.secret, 0)
    assert keyring.credential("K2").secret == K2.secret
    with site.registry() as registry:
        event = registry.events(1)[0]
    assert (event.name, event.user, event.serial, event.factor, event.actor) == (
        *("key.registered", "bob", "K2", "fido", "root"),
    )


def test_the_counter_of_a_tried_key_only_grows(site: Site, keyring: Keyring) -> None:
    """Trying a key at the desk uses its assertion up; a smaller count changes nothing."""
    token = keyring.credential("K1")
    keyring.tried(token, 9, NOW)
    keyring.tried(token, 7, NOW)
    assert keyring.key("K1").counter == 9


def test_a_key_can_be_renamed(site: Site, keyring: Keyring) -> None:
    """A label is no more than a label, and its change is in the audit."""
    keyring.rename("K1", "red", NOW)
    assert keyring.key("K1").label == "red"
    with site.registry() as registry:
        assert (registry.events(1)[0].name, registry.events(1)[0].serial) == ("key.renamed", "K1")


def test_a_handle_says_nothing_about_its_person(keyring: Keyring) -> None:
    """The user handle is 16 octets, always the same for one person and different for each."""
    alice, bob = keyring.registrant("alice"), keyring.registrant("bob")
    assert alice == keyring.registrant("alice")
    assert len(alice.handle) == 16
    assert alice.handle != bob.handle
    assert b"alice" not in alice.handle


def test_keys_that_are_there_already_are_excluded(keyring: Keyring) -> None:
    """A new registration excludes the person's own keys, disabled ones too, and nobody else's."""
    keyring.add("alice", K2, "", NOW)
    assert len(_credentials(keyring, "alice")) == 2
    assert _credentials(keyring, "bob") == ()
    assert keyring.invite("alice", "", NONCE, NOW + 900, NOW).credentials == _credentials(keyring, "alice")


def test_an_invitation_keeps_its_label(keyring: Keyring) -> None:
    """What the administrator has called the key comes back with the answer."""
    keyring.invite("bob", "green", NONCE, NOW + 900, NOW)
    guest, label = keyring.invited(NONCE, NOW + 1)
    assert (guest, label) == (keyring.registrant("bob"), "green")


# --- rows changed past the program -----------------------------------------------------------------------------------

TAMPERED: Final = {
    "given to somebody else": ("UPDATE tokens SET user_id = 3 - user_id WHERE serial = 'K1'",),
    "called a fob": ("UPDATE tokens SET kind = 'hotp', digits = 6 WHERE serial = 'K1'",),
    "another's sealed credential": ("UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE serial = 'K2')",),
    "names exchanged": (
        "UPDATE users SET name = 'nobody' WHERE name = 'bob'",
        "UPDATE users SET name = 'bob' WHERE name = 'alice'",
        "UPDATE users SET name = 'alice' WHERE name = 'nobody'",
    ),
}


@pytest.mark.parametrize("statements", TAMPERED.values(), ids=TAMPERED.keys())
def test_a_key_in_a_changed_row_opens_for_nobody(site: Site, keyring: Keyring, statements: tuple[str, ...]) -> None:
    """Whoever can write to the database, but has no vault key, can make no key of theirs somebody else's."""
    keyring.add("bob", K2, "", NOW)
    for statement in statements:
        site.sql(statement)
    desk = site.desk()
    opened = {(name, token.serial, token.kind) for name in ("alice", "bob") for token in desk.user(name).tokens}
    desk.store.close()
    assert {one for one in opened if one[1] in {"K1", "K2"}} < {("alice", "K1", "fido"), ("bob", "K2", "fido")}
