"""A site for each test: a folder with a configuration file in it, written with the mode that a good file has.

Nothing here looks at the machine's own configuration or credentials.
Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from radiusd2fa.settings import Fault, Settings, SettingsError, load_settings

SECRET = "a secret of enough characters"


@dataclass(frozen=True, slots=True)
class Site:
    """A folder of configuration."""

    folder: Path

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "radiusd2fa.yaml"

    def put(self, name: str, content: str | bytes, mode: int = 0o600) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def load(self, text: str | bytes, mode: int = 0o600) -> Settings:
        """Load this text as the configuration."""
        return load_settings(self.put("radiusd2fa.yaml", text, mode))

    def faults(self, text: str | bytes, mode: int = 0o600) -> tuple[Fault, ...]:
        """Return why this text is refused; it must be."""
        with pytest.raises(SettingsError) as refusal:
            self.load(text, mode)
        return refusal.value.faults

    def with_client(self, *options: str) -> Settings:
        """Load a configuration whose client has these options."""
        return self.load(minimal(client=options))

    def with_sections(self, *sections: str) -> Settings:
        """Load a configuration that also has these sections."""
        return self.load(minimal(*sections))


def minimal(*sections: str, client: tuple[str, ...] = ()) -> str:
    """Return a good file. Sections begin on line 7; the options of the client do, when there are any."""
    lines = [
        "listen: {udp: ['127.0.0.1:0']}",
        "store: sqlite:///radiusd2fa.db",
        "clients:",
        "  lab:",
        "    networks: [127.0.0.1]",
        f"    secret: '{SECRET}'",
        *(f"    {option}" for option in client),
        *sections,
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Give the test a folder of its own, and no systemd credentials."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return Site(tmp_path)
