"""A site as `radiusd2fa init` makes it, copied for each test, and a shell in which to give commands.

The commands run in this process, exactly as the program would run them; no test looks at the machine's own site.
Answers to no RFC.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from radiusd2fa import vault
from radiusd2fa.cli.app import _config_first, app
from radiusd2fa.core.model import Event
from radiusd2fa.store.address import PostgresServer, SqliteFile
from radiusd2fa.store.registry import Registry

PASSWORD: Final = "correct horse"
SEED: Final = b"12345678901234567890"
ROOT: Final = get_command(app)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - whatever the command prints
        """Read the output as one JSON document."""
        return json.loads(self.out)


def command(*arguments: str, typed: str | bytes = "") -> Said:
    """Give a command, with this on standard input."""
    result = CliRunner().invoke(app, _config_first(list(arguments)), input=typed, prog_name="radiusd2fa")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell beside one site."""

    folder: Path

    @property
    def config(self) -> Path:
        """Where the configuration is."""
        return self.folder / "radiusd2fa.yaml"

    def say(self, *arguments: str, typed: str | bytes = "") -> Said:
        """Give a command for this site, however it ends."""
        return command(*arguments, "-c", str(self.config), typed=typed)

    def run(self, *arguments: str, typed: str | bytes = "") -> str:
        """Give a command that must be done; return what it printed."""
        said = self.say(*arguments, typed=typed)
        assert (said.code, said.err) == (0, ""), said
        return said.out

    def refused(self, *arguments: str, typed: str | bytes = "") -> str:
        """Give a command that must be refused (1); return why."""
        said = self.say(*arguments, typed=typed)
        assert said.code == 1, said
        return said.err

    def wrong(self, *arguments: str, typed: str | bytes = "") -> str:
        """Give a command that must be called wrong usage (2); return why."""
        said = self.say(*arguments, typed=typed)
        assert said.code == 2, said
        return said.err

    def add_user(self, name: str = "alice") -> None:
        """Add somebody with the usual password."""
        self.run("user", "add", name, "--password-stdin", typed=f"{PASSWORD}\n")

    def add_token(self, serial: str = "H1", *options: str, user: str = "alice", seed: bytes = SEED) -> None:
        """Add a token with a known seed."""
        kind = () if "--kind" in options else ("--kind", "hotp")
        whose = ("--user", user, "--serial", serial)
        self.run("token", "add", *whose, "--secret-stdin", *kind, *options, typed=seed.hex())

    def registry(self) -> Registry:
        """Look at the store past the command line."""
        server = re.search(r"(?m)^store: (postgresql:\S+)", self.config.read_text())
        store = PostgresServer(server[1]) if server else SqliteFile(self.folder / "radiusd2fa.db")
        return Registry(store, vault.load(self.folder / "vault.key"), "nobody")

    def events(self) -> list[Event]:
        """The audit."""
        with self.registry() as registry:
            return registry.events(1000)

    def seed_of(self, serial: str) -> bytes:
        """The seed in the store."""
        with self.registry() as registry:
            return registry.with_seed(serial).secret

    def change(self, old: str, new: str) -> None:
        """Edit the configuration."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide, without colours, without sudo, and without systemd's credentials; the commands are put together once."""
    monkeypatch.setattr("typer.testing._get_command", lambda _: ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setattr("radiusd2fa.cli.acting.login_uid", lambda: None)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is made, but for cheaper hashes, and telling this machine's syslog nothing."""
    folder = tmp_path_factory.mktemp("site") / "d"
    assert command("init", "--dir", str(folder), "--listen", "127.0.0.1:0").code == 0
    shell = Shell(folder)
    shell.change("primary: {kind: local}", "primary: {kind: local, memory_kib: 64, passes: 1}\nsyslog: off")
    return folder


@pytest.fixture
def shell(template: Path, tmp_path: Path) -> Shell:
    """A shell beside a site of the test's own."""
    shutil.copytree(template, tmp_path / "site")
    return Shell(tmp_path / "site")


@pytest.fixture(scope="session")
def inhabited(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with alice, who has a password and the token H1."""
    shell = Shell(tmp_path_factory.mktemp("inhabited") / "d")
    shutil.copytree(template, shell.folder)
    shell.add_user()
    shell.add_token()
    return shell.folder


@pytest.fixture
def people(inhabited: Path, tmp_path: Path) -> Shell:
    """A shell beside a site of the test's own, with alice and H1."""
    shutil.copytree(inhabited, tmp_path / "people")
    return Shell(tmp_path / "people")
