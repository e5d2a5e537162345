"""The stage of the conversations, with an administrator who makes backups, loses the store, and restores them.

The daemon runs all the while; only its clock is the transcript's, and the administrator's with it. Answers to no RFC.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conversations.player import Player
from tests.conversations.scenery import Template, build, make_template
from tests.conversations.stage import Stage
from tests.conversations.transcript import Command, Conversation

Play = Callable[[Conversation], None]


@dataclass(slots=True)
class Restorer(Player):
    """Reads the lines aloud, and knows what happens to stores: ``$ lose the store``, ``$ copy a b``."""

    def _command(self, command: Command) -> None:
        match command.words:
            case ["lose", "the", "store"]:
                for end in ("", "-wal", "-shm"):
                    Path(f"{self.site.database}{end}").unlink(missing_ok=True)
                self.seen = 0  # its audit is lost with it
            case ["keep", "the", "store"]:
                pass
            case ["copy", file, to]:
                shutil.copy(file, to)
            case _:
                Player._command(self, command)
        if command.words[:2] == ("db", "restore") and command.end == "done":
            Player._command(self, Command(command.line, ("db", "verify"), "done", ("whole",)))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Make the vault key and the empty database that each begins with."""
    return make_template(tmp_path_factory.mktemp("restoring"))


@pytest.fixture
def play(template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Give the test a function that plays a transcript against a daemon of its own, in the site's folder."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)

    def _play(conversation: Conversation) -> None:
        site = build(conversation, template, tmp_path)
        with site.registry() as registry, Stage(site) as stage:
            monkeypatch.setattr("radiusd2fa.cli.site.time", SimpleNamespace(time=stage.clock))
            Restorer(site, stage, registry).play(conversation)

    return _play
