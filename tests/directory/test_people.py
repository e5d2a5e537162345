"""The directory's people for the command line, against OpenLDAP's server and a script with Windows' ids.

Refusals first: who is gone, who is two, and a directory that cannot be asked must never look like one another.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from radiusd2fa.core.model import Reason
from radiusd2fa.directory.people import AmbiguousError, People, Person
from radiusd2fa.directory.trouble import DirectoryUnavailableError
from radiusd2fa.settings import LdapSettings

from .logins import PATIENCE, descriptors, hasty, patient, site
from .scripted import Script, entry, saying, searched, serving
from .slapd import ALICES_ID, PEOPLE, WEIRD, Slapd, needs_slapd, slapd

pytestmark = needs_slapd


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory with everybody in it."""
    with slapd(tmp_path_factory.mktemp("people") / "company") as server:
        yield server


def people(settings: LdapSettings) -> People:
    """Open a directory."""
    return People(settings, lambda _level, _sentence: None)


@pytest.mark.parametrize("changed", [{"search_user": None, "bind_template": f"uid={{name}},{PEOPLE}"}])
def test_a_directory_without_a_way_to_look_does_not_open(company: Slapd, changed: dict[str, object]) -> None:
    """By template alone nobody can be found without a password."""
    with pytest.raises(ValueError, match="search_user"):
        people(site(company, **changed))


def test_a_directory_that_cannot_be_asked_is_no_empty_directory() -> None:
    """Nobody may be taken for gone because a server is down."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with people(hasty(taken.getsockname()[1])) as directory:
            for ask in (directory.find, directory.by_name):
                with pytest.raises(DirectoryUnavailableError):
                    ask("alice")


def test_who_is_gone_is_nobody(company: Slapd) -> None:
    """Ids and names that the directory does not know, or that could never be known."""
    with people(site(company)) as directory:
        assert directory.find("00000000-0000-4000-8000-000000000000") is None
        assert [directory.by_name(name) for name in ("nobody", "*", "alice)(uid=*", " alice")] == [None] * 4


def test_two_of_a_name_are_not_one(company: Slapd) -> None:
    """Neither of them is guessed."""
    with people(site(company)) as directory, pytest.raises(AmbiguousError):
        directory.by_name("twin")


def test_somebody_is_found_by_id_and_by_name(company: Slapd) -> None:
    """Both ways lead to the same person, with the name that they have to type and their groups."""
    alice = Person(ALICES_ID, "alice", ("vpn users",), enabled=True)
    with people(site(company)) as directory:
        assert directory.find(ALICES_ID) == directory.by_name("alice") == alice
        found = directory.by_name(WEIRD)
        assert found is not None
        assert found.name == WEIRD


@pytest.mark.parametrize(("name", "reason"), [("locked", Reason.ACCOUNT_LOCKED), ("left", Reason.ACCOUNT_EXPIRED)])
def test_who_may_not_log_in_is_there_but_not_enabled(company: Slapd, name: str, reason: Reason) -> None:
    """A person who is locked out or past their day is not gone."""
    with people(site(company)) as directory:
        found = directory.by_name(name)
    assert found is not None
    assert (found.enabled, found.reason) == (False, reason)


def test_the_name_is_what_the_filter_compares(company: Slapd) -> None:
    """With a filter that completes the name, the name is what is to be typed and not what is stored."""
    with people(site(company, search_filter="(mail={name}@example.org)", groups="search")) as directory:
        found = directory.find(ALICES_ID)
    assert found == Person(ALICES_ID, "alice", ("unix", "vpn users"), enabled=True)


def test_many_are_asked_for_over_the_same_connections(company: Slapd) -> None:
    """A whole company is gone through without a new connection for each, and without leaving one."""
    files, threads = descriptors(), threading.active_count()
    with people(site(company)) as directory:
        directory.find(ALICES_ID)
        during = len(descriptors())
        for _ in range(50):
            assert directory.find(ALICES_ID) is not None
        assert len(descriptors()) == during
    assert descriptors() == files
    assert threading.active_count() <= threads


def test_windows_ids_are_asked_for_as_octets() -> None:
    """An objectGUID that is shown as text goes back into the search as the sixteen octets that it is."""
    guid = bytes.fromhex("33221100 5544 7766 8899aabbccddeeff")
    found = entry("CN=A,DC=test", {"sAMAccountName": [b"Alice"], "objectGUID": [guid], "userAccountControl": [b"514"]})
    script = Script(search=saying(found, searched()))
    with _beside(script) as port:
        settings = replace(patient(port), id_attribute="objectGUID", search_filter="(sAMAccountName={name})")
        with people(settings) as directory:
            person = directory.find("00112233-4455-6677-8899-aabbccddeeff")
    shown = "00112233-4455-6677-8899-aabbccddeeff"
    assert person == Person(shown, "alice", (), enabled=False, reason=Reason.ACCOUNT_DISABLED)
    assert guid in script.searches[0]


class _beside:  # noqa: N801  # reads as a word
    """A scripted server on a thread of its own, because People has a loop of its own."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._loop = asyncio.new_event_loop()
        self._done: asyncio.Event | None = None
        self._ready = threading.Event()
        self._port = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> int:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self._port

    def __exit__(self, *_: object) -> None:
        assert self._done is not None
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        async with serving(self._script) as self._port:
            self._ready.set()
            await self._done.wait()
