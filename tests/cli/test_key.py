"""`radiusd2fa key`: keys are registered here or from afar, tried, named and revoked; what is refused leaves nothing.

The keys are emulated and plugged into pseudo-terminals, and the laptop's side of an invitation is the real
`radiusd2fa-key`; nothing is kept that was not verified. WebAuthn 7.1 (registering), 7.2 (what `key test` checks).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fido2 import cbor
from fido2.ctap2.base import Ctap2

from radiusd2fa.core.invitation import Invitation, KeyCard, RegistrationAnswer
from radiusd2fa.emulators.softkey import AAGUID, TEST_ROOT, Authority, Format, Misbehaviour, SoftKey, Unplug, memory
from radiusd2fa.emulators.softkey.pty import PtyKey
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.waiting import WaitingRoom
from tests.factors.keys import challenge_of, client_data

from .conftest import SEED, Said, Shell

RP_ID: Final = "auth.example.org"
MODEL: Final = str(UUID(bytes=AAGUID))
OTHER_MODEL: Final = "00000000-0000-4000-8000-000000000001"

Plug = Callable[[SoftKey], str]


@pytest.fixture
def desk(people: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A helpdesk with security keys, nobody's terminal, and alice, who has a fob."""
    monkeypatch.setattr("radiusd2fa.laptop.screen.open_terminal", lambda: None)
    _configure(people, f"fido: {{rp_id: {RP_ID}}}")
    return people


@pytest.fixture
def plug() -> Iterator[Plug]:
    """Plug an emulated key in; gives its path."""
    with ExitStack() as stack:
        yield lambda key: stack.enter_context(PtyKey(key)).path


def _configure(shell: Shell, *sections: str) -> None:
    shell.config.write_text(shell.config.read_text() + "\n" + "\n".join(sections) + "\n")


def _wants_attestation(shell: Shell, root: bytes, *models: str) -> None:
    """Have the site take keys of these models only, from makers under this root."""
    pem = x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM)
    (shell.folder / "makers.pem").write_bytes(pem)
    known = ", ".join(f'"{model}"' for model in models)
    shell.change(f"rp_id: {RP_ID}", f"rp_id: {RP_ID}, attestation: {{aaguids: [{known}], roots: [makers.pem]}}")


def _register(shell: Shell, device: str, *options: str, user: str = "alice") -> Said:
    return shell.say("key", "register", user, "--device", device, *options)


def _registered(shell: Shell, device: str, user: str = "alice") -> str:
    """Register a key; its serial."""
    serial: str = _register(shell, device, "--json", user=user).json()["serial"]
    return serial


def _keys(shell: Shell) -> list[dict[str, object]]:
    keys: list[dict[str, object]] = shell.say("key", "list", "--json").json()
    return keys


def _invitation(shell: Shell, user: str = "alice", *options: str) -> str:
    said = shell.say("key", "invite", user, *options)
    assert said.code == 0, said
    return said.out.split()[-1]


def _answer(text: str, key: SoftKey, **changes: object) -> RegistrationAnswer:
    """Answer an invitation, with python-fido2 and a key in memory; ``changes`` are made in the client data."""
    invitation = Invitation.read(text)
    assert invitation is not None
    challenge = challenge_of(b"radiusd2fa-register-v1", invitation.nonce, invitation.user)
    client = client_data(challenge, **{"type": "webauthn.create", **changes})
    rp, user = {"id": RP_ID, "name": RP_ID}, {"id": invitation.handle, "name": invitation.user}
    with memory.connect(key) as device:
        made = Ctap2(device).make_credential(
            hashlib.sha256(client).digest(),
            rp,
            user,
            [{"type": "public-key", "alg": -7}],
        )
    attestation = cbor.encode({"fmt": "none", "authData": bytes(made.auth_data), "attStmt": {}})
    return RegistrationAnswer(invitation.nonce, client, attestation)


