"""What every conversation starts from: an empty store, made once, and a folder of its own.

Nothing here listens, logs in or looks at the machine's own configuration.
Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .player import Player
from .scenery import Template, build, make_template
from .stage import Stage
from .transcript import Conversation

Play = Callable[[Conversation], None]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Make the vault key and the empty database that each conversation begins with."""
    return make_template(tmp_path_factory.mktemp("conversations"))


@pytest.fixture
def play(template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Give the test a function that plays a conversation against a daemon of its own."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    def _play(conversation: Conversation) -> None:
        site = build(conversation, template, tmp_path)
        with site.registry() as registry, Stage(site) as stage:
            for command in ("user", "token", "key"):
                monkeypatch.setattr(f"radiusd2fa.cli.{command}.now", stage.clock)
            Player(site, stage, registry).play(conversation)

    return _play
