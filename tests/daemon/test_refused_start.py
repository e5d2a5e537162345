"""What keeps the daemon from starting: each fault is named in a line of its own, the exit code is 2, nothing listens.

Every start is a real process; a site is made good first and then spoilt in one way.
RFC 2865 3 (one port, one server).
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from .site import USUAL_CLIENTS, Daemon, Site
from .wire import PATIENCE

Spoil = Callable[[Site, Path], None]


def _sql(site: Site, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(site.database)) as database, database:
        database.execute(statement)


def _newer_schema(site: Site, _: Path) -> None:
    _sql(site, "UPDATE alembic_version SET version_num = '9999'")


def _foreign_database(site: Site, _: Path) -> None:
    site.database.unlink()
    _sql(site, "CREATE TABLE something (else_ TEXT)")


def _no_database(site: Site, _: Path) -> None:
    site.database.unlink()


def _no_sqlite(site: Site, _: Path) -> None:
    site.database.write_bytes(b"this is a letter to my aunt\n" * 400)


def _no_vault_key(site: Site, _: Path) -> None:
    (site.folder / "vault.key").unlink()


def _open_vault_key(site: Site, _: Path) -> None:
    (site.folder / "vault.key").chmod(0o640)


def _linked_vault_key(site: Site, elsewhere: Path) -> None:
    key = site.folder / "vault.key"
    key.rename(elsewhere / "vault.key")
    key.symlink_to(elsewhere / "vault.key")


def _broken_vault_key(site: Site, _: Path) -> None:
    key = site.folder / "vault.key"
    key.write_bytes(key.read_bytes()[:30])


def _vault_key_of_another_site(site: Site, elsewhere: Path) -> None:
    other = Site.make(elsewhere / "other")
    shutil.copy(other.folder / "vault.key", site.folder / "vault.key")


REFUSALS: Final[dict[str, tuple[Spoil, str]]] = {
    "a newer schema": (_newer_schema, "the database has schema 9999"),
    "a database of another program": (_foreign_database, "this is no database of radiusd2fa"),
    "no database": (_no_database, "cannot open the database"),
    "no SQLite file": (_no_sqlite, "radiusd2fa.db: "),
    "no vault key": (_no_vault_key, "no vault key"),
    "a vault key open to others": (_open_vault_key, "chmod 600"),
    "a vault key behind a link": (_linked_vault_key, "cannot open the vault key"),
    "a cut vault key": (_broken_vault_key, "this is no vault key file"),
    "the vault key of another site": (_vault_key_of_another_site, "sealed under vault key"),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_site_that_does_not_fit_together_is_refused(site: Site, tmp_path: Path, fault: str) -> None:
    """A database or vault key that is missing, foreign, newer or open to others ends the start with one line and 2."""
    spoil, words = REFUSALS[fault]
    spoil(site, tmp_path)
    before = _files(site)
    refused = site.run("serve")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert refused.stdout == ""
    assert _files(site) == before


def _files(site: Site) -> set[str]:
    """What is in the folder: a refused start makes no file, least of all a database to begin with."""
    return {path.name for path in site.folder.iterdir() if not path.name.endswith(("-wal", "-shm"))}


def test_every_fault_of_the_configuration_has_its_line(site: Site) -> None:
    """Five faults are five lines with file, line number, key and remedy; the port, which is taken, is not tried."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        site.configure(
            clients=USUAL_CLIENTS
            | {"lab": '{networks: [192.0.2.300], secret: "long enough to be one", flow: chalenge}'},
            listen=[f"127.0.0.1:{taken.getsockname()[1]}"],
            hotp="{look_ahead: 9999}",
            thortle="{max_failures: 3}",
            challenge="{lifetime: 90}",
        )
        refused = site.run("serve")
    assert refused.returncode == 2
    assert refused.stdout == ""
    lines = refused.stderr.splitlines()
    assert all(line.startswith(f"error: {site.config}:") for line in lines)
    named = [line.removeprefix(f"error: {site.config}:") for line in lines]
    keys = ["clients.lab.networks", "clients.lab.flow", "hotp.look_ahead", "thortle", "challenge.lifetime"]
    assert len(named) == len(keys)
    for key in keys:
        (line,) = (line for line in named if key in line)
        assert line.partition(":")[0].isdecimal()
        assert ";" in line  # behind it stands what to do


def test_a_second_daemon_on_the_same_port_is_refused(site: Site, tmp_path: Path) -> None:
    """The second one says which port is taken and ends with 2; the first one goes on answering."""
    other = Site.make(tmp_path / "other")
    with site.serving() as first:
        other.configure(listen=["127.0.0.1:0", f"127.0.0.1:{first.address[1]}"])
        refused = other.run("serve")
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert f"cannot bind 127.0.0.1 port {first.address[1]}" in line
        assert "is another daemon running?" in line
        with first.peer() as peer:
            assert peer.is_served(PATIENCE)


def test_an_address_that_is_not_ours_is_refused(site: Site) -> None:
    """An address of no interface of this machine ends the start with one line that names it, and 2."""
    site.configure(listen=["192.0.2.1:0"])
    refused = site.run("serve")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "cannot bind 192.0.2.1" in line


def test_an_unknown_source_gets_silence_and_one_line(daemon: Daemon) -> None:
    """Whoever is no client gets no answer to anything, and the log has one line about it, not one for each packet."""
    with daemon.peer(source="127.0.9.9") as stranger:
        for _ in range(50):
            stranger.send(stranger.status_request())
        _pass_by(daemon)
        assert stranger.waiting() == []
    assert daemon.stop() == 0
    assert daemon.counters()["unknown_client"] == 50
    (line,) = (line for line in daemon.lines("packet.dropped") if line["reason"] == "unknown_client")
    assert line["source"] == "127.0.9.9"


def test_a_malformed_packet_gets_silence_and_is_counted(daemon: Daemon) -> None:
    """Packets that are none get no answer; each is counted by what is wrong with it."""
    with daemon.peer() as peer:
        good = peer.status_request()
        broken = {
            "short_header": good[:19],
            "short_datagram": good[:30],
            "bad_length": good[:2] + b"\0\x13" + good[4:],
            "unexpected_code": b"\x04" + good[1:],
            "cut_attribute": good[:2] + b"\0\x27" + good[4:] + b"\x01",
            "short_attribute": good[:21] + b"\x01" + good[22:],
            "attribute_type_zero": good[:20] + b"\0" + good[21:],
        }
        for octets in broken.values():
            peer.send(octets)
        _pass_by(daemon)
        assert peer.waiting() == []
    assert daemon.stop() == 0
    assert {reason: count for reason, count in daemon.counters().items() if reason in broken} == dict.fromkeys(
        broken, 1
    )


def _pass_by(daemon: Daemon) -> None:
    """Return when everything that was sent before has been looked at: one socket is one queue."""
    with daemon.peer() as peer:
        assert peer.is_served(PATIENCE)
