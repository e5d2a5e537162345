"""`radiusd2fa init`: what it makes, with which modes, and that it overwrites nothing.

Everything is in a temporary folder. Answers to no RFC.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from radiusd2fa.settings import load_settings

from .conftest import Shell, command


def modes(folder: Path) -> dict[str, int]:
    """The modes of what is in a folder."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_a_site_is_made_where_dir_says_and_nowhere_else(tmp_path: Path) -> None:
    """Who says -c means a site that there is, and is not given one in /etc for it."""
    said = command("init", "-c", str(tmp_path / "radiusd2fa.yaml"))
    assert said.code == 2
    assert "--dir" in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_site(tmp_path: Path, umask: int) -> None:
    """Three files in a folder, all for their owner alone, whatever the umask; the next steps are named."""
    folder = tmp_path / "etc" / "radiusd2fa"
    before = os.umask(umask)
    try:
        said = command("init", "--dir", str(folder))
    finally:
        os.umask(before)
    assert (said.code, said.err) == (0, "")
    found = modes(folder)
    assert {"radiusd2fa.yaml", "vault.key", "radiusd2fa.db"} <= set(found)
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert said.out.count("made") == 3
    for step in ("user add", "token add", "serve"):
        assert f"radiusd2fa -c {folder / 'radiusd2fa.yaml'} {step}" in said.out


def test_a_new_site_is_in_order(shell: Shell) -> None:
    """What was made passes `check`, and its settings are the documented ones."""
    shell.change(", memory_kib: 64, passes: 1", "")
    assert "is in order" in shell.run("check")
    settings = load_settings(shell.config)
    assert [client.nas.name for client in settings.clients] == ["lab"]
    assert settings.clients[0].require_message_authenticator
    assert not settings.warnings


def test_the_second_time_nothing_changes(people: Shell) -> None:
    """A site that is there is kept to the last octet, and stays usable."""
    before = {path.name: path.read_bytes() for path in people.folder.iterdir() if path.suffix in {".yaml", ".key"}}
    said = command("init", "--dir", str(people.folder))
    assert said.code == 0
    assert said.out.count("kept") == 3
    assert "made" not in said.out
    assert {name: (people.folder / name).read_bytes() for name in before} == before
    assert "alice" in people.run("user", "list")


@pytest.mark.parametrize("missing", ["radiusd2fa.yaml", "radiusd2fa.db"])
def test_only_what_is_missing_is_made(shell: Shell, missing: str) -> None:
    """One file gone: it is made anew, the others are kept."""
    (shell.folder / missing).unlink()
    said = command("init", "--dir", str(shell.folder))
    assert said.code == 0
    assert re.search(rf"^made .*{re.escape(missing)}$", said.out, re.MULTILINE)
    assert said.out.count("kept") == 2
    assert shell.say("check").code == 0


def test_no_new_key_is_made_for_an_old_database(shell: Shell) -> None:
    """When only the key is gone, a new one would open nothing: it is refused, and nothing is made."""
    (shell.folder / "vault.key").unlink()
    said = shell.say("init", "--dir", str(shell.folder))
    assert said.code == 1
    assert "restore the key" in said.err
    assert not (shell.folder / "vault.key").exists()
    assert "restore it from your copy" in shell.wrong("check")


def test_secrets_are_random_and_not_shown(tmp_path: Path) -> None:
    """Each site has another shared secret of more than 16 characters; neither it nor the key is printed."""
    secrets = set()
    for number in range(3):
        said = command("init", "--dir", str(tmp_path / str(number)))
        (secret,) = load_settings(tmp_path / str(number) / "radiusd2fa.yaml").clients[0].secrets
        secrets.add(secret)
        assert len(secret) >= 16
        assert secret.decode() not in said.out + said.err
        key = (tmp_path / str(number) / "vault.key").read_text().partition(":")[2].strip()
        assert key not in said.out + said.err
    assert len(secrets) == 3


def test_where_to_listen_and_to_keep_the_database(tmp_path: Path) -> None:
    """Both can be chosen, and the configuration says so."""
    (tmp_path / "state").mkdir()
    database = tmp_path / "state" / "tokens.db"
    said = command("init", "--dir", str(tmp_path / "d"), "--listen", "[::1]:11812", "--store", str(database))
    assert said.code == 0
    settings = load_settings(tmp_path / "d" / "radiusd2fa.yaml")
    assert [(one.host, one.port) for one in settings.listen] == [("::1", 11812)]
    assert database.exists()
    assert Shell(tmp_path / "d").say("check").code == 0


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file in the way is an error, not a traceback."""
    (tmp_path / "file").touch()
    said = command("init", "--dir", str(tmp_path / "file" / "d"))
    assert said.code == 1
    assert said.err.startswith("error: ")


def test_a_wrong_configuration_is_not_built_upon(shell: Shell) -> None:
    """With a fault in the configuration no key and no database is made."""
    (shell.folder / "radiusd2fa.db").unlink()
    shell.change("flow: challenge", "flow: nonsense")
    said = command("init", "--dir", str(shell.folder))
    assert said.code == 2
    assert "flow" in said.err
    assert not (shell.folder / "radiusd2fa.db").exists()
