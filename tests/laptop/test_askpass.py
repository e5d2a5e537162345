"""A prompt with our code, as ssh gives it: a real process under an ssh of any version, a terminal, emulated keys.

What comes out is verified as the daemon does it, from the parts; what must not be signed is not even asked of the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from fido2.webauthn import AttestedCredentialData

from radiusd2fa.core.invitation import KeyCard
from radiusd2fa.core.responder import ResponderCode
from radiusd2fa.emulators.softkey import Button, Misbehaviour, SoftKey, Unplug
from radiusd2fa.keys.asking import FoundKey
from radiusd2fa.laptop.passing import NEXT
from tests.keys.conftest import Plug
from tests.keys.scene import Witness

from .laptop import CODE, HOST, Laptop, Start, compiled_ssh, credential_at, judge, prompt, starting

VERIFIED = replace(CODE, user_verification=True)
PIN = "4711-and-more"


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """An ssh that gives its prompts to us."""
    return compiled_ssh(tmp_path_factory.mktemp("ssh"))


@pytest.fixture
def laptop(tmp_path: Path, ssh: Path | None) -> Laptop:
    """A laptop with an ssh, and nothing else yet."""
    return Laptop(tmp_path, ssh)


@pytest.fixture
def start(laptop: Laptop) -> Iterator[Start]:
    """Have ssh start the program; whatever still runs after the test is ended."""
    laptop.ssh()
    with ExitStack() as stack:
        run = starting(laptop, stack)
        yield lambda *words, **how: run(*words, by_ssh=True, **how)


@pytest.fixture
def button() -> Button:
    """What the person presses."""
    return Button()


@pytest.fixture
def key(plug: Plug, button: Button) -> FoundKey:
    """A key that waits for the button."""
    return plug(SoftKey.make(touch=button))


@pytest.fixture
def credential(laptop: Laptop, key: FoundKey, button: Button) -> AttestedCredentialData:
    """A credential of alice on that key, with its card on the laptop."""
    data, card = credential_at(key, person=Witness(on_touch=lambda _key: button.press()))
    laptop.has(key, card)
    return data


def touch(button: Button) -> None:
    """Touch the key when it asks for it."""
    assert button.blinks.wait(30)
    button.press()


# --- never signed ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize(
    ("text", "says", "why"),
    [
        (prompt(), "OpenSSH_8.4p1 Debian-5", "OpenSSH 8.4"),
        (prompt(), "OpenSSH_8.0p1", "OpenSSH 8.0"),
        (prompt(), "Dropbear v2022.83", "cannot be told which ssh"),
        (f"Touch your key. {CODE}: ", "OpenSSH_8.4p1", "has not put the host's name"),
        (f"Touch your key. {CODE}: ", "OpenSSH_9.2p1", "has not put the host's name"),
        (f"(alice@{HOST}) x@evil.example.org) {CODE}: ", "OpenSSH_9.2p1", "more than one host"),
        (prompt(f"{CODE} {ResponderCode(bytes(16))}: "), "OpenSSH_9.2p1", "not exactly one readable code"),
        (prompt(host="bas tion"), "OpenSSH_9.2p1", "characters that no name should"),
    ],
)
def test_a_prompt_that_cannot_be_believed_is_not_signed_but_can_be_answered(
    start: Start, button: Button, text: str, says: str, why: str
) -> None:
    """The key does not even blink; the person reads why, and a typed code goes to the server."""
    running = start(text, SSH_SAYS=says)
    running.wait_for("no key is asked: ")
    assert why in running.wait_for(text)
    running.type("123456\n")
    assert running.end() == (0, "123456\n", "")
    assert not button.blinks.is_set()


@pytest.mark.usefixtures("credential")
def test_a_caller_that_is_no_ssh_gets_no_signature(laptop: Laptop, button: Button) -> None:
    """A program that only looks like it, or a person who pastes a prompt, has no host that could be believed."""
    with laptop.run(prompt()) as running:
        assert "cannot be told which ssh" in running.wait_for(prompt())
        running.type("\n")
        assert running.end()[1] == "\n"
    assert not button.blinks.is_set()


@pytest.mark.usefixtures("credential")
@pytest.mark.parametrize("hint", ["confirm", "none"])
def test_a_hint_means_that_no_server_asks(start: Start, button: Button, hint: str) -> None:
    """ssh gives no hint with a server's prompt, so a code in a confirmation or a notice is none of ours."""
    running = start(prompt(), SSH_ASKPASS_PROMPT=hint)
    running.wait_for(prompt())
    running.type("no\n")
    assert running.end()[1] == ""
    assert not button.blinks.is_set()


