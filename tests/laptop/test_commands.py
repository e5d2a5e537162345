"""The commands that a person types: what they print, keep and refuse.

Keys are emulated ones on pseudo-terminals, and the list of cards is a real file; what is printed is verified as the
daemon would verify it. WebAuthn 7.1 and 7.2.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from radiusd2fa.core.invitation import KeyCard, RegistrationAnswer, registration_challenge, registration_client_data
from radiusd2fa.core.responder import RESPONSE_LENGTH, RESPONSE_LENGTH_CASE_FREE
from radiusd2fa.emulators.softkey import Button, Misbehaviour, SoftKey
from radiusd2fa.keys.asking import FoundKey, Registered
from radiusd2fa.laptop import commands
from radiusd2fa.laptop.profile import load_cards, profile_path, save_cards, selector_text
from radiusd2fa.laptop.registering import register_request
from radiusd2fa.laptop.responder import main
from tests.keys.conftest import Plug
from tests.keys.scene import judge_attestation

from .laptop import CODE, ORIGIN, RP_ID, Laptop, Start, credential_at, invitation, judge, starting

Run = Callable[..., tuple[int, str, str]]
CARD = KeyCard(RP_ID, ORIGIN, "alice", b"credential", "blue")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command without a terminal; returns exit code, standard output and standard error."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "RADIUSD2FA_KEY_DEVICE", "RADIUSD2FA_KEY_USER", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(commands, "open_terminal", lambda: None)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["radiusd2fa-key", *words])
        try:
            code = main()
        except SystemExit as end:  # argparse
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def soft() -> SoftKey:
    """A key that is touched at once."""
    return SoftKey.make()


@pytest.fixture
def key(soft: SoftKey, plug: Plug) -> FoundKey:
    """That key, plugged in."""
    return plug(soft)


def store(*cards: KeyCard) -> None:
    """Have these cards on the laptop."""
    save_cards(profile_path(), cards)


# --- respond ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["", "RK1-", str(CODE)[:-1], f"{CODE} {CODE}", "123456"])
def test_what_is_no_code_is_not_signed(run: Run, code: str) -> None:
    """One sentence, nothing on standard output, exit code 1."""
    store(CARD)
    exit_code, out, err = run("respond", code)
    assert (exit_code, out) == (1, "")
    assert "not exactly one code" in err


@pytest.mark.parametrize(
    ("cards", "words", "why"),
    [
        ([], [], "no key card is stored"),
        ([CARD, KeyCard(RP_ID, ORIGIN, "bob", b"b", "")], [], "--user"),
        ([CARD], ["--user", "bob"], "no key card of that user"),
        ([CARD, KeyCard("example.net", "https://example.net", "alice", b"b", "")], [], "--site"),
    ],
)
def test_nobody_guesses_whose_login_it_is(run: Run, cards: list[KeyCard], words: list[str], why: str) -> None:
    """The sentence names the option that says it."""
    store(*cards)
    code, out, err = run("respond", str(CODE), *words)
    assert (code, out) == (1, "")
    assert why in err


@pytest.mark.parametrize(
    "misbehaviour",
    [Misbehaviour(no_user_presence=True), Misbehaviour(broken_signature=True), Misbehaviour(wrong_rp_id_hash=True)],
)
def test_a_broken_key_gives_no_response(run: Run, soft: SoftKey, key: FoundKey, misbehaviour: Misbehaviour) -> None:
    """One sentence, nothing on standard output, exit code 1."""
    _, card = credential_at(key)
    store(card)
    soft.misbehaviour = misbehaviour
    code, out, err = run("respond", str(CODE), "--device", key.path)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("radiusd2fa-key: The key has ")


def test_a_key_of_somebody_else_is_named(run: Run, key: FoundKey) -> None:
    """The key holds none of the cards' credentials."""
    store(CARD)
    code, out, err = run("respond", str(CODE), "--device", key.path)
    assert (code, out) == (1, "")
    assert "not registered" in err


@pytest.mark.parametrize(("words", "length"), [([], RESPONSE_LENGTH), (["--case-free"], RESPONSE_LENGTH_CASE_FREE)])
def test_a_response_for_pasting_is_bound_to_no_host(run: Run, key: FoundKey, words: list[str], length: int) -> None:
    """It stands alone on standard output, in either spelling; the warning does not."""
    credential, card = credential_at(key)
    store(card)
    code, out, err = run("respond", str(CODE).lower(), "--device", key.path, *words)
    assert code == 0
    assert len(out.strip()) == length
    judge(out, credential, host="")
    assert "not bound to a host" in err


