"""The real libpam with services of the test's own: who passes, who is refused, what is no answer, and what hangs.

Scripts stand in for modules that check a password; those of Linux-PAM say what else PAM can say. What hangs waits for a
byte in a fifo, and is let go by it. pam_start(3), pam_conv(3), pam_exec(8), pam_debug(8).
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import grp
import os
import pwd
import shlex
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, ParamSpec, Self

import pytest

from radiusd2fa import libpam
from radiusd2fa.core.model import Account, PrimaryAnswer, Reason, User, Verdict
from radiusd2fa.libpam import Conversation, group_ids
from radiusd2fa.primary import Question
from radiusd2fa.primary.pam import PamPasswords, open_backend
from radiusd2fa.settings import PamSettings
from tests.clients.machines import needs_namespaces


def _has_pam() -> bool:
    try:
        ctypes.CDLL("libpam.so.0")
    except OSError:
        return False
    return bool(list(Path("/").glob("*/*/security/pam_debug.so")) or list(Path("/").glob("*/security/pam_debug.so")))


pytestmark = pytest.mark.skipif(not _has_pam(), reason="needs Debian package libpam-modules")

PATIENCE: Final = 20.0
FAIR: Final = 0.5
"""Seconds after which the backend gives a conversation up; others must have been held within this time."""
NAME: Final = pwd.getpwuid(os.getuid()).pw_name
"""Somebody whom every host knows."""
HUNTER: Final = Question(NAME, b"hunter2")
NOBODY: Final = Question("nobody-of-that-name", b"hunter2")
UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)
REFUSED: Final = PrimaryAnswer(Verdict.REFUSED)

P = ParamSpec("P")


def refused(reason: Reason) -> PrimaryAnswer:
    """A refusal of which the log knows more."""
    return PrimaryAnswer(Verdict.REFUSED, reason=reason)


def played(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on an event loop of its own."""

    @functools.wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), PATIENCE))

    return run


class Host:
    """A folder of services, and the scripts that they run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "pam.d").mkdir()
        self.let_go = folder / "let-go"
        self.begun = folder / "begun"

    def service(self, name: str, *lines: str) -> PamSettings:
        """Write a service and return the settings that name it; nobody waits for their timeout unless changed."""
        (self.folder / "pam.d" / name).write_text("".join(f"{line}\n" for line in lines))
        return PamSettings(service=name, folder=self.folder / "pam.d", timeout=PATIENCE)

    def script(self, name: str, *lines: str) -> PamSettings:
        """Write a service that gives the password to this shell script and does what that says."""
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in ("#!/bin/sh", *lines)))
        path.chmod(0o700)
        return self.service(
            name,
            # by itself pam_exec calls it a system error when a script says no
            f"auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {path}",
            "auth requisite pam_deny.so",
            "auth required pam_permit.so",
            "account required pam_permit.so",
        )

    def checking(self) -> PamSettings:
        """Write a service for which the password is hunter2, of whoever it is."""
        return self.script("checking", 'test "$(cat)" = hunter2')

    def hanging(self) -> PamSettings:
        """Write a service that says when it has begun, and then waits to be let go."""
        begun, let_go = shlex.quote(str(self.begun)), shlex.quote(str(self.let_go))
        return self.script("hanging", f"echo > {begun}", f"read -r line < {let_go}")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host whose services are the test's."""
    return Host(tmp_path)


class Fifos:
    """Tells when a conversation hangs, and lets hanging ones go."""

    def __init__(self, host: Host) -> None:
        self._begun = self._open(host.begun)
        self._let_go = self._open(host.let_go)

    def _open(self, path: Path) -> int:
        os.mkfifo(path, 0o600)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)  # both ends, so that no script waits for the other

    async def until_begun(self, count: int) -> None:
        """Wait until so many conversations hang."""
        loop = asyncio.get_running_loop()
        while count:
            readable = asyncio.Event()
            loop.add_reader(self._begun, readable.set)
            await readable.wait()
            loop.remove_reader(self._begun)
            count -= len(os.read(self._begun, count))

    def let_go(self, count: int) -> None:
        os.write(self._let_go, b"\n" * count)

    def close(self) -> None:
        """Let everything go that might still hang."""
        self.let_go(64)
        os.close(self._begun)
        for thread in threading.enumerate():
            if thread.name.startswith("pam-"):
                thread.join(PATIENCE)
        os.close(self._let_go)


