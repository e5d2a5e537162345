"""Passwords of our own: what passes, what is refused, what is not answered, and that all of it costs the same.

Small argon2id parameters; the threads are real and are waited for, never slept for.
RFC 9106 (argon2), RFC 2865 5.2 (up to 128 octets).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import Final

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import HashingError, VerificationError

from radiusd2fa.core.model import PrimaryAnswer, Reason, User, Verdict
from radiusd2fa.primary import Question, local
from radiusd2fa.primary.local import LocalPasswords, hasher
from radiusd2fa.settings import LocalSettings

SETTINGS: Final = LocalSettings(memory_kib=64, passes=1, workers=2, queue=8)
HASH: Final = hasher(SETTINGS).hash(b"hunter2")
ALICE: Final = User(id=1, name="alice", password_hash=HASH)
PATIENCE: Final = 20.0


def open_backend(settings: LocalSettings) -> LocalPasswords:
    """Open it as ``primary.open_primary`` does; it has nothing to say."""
    return local.open_backend(settings, lambda level, sentence: pytest.fail(f"{level}: {sentence}"))


def about(user: User | None, password: bytes | None) -> Question:
    """Ask about alice, whatever the store knows."""
    return Question("alice", password, user)


@pytest.fixture
def passwords() -> Iterator[LocalPasswords]:
    """An open backend."""
    backend = open_backend(SETTINGS)
    yield backend
    backend.close()


def ask(backend: LocalPasswords, user: User | None, password: bytes | None) -> PrimaryAnswer:
    """Ask, and wait for the answer."""
    answers: SimpleQueue[PrimaryAnswer] = SimpleQueue()
    backend.verify(about(user, password), answers.put)
    return answers.get(timeout=PATIENCE)


WRONG: Final = {
    "another": b"hunter3",
    "other case": b"Hunter2",
    "space before": b" hunter2",
    "space after": b"hunter2 ",
    "newline": b"hunter2\n",
    "NUL after": b"hunter2\0",
    "cut": b"hunter",
    "nothing": b"",
    "full-width": "\N{FULLWIDTH LATIN SMALL LETTER H}unter2".encode(),
    "invalid UTF-8 around": b"\xffhunter2\xfe",
    "its own hash": HASH.encode(),
}


@pytest.mark.parametrize("password", WRONG.values(), ids=WRONG.keys())
def test_wrong_passwords_are_refused(passwords: LocalPasswords, password: bytes) -> None:
    """Octets that are not exactly the password are refused; nothing is trimmed, folded or dropped."""
    assert ask(passwords, ALICE, password) == PrimaryAnswer(Verdict.REFUSED)


def test_the_right_password_passes(passwords: LocalPasswords) -> None:
    """The very octets pass, and nothing is renewed while the parameters are today's."""
    assert ask(passwords, ALICE, b"hunter2") == PrimaryAnswer(Verdict.PASSED)


NOBODYS: Final = {
    "unknown": None,
    "without a password": replace(ALICE, password_hash=None),
}


@pytest.mark.parametrize("user", NOBODYS.values(), ids=NOBODYS.keys())
@pytest.mark.parametrize("password", [b"hunter2", b"", b"x" * 128])
def test_nobody_passes_without_a_hash(passwords: LocalPasswords, user: User | None, password: bytes) -> None:
    """Somebody unknown, or whose password is checked elsewhere, is refused whatever comes."""
    assert ask(passwords, user, password) == PrimaryAnswer(Verdict.REFUSED)


def test_an_empty_password_is_refused_even_where_its_hash_is_stored(passwords: LocalPasswords) -> None:
    """A row that somebody filled with the hash of nothing opens no door."""
    empty = replace(ALICE, password_hash=hasher(SETTINGS).hash(b""))
    assert ask(passwords, empty, b"") == PrimaryAnswer(Verdict.REFUSED)


