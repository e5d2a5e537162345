"""The LDAP backend against OpenLDAP's server: who is refused and why, who passes, and as whom.

slapd runs with ``allow bind_anon_dn``, so that an empty password would be a success (RFC 4513 5.1.2). Sick servers
are in tests/directory. RFC 4511, RFC 4514, RFC 4515.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from typing import Final

import pytest

from radiusd2fa.core.model import Account, PrimaryAnswer, Reason, Verdict
from radiusd2fa.primary import Question
from radiusd2fa.primary.ldap import open_backend
from radiusd2fa.settings import LdapSettings
from tests.directory.logins import UNAVAILABLE, Voice, ask, opened, refused, run, site
from tests.directory.slapd import ALICES_ID, BASE, GROUPS, PASSWORD, PEOPLE, SEARCHER, WEIRD, Slapd, needs_slapd, slapd

pytestmark = needs_slapd

TEMPLATE = f"uid={{name}},{PEOPLE}"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory with everybody in it."""
    with slapd(tmp_path_factory.mktemp("ldap") / "company") as server:
        yield server


def by_template(company: Slapd, template: str = TEMPLATE, **changed: object) -> LdapSettings:
    """Return the settings of a site where people bind by a template and nobody searches."""
    return site(company, **({"bind_template": template, "search_user": None, "search_base": None} | changed))


def answer(settings: LdapSettings, name: str, password: bytes | None = PASSWORD) -> PrimaryAnswer:
    """Open the backend for one question."""

    async def test() -> PrimaryAnswer:
        async with opened(settings) as backend:
            return await ask(backend, name, password)

    return run(test())


def both_ways(company: Slapd) -> dict[str, LdapSettings]:
    """Return the two ways to bind."""
    return {"found first": site(company), "by template": by_template(company)}


# --- who is refused --------------------------------------------------------------------------------------------------


def test_the_directory_itself_takes_an_empty_password(company: Slapd) -> None:
    """The trap is real: this server says success to a bind with a right name and no password."""
    to = ["ldapwhoami", "-x", "-H", f"ldap://127.0.0.1:{company.port}", "-D", f"uid=alice,{PEOPLE}", "-w", ""]
    done = subprocess.run(to, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, b"anonymous\n")


@pytest.mark.parametrize("way", ["found first", "by template"])
def test_an_empty_password_is_refused(company: Slapd, way: str) -> None:
    """Nobody is asked about an empty password, and it never passes."""
    assert answer(both_ways(company)[way], "alice", b"") == refused(Reason.EMPTY_PASSWORD)


WRONG = {
    "another": b"hunter3",
    "other case": b"Hunter2",
    "cut": b"hunter",
    "NUL after": b"hunter2\0",
    "NUL within": b"hunter2\0x",
    "only NUL": b"\0",
    "invalid UTF-8": b"\xffhunter2",
    "longest": b"x" * 128,
    "star": b"*",
    "the hash's form": b"{SSHA}hunter2",
}


@pytest.mark.parametrize("way", ["found first", "by template"])
def test_wrong_passwords_are_refused(company: Slapd, way: str) -> None:
    """Octets that are not the password are refused without a reason, whatever they are."""

    async def test() -> list[PrimaryAnswer]:
        async with opened(both_ways(company)[way]) as backend:
            return [await ask(backend, "alice", password) for password in WRONG.values()]

    assert run(test()) == [refused()] * len(WRONG)


NOBODY = (
    "nobody",
    "*",
    "a*",
    "alice)(uid=*",
    "alice*",
    "*)(objectClass=*",
    "\\2a",
    "alice\0",
    "alice\0x",
    " alice",
    "alice ",
    "the  blank",
    "\N{FULLWIDTH LATIN SMALL LETTER A}lice",
    "alice,ou=people",
    "alice+cn=alice",
    "#616c696365",
    "l" * 253,
    "é" * 126,
)