@pytest.fixture
def fifos(host: Host) -> Iterator[Fifos]:
    """What the hanging service of the host waits for."""
    fifos = Fifos(host)
    yield fifos
    fifos.close()


class Backend:
    """An open backend, what it has answered, and what it has said."""

    def __init__(self, settings: PamSettings) -> None:
        self.said: list[tuple[str, str]] = []
        self.answers: list[PrimaryAnswer] = []
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.primary: PamPasswords = open_backend(settings, self._say)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.primary.close()

    def begin(self, question: Question = HUNTER) -> asyncio.Future[PrimaryAnswer]:
        """Ask; every answer is kept, also a second one to the same question."""
        future: asyncio.Future[PrimaryAnswer] = self._loop.create_future()

        def done(answer: PrimaryAnswer) -> None:
            assert threading.current_thread() is threading.main_thread()
            self.answers.append(answer)
            if not future.done():
                future.set_result(answer)

        self.primary.verify(question, done)
        return future

    def at_once(self, question: Question = HUNTER) -> PrimaryAnswer:
        """Ask; the answer must be there before anybody could have been asked."""
        future = self.begin(question)
        assert future.done()
        return future.result()

    async def until_said(self, words: str) -> None:
        """Wait for a sentence with these words in it."""
        while not self.told(words):
            self._told.clear()
            await self._told.wait()

    def told(self, words: str) -> list[str]:
        """What was said with these words in it."""
        return [sentence for _, sentence in self.said if words in sentence]

    def _say(self, level: str, sentence: str) -> None:
        self.said.append((level, sentence))
        self._told.set()


def ask(settings: PamSettings, question: Question = HUNTER) -> tuple[PrimaryAnswer, list[str]]:
    """Ask once; return the answer, and what was said to the log."""

    async def conversation() -> tuple[PrimaryAnswer, list[str]]:
        async with Backend(settings) as backend:
            answer = await backend.begin(question)
            return answer, [sentence for _, sentence in backend.said]

    return asyncio.run(asyncio.wait_for(conversation(), PATIENCE))


