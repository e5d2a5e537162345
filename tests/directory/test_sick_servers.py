"""Servers that hang, drip, ramble, lie or close: every step ends, nobody passes, and nothing is left behind.

The servers are scripts on the test's own loop; what they do to a client is what real ones do when they are ill. No
time is measured here: a test that waits for ever fails by its own end. RFC 4511, RFC 4513.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.model import PrimaryAnswer, Reason, Verdict
from radiusd2fa.directory import ber
from radiusd2fa.primary import Question
from radiusd2fa.settings import LdapSettings

from .certificates import Authority, Pair
from .logins import UNAVAILABLE, Voice, ask, connections_to, hasty, opened, patient, refused, run
from .scripted import (
    ALICE,
    Play,
    Script,
    Talk,
    bound,
    entry,
    extended,
    hang,
    result,
    saying,
    searched,
    server_context,
    serving,
)

PASSED: Final = Verdict.PASSED
SUCCESS: Final = ber.element(ber.SEQUENCE, ber.integer(1), bound())


async def _drip(talk: Talk) -> None:
    await talk.drip(SUCCESS + SUCCESS)


async def _half_close(talk: Talk) -> None:
    talk.writer.write_eof()
    await hang(talk)


async def _close(talk: Talk) -> None:
    raise EOFError


async def _reset(talk: Talk) -> None:
    talk.writer.transport.abort()


async def _garbage(talk: Talk) -> None:
    talk.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def _endless_entry(talk: Talk) -> None:
    """Begin an entry of two gigabytes and go on for ever."""
    talk.writer.write(bytes.fromhex("30847fffffff 020102 64847ffffff0"))
    while True:
        talk.writer.write(b"\x30\x00" * 4096)
        await talk.writer.drain()
        await asyncio.sleep(0)


async def _endless_entries(talk: Talk) -> None:
    while True:
        talk.answer(ALICE)
        await talk.writer.drain()
        await asyncio.sleep(0)


async def _endless_asides(talk: Talk) -> None:
    while True:
        talk.answer(ber.element(0x73, ber.octets("ldap://elsewhere/")))
        await talk.writer.drain()
        await asyncio.sleep(0)


async def _answer_to_another(talk: Talk) -> None:
    talk.answer(bound(), to=talk.asked.id + 1)


async def _goodbye(talk: Talk) -> None:
    notice = ber.octets("1.3.6.1.4.1.1466.20036", 0x8A)
    closed = ber.element(0x78, ber.integer(52, ber.ENUMERATED), ber.octets(""), ber.octets(""), notice)
    talk.answer(closed, to=0)
    await hang(talk)


SICK: Final[dict[str, Play]] = {
    "hangs": hang,
    "drips": _drip,
    "closes half": _half_close,
    "closes": _close,
    "resets": _reset,
    "speaks another protocol": _garbage,
    "has an entry without end": _endless_entry,
    "has entries without end": _endless_entries,
    "has references without end": _endless_asides,
    "answers another question": _answer_to_another,
    "takes its leave": _goodbye,
    "answers with another operation": saying(extended()),
    "is busy": saying(bound(51)),
    "is unavailable": saying(result(0x65, 52)),
    "refers elsewhere": saying(bound(10)),
    "refers searches elsewhere": saying(searched(10)),
    "has a fault": saying(bound(80), searched(80)),
    "wants another authentication": saying(bound(7)),
    "answers with an unknown code": saying(bound(4711)),
}


_ALIVE: Final = (("root", "refers searches elsewhere"),)
"""Any answer to a look at the root is a sign of life."""


@pytest.mark.parametrize(
    ("step", "name"),
    [(step, name) for step in ("root", "search", "bind", "who") for name in SICK if (step, name) not in _ALIVE],
)
def test_a_sick_server_passes_nobody(step: str, name: str) -> None:
    """Whatever goes wrong at whichever step: UNAVAILABLE, once, and never that a password was wrong."""

    async def test() -> None:
        script, voice = Script(), Voice()
        setattr(script, step, SICK[name])
        async with serving(script) as port, opened(hasty(port), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert voice.said
        assert "hunter2" not in voice

    run(test())


ENDLESS: Final = {
    "has an entry without end": "a message of no sensible length",
    "has entries without end": "more entries than were asked for",
    "has references without end": "another kind of answer",
    "closes half": "the server has closed the connection",
    "speaks another protocol": "no LDAP",
    "takes its leave": "it ends the connection",
}


@pytest.mark.parametrize(("name", "sentence"), ENDLESS.items(), ids=ENDLESS)
def test_what_makes_no_sense_ends_at_once(name: str, sentence: str) -> None:
    """A server that rambles is cut off for what it says, and not only when its time is over."""

    async def test() -> None:
        voice = Voice()
        async with serving(Script(search=SICK[name])) as port, opened(patient(port), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert sentence in voice

    run(test())


def test_an_answer_has_an_end() -> None:
    """Entries that are each of a sensible length are too much together."""

    async def test() -> None:
        large = entry("uid=alice,dc=test", {"uid": [b"alice"], "entryUUID": [b"x" * 700_000]})
        voice = Voice()
        script = Script(search=saying(large, large, searched()))
        async with serving(script) as port, opened(patient(port), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert "the answer has no end" in voice

    run(test())


@pytest.mark.parametrize("password", [b"", b"\0", b"hunter2\0", b"\0hunter2", b"hunter2\0\0x"])
def test_a_password_that_could_be_cut_is_not_sent(password: bytes) -> None:
    """Nothing and NUL reach no server: one is anonymous, and behind the other somebody might stop reading."""

    async def test() -> None:
        script = Script()
        async with serving(script) as port, opened(patient(port)) as backend:
            assert (await ask(backend, "alice", password)).verdict is Verdict.REFUSED
        assert script.heard == []

    run(test())


def test_a_look_at_the_root_may_be_refused() -> None:
    """Any answer to it is a sign of life, for not every server shows it to strangers."""

    async def test() -> None:
        async with serving(Script(root=saying(searched(50)))) as port, opened(patient(port)) as backend:
            assert (await ask(backend, "alice")).verdict is PASSED

    run(test())


@asynccontextmanager
async def _full_backlog() -> AsyncIterator[int]:
    """A port that takes no more connections: the kernel does not even answer."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        try:
            yield address[1]
        finally:
            for one in waiting:
                one.close()