def _laptop(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The real `radiusd2fa-key`, as it runs on somebody's laptop."""
    return subprocess.run(
        [sys.executable, "-m", "radiusd2fa.laptop.responder", *words],
        env=os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        start_new_session=True,
    )


def _nothing_was_registered(shell: Shell) -> bool:
    return _keys(shell) == [] and not any(event.name == "key.registered" for event in shell.events())


# --- registering: refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["register alice", "invite alice", "accept", "card K1", "test K1"])
def test_without_a_relying_party_there_are_no_keys(people: Shell, command: str) -> None:
    """Without the section `fido:` a command ends with 2, and says what to write."""
    assert "fido: {rp_id: auth.example.org}" in people.wrong("key", *command.split())


@pytest.mark.parametrize("command", ["register carol", "invite carol", "list --user carol"])
def test_nobody_gets_no_key(desk: Shell, command: str) -> None:
    """For a user who is not there nothing is registered, and no key is asked."""
    assert "there is no user carol" in desk.refused("key", *command.split())


def test_no_key_is_here(desk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing plugged in the command says so at once, and what to try."""
    monkeypatch.setattr("radiusd2fa.keys.usb.find_keys", list)
    monkeypatch.setattr("radiusd2fa.keys.nfc.find_keys", list)
    for options in ((), ("--usb",), ("--nfc",)):
        assert "no security key is here" in desk.refused("key", "register", "alice", *options)
    assert "There is no security key at /dev/no-key" in desk.refused(
        "key", "register", "alice", "--device", "/dev/no-key"
    )
    assert _nothing_was_registered(desk)


@pytest.mark.parametrize("option", ["--usb", "--nfc"])
def test_a_device_is_named_in_one_way(desk: Shell, option: str) -> None:
    """--device beside --usb or --nfc is wrong usage."""
    assert "--device says already which key" in desk.wrong("key", "register", "alice", "--device", "/dev/x", option)


@pytest.mark.parametrize("label", ["x" * 65, "blue\nkey", "\x1b[2J"])
def test_a_label_is_short_and_printable(desk: Shell, plug: Plug, label: str) -> None:
    """A label that could forge a line or fill a screen is wrong usage, wherever one is given."""
    device = plug(SoftKey.make())
    for words in (
        ("register", "alice", "--device", device, "--label"),
        ("invite", "alice", "--label"),
        ("rename", "K1"),
    ):
        assert "a label has at most 64 printable characters" in desk.wrong("key", *words, label)
    assert _nothing_was_registered(desk)


def test_a_key_is_registered_once_for_one_person(desk: Shell, plug: Plug) -> None:
    """A key that holds a credential of the same person is refused; of another person's it knows nothing."""
    device = plug(SoftKey.make())
    _registered(desk, device)
    assert "is registered already." in desk.refused("key", "register", "alice", "--device", device)
    desk.add_user("bob")
    _registered(desk, device, user="bob")
    assert [key["user"] for key in _keys(desk)].count("alice") == 1


def test_a_key_that_goes_away_is_not_registered(desk: Shell, plug: Plug) -> None:
    """A key that is pulled out during the touch leaves nothing behind."""
    soft = SoftKey.make()
    soft.misbehaviour = Misbehaviour(unplug=Unplug.WAITING, never_touched=True)
    assert "was taken away before it had answered." in _register(desk, plug(soft)).err
    assert _nothing_was_registered(desk)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (SoftKey.make(attestation=Format.NONE), "attestation_missing"),
        (SoftKey.make(attestation=Format.SELF), "attestation_missing"),
        (SoftKey.make(aaguid=UUID(OTHER_MODEL).bytes), "model_not_allowed"),
        (SoftKey.make(u2f_only=True), "model_not_allowed"),
    ],
    ids=["none", "its own", "another model", "u2f"],
)
def test_only_models_of_the_list(desk: Shell, plug: Plug, key: SoftKey, why: str) -> None:
    """Where the site names models, a key that does not prove to be one of them is refused, with the reason."""
    _wants_attestation(desk, TEST_ROOT.certificate(), MODEL)
    said = _register(desk, plug(key))
    assert (said.code, said.out) == (1, "")
    assert f"({why})" in said.err
    assert _nothing_was_registered(desk)


def test_a_maker_whom_nobody_knows_vouches_for_nothing(desk: Shell, plug: Plug) -> None:
    """A chain that leads to another root, even one of the same name, is refused."""
    _wants_attestation(desk, Authority(impostor="mallory").certificate(), MODEL)
    assert "(chain_not_trusted)" in _register(desk, plug(SoftKey.make())).err
    assert _nothing_was_registered(desk)


def test_roots_that_cannot_be_read_are_the_sites_fault(desk: Shell, plug: Plug) -> None:
    """A file of makers' certificates that holds none ends the command with 2, before a key is asked."""
    _wants_attestation(desk, TEST_ROOT.certificate(), MODEL)
    (desk.folder / "makers.pem").write_text("no certificate")
    assert "fido.attestation: " in desk.wrong("key", "register", "alice", "--device", plug(SoftKey.make()))