def threads_of(settings: PamSettings) -> list[threading.Thread]:
    """The backend's threads that are still there."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"{settings.name}-")]


# --- what is not asked -----------------------------------------------------------------------------------------------

NOT_ASKED: Final = {
    "empty": (replace(HUNTER, password=b""), refused(Reason.EMPTY_PASSWORD)),
    "NUL at the end": (replace(HUNTER, password=b"hunter2\0"), REFUSED),
    "NUL within": (replace(HUNTER, password=b"hunter2\0x"), REFUSED),
    "129 octets": (replace(HUNTER, password=b"x" * 129), REFUSED),
    "no name": (replace(HUNTER, name=""), refused(Reason.BAD_NAME)),
    "NUL in the name": (replace(HUNTER, name=f"{NAME}\0x"), refused(Reason.BAD_NAME)),
    "a name of 254 octets": (replace(HUNTER, name="ö" * 127), refused(Reason.BAD_NAME)),
    "no name before the realm": (replace(HUNTER, name="@example.org"), refused(Reason.BAD_NAME)),
    "a blank before the realm": (replace(HUNTER, name=f"{NAME} @example.org"), refused(Reason.BAD_NAME)),
    "no such account": (replace(NOBODY, password=None), refused(Reason.ACCOUNT_UNKNOWN)),
}


@pytest.mark.parametrize(("question", "answer"), NOT_ASKED.values(), ids=NOT_ASKED.keys())
def test_what_a_c_string_would_change_is_refused(host: Host, question: Question, answer: PrimaryAnswer) -> None:
    """Not even a service that permits everything is asked about an empty password, a NUL, or a name that is none."""
    permitting = host.service("permit", "auth required pam_permit.so", "account required pam_permit.so")
    assert ask(replace(permitting, strip_realm=True), question) == (answer, [])


def test_without_a_service_of_its_own_there_is_no_answer(host: Host) -> None:
    """PAM would take the service ``other`` instead, which nobody has written for this; the log says what is missing."""
    host.service("other", "auth required pam_permit.so", "account required pam_permit.so")
    settings = replace(host.checking(), service="missing")
    answer, said = ask(settings)
    assert answer == UNAVAILABLE
    assert said == ["pam: service missing: PAM has no file for this service"]


def test_the_usual_folder_is_that_of_the_host() -> None:
    """Without a folder in the settings, no service of that name is found on this host."""
    answer, said = ask(PamSettings(service="radiusd2fa-no-such-service", timeout=PATIENCE))
    assert (answer, len(said)) == (UNAVAILABLE, 1)


# --- passwords -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [b"hunter3", b"Hunter2", b"hunter2 ", b" hunter2", b"hunter", b"\xff", b"x" * 128])
def test_a_wrong_password_is_refused(host: Host, password: bytes) -> None:
    """What the service does not take is refused, and the log has nothing to say."""
    assert ask(host.checking(), replace(HUNTER, password=password)) == (REFUSED, [])


def test_the_right_password_passes_with_the_hosts_account(host: Host) -> None:
    """The person's user id binds their tokens, and the host's groups are theirs."""
    answer, said = ask(host.checking())
    assert answer.verdict is Verdict.PASSED
    assert answer.account is not None
    assert answer.account.id == f"uid:{os.getuid()}"
    assert set(answer.account.groups or ()) == {grp.getgrgid(one).gr_name for one in os.getgrouplist(NAME, os.getgid())}
    assert said == []


def test_somebody_whom_only_pam_knows_passes_without_an_id(host: Host) -> None:
    """PAM's accounts need not be the host's."""
    assert ask(host.checking(), NOBODY) == (PrimaryAnswer(Verdict.PASSED, account=Account()), [])


def test_somebody_whom_the_host_knew_before_must_be_known(host: Host) -> None:
    """While the host does not know whose name that is, tokens that are bound to a user id are nobody's."""
    bound = User(id=1, name=NOBODY.name, source="pam", directory_id="uid:1000")
    assert ask(host.checking(), replace(NOBODY, user=bound))[0] == UNAVAILABLE
    for other in (replace(bound, directory_id=None), replace(bound, source="local")):
        assert ask(host.checking(), replace(NOBODY, user=other))[0].verdict is Verdict.PASSED


def test_pam_is_told_the_name_and_where_the_person_sits(host: Host) -> None:
    """The realm is taken away where the settings say so; a printable Calling-Station-Id is PAM_RHOST."""
    test = f'test "$PAM_USER:$PAM_RHOST:$PAM_SERVICE:$(cat)" = {NAME}:192.0.2.7:checking:hunter2'
    settings = host.script("checking", test)
    station = replace(HUNTER, name=f"{NAME}@example.org", attributes=((31, b"192.0.2.7"),))
    assert ask(replace(settings, strip_realm=True), station)[0].verdict is Verdict.PASSED
    assert ask(settings, station)[0] == REFUSED
    assert ask(replace(settings, strip_realm=True), replace(station, attributes=()))[0] == REFUSED


@pytest.mark.parametrize("station", [b"a\nb", b"a\0b", b"\xff", b"", None])
def test_a_station_that_is_no_text_is_not_told(host: Host, station: bytes | None) -> None:
    """What could break a line of another program's log stays here."""
    settings = host.script("nowhere", 'test -z "$PAM_RHOST"')
    attributes = () if station is None else ((31, station),)
    assert ask(settings, replace(HUNTER, attributes=attributes))[0].verdict is Verdict.PASSED


# --- what PAM can say ------------------------------------------------------------------------------------------------