@pytest.mark.parametrize("way", ["found first", "by template"])
@pytest.mark.parametrize("password", [PASSWORD, b"wrong"])
def test_names_that_only_look_like_somebodys_are_refused(company: Slapd, way: str, password: bytes) -> None:
    """Metacharacters, wildcards and twins that the directory itself takes for alice are nobody's name here."""

    async def test() -> dict[str, PrimaryAnswer]:
        async with opened(both_ways(company)[way]) as backend:
            return {name: await ask(backend, name, password) for name in NOBODY}

    for name, said in run(test()).items():
        assert said.verdict is Verdict.REFUSED, name
        assert way == "by template" or said.reason is Reason.ACCOUNT_UNKNOWN, name


def test_the_directory_itself_takes_such_a_twin_for_alice(company: Slapd) -> None:
    """That trap is real too: slapd finds alice by the full-width spelling of her name."""
    wanted = "(uid=\N{FULLWIDTH LATIN SMALL LETTER A}lice)"
    to = ["-x", "-LLL", "-H", f"ldap://127.0.0.1:{company.port}", "-D", f"cn=root,{BASE}", "-w", "root", "-b", BASE]
    done = subprocess.run(["ldapsearch", *to, wanted, "uid"], capture_output=True, timeout=20, check=True)
    assert b"uid: alice" in done.stdout


REASONS = {
    "twin": (Reason.ACCOUNT_AMBIGUOUS, Reason.ACCOUNT_AMBIGUOUS),
    "nobody": (Reason.ACCOUNT_UNKNOWN, Reason.ACCOUNT_UNKNOWN),
    "locked": (Reason.ACCOUNT_LOCKED, Reason.ACCOUNT_LOCKED),
    "expired": (Reason.PASSWORD_EXPIRED, None),
    "reset": (Reason.PASSWORD_EXPIRED, None),
    "left": (Reason.ACCOUNT_EXPIRED, None),
}


@pytest.mark.parametrize(("name", "expected"), REASONS.items(), ids=REASONS)
def test_a_refusal_has_its_reason(company: Slapd, name: str, expected: tuple[Reason | None, Reason | None]) -> None:
    """What the directory says of an account is in the answer; what it tells only the right password, only then."""
    settings = site(company)
    assert (answer(settings, name), answer(settings, name, b"wrong")) == (refused(expected[0]), refused(expected[1]))


# --- who passes ------------------------------------------------------------------------------------------------------


def test_the_right_password_passes_as_the_person(company: Slapd) -> None:
    """The answer says who that is for ever, and which groups the entry names."""
    expected = Account(ALICES_ID, ("vpn users",))
    assert answer(site(company), "alice") == PrimaryAnswer(Verdict.PASSED, account=expected)


@pytest.mark.parametrize("name", [WEIRD, "the blank", "l" * 200, "ALICE"])
@pytest.mark.parametrize("way", ["found first", "by template"])
def test_odd_names_pass_when_they_are_somebodys(company: Slapd, way: str, name: str) -> None:
    """A name with every metacharacter in it is found, bound and read like any other."""
    assert answer(both_ways(company)[way], name).verdict is Verdict.PASSED


def test_a_template_reads_the_persons_own_entry(company: Slapd) -> None:
    """Without an account that searches, the person's own connection tells id and groups."""
    said = answer(by_template(company), "alice")
    assert said == PrimaryAnswer(Verdict.PASSED, account=Account(ALICES_ID, ("vpn users",)))


@pytest.mark.parametrize("scheme", ["start_tls", "ldaps", "plain", "ldapi"])
def test_each_way_to_connect_logs_in(company: Slapd, scheme: str) -> None:
    """TLS from the beginning, StartTLS, no TLS where the settings say so, and a socket of the same machine."""
    servers = ({"ldaps": company.tls, "ldapi": company.local}.get(scheme, company.plain),)
    assert answer(site(company, servers=servers, start_tls=scheme == "start_tls"), "alice").verdict is Verdict.PASSED


