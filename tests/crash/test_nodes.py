"""Three nodes on one PostgreSQL: rows decide, and no node knows of another; each of them, and the server, may die.

A packet goes to any node, also one that continues a login or is sent again. A node that has lost its database is
silent, so that the NAS takes its next server. RFC 4226 7.2, RFC 6238 5.2, RFC 5997; promises P4 and P8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon
from tests.daemon.wire import gather, request
from tests.postgresql import Cluster, a_cluster, a_folder

from .crowd import Crowd
from .nodes import Founded, Nodes, Wire

SEED: Final = 1871
CROWD: Final = 30
_LONG: Final = pytest.mark.soak


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A server that these tests may stop; it takes a crash as any other does."""
    with a_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def nodes(own: Cluster, founded: Founded, tmp_path_factory: pytest.TempPathFactory) -> Nodes:
    """Three nodes on it."""
    return Nodes.of(*founded, tmp_path_factory.mktemp("nodes"), own.url(own.database()))


@pytest.fixture(scope="module")
def crowd(nodes: Nodes) -> Crowd:
    """Eight people, whose memory goes through all tests: what one has used, no later one can use."""
    return nodes.crowd(SEED)


@pytest.fixture(scope="module")
def daemons(nodes: Nodes) -> Iterator[list[Daemon]]:
    """All three at work."""
    with nodes.serving() as daemons:
        yield daemons


def _is_alive(daemon: Daemon) -> bool:
    """Whether it says that it is alive."""
    with daemon.peer(CODE_ONLY) as peer:
        return peer.is_served(0.1)


def test_one_code_at_three_nodes_lets_in_once(crowd: Crowd, daemons: list[Daemon]) -> None:
    """Of thirty packets with one code, ten at each node at the same moment, exactly one is accepted, each time."""
    member = crowd.members[0]
    with ExitStack() as opened:
        peers = [opened.enter_context(daemon.peer(CODE_ONLY)) for daemon in daemons for _ in range(CROWD // 3)]
        for _ in range(20):
            code = member.person.code_at(member.number).encode()
            asked = [(peer, request(SECRET, member.person.name, code)) for peer in peers]
            for daemon in daemons:
                daemon.pause()
            for peer, octets in asked:
                peer.send(octets)
            for daemon in daemons:
                daemon.resume()
            assert Counter(reply.kind for reply in gather(asked)) == {"accept": 1, "reject": CROWD - 1}
            member.number += 1


def test_a_login_begins_here_and_ends_there(crowd: Crowd, daemons: list[Daemon]) -> None:
    """The question of one node is answered at another, once; and not again at the third, or where it was put."""
    member = crowd.members[1]
    with ExitStack() as opened:
        here, there, elsewhere = (opened.enter_context(daemon.peer(CHALLENGE)) for daemon in daemons)
        state = here.ask(member.person.name, PASSWORD).state
        code = member.person.code_at(member.number)
        assert there.ask(member.person.name, code, state).kind == "accept"
        member.number += 1
        following = member.person.code_at(member.number)
        for peer in (elsewhere, here, there):
            assert peer.ask(member.person.name, following, state).kind == "reject"


def test_any_packet_at_any_node(crowd: Crowd, daemons: list[Daemon]) -> None:
    """A crowd that comes to another node with each packet gets in as if there was one."""
    with crowd.facing(*daemons):
        crowd.log_in(150)
        crowd.judge(everything=True)


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=_LONG)])
def test_a_node_dies_and_the_others_go_on(nodes: Nodes, crowd: Crowd, kills: int) -> None:
    """Killed at random moments under load, each node comes back to what the others have done meanwhile."""
    for _ in range(kills):
        with nodes.serving() as daemons, crowd.facing(*daemons):
            crowd.press_on(crowd.chance.randrange(1, 60))
            crowd.chance.choice(daemons).kill()
            crowd.press_on(20)
            for daemon in daemons:
                daemon.kill()
            crowd.hear_the_last()
    with nodes.serving() as daemons, crowd.facing(*daemons):
        crowd.judge(everything=True)


@pytest.mark.parametrize("crashes", [3, pytest.param(60, marks=_LONG)])
def test_the_server_crashes_in_the_middle_of_logins(
    own: Cluster, crowd: Crowd, daemons: list[Daemon], crashes: int
) -> None:
    """`pg_ctl stop -m immediate`: silence at every node, until it is there again; then all goes on by itself."""
    with crowd.facing(*daemons):
        for _ in range(crashes):
            crowd.press_on(crowd.chance.randrange(1, 60))
            own.stop("immediate")
            crowd.hear_the_last()
            before = crowd.answers
            crowd.work(lambda: not any(map(_is_alive, daemons)))
            assert crowd.answers == before
            own.start()
            crowd.log_in(20)
        crowd.judge(everything=True)


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=_LONG)])
def test_connections_are_thrown_out(own: Cluster, crowd: Crowd, daemons: list[Daemon], rounds: int) -> None:
    """Backends that are terminated at random moments cost a packet or two, and no code counts twice or never."""
    with crowd.facing(*daemons):
        for _ in range(rounds):
            crowd.press_on(crowd.chance.randrange(1, 30))
            own.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'radiusd2fa'")
        crowd.log_in(20)
        crowd.judge()


@pytest.mark.parametrize("cuts", [4, pytest.param(100, marks=_LONG)])
def test_the_wire_to_the_server_is_cut(own: Cluster, founded: Founded, tmp_path: Path, cuts: int) -> None:
    """Cut in the middle of anything, also between a commit and the word of it: silence, and each code once at most."""
    name = own.database()
    with a_folder() as folder, Wire.to(own, folder) as wire:
        store = own.url(name)
        nodes = Nodes.of(*founded, tmp_path, store)
        nodes.move(str(own.folder).replace("/", "%2F"), str(folder).replace("/", "%2F"))
        crowd = nodes.crowd(SEED)
        with nodes.serving() as daemons, crowd.facing(*daemons):
            for _ in range(cuts):
                crowd.press_on(crowd.chance.randrange(1, 30))
                wire.cut()
                before = crowd.answers + crowd.waiting
                crowd.work(lambda: not any(map(_is_alive, daemons)))
                assert crowd.answers <= before
                wire.mend()
                crowd.log_in(10)
            crowd.judge(everything=True)
        assert wire.cuts >= cuts
    own.drop(name)