# --- registering: done -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "model", "algorithm"),
    [(SoftKey.make(), MODEL, "es256"), (SoftKey.make(u2f_only=True), str(UUID(int=0)), "es256")],
    ids=["ctap2", "u2f"],
)
def test_a_key_is_registered_at_the_desk(desk: Shell, plug: Plug, key: SoftKey, model: str, algorithm: str) -> None:
    """One touch, and the key is somebody's; the card that the laptop needs is on standard output."""
    said = _register(desk, plug(key), "--label", "blue, key ring")
    assert said.code == 0
    assert f"Registering a key for alice at {RP_ID}" in said.err
    first, card = said.out.strip().splitlines()
    (listed,) = _keys(desk)
    assert first.startswith(f"registered {listed['serial']} for alice (")
    assert first.endswith(", as it says itself)")
    facts = ("user", "label", "model", "algorithm", "state", "last_used")
    assert [listed[fact] for fact in facts] == ["alice", "blue, key ring", model, algorithm, "active", None]
    held = KeyCard.read(card.removeprefix("radiusd2fa-key add "))
    assert held is not None
    assert (held.rp_id, held.origin, held.user, held.label) == (RP_ID, f"https://{RP_ID}", "alice", "blue, key ring")
    assert [event.user for event in desk.events() if event.name == "key.registered"] == ["alice"]
    assert desk.say("key", "card", str(listed["serial"])).out.strip() == card


def test_a_model_of_the_list_is_registered(desk: Shell, plug: Plug) -> None:
    """A key whose maker vouches for its model is taken, and is said to be attested."""
    _wants_attestation(desk, TEST_ROOT.certificate(), OTHER_MODEL, MODEL)
    said = _register(desk, plug(SoftKey.make()), "--json")
    assert said.json()["attested"] is True
    assert said.json()["model"] == MODEL


# --- invitations: refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "RKR1-", "hello", "RKI1-e30", "RKR1-e30", "RKR1-" + "A" * 60_000])
def test_what_is_no_answer_is_wrong_usage(desk: Shell, text: str) -> None:
    """Something that is no answer, or too long for one, ends with 2 and is not looked at any further."""
    assert "no answer to an invitation, or not all of it" in desk.wrong("key", "accept", typed=text)


@pytest.mark.parametrize("length", [20, 64, 128, -1])
def test_a_cut_answer_is_wrong_usage(desk: Shell, length: int) -> None:
    """An answer that lost its end on the way is named as such."""
    text = str(_answer(_invitation(desk), SoftKey.make()))
    assert "or not all of it" in desk.wrong("key", "accept", typed=text[:length])
    assert _nothing_was_registered(desk)


def test_an_answer_is_taken_once(desk: Shell) -> None:
    """The same answer again registers nothing, nor does another one to the same invitation."""
    invitation = _invitation(desk)
    answer = str(_answer(invitation, SoftKey.make()))
    assert desk.say("key", "accept", typed=answer).code == 0
    assert "this invitation was used" in desk.refused("key", "accept", typed=answer)
    assert "this invitation was used" in desk.refused("key", "accept", typed=str(_answer(invitation, SoftKey.make())))
    assert len(_keys(desk)) == 1


