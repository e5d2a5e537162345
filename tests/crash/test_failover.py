"""The primary dies and its replica takes over: with synchronous replication nothing is lost, and no daemon restarts.

With asynchronous replication the last logins may be, and their codes would be good again: that is shown, and so is the
command after which they are not. docs/high-availability.md; PostgreSQL 27.2 (standby servers), 34.1.1.3 (several
hosts), promises P1, P4 and P16; no RFC speaks here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.daemon.site import CODE_ONLY
from tests.postgresql import Cluster, a_pair

from .nodes import Founded, Nodes

SEED: Final = 1905


def _nodes(founded: Founded, folder: Path, primary: Cluster, standby: Cluster) -> Nodes:
    return Nodes.of(*founded, folder, primary.url(primary.database(), standby, target_session_attrs="read-write"))


def test_with_synchronous_replication_nothing_is_lost(founded: Founded, tmp_path: Path) -> None:
    """Without its replica nothing counts as written, and nobody is answered; with it the primary may crash for good."""
    with a_pair() as (primary, standby):
        nodes = _nodes(founded, tmp_path, primary, standby)
        primary.configure("synchronous_standby_names", "*")
        crowd = nodes.crowd(SEED)
        with nodes.serving() as daemons, crowd.facing(*daemons):
            crowd.log_in(20)
            standby.stop("immediate")
            crowd.hear_the_last()
            before = crowd.answers
            crowd.work(lambda: any(daemon.lines("store.alarm") for daemon in daemons))
            assert crowd.answers == before
            standby.start()
            crowd.press_on(60)
            primary.stop("immediate")
            crowd.hear_the_last()
            standby.promote()
            crowd.log_in(20)
            crowd.judge(everything=True)


def test_with_asynchronous_replication_the_gap_must_be_forced(founded: Founded, tmp_path: Path) -> None:
    """What had not reached the replica is good again on it: until `db gap`, and never afterwards."""
    with a_pair() as (primary, standby):
        nodes = _nodes(founded, tmp_path, primary, standby)
        crowd = nodes.crowd(SEED)
        victim = crowd.members[0]
        with nodes.serving() as daemons, crowd.facing(*daemons):
            crowd.log_in(30)
            primary.wait_for_standby()
            standby.configure("primary_conninfo", "")  # it receives nothing any more
            lost = victim.number
            crowd.log_in(30)
            primary.stop("immediate")
            standby.promote()
            for daemon in daemons:
                with daemon.peer(CODE_ONLY) as peer:
                    peer.wait_until_served()
            with daemons[0].peer(CODE_ONLY) as peer:
                # so it must be, or this test had lost nothing
                assert peer.ask(victim.person.name, victim.person.code_at(lost)).kind == "accept"
            nodes.sites[0].cli("db", "gap", "--yes")
            crowd.replay(everything=True)