SAYS: Final = {
    "auth=auth_err": REFUSED,
    "auth=maxtries": REFUSED,
    "auth=perm_denied": REFUSED,
    "auth=user_unknown": refused(Reason.ACCOUNT_UNKNOWN),
    "auth=acct_expired": refused(Reason.ACCOUNT_EXPIRED),
    "auth=new_authtok_reqd acct=new_authtok_reqd": refused(Reason.PASSWORD_EXPIRED),
    "auth=cred_expired": refused(Reason.PASSWORD_EXPIRED),
    "auth=authtok_expired": refused(Reason.PASSWORD_EXPIRED),
    "acct=auth_err": REFUSED,
    "acct=perm_denied": REFUSED,
    "acct=user_unknown": refused(Reason.ACCOUNT_UNKNOWN),
    "acct=acct_expired": refused(Reason.ACCOUNT_EXPIRED),
    "acct=new_authtok_reqd": refused(Reason.PASSWORD_EXPIRED),
    "acct=authtok_expired": refused(Reason.PASSWORD_EXPIRED),
    "auth=authinfo_unavail": UNAVAILABLE,
    "auth=system_err": UNAVAILABLE,
    "auth=service_err": UNAVAILABLE,
    "auth=buf_err": UNAVAILABLE,
    "auth=cred_insufficient": UNAVAILABLE,
    "auth=conv_err": UNAVAILABLE,
    "auth=abort": UNAVAILABLE,
    "auth=ignore": UNAVAILABLE,
    "auth=try_again": UNAVAILABLE,
    "acct=authinfo_unavail": UNAVAILABLE,
    "acct=system_err": UNAVAILABLE,
    "acct=ignore": UNAVAILABLE,
}


@pytest.mark.parametrize(("words", "answer"), SAYS.items(), ids=SAYS.keys())
def test_what_pam_says_is_a_refusal_with_its_reason_or_no_answer(host: Host, words: str, answer: PrimaryAnswer) -> None:
    """A no about the person is REFUSED; trouble is UNAVAILABLE and named in the log; an ignored check passes nobody."""
    module = f"pam_debug.so {words}"
    said_of, said = ask(host.service("says", f"auth required {module}", f"account required {module}"))
    # PAM itself turns what nobody has answered into a denial
    assert said_of == (REFUSED if words.endswith("=ignore") else answer)
    assert len(said) == (said_of == UNAVAILABLE)
    if said:
        assert said[0].startswith("pam: service says: PAM answers '")


def test_the_account_is_looked_at_even_with_the_right_password(host: Host) -> None:
    """Authentication alone lets nobody in; neither does the account alone."""
    permit, deny = "required pam_permit.so", "required pam_deny.so"
    assert ask(host.service("one", f"auth {permit}", f"account {deny}"))[0] == REFUSED
    assert ask(host.service("two", f"auth {deny}", f"account {permit}"))[0] == REFUSED
    assert ask(host.service("three", f"auth {permit}"))[0].verdict is not Verdict.PASSED
    assert ask(host.service("four", f"auth {permit}", f"account {permit}"))[0].verdict is Verdict.PASSED


def test_without_a_password_only_the_account_is_looked_at(host: Host) -> None:
    """An account that the host knows and PAM does not object to passes; no password is asked for."""
    question = replace(HUNTER, password=None)
    answer, _ = ask(host.service("one", "auth required pam_deny.so", "account required pam_permit.so"), question)
    assert answer.verdict is Verdict.PASSED
    assert answer.account is not None
    assert answer.account.id == f"uid:{os.getuid()}"
    settings = host.service("two", "auth required pam_permit.so", "account required pam_debug.so acct=acct_expired")
    assert ask(settings, question)[0] == refused(Reason.ACCOUNT_EXPIRED)


def test_a_module_that_is_missing_is_no_answer(host: Host) -> None:
    """A service that cannot be loaded lets nobody in and refuses nobody."""
    settings = host.service("broken", "auth required pam_no_such_module.so", "account required pam_permit.so")
    assert ask(settings)[0].verdict is not Verdict.PASSED