def test_an_invitation_runs_out(desk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of an hour later the answer is too late."""
    began = time.time()
    monkeypatch.setattr("radiusd2fa.cli.key.now", lambda: began)
    answer = str(_answer(_invitation(desk), SoftKey.make()))
    monkeypatch.setattr("radiusd2fa.cli.key.now", lambda: began + 900)
    assert "has run out" in desk.refused("key", "accept", typed=answer)
    monkeypatch.setattr("radiusd2fa.cli.key.now", lambda: began + 899)
    assert desk.say("key", "accept", typed=answer).code == 0


def test_an_invitation_goes_with_its_person(desk: Shell) -> None:
    """Whoever is removed cannot answer any more, and a namesake does not inherit the invitation."""
    answer = str(_answer(_invitation(desk), SoftKey.make()))
    desk.run("user", "remove", "alice", "--yes")
    desk.add_user("alice")
    assert "this invitation was used, or has run out" in desk.refused("key", "accept", typed=answer)


def test_a_made_up_invitation_is_nobodys(desk: Shell) -> None:
    """An answer to an invitation that was never written is refused."""
    made_up = Invitation(RP_ID, f"https://{RP_ID}", "alice", bytes(16), b"\x07" * 16)
    answer = str(_answer(str(made_up), SoftKey.make()))
    assert "this invitation was used, or has run out" in desk.refused("key", "accept", typed=answer)


def test_an_answer_to_one_invitation_is_none_to_another(desk: Shell) -> None:
    """What a key has signed for alice's invitation cannot be passed off as the answer to bob's."""
    desk.add_user("bob")
    alices = _answer(_invitation(desk), SoftKey.make())
    bobs = Invitation.read(_invitation(desk, "bob"))
    assert bobs is not None
    assert "(wrong_challenge)" in desk.refused("key", "accept", typed=str(replace(alices, nonce=bobs.nonce)))
    assert _nothing_was_registered(desk)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"origin": "https://auth.example.org:8443"}, "wrong_origin"),
        ({"origin": "https://sub.auth.example.org"}, "wrong_origin"),
        ({"crossOrigin": True}, "cross_origin"),
        ({"type": "webauthn.get"}, "wrong_type"),
    ],
)
def test_client_data_of_others_is_refused(desk: Shell, changes: dict[str, object], why: str) -> None:
    """What was signed for another origin, in a frame or for another purpose is refused; the invitation stays good."""
    invitation = _invitation(desk)
    assert f"({why})" in desk.refused("key", "accept", typed=str(_answer(invitation, SoftKey.make(), **changes)))
    assert _nothing_was_registered(desk)
    assert desk.say("key", "accept", typed=str(_answer(invitation, SoftKey.make()))).code == 0


@pytest.mark.parametrize("octets", [b"", b"\x81" * 2000, b"\xa0", b"\xff" * 100, b"\xa1\x00" + b"\x81" * 2000])
def test_octets_that_are_no_registration_are_refused(desk: Shell, octets: bytes) -> None:
    """CBOR that is broken, empty or nested two thousand deep is refused in one sentence."""
    answer = replace(_answer(_invitation(desk), SoftKey.make()), attestation_object=octets)
    said = desk.refused("key", "accept", typed=str(answer))
    assert "(malformed)" in said
    assert len(said.splitlines()) == 1
    assert _nothing_was_registered(desk)


def test_an_answer_without_attestation_is_refused_where_it_counts(desk: Shell) -> None:
    """From afar the list of models counts as at the desk."""
    _wants_attestation(desk, TEST_ROOT.certificate(), MODEL)
    invitation = _invitation(desk)
    read = Invitation.read(invitation)
    assert read is not None
    assert read.attestation is True
    answer = str(_answer(invitation, SoftKey.make()))
    assert "(attestation_missing)" in desk.refused("key", "accept", typed=answer)


def test_a_file_that_is_not_there_is_wrong_usage(desk: Shell, tmp_path: Path) -> None:
    """`key accept FILE` without that file ends with 2."""
    assert "No such file" in desk.wrong("key", "accept", str(tmp_path / "answer"))


# --- invitations: done -----------------------------------------------------------------------------------------------


def test_a_key_is_registered_from_afar(desk: Shell, plug: Plug, tmp_path: Path) -> None:
    """The line that `key invite` prints makes the real laptop's program answer with a line that `key accept` takes."""
    device = plug(SoftKey.make())
    said = desk.say("key", "invite", "alice", "--label", "green")
    assert "good once, until" in said.err
    assert "radiusd2fa-key register -" in said.err
    laptop = _laptop(tmp_path, "register", said.out.strip(), "--device", device)
    assert laptop.returncode == 0, laptop.stderr
    out = desk.say("key", "accept", typed=laptop.stdout).out
    (key,) = _keys(desk)
    assert re.fullmatch(rf"registered {key['serial']} for alice \(.*, as it says itself\)\n", out)
    assert (key["user"], key["label"]) == ("alice", "green")
    assert [event.name for event in desk.events()][-2:] == ["key.invited", "key.registered"]
    again = _laptop(tmp_path, "register", _invitation(desk), "--device", device)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is registered already." in again.stderr
    listed = json.loads(_laptop(tmp_path, "list", "--json", "--device", device).stdout)
    assert [card["user"] for card in listed["cards"]] == ["alice"]


def test_an_answer_can_come_as_a_broken_line_in_a_file(desk: Shell, tmp_path: Path) -> None:
    """A mail program's line breaks do no harm, and a file does as well as standard input."""
    text = str(_answer(_invitation(desk), SoftKey.make()))
    (tmp_path / "answer").write_text("\r\n".join(text[at : at + 70] for at in range(0, len(text), 70)))
    assert desk.say("key", "accept", str(tmp_path / "answer"), "--json").json()["user"] == "alice"


def test_an_invitation_as_json(desk: Shell) -> None:
    """--json gives the invitation, for whom it is and until when."""
    said = desk.say("key", "invite", "alice", "--json").json()
    read = Invitation.read(said["invitation"])
    assert read is not None
    assert (said["user"], read.user, read.rp_id) == ("alice", "alice", RP_ID)
    assert 890 < said["expires"] - time.time() <= 900


# --- trying a key ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misbehaviour", "why"),
    [
        (Misbehaviour(stale_counter=True), "a login with it would be refused: key_cloned"),
        (Misbehaviour(no_user_presence=True), "a login with it would be refused: no_user_presence"),
        (Misbehaviour(wrong_rp_id_hash=True), "a login with it would be refused: wrong_client_data"),
        (Misbehaviour(broken_signature=True), "does not sign as it did when it was registered"),
        (Misbehaviour(unknown_credential=True), ""),
    ],
)
def test_a_key_that_would_be_refused_is_named(desk: Shell, plug: Plug, misbehaviour: Misbehaviour, why: str) -> None:
    """`key test` refuses what a login would refuse, and says why."""
    soft = SoftKey.make()
    device = plug(soft)
    serial = _registered(desk, device)
    assert f"{serial} works" in desk.say("key", "test", serial, "--device", device).out
    before = _keys(desk)
    soft.misbehaviour = misbehaviour
    assert why in desk.refused("key", "test", serial, "--device", device)
    assert _keys(desk) == before


