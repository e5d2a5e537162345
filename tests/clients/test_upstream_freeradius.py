"""FreeRADIUS as the upstream of the radius backend: what it makes of our requests, and we of its replies.

It demands a Message-Authenticator of us and drops what is signed with another secret. What it does not do by itself,
a scripted upstream does in tests/primary/test_radius.py. RFC 2865 4 and 5.24, RFC 3579 3.2, RFC 5997.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.model import Account, PrimaryAnswer, Relay, Verdict
from radiusd2fa.home_server import SILENT_REQUESTS
from radiusd2fa.primary import Question
from radiusd2fa.primary.radius import open_backend
from radiusd2fa.settings import RadiusSettings, UpstreamServer
from tests.daemon.wire import PATIENCE

from .freeradius import CODE, PASSWORD, HomeServer, home_server, needs_freeradius

pytestmark = needs_freeradius

SHORT: Final = 0.1
ALICE: Final = Question("alice", PASSWORD.encode(), attributes=((32, b"vpn"), (31, b"192.0.2.7")))
PASSED: Final = PrimaryAnswer(Verdict.PASSED, account=Account())
REFUSED: Final = PrimaryAnswer(Verdict.REFUSED)
UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeServer]:
    """A FreeRADIUS that signs its replies, but for those to ``unsigned``."""
    with home_server(tmp_path_factory.mktemp("freeradius")) as server:
        yield server


def settings_for(*servers: UpstreamServer) -> RadiusSettings:
    """The backend's settings; a timeout that nobody waits for unless the test changes it."""
    return RadiusSettings("old", servers, timeout=PATIENCE)


def asked(
    settings: RadiusSettings, *questions: Question, until: str = "", then: Question = ALICE
) -> tuple[list[PrimaryAnswer], list[tuple[str, str]]]:
    """Ask one after the other; return the answers, and what was said to the log.

    With ``until`` the backend is kept open until it has said that, and then ``then`` is asked as well.
    """
    said: list[tuple[str, str]] = []

    async def conversation() -> list[PrimaryAnswer]:
        told = asyncio.Event()

        def say(level: str, sentence: str) -> None:
            said.append((level, sentence))
            if until and until in sentence:
                told.set()

        backend = open_backend(settings, say)
        answers: asyncio.Queue[PrimaryAnswer] = asyncio.Queue()
        found = []
        for question in questions:
            backend.verify(question, answers.put_nowait)
            found.append(await answers.get())
        if until:
            await told.wait()
            backend.verify(then, answers.put_nowait)
            found.append(await answers.get())
        backend.close()
        return found

    return asyncio.run(asyncio.wait_for(conversation(), PATIENCE)), said


def test_a_wrong_password_is_refused(server: HomeServer) -> None:
    """Access-Reject, for whatever is not exactly the password."""
    for wrong in (b"hunter3", b"HUNTER2", b"hunter2 ", b"x" * 128, "hunter2é".encode(), b"\xff"):
        assert asked(settings_for(server.upstream), replace(ALICE, password=wrong)) == ([REFUSED], [])


def test_nothing_that_ends_with_nul_is_asked(server: HomeServer) -> None:
    """FreeRADIUS would read the right password from it, for padding swallows the NUL."""
    assert asked(settings_for(server.upstream), replace(ALICE, password=b"hunter2\0"))[0] == [REFUSED]


def test_the_wrong_secret_is_silence(server: HomeServer) -> None:
    """Our requests are dropped, because their Message-Authenticator is wrong: no answer, and nobody is refused."""
    wrong = replace(server.upstream, secret=b"another secret altogether")
    assert asked(replace(settings_for(wrong), timeout=SHORT), ALICE)[0] == [UNAVAILABLE]


def test_a_server_that_does_not_answer_somebody_is_no_reason_to_let_them_in(server: HomeServer) -> None:
    """Silence is neither a yes nor a no."""
    silent = replace(ALICE, name="silent@example.org")
    assert asked(replace(settings_for(server.upstream), timeout=SHORT), silent)[0] == [UNAVAILABLE]


def test_an_unsigned_reply_is_thrown_away_unless_allowed(server: HomeServer) -> None:
    """An accept without a Message-Authenticator is not believed (CVE-2024-3596), and the log says what to do."""
    unsigned = replace(ALICE, name="unsigned@example.org")
    answers, said = asked(replace(settings_for(server.upstream), timeout=SHORT), unsigned)
    assert answers == [UNAVAILABLE]
    assert any("no Message-Authenticator" in sentence for _, sentence in said)
    observing = replace(settings_for(server.upstream), require_message_authenticator=False)
    assert asked(observing, unsigned)[0] == [PASSED]


def test_an_accept_passes_with_the_chosen_attributes(server: HomeServer) -> None:
    """Class and Cisco's come back as they were, keys and texts do not; our NAS was told of."""
    settings = replace(settings_for(server.upstream), pass_back=(18, 25, 26, 69))
    (answer,), said = asked(settings, ALICE)
    cisco = (9).to_bytes(4, "big") + b"\x01\x13shell:priv-lvl=15"
    assert answer == replace(PASSED, attributes=((25, b"staff of vpn 192.0.2.7"), (26, cisco)))
    assert said == []


def test_a_challenge_is_relayed(server: HomeServer) -> None:
    """Password, then the code of the old system: refused without its State or with a wrong code, else accepted."""
    settings = settings_for(server.upstream)
    carol = replace(ALICE, name="challenge@example.org")
    relay = Relay("Code of your old token: ", b"state of the old system", f"127.0.0.1:{server.upstream.port}")
    assert asked(settings, replace(carol, password=b"hunter3"))[0] == [REFUSED]
    assert asked(settings, carol)[0] == [PrimaryAnswer(Verdict.CHALLENGED, relay=relay)]
    answer = replace(carol, password=CODE.encode(), relay=relay)
    wrong = [
        replace(answer, password=b"755225"),
        replace(answer, password=b""),
        replace(answer, relay=replace(relay, state=b"another state")),
        replace(answer, relay=None),
    ]
    assert asked(settings, *wrong)[0] == [REFUSED] * 4
    assert asked(settings, answer)[0] == [PASSED]


def test_a_dead_server_is_followed_by_the_next(server: HomeServer) -> None:
    """Nobody listens at the first one's port: the second answers, without a wait."""
    dead = replace(server.upstream, port=1)
    assert asked(settings_for(dead, server.upstream), *[ALICE] * 5)[0] == [PASSED] * 5


def test_freeradius_answers_our_status_server(server: HomeServer) -> None:
    """After a few requests that it left unanswered it is asked how it is, and is back."""
    silent = replace(ALICE, name="silent@example.org")
    settings = replace(settings_for(server.upstream), timeout=0.5)
    answers, said = asked(settings, *[silent] * SILENT_REQUESTS, until="answers again", then=silent)
    assert answers == [UNAVAILABLE] * (SILENT_REQUESTS + 1)
    assert [level for level, _ in said] == ["error", "info"]


def test_a_server_without_status_server_is_tried_by_a_login(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where Status-Server is switched off, the login that tries it brings it back."""
    with home_server(tmp_path_factory.mktemp("freeradius"), status=False) as server:
        silent = replace(ALICE, name="silent@example.org")
        settings = replace(settings_for(server.upstream), timeout=0.5)
        answers, said = asked(settings, *[silent] * SILENT_REQUESTS, until="in a row")
        assert answers == [*[UNAVAILABLE] * SILENT_REQUESTS, PASSED]
        assert [level for level, _ in said] == ["error", "info"]