def test_a_module_that_puts_another_user_in_place_lets_nobody_in(host: Host) -> None:
    """Who was authenticated must be who was asked about; the log says that it was not."""
    other = f"auth required pam_ftp.so users=mallory,{NAME}"
    answer, said = ask(host.service("other-user", other, "account required pam_permit.so"))
    assert answer == REFUSED
    assert any("another user" in sentence for sentence in said)
    same = f"auth required pam_ftp.so users={NAME}"
    assert ask(host.service("same-user", same, "account required pam_permit.so"))[0].verdict is Verdict.PASSED


def test_a_module_that_asks_for_more_has_no_answer(host: Host) -> None:
    """The password is given once; a second question fails, and the log says why nobody can log in."""
    line = f"auth required pam_ftp.so users={NAME}"
    answer, said = ask(host.service("twice", line, line, "account required pam_permit.so"))
    assert answer == UNAVAILABLE
    assert said == ["pam: service twice: a module asks for more than one password, which nobody can answer"]


def test_a_refusal_does_not_put_a_thread_to_sleep(host: Host) -> None:
    """The delay that modules ask for after a wrong password is not ours: an hour of it would outlast this test."""
    lines = ("auth optional pam_faildelay.so delay=3600000000", "auth required pam_deny.so")
    assert ask(host.service("slow", *lines, "account required pam_permit.so"))[0] == REFUSED


# --- the conversation itself -----------------------------------------------------------------------------------------

ECHO_OFF, ECHO_ON, ERROR, INFO = 1, 2, 3, 4
SUCCESS, CONV_ERR = 0, 19


def converse(conversation: Conversation, *styles: int) -> tuple[int, list[bytes | None]]:
    """Put these messages as libpam does; return its status and the answers, freed as libpam frees them."""
    messages = [libpam._Message(style, b"?") for style in styles]
    pointers = (ctypes.POINTER(libpam._Message) * max(1, len(styles)))(*map(ctypes.pointer, messages))
    block = ctypes.c_void_p()
    status = conversation.converse(len(styles), pointers, ctypes.pointer(block), None)  # type: ignore[arg-type]
    if status != SUCCESS:
        assert block.value is None
        return status, []
    assert block.value is not None
    responses = (libpam._Response * len(styles)).from_address(block.value)
    texts = [None if one.text is None else ctypes.string_at(one.text) for one in responses]
    for one in responses:
        libpam._libc.free(one.text)
    libpam._libc.free(block.value)
    return status, texts


@pytest.mark.parametrize(
    "styles", [(ECHO_ON,), (ECHO_OFF, ECHO_OFF), (ECHO_OFF, ECHO_ON), (5,), (7,), (0,), (-1,), (), (INFO,) * 33]
)
def test_what_is_no_question_for_one_password_fails(styles: tuple[int, ...]) -> None:
    """Anything that would need another answer is an error for the module, and nothing is left allocated."""
    assert converse(Conversation(b"hunter2"), *styles) == (CONV_ERR, [])


def test_the_password_is_given_once() -> None:
    """The first question that hides its answer gets the password; the next one gets nothing."""
    conversation = Conversation(b"hunter2\xff")
    assert converse(conversation, ECHO_OFF) == (SUCCESS, [b"hunter2\xff"])
    assert not conversation.asked_for_more
    assert converse(conversation, ECHO_OFF) == (CONV_ERR, [])
    assert conversation.asked_for_more


def test_texts_are_read_by_nobody() -> None:
    """Information and errors are acknowledged, before, beside and after the question."""
    conversation = Conversation(b"hunter2")
    assert converse(conversation, INFO, ERROR) == (SUCCESS, [None, None])
    assert converse(conversation, INFO, ECHO_OFF, ERROR) == (SUCCESS, [None, b"hunter2", None])
    assert converse(conversation, INFO) == (SUCCESS, [None])
    assert not conversation.asked_for_more


def test_without_a_password_every_question_fails() -> None:
    """When only the account is looked at, there is nothing to say."""
    assert converse(Conversation(None), ECHO_OFF) == (CONV_ERR, [])