def test_without_cards_there_is_nothing_to_ask(laptop: Laptop, start: Start, key: FoundKey) -> None:
    """The sentence says what to do, and a code can be typed."""
    laptop.has(key)
    running = start(prompt())
    assert "no key card is stored here: radiusd2fa-key add CARD" in running.wait_for(prompt())
    running.type("123456\n")
    assert running.end()[1] == "123456\n"


def test_a_list_of_cards_that_cannot_be_read_stops_no_login(laptop: Laptop, start: Start) -> None:
    """It is named, and a code can be typed."""
    laptop.has(None)
    (laptop.home / "config" / "radiusd2fa" / "keys.json").write_text("{}")
    running = start(prompt())
    assert "keys.json: not a list of key cards" in running.wait_for(prompt())
    running.type("123456\n")
    assert running.end()[1] == "123456\n"


@pytest.mark.parametrize(
    ("misbehaviour", "why"),
    [
        (Misbehaviour(no_user_presence=True), "signed without a touch"),
        (Misbehaviour(wrong_rp_id_hash=True), "for something else than it was asked for"),
        (Misbehaviour(broken_signature=True), "form that neither ES256 nor EdDSA has"),
        (Misbehaviour(unplug=Unplug.WAITING, never_touched=True), "taken away"),
    ],
)
def test_a_key_that_misbehaves_gives_no_response(
    laptop: Laptop, start: Start, plug: Plug, misbehaviour: Misbehaviour, why: str
) -> None:
    """Standard output stays empty without a terminal: one sentence, and a failure."""
    soft = SoftKey.make()
    key = plug(soft)
    _, card = credential_at(key)
    laptop.has(key, card)
    soft.misbehaviour = misbehaviour
    code, out, err = start(prompt(), terminal=False).end()
    assert (code, out) == (1, "")
    assert why in err


# --- signed ----------------------------------------------------------------------------------------------------------


def test_a_touch_answers_with_a_response_bound_to_user_and_host(
    start: Start, button: Button, credential: AttestedCredentialData
) -> None:
    """Before it, user, host and the server's words are on the screen, without anything that could move the cursor."""
    running = start(prompt(f"Gate \x1b[2J7.\nTouch your key. {CODE}: ", host="Bastion.Example.ORG."))
    seen = running.wait_for("Touch security key at")
    assert f"  | Gate \\x1b[2J7. Touch your key.\r\nLogin of alice at {HOST}\r\n" in seen
    assert str(CODE) not in seen
    running.wait_for(", or type a code: ")
    touch(button)
    code, out, err = running.end()
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    judge(out, credential, host=HOST)
    with pytest.raises(InvalidSignature):
        judge(out, credential, host="evil.example.org")
    assert running.is_as_before()


@pytest.mark.parametrize("u2f_only", [False, True])
@pytest.mark.parametrize("counts", [False, True])
def test_keys_of_every_kind_sign(laptop: Laptop, start: Start, plug: Plug, u2f_only: bool, counts: bool) -> None:
    """U2F-only keys as well, and without a terminal: the words go to standard error."""
    key = plug(SoftKey.make(u2f_only=u2f_only, counts=counts))
    credential, card = credential_at(key)
    laptop.has(key, card)
    code, out, err = start(prompt(), terminal=False).end()
    assert code == 0
    assert (judge(out, credential).counter > 0) is counts
    assert f"Login of alice at {HOST}" in err
    assert "\r" not in err


def test_the_login_name_chooses_the_card(laptop: Laptop, start: Start, plug: Plug) -> None:
    """Two users share a laptop: ALICE's login is alice's card, and a login that nobody has is to be explained."""
    key = plug(SoftKey.make())
    credential, card = credential_at(key)
    _, other = credential_at(key, "bob")
    laptop.has(key, other, card)
    _, out, _ = start(prompt(login="ALICE"), terminal=False).end()
    judge(out, credential, user="alice")
    code, out, err = start(prompt(login="root"), terminal=False).end()
    assert (code, out) == (1, "")
    assert "RADIUSD2FA_KEY_USER" in err
    _, out, _ = start(prompt(login="root"), terminal=False, RADIUSD2FA_KEY_USER="Alice").end()
    judge(out, credential, user="alice")


def test_one_users_cards_serve_every_login_name(laptop: Laptop, start: Start, plug: Plug) -> None:
    """Where all cards are of one user, the account on the host may have another name."""
    key = plug(SoftKey.make())
    credential, card = credential_at(key)
    laptop.has(key, replace_label(card, "spare"), card)
    _, out, _ = start(prompt(login="root"), terminal=False).end()
    judge(out, credential, user="alice")


def replace_label(card: KeyCard, label: str) -> KeyCard:
    """Return the card of a second key, which is not there."""
    return KeyCard(card.rp_id, card.origin, card.user, bytes(64), label)