def test_another_key_is_not_this_one(desk: Shell, plug: Plug) -> None:
    """A key that does not hold the credential is not asked for a touch."""
    serial = _registered(desk, plug(SoftKey.make()))
    assert "is not registered for this login." in desk.refused("key", "test", serial, "--device", plug(SoftKey.make()))


@pytest.mark.parametrize("u2f_only", [False, True])
def test_a_good_key_works(desk: Shell, plug: Plug, *, u2f_only: bool) -> None:
    """A key that was tried has its count in the store, so that what it has signed is worth nothing afterwards."""
    device = plug(SoftKey.make(u2f_only=u2f_only))
    serial = _registered(desk, device)
    out = desk.say("key", "test", serial, "--device", device).out
    (key,) = _keys(desk)
    assert out == f"{serial} works; it has counted to {key['counter']}\n"
    assert desk.say("key", "test", serial, "--device", device).code == 0


# --- names, ends, lists ----------------------------------------------------------------------------------------------


def test_revoked_stays_revoked(desk: Shell, plug: Plug) -> None:
    """A revoked key is refused by every command that could use it or bring it back, and can be registered anew."""
    device = plug(SoftKey.make())
    serial = _registered(desk, device)
    assert desk.run("key", "revoke", serial) == f"revoked {serial}\n"
    assert desk.run("key", "revoke", serial) == f"revoked {serial}\n"
    for command in (("key", "card"), ("key", "test"), ("token", "enable"), ("token", "disable")):
        assert "is revoked and stays so" in desk.refused(*command, serial)
    assert desk.say("key", "list").out.count("revoked") == 1
    other = _registered(desk, device)
    assert [key["state"] for key in _keys(desk) if key["serial"] == other] == ["active"]


def test_a_fob_is_no_key_and_a_key_is_no_fob(desk: Shell, plug: Plug) -> None:
    """Commands for the one refuse the other."""
    for command in (("card", "H1"), ("test", "H1"), ("rename", "H1", "x"), ("revoke", "H1")):
        assert "there is no security key H1" in desk.refused("key", *command)
    serial = _registered(desk, plug(SoftKey.make()))
    desk.add_user("bob")
    for words in (f"assign {serial} --user bob", f"unassign {serial}", f"resync {serial} 123456 234567"):
        assert "is a security key" in desk.refused("token", *words.split())
    add = ("token", "add", "--user", "bob", "--kind", "fido", "--secret-stdin")
    assert desk.say(*add, typed=SEED.hex()).code == 2
    (key,) = _keys(desk)
    assert (key["user"], key["state"]) == ("alice", "active")


