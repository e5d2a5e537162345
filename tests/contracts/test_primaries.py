"""What every backend for the first credential promises, found by looking into the folder.

A new file in ``radiusd2fa/primary`` is under test the moment it exists: it is opened with the defaults of the settings,
unless SETTINGS says how. The promises are those of ``radiusd2fa.primary.Primary``; RFC 4513 5.1.2 for empty passwords.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Final, cast

import pytest

from radiusd2fa import primary
from radiusd2fa.core.model import PrimaryAnswer, User, Verdict
from radiusd2fa.primary import Primary, open_primary
from radiusd2fa.primary.local import hasher
from radiusd2fa.settings import PrimarySettings

KINDS: Final = [module.name for module in pkgutil.iter_modules(primary.__path__)]
SETTINGS: Final = {"local": PrimarySettings(memory_kib=64, passes=1)}
CHECKS: Final = [kind for kind in KINDS if kind != "none"]
"""``none`` is the one backend that passes everybody, as it says."""
PATIENCE: Final = 20.0
ALICE: Final = User(id=1, name="alice", password_hash=hasher(SETTINGS["local"]).hash(b"hunter2"))


def opened(kind: str) -> Primary:
    """Open a backend as the daemon does."""
    return open_primary(SETTINGS.get(kind, replace(PrimarySettings(), kind=cast("object", kind))))  # type: ignore[arg-type]


def answers_of(backend: Primary, user: User | None, password: bytes) -> list[PrimaryAnswer]:
    """Ask once, close, and return every answer that ever came."""
    answers: SimpleQueue[PrimaryAnswer] = SimpleQueue()
    backend.verify(user, password, answers.put)
    came = [answers.get(timeout=PATIENCE)]
    backend.close()
    try:
        while True:
            came.append(answers.get_nowait())
    except Empty:
        return came


def test_the_backends_of_this_version_are_found() -> None:
    """The folder is really looked into."""
    assert {"local", "none"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backend_is_found_by_its_name(kind: str) -> None:
    """Each file offers ``open_backend``, says in its first lines what it is, and its class what it promises."""
    module = importlib.import_module(f"radiusd2fa.primary.{kind}")
    assert callable(module.open_backend)
    assert module.__doc__
    backend = opened(kind)
    assert callable(backend.verify)
    backend.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", [None, ALICE], ids=["unknown", "known"])
@pytest.mark.parametrize("password", [b"hunter2", b"hunter3", b"", b"\xff\0\xfe", b"x" * 128])
def test_every_question_has_exactly_one_answer(kind: str, user: User | None, password: bytes) -> None:
    """Whoever and whatever is asked about, ``done`` is called once."""
    assert len(answers_of(opened(kind), user, password)) == 1


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("password", [b"hunter2", b"hunter3", b"", b"\0", b"x" * 128])
def test_somebody_unknown_is_refused(kind: str, password: bytes) -> None:
    """No password passes for nobody, and the answer is that to a wrong one."""
    assert answers_of(opened(kind), None, password) == [PrimaryAnswer(Verdict.REFUSED)]


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("user", [None, ALICE, replace(ALICE, password_hash=None)], ids=["unknown", "known", "bare"])
def test_an_empty_password_never_passes(kind: str, user: User | None) -> None:
    """A backend that checks passwords does not take none for one."""
    assert answers_of(opened(kind), user, b"")[0].verdict is not Verdict.PASSED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", [None, ALICE], ids=["unknown", "known"])
def test_a_closed_backend_is_unavailable(kind: str, user: User | None) -> None:
    """After ``close`` nobody passes and nobody is refused; closing twice does no harm."""
    backend = opened(kind)
    backend.close()
    assert answers_of(backend, user, b"hunter2") == [PrimaryAnswer(Verdict.UNAVAILABLE)]


@pytest.mark.parametrize("kind", KINDS)
def test_no_backend_prints_a_password(kind: str) -> None:
    """Neither the backend nor its answer shows what it was asked about."""
    backend = opened(kind)
    shown = f"{backend!r} {answers_of(backend, ALICE, b'hunter2')!r} {backend!r}"
    assert "hunter2" not in shown
    assert "argon2id$" not in shown