def test_a_bug_in_the_conversation_is_no_success() -> None:
    """What ctypes returns for an exception would be PAM_SUCCESS."""
    conversation = Conversation(b"hunter2")
    assert conversation.converse(1, None, None, None) == CONV_ERR  # type: ignore[arg-type]


def test_groups_are_those_of_the_host() -> None:
    """The same as os.getgrouplist, also where there are more than were made room for; nobody has only the first."""
    assert sorted(group_ids(NAME.encode(), os.getgid())) == sorted(os.getgrouplist(NAME, os.getgid()))
    assert group_ids(b"nobody-of-that-name", 12345) == [12345]


# --- what hangs ------------------------------------------------------------------------------------------------------


@played
async def test_a_conversation_that_hangs_is_given_up(host: Host, fifos: Fifos) -> None:
    """After the timeout there is no answer, and other logins go on meanwhile."""
    settings = replace(host.hanging(), timeout=FAIR, calls=2)
    async with Backend(settings) as backend:
        assert await backend.begin() == UNAVAILABLE
        assert backend.told("PAM has not answered within 0.5 s")
        await fifos.until_begun(1)
        host.service("hanging", "auth required pam_permit.so", "account required pam_permit.so")
        assert [(await backend.begin()).verdict for _ in range(3)] == [Verdict.PASSED] * 3


@played
async def test_with_all_threads_stuck_there_is_no_answer_at_once(host: Host, fifos: Fifos) -> None:
    """Nobody waits for threads that PAM does not give back; the log says so, and when it is over."""
    settings = replace(host.hanging(), timeout=FAIR, calls=2, queue=4)
    async with Backend(settings) as backend:
        begun = [backend.begin() for _ in range(5)]
        assert await asyncio.gather(*begun) == [UNAVAILABLE] * 5
        await fifos.until_begun(2)
        for _ in range(50):
            assert backend.at_once() == UNAVAILABLE
        assert len(backend.told("gives none of 2 conversations back")) == 1
        assert len(threads_of(settings)) == 2
        fifos.let_go(2)
        await backend.until_said("gives conversations back again")
        host.service("hanging", "auth required pam_permit.so", "account required pam_permit.so")
        assert (await backend.begin()).verdict is Verdict.PASSED
        assert len(backend.answers) == 56  # what PAM says late reaches nobody


@played
async def test_who_waits_and_how_many_is_bounded(host: Host, fifos: Fifos) -> None:
    """So many conversations at a time, so many waiting; the rest is UNAVAILABLE at once, and afterwards all is well."""
    settings = replace(host.hanging(), calls=2, queue=3)
    async with Backend(settings) as backend:
        begun = [backend.begin() for _ in range(5)]
        await fifos.until_begun(2)
        for _ in range(50):
            assert backend.at_once() == UNAVAILABLE
        assert len(backend.told("3 logins wait for PAM")) == 1
        assert not any(future.done() for future in begun)
        fifos.let_go(5)
        assert {answer.verdict for answer in await asyncio.gather(*begun)} == {Verdict.PASSED}


@played
async def test_closing_waits_for_nothing_and_answers_everybody_once(host: Host, fifos: Fifos) -> None:
    """Who waits is UNAVAILABLE at once, stuck threads end when PAM lets them, idle ones at once."""
    settings = replace(host.hanging(), calls=3)
    async with Backend(settings) as backend:
        begun = [backend.begin() for _ in range(2)]
        await fifos.until_begun(2)
        backend.primary.close()
        backend.primary.close()
        assert [future.result() for future in begun] == [UNAVAILABLE] * 2
        for question in (HUNTER, replace(HUNTER, password=b""), replace(HUNTER, password=None)):
            assert backend.at_once(question) == UNAVAILABLE
        fifos.let_go(2)
        for thread in threads_of(settings):
            await asyncio.to_thread(thread.join, PATIENCE)
        assert threads_of(settings) == []
        assert len(backend.answers) == 5