def test_not_even_the_hash_of_nobody_can_be_guessed(passwords: LocalPasswords, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the decoy hash to match, somebody unknown would still be refused."""
    monkeypatch.setattr(passwords, "_nobodys_hash", HASH)
    assert ask(passwords, None, b"hunter2") == PrimaryAnswer(Verdict.REFUSED)


@pytest.mark.parametrize("user", [ALICE, replace(ALICE, password_hash=None), replace(ALICE, enabled=False), None])
def test_without_a_password_nothing_is_hashed(
    passwords: LocalPasswords, user: User | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there is such an account is all that is said, of nobody that there is none."""
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: pytest.fail("hashed"))
    expected = PrimaryAnswer(Verdict.REFUSED, reason=Reason.ACCOUNT_UNKNOWN)
    assert ask(passwords, user, None) == (expected if user is None else PrimaryAnswer(Verdict.PASSED))


BROKEN: Final = {
    "empty": "",
    "the password itself": "hunter2",
    "no parameters": "$argon2id$",
    "another scheme": "$2b$12$abcdefghijklmnopqrstuv",
    "cut": HASH[:40],
    "no number": HASH.replace("m=64", "m=x"),
    "too little memory": HASH.replace("m=64", "m=1"),
    "not base64": HASH[:-1] + "!",
}