def test_a_whole_prompt_may_be_pasted(run: Run, key: FoundKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is found in it; a host's name in it binds nothing, because nobody knows who wrote it."""
    credential, card = credential_at(key)
    store(card, KeyCard(RP_ID, ORIGIN, "bob", b"b", ""))
    monkeypatch.setenv("RADIUSD2FA_KEY_DEVICE", key.path)
    code, out, _ = run("respond", f"(alice@good.example.org) Touch your key. {CODE}:", "--user", "alice")
    assert code == 0
    judge(out, credential, host="")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the program at a terminal, as a shell does."""
    with ExitStack() as stack:
        laptop = Laptop(tmp_path, None)
        yield starting(laptop, stack)


def test_at_a_terminal_only_the_response_is_on_standard_output(
    start: Start, plug: Plug, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The words are on the terminal, so that the response can be piped; a code that is typed is no answer here."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    button = Button()
    soft = SoftKey.make()
    key = plug(soft)
    credential, card = credential_at(key)
    store(card)
    soft.touch = button
    running = start("respond", str(CODE), "--device", key.path)
    assert "not bound to a host" in running.wait_for("or press Enter to give up: ")
    assert button.blinks.wait(30)
    running.type("123456\n")
    button.press()
    code, out, err = running.end()
    assert (code, err) == (0, "")
    judge(out, credential, host="")


def test_enter_gives_up(start: Start, plug: Plug, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The key is let go, and the exit code says that there is no response."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    button = Button()
    soft = SoftKey.make()
    key = plug(soft)
    store(credential_at(key)[1])
    soft.touch = button
    running = start("respond", str(CODE), "--device", key.path)
    assert button.blinks.wait(30)
    running.type("\n")
    assert running.end() == (1, "", "radiusd2fa-key: No key was used.\n")


# --- register --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no invitation"),
        ("RKI1-", "no invitation"),
        (str(CARD), "no invitation"),
        (str(invitation())[:-4], "no invitation"),
        (str(invitation(user="Alice")), "not followed"),
        (str(invitation(rp_id="evil test")), "not followed"),
    ],
)
def test_what_is_no_invitation_is_not_followed(run: Run, key: FoundKey, text: str, why: str) -> None:
    """No key is asked, no card is stored."""
    code, out, err = run("register", text, "--device", key.path)
    assert (code, out) == (1, "")
    assert why in err
    assert load_cards(profile_path()) == ()


def test_a_registered_key_answers_the_invitation_and_signs(run: Run, key: FoundKey) -> None:
    """The answer carries the invitation's challenge and a credential of that key, whose card is stored here."""
    code, out, err = run("register", str(invitation()), "--device", key.path, "--label", "blue")
    assert code == 0
    answer = RegistrationAnswer.read(out)
    assert answer is not None
    assert answer.nonce == invitation().nonce
    challenge = registration_challenge(invitation().nonce, "alice")
    assert answer.client_data == registration_client_data(challenge, ORIGIN)
    form = judge_attestation(Registered(answer.attestation_object), register_request(invitation()))
    data = form.auth_data.credential_data
    assert data is not None
    assert load_cards(profile_path()) == (KeyCard(RP_ID, ORIGIN, "alice", bytes(data.credential_id), "blue"),)
    assert "alice" in err
    code, out, _ = run("respond", str(CODE), "--device", key.path)
    assert code == 0
    judge(out, data, host="")


def test_an_invitation_can_come_by_standard_input(run: Run, key: FoundKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that it is in no list of processes."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{invitation()}\n"))
    code, out, _ = run("register", "-", "--device", key.path)
    assert code == 0
    assert RegistrationAnswer.read(out) is not None


def test_a_key_is_not_registered_twice(run: Run, key: FoundKey) -> None:
    """The invitation names the user's credentials, and a key that holds one says so."""
    credential, _ = credential_at(key)
    again = invitation(exclude=(bytes(credential.credential_id),))
    code, out, err = run("register", str(again), "--device", key.path)
    assert (code, out) == (1, "")
    assert "registered already" in err