def test_connections_are_kept(company: Slapd) -> None:
    """A hundred logins, right and wrong by turns, need no more connections than the first."""

    async def test() -> tuple[set[int], set[int]]:
        async with opened(site(company)) as backend:
            await ask(backend, "alice")
            before = {id(one) for one in _connections(backend)}
            for number in range(100):
                said = await ask(backend, "alice", PASSWORD if number % 2 else b"wrong")
                assert said.verdict is (Verdict.PASSED if number % 2 else Verdict.REFUSED)
            return before, {id(one) for one in _connections(backend)}

    before, after = run(test())
    assert before == after
    assert len(before) == 2


def _connections(backend: object) -> list[object]:
    (server,) = backend._servers._servers  # type: ignore[attr-defined]
    return [*server._searching, *server._binding]


# --- groups ----------------------------------------------------------------------------------------------------------

FOUND_GROUPS: Final[dict[str, tuple[dict[str, object], tuple[str, ...] | None]]] = {
    "member_of": ({"groups": "member_of"}, ("vpn users",)),
    "none": ({"groups": "none"}, None),
    "search": ({"groups": "search"}, ("unix", "vpn users")),
    "climbing once": ({"groups": "search", "group_depth": 2}, ("staff", "unix", "vpn users")),
    "climbing": ({"groups": "search", "group_depth": 9}, ("everybody", "staff", "unix", "vpn users")),
    "elsewhere": ({"groups": "search", "group_base": PEOPLE}, ()),
    "whole": ({"groups": "member_of", "group_name": "dn"}, (f"cn=vpn users,{GROUPS}",)),
    "filtered": ({"groups": "search", "group_filter": "(&(cn=u*)(memberUid={name}))"}, ("unix",)),
}


@pytest.mark.parametrize(("changed", "expected"), FOUND_GROUPS.values(), ids=FOUND_GROUPS)
def test_groups_are_found(company: Slapd, changed: dict[str, object], expected: tuple[str, ...] | None) -> None:
    """By the entry's own word or by a search, which climbs as far as the settings say."""
    said = answer(site(company, **changed), "alice")
    assert said.account == Account(ALICES_ID, expected)


def test_a_circle_of_groups_ends(company: Slapd) -> None:
    """Groups that hold each other are each named once."""
    said = answer(site(company, groups="search", group_depth=1000), "bob")
    assert said.account is not None
    assert said.account.groups == ("and-round", "everybody", "round", "staff", "vpn users")


def test_a_person_searches_groups_by_template(company: Slapd) -> None:
    """The person's own connection climbs too."""
    said = answer(by_template(company, groups="search", group_base=GROUPS, group_depth=3), "alice")
    assert said.account is not None
    assert said.account.groups == ("everybody", "staff", "unix", "vpn users")


# --- looking somebody up ---------------------------------------------------------------------------------------------

LOOKED_UP = {
    "nobody": Reason.ACCOUNT_UNKNOWN,
    "*": Reason.ACCOUNT_UNKNOWN,
    "twin": Reason.ACCOUNT_AMBIGUOUS,
    "locked": Reason.ACCOUNT_LOCKED,
    "left": Reason.ACCOUNT_EXPIRED,
}


@pytest.mark.parametrize(("name", "reason"), LOOKED_UP.items(), ids=LOOKED_UP)
def test_who_may_not_log_in_is_refused_without_a_password(company: Slapd, name: str, reason: Reason) -> None:
    """Looking somebody up refuses who is gone, locked or past their day."""
    assert answer(site(company), name, None) == refused(reason)


def test_somebody_is_looked_up_without_a_password(company: Slapd) -> None:
    """Who is there and may log in passes, with id and groups."""
    expected = PrimaryAnswer(Verdict.PASSED, account=Account(ALICES_ID, ("vpn users",)))
    assert answer(site(company), "alice", None) == expected
    assert answer(by_template(company, search_user=SEARCHER), "alice", None) == expected