@pytest.mark.parametrize("stored", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_hash_is_no_answer(passwords: LocalPasswords, stored: str) -> None:
    """A row without a readable hash neither passes nor refuses anybody."""
    broken = replace(ALICE, password_hash=stored)
    assert ask(passwords, broken, b"hunter2").verdict is Verdict.UNAVAILABLE


@pytest.mark.parametrize("length", [1, 16, 17, 127, 128])
def test_passwords_are_octets_of_every_length(passwords: LocalPasswords, length: int) -> None:
    """Up to 128 octets, of which none need be text, and the last one counts."""
    octets = bytes(range(128, 256))[:length]
    user = replace(ALICE, password_hash=hasher(SETTINGS).hash(octets))
    assert ask(passwords, user, octets).verdict is Verdict.PASSED
    assert ask(passwords, user, octets[:-1] + b"a").verdict is Verdict.REFUSED


# --- the same work ---------------------------------------------------------------------------------------------------

EQUALLY_DEAR: Final = {
    "right": (ALICE, b"hunter2"),
    "wrong": (ALICE, b"hunter3"),
    "empty": (ALICE, b""),
    "unknown": (None, b"hunter2"),
    "unknown, empty": (None, b""),
    "without a password": (replace(ALICE, password_hash=None), b"hunter2"),
    "disabled": (replace(ALICE, enabled=False), b"hunter2"),
}


@pytest.mark.parametrize("case", EQUALLY_DEAR.values(), ids=EQUALLY_DEAR.keys())
def test_everybody_costs_one_hash(
    passwords: LocalPasswords, case: tuple[User | None, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known, unknown, right, wrong and empty: one verification under the same parameters, and no other work."""
    verified: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, stored: str, password: bytes) -> bool:
        verified.append(stored.rpartition("$")[0].rpartition("$")[0])
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    monkeypatch.setattr(PasswordHasher, "hash", lambda *_, **__: pytest.fail("hashed once more"))
    ask(passwords, *case)
    assert verified == ["$argon2id$v=19$m=64,t=1,p=1"]


# --- renewed hashes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changed", [{"memory_kib": 128}, {"passes": 2}])
def test_a_hash_under_older_parameters_is_renewed(changed: dict[str, int]) -> None:
    """A right password comes back with a hash under today's parameters; a wrong one brings nothing."""
    today = replace(SETTINGS, **changed)  # type: ignore[arg-type]
    backend = open_backend(today)
    try:
        answer = ask(backend, ALICE, b"hunter2")
        assert answer.verdict is Verdict.PASSED
        assert answer.rehashed is not None
        assert hasher(today).verify(answer.rehashed, b"hunter2")
        assert not hasher(today).check_needs_rehash(answer.rehashed)
        assert ask(backend, ALICE, b"hunter3") == PrimaryAnswer(Verdict.REFUSED)
    finally:
        backend.close()


# --- trouble ---------------------------------------------------------------------------------------------------------


def _no_memory(*_: object) -> bool:
    raise VerificationError("Memory allocation error")


def _a_bug(*_: object) -> bool:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("trouble", [_no_memory, _a_bug])
def test_trouble_is_no_answer_about_the_password(
    passwords: LocalPasswords, trouble: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without memory for the hash, or with a bug, the answer is UNAVAILABLE: neither wrong nor right."""
    monkeypatch.setattr(PasswordHasher, "verify", trouble)
    assert ask(passwords, ALICE, b"hunter2") == PrimaryAnswer(Verdict.UNAVAILABLE)
    monkeypatch.undo()
    assert ask(passwords, ALICE, b"hunter2") == PrimaryAnswer(Verdict.PASSED)


def test_a_hash_that_cannot_be_renewed_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """If renewing fails, the login gets no answer rather than half of one."""
    backend = open_backend(replace(SETTINGS, passes=2))

    def failing(*_: object) -> str:
        raise HashingError("Memory allocation error")

    monkeypatch.setattr(PasswordHasher, "hash", failing)
    try:
        assert ask(backend, ALICE, b"hunter2").verdict is Verdict.UNAVAILABLE
    finally:
        backend.close()


class Gate:
    """Holds every hash at its beginning until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = threading.Event()
        self.begun: SimpleQueue[None] = SimpleQueue()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()
        self._verify = PasswordHasher.verify
        monkeypatch.setattr(PasswordHasher, "verify", lambda *arguments: self._held(*arguments))

    def _held(self, *arguments: object) -> bool:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.begun.put(None)
        assert self.opened.wait(PATIENCE)
        with self._lock:
            self.running -= 1
        return self._verify(*arguments)  # type: ignore[arg-type]


def test_a_flood_is_bounded(passwords: LocalPasswords, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hashes at a time, eight waiting; the rest is UNAVAILABLE at once, and afterwards all is well again."""
    gate = Gate(monkeypatch)
    answers: SimpleQueue[PrimaryAnswer] = SimpleQueue()
    for _ in range(10):
        passwords.verify(about(ALICE, b"hunter2"), answers.put)
    for _ in range(2):
        gate.begun.get(timeout=PATIENCE)
    assert answers.empty()
    for _ in range(100):
        at_once: list[PrimaryAnswer] = []
        passwords.verify(about(ALICE, b"hunter2"), at_once.append)
        assert at_once == [PrimaryAnswer(Verdict.UNAVAILABLE)]
    gate.opened.set()
    assert [answers.get(timeout=PATIENCE).verdict for _ in range(10)] == [Verdict.PASSED] * 10
    assert gate.most == 2
    monkeypatch.undo()
    assert ask(passwords, ALICE, b"hunter2").verdict is Verdict.PASSED


def test_closing_answers_everybody_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being computed is finished, what waits is UNAVAILABLE; nobody is left without an answer or has two."""
    backend = open_backend(SETTINGS)
    gate = Gate(monkeypatch)
    answers: SimpleQueue[Verdict] = SimpleQueue()
    for _ in range(10):
        backend.verify(about(ALICE, b"hunter2"), lambda answer: answers.put(answer.verdict))
    for _ in range(2):
        gate.begun.get(timeout=PATIENCE)
    closing = threading.Thread(target=backend.close)
    closing.start()
    try:
        assert [answers.get(timeout=PATIENCE) for _ in range(8)] == [Verdict.UNAVAILABLE] * 8
    finally:
        gate.opened.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert [answers.get_nowait() for _ in range(2)] == [Verdict.PASSED] * 2
    assert answers.empty()
    assert not any(thread.name.startswith("argon2") for thread in threading.enumerate())


def test_a_closed_backend_knows_nobody(passwords: LocalPasswords) -> None:
    """After the end the right password is UNAVAILABLE too, however often it is asked about."""
    passwords.close()
    for _ in range(30):
        assert ask(passwords, ALICE, b"hunter2") == PrimaryAnswer(Verdict.UNAVAILABLE)


def test_a_done_that_fails_takes_no_room_away(passwords: LocalPasswords, caplog: pytest.LogCaptureFixture) -> None:
    """When those who asked fail on the answer, the backend goes on, with all its room."""

    def failing(_: PrimaryAnswer) -> None:
        raise RuntimeError("the loop is gone")

    for _ in range(40):
        passwords.verify(about(ALICE, b"hunter3"), failing)
        assert ask(passwords, ALICE, b"hunter2").verdict is Verdict.PASSED
    assert "hunter" not in caplog.text