def test_the_attestation_is_asked_only_where_it_is_wanted() -> None:
    """What the invitation says reaches the key, and the user's name and handle do."""
    from dataclasses import replace

    request = register_request(replace(invitation(), attestation=True))
    assert request.attestation
    assert not register_request(invitation()).attestation
    assert (request.user_name, request.user_handle, request.rp_id) == ("alice", invitation().handle, RP_ID)


# --- cards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "RKC1-",
        str(CARD)[:-3],
        str(invitation()),
        str(KeyCard(RP_ID, 'https://auth.example.org","challenge":"x', "alice", b"c", "")),
        str(KeyCard(RP_ID, "https://evil.test", "alice", b"c", "")),
    ],
)
def test_a_card_that_cannot_be_believed_is_not_stored(run: Run, text: str) -> None:
    """One sentence, exit code 1, and the list stays as it was."""
    code, out, err = run("add", text)
    assert (code, out) == (1, "")
    assert err.startswith("radiusd2fa-key: this ")
    assert load_cards(profile_path()) == ()


def test_cards_come_and_go(run: Run) -> None:
    """A card is stored once however often it is added, and forgotten by its label or its eight digits."""
    other = KeyCard(RP_ID, ORIGIN, "alice", b"other", "blue")
    assert run("add", str(CARD))[0] == 0
    assert run("add", str(CARD))[0] == 0
    assert run("add", str(other))[0] == 0
    assert load_cards(profile_path()) == (CARD, other)
    code, _, err = run("remove", "blue")
    assert code == 1
    assert "several cards" in err
    assert run("remove", selector_text(other))[0] == 0
    assert run("remove", "blue")[0] == 0
    code, _, err = run("remove", "blue")
    assert code == 1
    assert "no card has that name" in err
    assert load_cards(profile_path()) == ()


def test_the_list_shows_keys_and_cards(run: Run, key: FoundKey) -> None:
    """For people in lines, for programs as JSON; an empty one says what to do."""
    code, out, _ = run("list", "--device", "no such reader")
    assert code == 0
    assert "doctor" in out
    store(CARD)
    code, out, _ = run("list", "--device", key.path)
    assert code == 0
    assert f"  usb  {key.path}  security key at {key.path}\n" in out
    assert f"  {selector_text(CARD)}  alice at {RP_ID}  blue\n" in out
    told = json.loads(run("list", "--device", key.path, "--json")[1])
    assert told == {
        "keys": [{"path": key.path, "name": f"security key at {key.path}", "transport": "usb"}],
        "cards": [{"id": selector_text(CARD)} | CARD.members()],
    }


def test_a_broken_list_is_named_by_every_command(run: Run, key: FoundKey) -> None:
    """Registering says so before anybody has touched a key."""
    store()
    profile_path().write_text("{}")
    commands = [
        ["add", str(CARD)],
        ["remove", "blue"],
        ["list"],
        ["respond", str(CODE)],
        ["register", str(invitation())],
    ]
    for words in commands:
        code, out, err = run(*words, *(["--device", key.path] if words[0] not in {"add", "remove"} else []))
        assert (code, out) == (1, ""), words
        assert "keys.json" in err
        assert "Touch" not in err


@pytest.mark.parametrize(
    "words", [[], ["lst"], ["add"], ["respond"], ["list", "--jsn"], ["setup-ssh", "--shell", "csh"]]
)
def test_wrong_usage_is_explained(run: Run, words: list[str]) -> None:
    """Exit code 2, and standard output stays empty."""
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "usage: radiusd2fa-key" in err


def test_help_names_every_command(run: Run) -> None:
    """A person can begin with --help."""
    from radiusd2fa.laptop.responder import COMMANDS

    code, out, _ = run("--help")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines() if line.startswith("    ")} >= set(COMMANDS)
    assert out.isascii()


def test_a_reader_that_has_seen_enough_is_no_error(start: Start) -> None:
    """`radiusd2fa-key list | head -0` ends without a traceback."""
    running = start("list", "--device", "none", terminal=False)
    assert running.process.stdout is not None
    running.process.stdout.close()
    running.process.stdout = None
    assert running.process.wait(30) in {0, 1}
    assert running.process.stderr is not None
    assert b"Traceback" not in running.process.stderr.read()