def test_without_a_searching_account_nobody_is_looked_up(company: Slapd) -> None:
    """By template alone there is nothing to ask: the answer claims no account, and the log says so once."""

    async def test() -> None:
        voice = Voice()
        async with opened(by_template(company), voice) as backend:
            for name in ("alice", "nobody"):
                assert await ask(backend, name, None) == PrimaryAnswer(Verdict.PASSED)
        assert voice.said == ["people are not looked up without their password: there is no search_user"]

    run(test())


# --- settings that do not fit the directory --------------------------------------------------------------------------

MISFITS = {
    "no such id": ({"id_attribute": "objectGUID"}, "id_attribute"),
    "an id with two values": ({"id_attribute": "objectClass"}, "id_attribute"),
    "no such base": ({"search_base": "dc=elsewhere"}, "no_such_object"),
    "wrong search password": ({"search_password": b"forgotten"}, "searching account"),
    "anonymous may not search": ({"search_user": None}, "the search for a person"),
    "people may not search groups there": ({"groups": "search", "group_base": "dc=elsewhere"}, "the search for groups"),
    "another authority": ({"ca_file": None}, "certificate"),
}


@pytest.mark.parametrize(("changed", "sentence"), MISFITS.values(), ids=MISFITS)
def test_a_misfit_is_said_and_nobody_passes(company: Slapd, changed: dict[str, object], sentence: str) -> None:
    """What the site has to put right is a sentence in the log and UNAVAILABLE, for right and wrong passwords alike."""

    async def test() -> None:
        voice = Voice()
        async with opened(site(company, **changed), voice) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
            assert (await ask(backend, "alice", b"wrong")).verdict is not Verdict.PASSED
        assert sentence in voice
        assert "hunter2" not in voice

    run(test())


NONSENSE = {
    "no base": {"search_base": None},
    "no servers": {"servers": ()},
    "a server of another kind": {"servers": ("http://localhost",)},
    "a server without a host": {"servers": ("ldaps://",)},
    "a server with a path": {"servers": ("ldaps://localhost/dc=example",)},
    "a searching account without a password": {"search_password": None},
    "a searching account with an empty password": {"search_password": b""},
    "a filter that compares no name": {"search_filter": "(objectClass=person)"},
    "a filter that finds by a part": {"search_filter": "(uid=*{name}*)"},
    "a filter that is none": {"search_filter": "uid={name}"},
    "a place that does not exist": {"search_filter": "(uid={login})"},
    "a template for nobody": {"bind_template": f"uid=alice,{PEOPLE}"},
    "a group filter that is none": {"group_filter": "(member={dn}"},
}


@pytest.mark.parametrize("changed", NONSENSE.values(), ids=NONSENSE)
def test_settings_that_make_no_sense_do_not_open(company: Slapd, changed: dict[str, object]) -> None:
    """The fault is found at the start and not by somebody's login."""
    with pytest.raises(ValueError, match=r"\w"):
        open_backend(site(company, **changed), Voice())


# --- the backend's own life ------------------------------------------------------------------------------------------


def test_a_closed_backend_is_unavailable(company: Slapd) -> None:
    """Whoever waits when the backend closes is answered then, once; later questions are UNAVAILABLE."""

    async def test() -> list[PrimaryAnswer]:
        answers: list[PrimaryAnswer] = []
        async with opened(site(company)) as backend:
            backend.verify(Question("alice", PASSWORD), answers.append)
            await asyncio.sleep(0)
            backend.close()
            assert answers == [UNAVAILABLE]
            backend.verify(Question("alice", PASSWORD), answers.append)
            backend.close()
        return answers

    assert run(test()) == [UNAVAILABLE] * 2


def test_no_password_is_printed(company: Slapd) -> None:
    """Backend, settings, answers and voice show neither what was typed nor the searching account's secret."""

    async def test() -> None:
        voice = Voice()
        settings = site(company)
        async with opened(settings, voice) as backend:
            shown = f"{backend!r} {settings!r} {await ask(backend, 'alice')!r} {backend.__dict__!r}"
        for secret in ("hunter2", "look, do not touch"):
            assert secret not in shown
            assert secret not in voice

    run(test())
