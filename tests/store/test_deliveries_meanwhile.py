"""Deliveries beside everything else: logins go on, and what other commands change meanwhile is not overlooked.

The real store, opened by the daemon's side and by several commands at once; nothing is waited for but what is said.
RFC 4226 7.2: a seed that is here twice lets one code in twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import pytest

from radiusd2fa.core.model import AdvanceMovingFactor
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.deliveries import Step
from radiusd2fa.store.registry import Registry

from .conftest import Desk, Site, hotp
from .delivered import LATER, a_seed, during, everything, some, take_in

pytestmark = pytest.mark.both_stores

PATIENCE: Final = 30.0

MEANWHILE: Final[dict[str, Callable[[Registry], object]]] = {
    "a token of that serial": lambda r: r.add_token(hotp("N1", b"quite another seed"), None, LATER),
    "a token of that seed": lambda r: r.add_token(hotp("X1", a_seed("N1").secret), None, LATER),
    "the person goes": lambda r: r.remove_user("alice", LATER),
    "the same delivery": lambda r: r.take_in([a_seed("N1", user="alice")], LATER, source="seeds.xml"),
}


@pytest.mark.parametrize("change", MEANWHILE.values(), ids=MEANWHILE.keys())
@pytest.mark.parametrize("step", [Step.SEALING, Step.WRITING])
def test_what_has_changed_meanwhile_keeps_all_out(site: Site, change: Callable[[Registry], object], step: Step) -> None:
    """The comparison is made again under the lock: what another command has done since is not overlooked."""

    def by_another() -> None:
        with site.registry() as other:
            change(other)
        between.append(everything(site))

    between: list[object] = []
    with pytest.raises(RefusedError, match="give the command again"):
        take_in(site, [a_seed("N1", user="alice"), a_seed("N2")], progress=during(step, by_another))
    assert everything(site) == between[0]


def test_an_older_import_that_ends_meanwhile_is_not_overlooked(site: Site) -> None:
    """Its ids were reserved before ours were, so that nothing but its row in the audit tells of it."""
    reserved, may_write = threading.Event(), threading.Event()

    def pause(step: Step, _done: int, _of: int) -> None:
        if step is Step.SEALING and not reserved.is_set():
            reserved.set()
            may_write.wait(PATIENCE)

    older = threading.Thread(
        target=take_in, args=(site, [a_seed("X1", secret=a_seed("N1").secret)]), kwargs={"progress": pause}
    )
    older.start()
    assert reserved.wait(PATIENCE)

    def let_it_end() -> None:
        may_write.set()
        older.join()

    with pytest.raises(RefusedError, match="give the command again"):
        take_in(site, [a_seed("N1")], progress=during(Step.SEALING, let_it_end))
    assert site.sql("SELECT serial FROM tokens WHERE id > 3") == [("X1",)]


def test_what_does_not_concern_it_keeps_nothing_out(site: Site) -> None:
    """Another token and another person may come in meanwhile."""

    def others() -> None:
        with site.registry() as registry:
            registry.add_token(hotp("X1", b"of quite another token"), None, LATER)
            registry.add_user("carol", None, (), LATER)

    assert take_in(site, some(3), progress=during(Step.SEALING, others)).taken == 3


@pytest.mark.parametrize("step", [Step.SEALING, Step.WRITING])
def test_a_command_that_is_ended_in_the_middle_leaves_nothing(site: Site, step: Step) -> None:
    """Ctrl-C while seeds are sealed, or just before they are written."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    before = everything(site)
    with pytest.raises(KeyboardInterrupt):
        take_in(site, some(3), progress=during(step, interrupt))
    assert everything(site) == before
    assert take_in(site, some(3)).taken == 3


def test_ids_are_given_once(site: Site) -> None:
    """Those of a delivery, of what was added meanwhile and of what comes later differ: seeds are sealed to them."""

    def add_one() -> None:
        with site.registry() as other:
            other.add_token(hotp("X1", b"added in the meantime"), None, LATER)

    assert take_in(site, some(3), progress=during(Step.SEALING, add_one)).taken == 3
    with site.registry() as registry:
        registry.add_token(hotp("X2", b"added after that"), None, LATER)
    added = site.sql("SELECT serial FROM tokens WHERE id > 3 ORDER BY id")
    assert sorted(serial for (serial,) in added[:3]) == ["F0000", "F0001", "F0002"]
    assert added[3:] == [("X1",), ("X2",)]
    with site.registry() as registry:
        assert registry.with_seed("X1").secret == b"added in the meantime"
        assert registry.with_seed("F0002").secret == a_seed("F0002").secret


def test_a_login_goes_on_while_seeds_of_before_are_compared(site: Site, desk: Desk) -> None:
    """They are marked a few at a time."""
    site.sql("UPDATE tokens SET fingerprint = NULL")
    alice, token = desk.user(), desk.token("H1")
    spend = AdvanceMovingFactor(token.id, alice.id, token.moving_factor + 1, 0, LATER)
    spent: list[object] = []
    take_in(site, some(1), progress=during(Step.COMPARING, lambda: spent.append(desk.commit(spend))))
    assert spent == [True]


# --- logins ----------------------------------------------------------------------------------------------------------


def test_a_login_goes_on_while_a_delivery_is_prepared(site: Site, desk: Desk) -> None:
    """Until the last seed is sealed nothing is locked: a code is spent and on the disk in the middle of it."""
    alice, token = desk.user(), desk.token("H1")
    spent: list[object] = []

    def log_in(_step: Step, _done: int, _of: int) -> None:
        counter = token.moving_factor + 1 + len(spent)
        spent.append(desk.commit(AdvanceMovingFactor(token.id, alice.id, counter, 0, LATER)))

    assert take_in(site, some(1200), progress=log_in).taken == 1200
    assert spent == [True] * 6  # sealing at 0, 500, 1000 and 1200; before and after the writing
    assert desk.token("H1").moving_factor == token.moving_factor + 6


def test_a_new_token_logs_in_at_once(site: Site, desk: Desk) -> None:
    """The daemon that was running before sees it with the next packet."""
    assert [token.serial for token in desk.user("bob").tokens] == ["H2"]
    take_in(site, [a_seed("N1", user="bob")])
    assert desk.token("N1", "bob").secret == a_seed("N1").secret
