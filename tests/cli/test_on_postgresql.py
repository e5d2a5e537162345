"""A site on a server of PostgreSQL, from `init` on: every kind of command once, and a site that moves there.

The commands run in this process against a real server; what each does in particular is told where SQLite is. Answers to
no RFC.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.cli.conftest import PASSWORD, Shell, command
from tests.cli.seed_files import a_file, row
from tests.cli.test_grant import days_ahead
from tests.postgresql import Cluster

CHOSEN: Final = """\
primary: {kind: local, memory_kib: 64, passes: 1}
syslog: off
fido: {rp_id: example.org}
rules: [{name: all, factors: [hotp, recovery, fido], break_glass: alone}]"""


@pytest.fixture
def shell(cluster: Cluster, fresh_database: str, tmp_path: Path) -> Shell:
    """A site that `init` has made in an empty database."""
    folder = tmp_path / "site"
    said = command("init", "--dir", str(folder), "--store", cluster.url(fresh_database), "--listen", "127.0.0.1:0")
    assert said.code == 0, said
    shell = Shell(folder)
    shell.change("primary: {kind: local}", CHOSEN)
    return shell


def test_a_database_that_is_not_empty_is_refused(cluster: Cluster, fresh_database: str, tmp_path: Path) -> None:
    """Somebody else's tables are left alone."""
    cluster.sql("CREATE TABLE public.invoices (id int)", database=fresh_database)
    said = command("init", "--dir", str(tmp_path / "site"), "--store", cluster.url(fresh_database))
    assert said.code == 1
    assert "not empty, it has invoices" in said.err
    assert cluster.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=fresh_database) == [
        ("invoices",)
    ]


def test_a_password_in_an_address_is_refused(tmp_path: Path) -> None:
    """And no configuration is left behind that holds it."""
    said = command("init", "--dir", str(tmp_path / "site"), "--store", "postgresql://u:hunter2@h/d")
    assert said.code == 2
    assert "has a password in it; put HOST:PORT:DATABASE:USER:PASSWORD into a file" in said.err
    assert "hunter2" not in said.out + said.err
    assert not (tmp_path / "site" / "radiusd2fa.yaml").exists()


def test_another_vault_key_opens_nothing(shell: Shell) -> None:
    """The key file belongs to the database, wherever that is."""
    (shell.folder / "vault.key").unlink()
    assert "restore the key from your copy" in command("init", "--dir", str(shell.folder)).err
    other = shell.folder / "other"
    assert command("init", "--dir", str(other)).code == 0
    shutil.copy(other / "vault.key", shell.folder / "vault.key")
    assert "sealed under vault key" in shell.wrong("user", "list")


def test_a_newer_schema_is_refused(shell: Shell, cluster: Cluster, fresh_database: str) -> None:
    """Also by `db upgrade`, which else says that nothing is to be done."""
    assert "has schema 0005 already" in shell.run("db", "upgrade")
    cluster.sql("UPDATE alembic_version SET version_num = '9999'", database=fresh_database)
    assert "a newer database needs the newer program" in shell.wrong("user", "list")
    assert "schema 9999 is newer than this program" in shell.wrong("db", "upgrade")


def test_init_again_keeps_all(shell: Shell) -> None:
    """As it does with a file."""
    shell.add_user()
    said = command("init", "--dir", str(shell.folder))
    assert said.out.count("kept") == 3
    assert "alice" in shell.run("user", "list")