def test_keys_go_with_their_person(desk: Shell, plug: Plug) -> None:
    """Removing somebody revokes their keys; the same key can be registered for somebody else afterwards."""
    device = plug(SoftKey.make())
    serial = _registered(desk, device)
    desk.run("user", "remove", "alice", "--yes")
    assert [(key["serial"], key["user"], key["state"]) for key in _keys(desk)] == [(serial, None, "revoked")]
    desk.add_user("bob")
    _registered(desk, device, user="bob")


def test_a_key_is_renamed(desk: Shell, plug: Plug) -> None:
    """The new label is in the list and on the card."""
    serial = _registered(desk, plug(SoftKey.make()))
    assert desk.run("key", "rename", serial, "red one") == f"{serial} is called red one now\n"
    card = KeyCard.read(desk.run("key", "card", serial).split()[-1])
    assert card is not None
    assert card.label == "red one"
    assert "red one" in desk.run("key", "list", "--user", "alice")


def test_an_empty_list_says_how_to_begin(desk: Shell) -> None:
    """With no keys the list names the command that registers one."""
    assert "`radiusd2fa key register USER`" in desk.run("key", "list")
    assert _keys(desk) == []


# --- stations --------------------------------------------------------------------------------------------------------


@pytest.fixture
def _no_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radiusd2fa.keys.usb.find_keys", list)
    monkeypatch.setattr("radiusd2fa.keys.nfc.find_keys", list)
    monkeypatch.setattr("radiusd2fa.keys.nfc.readers", list)


@pytest.mark.usefixtures("_no_hardware")
def test_no_stations(desk: Shell) -> None:
    """Without stations the command shows how to write one."""
    assert "stations: {lobby-1: {clients: [NAME]}}" in desk.run("key", "stations")


@pytest.mark.usefixtures("_no_hardware")
def test_stations_and_when_they_were_alive(desk: Shell) -> None:
    """Each station of the configuration is shown, with its clients and its last sign of life."""
    (client,) = re.findall(r"^  ([\w-]+):", desk.config.read_text().partition("clients:")[2], re.MULTILINE)[:1]
    _configure(desk, f"stations: {{lobby-1: {{clients: [{client}]}}, lobby-2: {{clients: [{client}]}}}}")
    with WaitingRoom(SqliteFile(desk.folder / "radiusd2fa.db")) as room:
        room.seen("lobby-1", 1_000_000.0, "blue key")
    one, two = desk.say("key", "stations", "--json").json()["stations"]
    assert one == {"name": "lobby-1", "clients": [client], "seen": 1_000_000.0, "device": "blue key"}
    assert two == {"name": "lobby-2", "clients": [client]}
    shown = desk.run("key", "stations")
    assert "blue key" in shown
    assert "lobby-2" in shown


def test_a_credential_in_the_wrong_row_is_not_used(desk: Shell, plug: Plug) -> None:
    """A credential that somebody has copied into another row of the database opens under no command."""
    first, second = _registered(desk, plug(SoftKey.make())), _registered(desk, plug(SoftKey.make()))
    with closing(sqlite3.connect(desk.folder / "radiusd2fa.db", isolation_level=None)) as database:
        copied = "UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE serial = ?) WHERE serial = ?"
        database.execute(copied, (first, second))
    assert desk.say("key", "card", first).code == 0
    for command in (("card",), ("test", "--device", "/dev/no-key")):
        assert desk.wrong("key", *command, second)


def test_another_rp_id_voids_the_keys_and_is_said_to(desk: Shell, plug: Plug) -> None:
    """`check` and every command that would use a key name both RP IDs; with no key left there is a new start."""
    device = plug(SoftKey.make())
    serial = _registered(desk, device)
    desk.change(f"rp_id: {RP_ID}", "rp_id: other.example.org")
    both = f"fido.rp_id is other.example.org, but the keys here were registered for {RP_ID}"
    assert both in desk.wrong("check")
    for words in (f"card {serial}", f"test {serial} --device {device}", f"register alice --device {device}"):
        assert both in desk.refused("key", *words.split())
    assert both in desk.refused("key", "invite", "alice")
    desk.run("key", "revoke", serial)
    assert _register(desk, device).code == 0
    desk.run("check")