def test_a_port_that_does_not_answer_is_given_up() -> None:
    """Connecting has its own end."""

    async def test() -> None:
        voice = Voice()
        async with _full_backlog() as port, opened(hasty(port), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert "no connection in time" in voice

    run(test())


def test_a_closed_port_is_given_up() -> None:
    """Nobody listens there."""

    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            voice = Voice()
            async with opened(hasty(taken.getsockname()[1]), voice) as backend:
                assert await ask(backend, "alice") == UNAVAILABLE
        assert "no connection: Connection refused" in voice

    run(test())


def test_a_name_without_address_is_given_up() -> None:
    """A host that no name service knows, and one that cannot be a host's name."""

    async def test() -> None:
        settings = replace(hasty(), servers=("ldap://nobody.invalid", f"ldap://{'a' * 70}.invalid"))
        async with opened(settings) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE

    run(test())


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates that are trusted."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    """A right certificate."""
    return authority.pair("right", "127.0.0.1", "localhost")


def over_tls(authority: Authority, port: int, host: str = "127.0.0.1") -> LdapSettings:
    """Return the settings for one scripted server with TLS."""
    return replace(hasty(), servers=(f"ldaps://{host}:{port}",), ca_file=authority.file)


class _DrippingTls:
    """TLS by hand: everything from some point on leaves one octet at a time."""

    def __init__(self, pair: Pair, *, from_the_beginning: bool) -> None:
        self._context = server_context(str(pair.certificate), str(pair.key))
        self._from_the_beginning = from_the_beginning

    async def __call__(self, talk: Talk) -> None:
        """Shake hands, hear one thing, answer it."""
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(into, out, server_side=True)
        shaken = False
        while True:
            try:
                if not shaken:
                    tls.do_handshake()
                    shaken = True
                tls.read(4096)
                tls.write(SUCCESS)
                await talk.drip(out.read())
                await hang(talk)
            except ssl.SSLWantReadError:
                if out.pending and self._from_the_beginning:
                    await talk.drip(out.read())
                elif out.pending:
                    talk.writer.write(out.read())
                if not (octets := await talk.reader.read(4096)):
                    return
                into.write(octets)


@pytest.mark.parametrize("from_the_beginning", [True, False], ids=["in the handshake", "in the answer"])
def test_tls_that_drips_is_given_up(authority: Authority, pair: Pair, *, from_the_beginning: bool) -> None:
    """A record that comes one octet at a time does not hold anybody up."""

    async def test() -> None:
        dripping = _DrippingTls(pair, from_the_beginning=from_the_beginning)
        voice = Voice()
        async with serving(dripping) as port, opened(over_tls(authority, port), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert ("no TLS in time" if from_the_beginning else "no whole answer in time") in voice

    run(test())


@pytest.mark.parametrize("play", [hang, _close, _garbage], ids=["hangs", "closes", "speaks no TLS"])
def test_tls_that_does_not_come_up_is_given_up(authority: Authority, play: Play) -> None:
    """A server that stalls, closes or says something else in the handshake."""

    async def test() -> None:
        async with serving(play) as port, opened(over_tls(authority, port)) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE

    run(test())


UNTRUSTED: Final = {
    "another host": ("elsewhere.test",),
    "another address": ("127.0.0.2", "localhost"),
    "no host at all": (),
    "only a pattern": ("*",),
}


@pytest.mark.parametrize("hosts", UNTRUSTED.values(), ids=UNTRUSTED)
def test_a_certificate_for_another_host_is_not_trusted(authority: Authority, hosts: tuple[str, ...]) -> None:
    """Nothing is said to a server whose certificate, though of our authority, is not for the host of the URI."""
    _sees_nothing(authority, authority.pair(f"other{len(hosts)}{hosts[:1]}".replace("*", "star"), *hosts))


def test_a_certificate_that_has_run_out_is_not_trusted(authority: Authority) -> None:
    """Not even for the right host."""
    _sees_nothing(authority, authority.pair("old", "127.0.0.1", days=-1))


def test_a_certificate_of_a_stranger_is_not_trusted(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An authority of the same name with another key is a stranger."""
    _sees_nothing(authority, Authority.make(tmp_path_factory.mktemp("stranger")).pair("strange", "127.0.0.1"))


def _sees_nothing(authority: Authority, pair: Pair) -> None:
    async def test() -> None:
        script, voice = Script(), Voice()
        tls = server_context(str(pair.certificate), str(pair.key))
        async with serving(script, tls) as port, opened(over_tls(authority, port), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert "certificate is not to be trusted" in voice
        assert script.heard == []

    run(test())


def test_old_tls_is_not_spoken(authority: Authority, pair: Pair) -> None:
    """A server that knows nothing newer than TLS 1.1 is left alone."""

    async def test() -> None:
        script = Script()
        tls = server_context(str(pair.certificate), str(pair.key))
        tls.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore"):
            tls.maximum_version = ssl.TLSVersion.TLSv1_1
        async with serving(script, tls) as port, opened(over_tls(authority, port)) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert script.heard == []

    run(test())


def test_a_right_certificate_is_trusted(authority: Authority, pair: Pair) -> None:
    """By address and by name, which is looked up; the scripted server says what it should."""

    async def test() -> None:
        tls = server_context(str(pair.certificate), str(pair.key))
        async with serving(Script(), tls) as port:
            for host in ("127.0.0.1", "localhost"):
                settings = replace(over_tls(authority, port, host), connect_timeout=5.0, timeout=5.0)
                async with opened(settings) as backend:
                    assert (await ask(backend, "alice")).verdict is PASSED

    run(test())


START_TLS_ANSWERS: Final[dict[str, Play]] = {
    "refused": saying(extended(2)),
    "agreed, then silence": saying(extended()),
    "agreed, with an answer behind it": saying(extended(), bound()),
    "hangs": hang,
    "another operation": saying(bound()),
}


@pytest.mark.parametrize("play", START_TLS_ANSWERS.values(), ids=START_TLS_ANSWERS)
def test_without_starttls_nothing_is_said(authority: Authority, play: Play) -> None:
    """No bind and no search leaves before TLS is up, and what came before it is not believed."""

    async def test() -> None:
        heard: list[int] = []

        async def script(talk: Talk) -> None:
            while True:
                heard.append((await talk.hear()).tag)
                await play(talk)

        voice = Voice()
        async with serving(script) as port:
            settings = replace(hasty(port), start_tls=True, ca_file=authority.file)
            async with opened(settings, voice) as backend:
                assert await ask(backend, "alice") == UNAVAILABLE
        assert set(heard) == {0x77}
        assert ("StartTLS is answered with protocol_error" in voice) == (play is START_TLS_ANSWERS["refused"])

    run(test())


@pytest.mark.parametrize("injected", [b"\x30", bound()[:-1], SUCCESS], ids=["one octet", "a part", "a whole answer"])
def test_what_comes_with_the_answer_to_starttls_is_not_believed(
    authority: Authority, pair: Pair, injected: bytes
) -> None:
    """Octets that somebody has slipped in before TLS end the connection, though TLS itself would come up."""

    async def test() -> None:
        heard: list[int] = []

        async def script(talk: Talk) -> None:
            await talk.hear()
            talk.writer.write(ber.element(ber.SEQUENCE, ber.integer(1), extended()) + injected)
            await talk.writer.start_tls(server_context(str(pair.certificate), str(pair.key)))
            heard.append((await talk.hear()).tag)

        async with serving(script) as port:
            settings = replace(hasty(port), start_tls=True, ca_file=authority.file)
            async with opened(settings) as backend:
                assert await ask(backend, "alice") == UNAVAILABLE
        assert heard == []

    run(test())


def test_a_client_certificate_is_shown(authority: Authority, pair: Pair) -> None:
    """A server that demands one gets the one of the settings, and nobody passes without."""
    own = authority.pair("client")

    async def test() -> None:
        tls = server_context(str(pair.certificate), str(pair.key))
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(authority.file)
        async with serving(Script(), tls) as port:
            settings = over_tls(authority, port)
            async with opened(settings) as backend:
                assert await ask(backend, "alice") == UNAVAILABLE
            shown = replace(settings, certificate=own.certificate, certificate_key=own.key, connect_timeout=5.0)
            async with opened(shown) as backend:
                assert (await ask(backend, "alice")).verdict is PASSED

    run(test())


# --- what a server claims --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [b"", b"dn:"])
def test_a_bind_that_leaves_us_anonymous_passes_nobody(who: bytes) -> None:
    """A success that the server itself calls anonymous is none."""

    async def test() -> None:
        voice = Voice()
        script = Script(who=saying(extended(value=who)))
        async with serving(script) as port, opened(hasty(port), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
        assert "anonymous" in voice

    run(test())


def test_a_server_that_cannot_say_who_we_are_is_believed() -> None:
    """Who am I is an extension (RFC 4532): without it, a bind with a name and a password stands."""

    async def test() -> None:
        async with serving(Script(who=saying(extended(2)))) as port, opened(patient(port)) as backend:
            assert (await ask(backend, "alice")).verdict is PASSED

    run(test())


def test_nobody_costs_a_bind_as_well() -> None:
    """For a name that is nobody's the server sees a search and a bind, with a password, for a name below the base."""

    async def test() -> None:
        script = Script(search=saying(searched()), bind=saying(bound(49)))
        async with serving(script) as port, opened(patient(port)) as backend:
            assert await ask(backend, "nobody", b"secret") == refused(Reason.ACCOUNT_UNKNOWN)
        assert (len(script.searches), len(script.binds)) == (1, 1)
        assert b"cn=radiusd2fa-nobody,dc=test" in script.binds[0]

    run(test())


def test_the_decoy_never_passes() -> None:
    """Even a server that says success to everything passes nobody who was not found."""

    async def test() -> None:
        async with serving(Script(search=saying(searched()))) as port, opened(patient(port)) as backend:
            assert await ask(backend, "nobody") == refused(Reason.ACCOUNT_UNKNOWN)

    run(test())


OTHERS: Final = {
    "somebody else": entry("uid=bob,dc=test", {"uid": [b"bob"], "entryUUID": [b"B"]}),
    "a part": entry("uid=x,dc=test", {"uid": [b"alic", b"alicea"], "entryUUID": [b"B"]}),
    "a reference": ber.element(0x73, ber.octets("ldap://elsewhere/uid=alice")),
}


@pytest.mark.parametrize("found", OTHERS.values(), ids=OTHERS)
def test_an_entry_of_another_name_is_nobodys(found: bytes) -> None:
    """What the server finds for a name must have that name, and a reference to another server is no entry."""

    async def test() -> None:
        async with serving(Script(search=saying(found, searched()))) as port, opened(patient(port)) as backend:
            assert await ask(backend, "alice") == refused(Reason.ACCOUNT_UNKNOWN)

    run(test())


NO_IDS: Final = {
    "none": {"uid": [b"alice"]},
    "empty": {"uid": [b"alice"], "entryUUID": [b""]},
    "two": {"uid": [b"alice"], "entryUUID": [b"A", b"B"]},
    "no name": {"entryUUID": [b"A"]},
}


@pytest.mark.parametrize("attributes", NO_IDS.values(), ids=NO_IDS)
def test_without_an_id_nobody_passes(attributes: dict[str, list[bytes]]) -> None:
    """What the settings promise to tell people apart by must be there."""

    async def test() -> None:
        found = saying(entry("uid=alice,dc=test", attributes), searched())
        async with serving(Script(search=found)) as port, opened(patient(port)) as backend:
            for password in (b"hunter2", None):
                assert await ask(backend, "alice", password) == UNAVAILABLE

    run(test())


def test_too_many_groups_pass_nobody() -> None:
    """Rules are not judged by half of somebody's groups: a list that is cut, or too long, is trouble."""

    async def test() -> None:
        cut = {"memberOf;range=0-1499": [b"cn=a"]}
        long = {"memberOf": [b"cn=%d" % number for number in range(1001)]}
        for held in (cut, long):
            found = entry("uid=alice,dc=test", {"uid": [b"alice"], "entryUUID": [b"A"], **held})
            settings = {"groups": "member_of"}
            script = Script(search=saying(found, searched()))
            async with serving(script) as port, opened(patient(port, **settings)) as backend:
                assert await ask(backend, "alice") == UNAVAILABLE

    run(test())


def test_a_circle_of_groups_is_gone_round_once() -> None:
    """Groups that hold each other are asked for once: climbing ends when nothing new is found."""

    async def test() -> None:
        async def search(talk: Talk) -> None:
            await (circle if b"uniqueMember" in talk.asked.body else saying(ALICE, searched()))(talk)

        circle = saying(entry("cn=a,dc=test", {}), entry("CN=B,dc=test", {}), searched())
        script, settings = Script(search=search), {"groups": "search", "group_depth": 1000}
        async with serving(script) as port, opened(patient(port, **settings)) as backend:
            account = (await ask(backend, "alice")).account
        assert account is not None
        assert account.groups == ("a", "b")
        assert len(script.searches) == 3

    run(test())


# --- Active Directory, as far as a script can be one -----------------------------------------------------------------

GUID: Final = bytes.fromhex("33221100 5544 7766 8899aabbccddeeff")
WINDOWS_ALICE: Final = entry(
    "CN=Alice,DC=test",
    {"sAMAccountName": [b"Alice"], "objectGUID": [GUID], "userAccountControl": [b"512"], "accountExpires": [b"0"]},
)
WINDOWS: Final = {"id_attribute": "objectGUID", "search_filter": "(&(objectClass=user)(sAMAccountName={name}))"}


def test_an_objectguid_is_read_as_windows_shows_it() -> None:
    """Its first three parts are little-endian; it is asked for again with the same octets."""

    async def test() -> PrimaryAnswer:
        script = Script(search=saying(WINDOWS_ALICE, searched()))
        async with serving(script) as port, opened(patient(port, **WINDOWS)) as backend:
            return await ask(backend, "alice")

    account = run(test()).account
    assert account is not None
    assert account.id == "00112233-4455-6677-8899-aabbccddeeff"


def test_groups_within_groups_are_left_to_active_directory() -> None:
    """With ``nested`` one search with the matching rule in chain is all; the server walks."""

    async def test() -> None:
        groups = saying(entry("CN=Admins,DC=test", {}), entry("CN=All\\, of us,DC=test", {}), searched())

        async def search(talk: Talk) -> None:
            await (groups if b"1.2.840.113556.1.4.1941" in talk.asked.body else people)(talk)

        people = saying(WINDOWS_ALICE, searched())
        script = Script(search=search)
        async with serving(script) as port, opened(patient(port, groups="nested", **WINDOWS)) as backend:
            account = (await ask(backend, "alice")).account
        assert account is not None
        assert account.groups == ("admins", "all, of us")
        assert len(script.searches) == 2
        assert b"CN=Alice,DC=test" in script.searches[1]

    run(test())


BY_NAME: Final = {**WINDOWS, "bind_template": "{name}@corp.example"}


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (b"u:CORP\\ALICE", Verdict.PASSED),
        (b"dn:cn=alice, dc=TEST", Verdict.PASSED),
        (b"u:CORP\\bob", Verdict.REFUSED),
        (b"dn:cn=bob,dc=test", Verdict.REFUSED),
        (b"x:alice", Verdict.REFUSED),
    ],
)
def test_who_has_bound_must_be_who_was_found(who: bytes, expected: Verdict) -> None:
    """A userPrincipalName may be one person's and the account's name another's: then nobody passes."""

    async def test() -> None:
        script = Script(search=saying(WINDOWS_ALICE, searched()), who=saying(extended(value=who)))
        async with serving(script) as port, opened(patient(port, **BY_NAME)) as backend:
            said = await ask(backend, "alice")
        assert said.verdict is expected
        assert said.reason is (None if expected is Verdict.PASSED else Reason.ACCOUNT_AMBIGUOUS)
        assert b"alice@corp.example" in script.binds[0]

    run(test())


@pytest.mark.parametrize("name", ["cn=alice", "corp\\alice", "alice@corp", "s-1-5-21*", "a b", "{guid}", "alice;x"])
@pytest.mark.parametrize("template", ["{user}", "{name}@corp.example", "{realm}\\{name}"])
def test_a_name_cannot_become_another_kind_of_name(template: str, name: str) -> None:
    """Active Directory binds by many kinds of names: only a plain one, or user@realm, is put into such a template."""

    async def test() -> list[bytes]:
        script = Script(bind=saying(bound(49)))
        async with serving(script) as port, opened(patient(port, **(BY_NAME | {"bind_template": template}))) as backend:
            await ask(backend, name)
        return script.binds

    (bind,) = run(test())
    name_octets = ber.elements(ber.elements(ber.element(0x60, bind))[0][1])[1][1]
    fine = {"alice@corp": {"{user}": b"alice@corp", "{name}@corp.example": b"alice@corp.example"}}
    fine["alice@corp"]["{realm}\\{name}"] = b"corp\\alice"
    fine["corp\\alice"] = {"{name}@corp.example": b"alice@corp.example", "{realm}\\{name}": b"corp\\alice"}
    assert name_octets == fine.get(name, {}).get(template, b"cn=radiusd2fa-nobody,dc=test")


# --- a long illness --------------------------------------------------------------------------------------------------


def test_nothing_piles_up() -> None:
    """While half of the answers never come, there are never more connections than calls of each kind."""

    async def test() -> None:
        async def sometimes(talk: Talk) -> None:
            await (hang if b"x" in talk.asked.body else saying(bound()))(talk)

        settings = {"timeout": 0.05, "calls": 4, "queue": 100}
        async with serving(Script(bind=sometimes)) as port, opened(patient(port, **settings)) as backend:
            for _ in range(5):
                answers: asyncio.Queue[PrimaryAnswer] = asyncio.Queue()
                for number in range(20):
                    backend.verify(Question("alice", b"x" if number % 2 else b"hunter2"), answers.put_nowait)
                for _ in range(20):
                    await answers.get()
                assert connections_to(port) <= 2 * 4

    run(test())