def test_a_daemon_that_has_ended_leaves_no_thread_behind(host: Host, fifos: Fifos) -> None:
    """A conversation that outlives the event loop ends without a word."""
    settings = host.hanging()

    async def begin() -> None:
        async with Backend(settings) as backend:
            backend.begin()
            await fifos.until_begun(1)

    asyncio.run(asyncio.wait_for(begin(), PATIENCE))
    fifos.let_go(1)
    for thread in threads_of(settings):
        thread.join(PATIENCE)
    assert threads_of(settings) == []


@played
async def test_nothing_is_left_open(host: Host) -> None:
    """Many conversations, right and wrong, some at the same time: no descriptor and no thread more than before."""
    settings = replace(host.checking(), calls=2, queue=64)

    def open_now() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with Backend(settings) as backend:
        assert (await backend.begin()).verdict is Verdict.PASSED
        before = open_now()
        questions = [HUNTER, replace(HUNTER, password=b"hunter3")] * 20
        answers = await asyncio.gather(*map(backend.begin, questions))
        assert [answer.verdict for answer in answers] == [Verdict.PASSED, Verdict.REFUSED] * 20
        assert open_now() == before
        assert len(threads_of(settings)) == 2


@played
async def test_a_bug_in_a_thread_is_no_answer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread goes on, nobody passes, and the log names the kind of the error and nothing that it holds."""

    def broken(*_: object) -> None:
        raise ValueError("hunter2")

    async with Backend(replace(host.checking(), calls=1)) as backend:
        with monkeypatch.context() as patch:
            patch.setattr(libpam.LibPam, "check", broken)
            assert await backend.begin() == UNAVAILABLE
        assert backend.said == [("warning", "pam: service checking: ValueError in a conversation")]
        assert (await backend.begin()).verdict is Verdict.PASSED


@played
async def test_no_password_is_printed(host: Host) -> None:
    """Neither the backend, nor an answer, nor what it says shows what it was asked about."""
    async with Backend(host.service("says", "auth required pam_debug.so auth=system_err")) as backend:
        answer = await backend.begin()
        assert "hunter2" not in f"{backend.primary!r} {vars(backend.primary)!r} {answer!r} {backend.said!r} {HUNTER!r}"


@pytest.mark.parametrize("trouble", ["missing", "old"])
def test_a_host_without_a_fitting_libpam_is_told_so(host: Host, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    """The backend does not open where it could never answer."""
    settings = host.checking()

    class Old:
        """A libpam in which pam_start_confdir is missing."""

        pam_start = ctypes.CDLL("libpam.so.0").pam_start

    def load(name: str) -> Old:
        if trouble == "missing":
            raise OSError(f"{name}: cannot open shared object file")
        return Old()

    monkeypatch.setattr("radiusd2fa.libpam.ctypes.CDLL", load)

    async def opening() -> None:
        open_backend(settings, lambda *_: None)

    with pytest.raises(OSError, match="libpam"):
        asyncio.run(opening())


HANGING_GROUPS: Final = """
import asyncio, os, sys
from pathlib import Path
from radiusd2fa.primary import Question
from radiusd2fa.primary.pam import open_backend
from radiusd2fa.settings import PamSettings

async def main():
    settings = PamSettings(service="permit", folder=Path(sys.argv[1]), timeout=0.1)
    backend = open_backend(settings, lambda *_: None)
    answers = asyncio.Queue()
    backend.verify(Question("root", b"hunter2"), answers.put_nowait)
    print((await answers.get()).verdict, flush=True)
    os._exit(0)

asyncio.run(main())
"""


@needs_namespaces
def test_a_group_database_that_hangs_stops_nobody_else(host: Host) -> None:
    """While a directory behind NSS is slow the daemon goes on: the call that finds groups lets other threads run."""
    host.service("permit", "auth required pam_permit.so", "account required pam_permit.so")
    hanging = host.folder / "group"
    os.mkfifo(hanging, 0o600)
    within = 'mount --bind "$1" /etc/group; shift; exec "$@"'
    command = ["unshare", "--mount", "sh", "-euc", within, "sh", str(hanging), sys.executable, "-c"]
    done = subprocess.run(
        [*command, textwrap.dedent(HANGING_GROUPS), str(host.folder / "pam.d")],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stdout == "unavailable\n", done.stderr
