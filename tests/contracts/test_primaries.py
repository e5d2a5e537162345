"""What every backend for the first credential promises, found by looking into the folder.

A new file in ``radiusd2fa/primary`` is under test the moment it exists, and fails until SETTINGS says how it is opened
where no server answers. The promises are those of ``radiusd2fa.primary.Primary``; RFC 4513 5.1.2 for empty passwords.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import pytest

from radiusd2fa import primary
from radiusd2fa.core.model import PrimaryAnswer, User, Verdict
from radiusd2fa.primary import Primary, Question, open_primary
from radiusd2fa.primary.local import hasher
from radiusd2fa.settings import (
    BackendSettings,
    LdapSettings,
    LocalSettings,
    NoneSettings,
    PamSettings,
    RadiusSettings,
    UpstreamServer,
)
from radiusd2fa.settings.backends import looks_up

KINDS: Final = sorted(module.name for module in pkgutil.iter_modules(primary.__path__))
CHECKS: Final = [kind for kind in KINDS if kind != "none"]
"""``none`` is the one backend that passes everybody, as it says."""
ELSEWHERE: Final = [kind for kind in CHECKS if kind != "local"]
"""Those that must ask somebody else, whom they cannot reach here."""
PATIENCE: Final = 20.0
SECRET: Final = b"a shared secret"
LOCAL: Final = LocalSettings(memory_kib=64, passes=1)
ALICE: Final = User(id=1, name="alice", password_hash=hasher(LOCAL).hash(b"hunter2"))
PEOPLE: Final = {"unknown": None, "known": ALICE, "without a password": replace(ALICE, password_hash=None)}

Opened = Callable[[str], BackendSettings]


@pytest.fixture
def settings_of(tmp_path: Path) -> Iterator[Opened]:
    """How each kind is opened where nobody answers: ports that are held and not served, and a folder without services.

    Nobody listens at the TCP port, so a connection is refused; the UDP port swallows what it gets, which is silence.
    """
    with socket.socket() as refusing, socket.socket(type=socket.SOCK_DGRAM) as silent:
        for held in (refusing, silent):
            held.bind(("127.0.0.1", 0))
        kinds: dict[str, BackendSettings] = {
            "ldap": LdapSettings(
                name="directory",
                servers=(f"ldap://127.0.0.1:{refusing.getsockname()[1]}",),
                search_base="dc=example,dc=org",
                connect_timeout=0.2,
                timeout=0.2,
            ),
            "local": LOCAL,
            "none": NoneSettings(),
            "pam": PamSettings(folder=tmp_path),
            "radius": RadiusSettings(
                name="upstream",
                servers=(UpstreamServer("127.0.0.1", silent.getsockname()[1], SECRET),),
                timeout=0.05,
            ),
        }
        yield kinds.__getitem__


@dataclass
class Asked:
    """A backend on a running loop, what was answered, and what it has said for the log."""

    backend: Primary
    answers: SimpleQueue[PrimaryAnswer] = field(default_factory=SimpleQueue)
    said: list[tuple[str, str]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self, question: Question) -> None:
        """Ask, and do not wait."""
        loop = asyncio.get_running_loop()

        def done(answer: PrimaryAnswer) -> None:
            self.answers.put(answer)
            loop.call_soon_threadsafe(self.came.set)

        self.backend.verify(question, done)

    async def answered(self) -> None:
        """Wait until there is an answer."""
        async with asyncio.timeout(PATIENCE):
            await self.came.wait()

    async def end(self) -> list[PrimaryAnswer]:
        """Close, give whatever is still on its way a chance to come, and return all answers."""
        self.backend.close()
        for _ in range(5):
            await asyncio.sleep(0)
        return [self.answers.get_nowait() for _ in range(self.answers.qsize())]


def opened(settings: BackendSettings) -> Asked:
    """Open a backend as the daemon does."""
    said: list[tuple[str, str]] = []
    try:
        backend = open_primary(settings, lambda level, sentence: said.append((level, sentence)))
    except OSError as error:
        if settings.kind == "pam":
            pytest.skip(f"needs Debian package libpam0g 1.4 or later ({error})")
        raise
    return Asked(backend, said=said)


def answers_to(settings: BackendSettings, question: Question, *, closed: bool = False) -> list[PrimaryAnswer]:
    """Ask once, wait, close, and return every answer that ever came."""

    async def asked() -> list[PrimaryAnswer]:
        asking = opened(settings)
        if closed:
            asking.backend.close()
        asking.ask(question)
        await asking.answered()
        return await asking.end()

    return asyncio.run(asked())


def test_every_backend_is_under_test(settings_of: Opened) -> None:
    """The folder is really looked into, and a backend that nobody can open here is noticed."""
    assert set(KINDS) >= {"ldap", "local", "none", "pam", "radius"}
    assert [settings_of(kind).kind for kind in KINDS] == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_backend_is_found_by_its_name(kind: str, settings_of: Opened) -> None:
    """Each file offers ``open_backend`` and says in its first lines what it is; its class says what it promises."""
    module = importlib.import_module(f"radiusd2fa.primary.{kind}")
    assert callable(module.open_backend)
    assert module.__doc__

    async def looked_at() -> None:
        backend = opened(settings_of(kind)).backend
        assert type(backend).__doc__
        assert type(backend).verify.__doc__
        assert type(backend).close.__doc__
        backend.close()

    asyncio.run(looked_at())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", PEOPLE.values(), ids=PEOPLE.keys())
@pytest.mark.parametrize("password", [b"hunter2", b"hunter3", b"", b"\xff\0\xfe", b"x" * 128, b"x" * 200, None])
def test_every_question_has_exactly_one_answer(
    kind: str, user: User | None, password: bytes | None, settings_of: Opened
) -> None:
    """Whoever and whatever is asked about, ``done`` is called once, reachable or not."""
    assert len(answers_to(settings_of(kind), Question("alice", password, user))) == 1


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("user", PEOPLE.values(), ids=PEOPLE.keys())
def test_an_empty_password_is_refused(kind: str, user: User | None, settings_of: Opened) -> None:
    """Nobody is asked about an empty password, so it is REFUSED even where nobody can be reached."""
    (answer,) = answers_to(settings_of(kind), Question("alice", b"", user))
    assert answer.verdict is Verdict.REFUSED
    assert answer.account is None


@pytest.mark.parametrize("kind", ELSEWHERE)
@pytest.mark.parametrize("user", PEOPLE.values(), ids=PEOPLE.keys())
@pytest.mark.parametrize("password", [b"hunter2", b"hunter3", b"\0", b"x" * 128])
def test_whom_nobody_can_be_asked_about_does_not_pass(
    kind: str, user: User | None, password: bytes, settings_of: Opened
) -> None:
    """An unreachable server passes nobody: not even whom the store has a password for. A real password is no answer."""
    (answer,) = answers_to(settings_of(kind), Question("alice", password, user))
    expected = {Verdict.UNAVAILABLE} if password == b"hunter2" else {Verdict.UNAVAILABLE, Verdict.REFUSED}
    assert answer.verdict in expected
    assert answer.account is None


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_who_looks_accounts_up_needs_somebody_to_ask(kind: str, settings_of: Opened) -> None:
    """Without a password, PASSED would mean that the account is still there; nobody says that unasked.

    A backend that has no question for that says PASSED, and says of itself that it looks nobody up.
    """
    settings = settings_of(kind)
    (answer,) = answers_to(settings, Question("alice", None, ALICE))
    assert answer.verdict is (Verdict.UNAVAILABLE if looks_up(settings) else Verdict.PASSED)
    assert answer.account is None


@pytest.mark.parametrize("password", [b"hunter2", b"hunter3", b"", b"\0", b"x" * 128])
def test_somebody_unknown_is_refused_like_a_wrong_password(password: bytes, settings_of: Opened) -> None:
    """No password of ours passes for nobody, and the answer is that to a wrong one."""
    unknown = answers_to(settings_of("local"), Question("alice", password, None))
    wrong = answers_to(settings_of("local"), Question("alice", password or b"hunter3", replace(ALICE, name="bob")))
    assert [answer.verdict for answer in unknown] == [Verdict.REFUSED]
    if password != b"hunter2":
        assert unknown == wrong


@pytest.mark.parametrize("name", ["al\0ice", " alice", "alice ", "", "a" * 254, "@example.org"])
@pytest.mark.parametrize("kind", CHECKS)
def test_a_name_that_is_nobodys_passes_nowhere(kind: str, name: str, settings_of: Opened) -> None:
    """Names that core.names would never let through do no harm should one come all the same."""
    (answer,) = answers_to(settings_of(kind), Question(name, b"hunter2", None))
    assert answer.verdict in {Verdict.REFUSED, Verdict.UNAVAILABLE}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("user", PEOPLE.values(), ids=PEOPLE.keys())
@pytest.mark.parametrize("password", [b"hunter2", b"", None])
def test_a_closed_backend_is_unavailable(
    kind: str, user: User | None, password: bytes | None, settings_of: Opened
) -> None:
    """After ``close`` nobody passes and nobody is refused; closing twice does no harm."""
    answers = answers_to(settings_of(kind), Question("alice", password, user), closed=True)
    assert answers == [PrimaryAnswer(Verdict.UNAVAILABLE)]


@pytest.mark.parametrize("kind", KINDS)
def test_closing_leaves_nobody_without_an_answer(kind: str, settings_of: Opened) -> None:
    """Whoever is waited for when the end comes gets one answer each, and nobody a second one."""

    async def asked() -> list[PrimaryAnswer]:
        asking = opened(settings_of(kind))
        for _ in range(20):
            asking.ask(Question("alice", b"hunter3", ALICE))
        return await asking.end()

    answers = asyncio.run(asked())
    assert len(answers) == 20
    if kind in CHECKS:
        assert {answer.verdict for answer in answers} <= {Verdict.REFUSED, Verdict.UNAVAILABLE}


@pytest.mark.parametrize("kind", KINDS)
def test_no_backend_prints_a_secret(kind: str, settings_of: Opened) -> None:
    """Neither the backend, nor its answer, nor what it says for the log shows what it was asked about."""

    async def shown() -> str:
        asking = opened(settings_of(kind))
        asking.ask(question := Question("alice", b"hunter2", ALICE))
        await asking.answered()
        return f"{asking.backend!r} {await asking.end()!r} {asking.said!r} {question!r}"

    words = asyncio.run(shown())
    assert "hunter2" not in words
    assert "argon2id$" not in words
    assert SECRET.decode() not in words