# --- a code instead of a touch ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("credential")
def test_a_code_can_be_typed_while_the_key_blinks(start: Start, button: Button) -> None:
    """It is the answer, unseen and as it was typed, and the key is let go."""
    running = start(prompt())
    running.wait_for(", or type a code: ")
    assert button.blinks.wait(30)
    assert not running.echoes()
    running.type("cccc vnl 123456\n")
    assert running.end() == (0, "cccc vnl 123456\n", "")
    assert "123456" not in running.screen
    assert running.is_as_before()


@pytest.mark.usefixtures("credential")
def test_enter_lets_the_key_go_and_shows_the_prompt(start: Start, button: Button) -> None:
    """Then the server's prompt is answered as without a key."""
    running = start(prompt())
    assert button.blinks.wait(30)
    running.type("\n")
    running.wait_for(prompt())
    running.type("123456\n")
    assert running.end()[:2] == (0, "123456\n")


def test_without_a_key_it_waits_for_one_or_for_a_code(laptop: Laptop, start: Start) -> None:
    """Nobody has to find out first that the key lies at home."""
    laptop.has(None, KeyCard("auth.example.org", "https://auth.example.org", "alice", bytes(64), ""))
    running = start(prompt())
    running.wait_for("Plug in your key, or type a code: ")
    running.type("123456\n")
    assert running.end()[:2] == (0, "123456\n")


def test_a_key_that_is_not_where_it_was_named_stops_no_login(laptop: Laptop, start: Start) -> None:
    """One sentence, and the prompt; without a terminal it goes to the next askpass."""
    laptop.has(None, KeyCard("auth.example.org", "https://auth.example.org", "alice", bytes(64), ""))
    running = start(prompt(), RADIUSD2FA_KEY_DEVICE="/dev/none-such")
    assert "no security key at /dev/none-such" in running.wait_for(prompt())
    running.type("123456\n")
    assert running.end()[1] == "123456\n"
    following = laptop.write_program(laptop.home / "next", "import sys; print(sys.argv[1][:6])\n")
    how = {"RADIUSD2FA_KEY_DEVICE": "/dev/none-such", NEXT: str(following)}
    assert start(prompt(), terminal=False, **how).end()[1] == "(alice\n"


@pytest.mark.usefixtures("credential")
def test_ctrl_c_ends_ssh_and_us_and_the_key(start: Start, button: Button) -> None:
    """As at every prompt of ssh; nothing goes to the server, and the terminal is as before."""
    running = start(prompt())
    assert button.blinks.wait(30)
    running.type("\x03")
    code, out, _ = running.end()
    assert code != 0
    assert out == ""
    assert running.is_as_before()


@pytest.mark.usefixtures("credential")
def test_a_plain_terminal_gets_no_spinner(start: Start, button: Button) -> None:
    """Where lines cannot be drawn again, each is written once."""
    running = start(prompt(), TERM="dumb")
    running.wait_for("Touch security key at")
    touch(button)
    assert running.end()[0] == 0
    assert "\x1b" not in running.screen
    assert running.screen.count("or type a code") == 1


# --- PIN -------------------------------------------------------------------------------------------------------------


def pin_prompt() -> str:
    """Return a prompt whose code wants the key to know its user."""
    return prompt(f"Touch your key. {VERIFIED}: ")


@pytest.fixture
def locked(laptop: Laptop, plug: Plug) -> AttestedCredentialData:
    """A key with a PIN, and its card."""
    key = plug(SoftKey.make(pin=PIN))
    data, card = credential_at(key, person=Witness(PIN))
    laptop.has(key, card)
    return data


def test_the_pin_is_asked_unseen_and_goes_to_the_key_alone(start: Start, locked: AttestedCredentialData) -> None:
    """The response says that the key knows its user; the PIN is on no screen and in no answer."""
    running = start(pin_prompt())
    running.wait_for("PIN of security key at ")
    running.wait_for("left): ")
    assert not running.echoes()
    running.type(f"{PIN}\n")
    code, out, err = running.end()
    assert code == 0
    assert judge(out, locked, code=VERIFIED).flags & 0x04
    assert PIN not in out + err + running.screen


@pytest.mark.usefixtures("locked")
def test_a_wrong_pin_is_no_code(start: Start) -> None:
    """It is not handed to the server: only what is typed at the server's own prompt is."""
    running = start(pin_prompt())
    running.wait_for("left): ")
    running.type("not-the-pin\n")
    running.wait_for("left): ")
    running.type("\n")
    assert "That is not the PIN" in running.wait_for(pin_prompt())
    running.type("123456\n")
    assert running.end()[:2] == (0, "123456\n")


@pytest.mark.usefixtures("locked")
def test_without_a_terminal_there_is_nobody_to_ask_for_a_pin(start: Start) -> None:
    """One sentence and a failure, and nothing waits."""
    code, out, err = start(pin_prompt(), terminal=False).end()
    assert (code, out) == (1, "")
    assert "PIN" in err