def test_every_kind_of_command(shell: Shell, tmp_path: Path) -> None:
    """People, tokens, deliveries, sheets, grants, emergencies, keys, reports and the audit, each once."""
    shell.add_user()
    shell.add_user("bob")
    shell.add_token()
    seeds = a_file(tmp_path, *(row(f"F{number}") for number in range(1, 6)), row("F6", "bob", counter=9))
    assert "6 tokens" in shell.run("token", "import", str(seeds), "--batch", "2026-11")
    again = a_file(tmp_path, row("F6", "bob", counter=12), name="again.csv")
    assert "moved forward" in shell.run("token", "import", str(again), "--skip-known")
    shell.run("token", "assign", "F1", "--user", "bob")
    shell.run("token", "counter", "H1", "--to", "77")
    shell.run("token", "lost", "F1")
    kept = {one["serial"]: one for one in json.loads(shell.run("token", "list", "--json"))}
    assert (kept["F1"]["state"], kept["F6"]["user"], kept["F6"]["moving_factor"]) == ("lost", "bob", 12)
    assert kept["H1"]["moving_factor"] == 77
    shell.say("recovery", "issue", "alice", "--text", str(tmp_path / "codes.txt"))
    assert "alice" in shell.say("recovery", "status", "--all").out
    shell.say("grant", "temporary", "alice", "--keep", "--reason", "fob at home")
    shell.say("grant", "skip", "bob", "--until", days_ahead(1), "--reason", "fob at home")
    assert len(json.loads(shell.run("grant", "list", "--json"))) == 2
    shell.say("breakglass", "seal", "alice", "--text", str(tmp_path / "sealed.txt"))
    assert "alice" in shell.run("breakglass", "list")
    assert shell.say("key", "invite", "alice", "--label", "laptop").out.startswith("RKI1-")
    shell.run("user", "password", "alice", "--password-stdin", typed=f"{PASSWORD} again\n")
    assert "alice" in shell.run("user", "show", "alice")
    for words in ("coverage", "stale", "exceptions", "recovery", "inventory", "failures"):
        json.loads(shell.run("report", words, "--json"))
    shell.run("report", "page", str(tmp_path / "page.html"))
    assert "no packet" in (shell.say("doctor").out + shell.say("doctor").err) or shell.say("doctor").code == 1
    assert "offboarded alice" in shell.run("user", "offboard", "alice", "--yes", "--reason", "left")
    assert shell.say("check").code == 0
    for words in ("audit verify", "db verify"):
        assert "whole" in shell.run(*words.split())
    named = {event.name for event in shell.events()}
    assert named >= {"tokens.imported", "token.counter_raised", "recovery.issued", "grant.opened", "user.offboarded"}


def test_a_site_moves(template: Path, cluster: Cluster, fresh_database: str, tmp_path: Path) -> None:
    """The command asks first, copies, says what to write, and the site is there with all that it had."""
    shutil.copytree(template, tmp_path / "site")
    shell = Shell(tmp_path / "site")
    shell.add_user()
    shell.add_token()
    url = cluster.url(fresh_database)
    assert "nothing was changed" in shell.refused("db", "copy", "--to", url, typed="no\n")
    assert "say where to" in shell.wrong("db", "copy")
    assert "has a password in it" in shell.wrong("db", "copy", "--to", "postgresql://u:hunter2@h/d")
    said = shell.run("db", "copy", "--to", url, "--yes")
    assert "copied and compared: 1 user, 1 token, 3 audit rows" in said
    written = next(line.strip() for line in said.splitlines() if "store: postgresql://" in line)
    assert "closed for good, because this site has moved" in shell.wrong("user", "list")
    shell.change("store: sqlite:///radiusd2fa.db            # beside this file", written)
    assert "alice" in shell.run("user", "list")
    assert "the audit is whole" in shell.run("audit", "verify")
    with_seed = json.loads(shell.run("token", "show", "H1", "--json"))
    assert with_seed["user"] == "alice"
    assert "a copy goes one way only" in shell.refused("db", "copy", "--to", "sqlite:///back.db", "--yes")


def test_a_copy_that_cannot_begin_closes_nothing(template: Path, tmp_path: Path) -> None:
    """Where there is no folder for it the site stays open, and there is nothing to open again."""
    shutil.copytree(template, tmp_path / "site")
    shell = Shell(tmp_path / "site")
    shell.add_user()
    target = tmp_path / "nowhere" / "new.db"
    assert "cannot make the database" in shell.wrong("db", "copy", "--to", f"sqlite:///{target}", "--yes")
    assert "alice" in shell.run("user", "list")
    assert "no copy of it was begun" in shell.refused("db", "copy", "--reopen")
