"""The list of key cards on the laptop: where it is, what may be in it, and that it is never half written.

A card decides what a key signs, so one that could make it sign for somebody else's site is refused. WebAuthn 5.1.3.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from radiusd2fa.core.invitation import KeyCard
from radiusd2fa.laptop.profile import (
    ProfileError,
    fault_of_card,
    fault_of_invitation,
    load_cards,
    named_cards,
    profile_path,
    save_cards,
    selector_text,
    with_card,
)

from .laptop import invitation

GOOD = KeyCard("auth.example.org", "https://auth.example.org", "alice", b"credential", "blue key")


def changed(members: dict[str, Any]) -> KeyCard:
    """Return the good card with other members."""
    now = {name: getattr(GOOD, name) for name in ("rp_id", "origin", "user", "credential", "label")} | members
    return KeyCard(**now)


@pytest.mark.parametrize(
    "members",
    [
        {"origin": 'https://auth.example.org","challenge":"x'},
        {"origin": "https://auth.example.org\\"},
        {"origin": "https://auth.example.org/"},
        {"origin": "https://auth.example.org\n"},
        {"origin": "https://evil.test"},
        {"origin": "https://evilauth.example.org.evil.test"},
        {"origin": "https://notauth.example.org"},
        {"origin": "https://example.org"},
        {"origin": "http://auth.example.org"},
        {"origin": "auth.example.org"},
        {"origin": ""},
        {"rp_id": "Auth.example.org"},
        {"rp_id": "auth.example.org."},
        {"rp_id": ""},
        {"rp_id": '"'},
        {"user": ""},
        {"user": "Alice"},
        {"user": "alice\x1b[2J"},
        {"user": " alice"},
        {"credential": b""},
        {"credential": bytes(1024)},
        {"label": "two\nlines"},
        {"label": "\x1b[2J"},
    ],
)
def test_a_card_that_no_daemon_writes_is_refused(members: dict[str, Any]) -> None:
    """An origin that says more, or another site's, or in another spelling; names with controls; no credential."""
    assert fault_of_card(changed(members)) is not None
    if set(members) <= {"rp_id", "origin", "user"}:
        assert fault_of_invitation(replace(invitation(), **members)) is not None


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"origin": "https://auth.example.org:8443"},
        {"origin": "https://login.auth.example.org"},
        {"rp_id": "localhost", "origin": "http://localhost:8080"},
        {"user": "j\N{LATIN SMALL LETTER O WITH DIAERESIS}rg"},
        {"credential": bytes(1023), "label": ""},
    ],
)
def test_cards_as_daemons_write_them_are_taken(members: dict[str, Any]) -> None:
    """Ports, hosts below the RP ID, localhost for trying it out, and names in any script."""
    assert fault_of_card(changed(members)) is None
    assert fault_of_invitation(invitation()) is None


def test_the_list_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    """Mode 0600 in a folder of mode 0700, and what is read is what was kept."""
    path = tmp_path / "config" / "radiusd2fa" / "keys.json"
    assert load_cards(path) == ()
    save_cards(path, [GOOD])
    assert load_cards(path) == (GOOD,)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_a_list_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all, and nothing is left lying beside it."""
    path = tmp_path / "keys.json"
    save_cards(path, [GOOD])

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProfileError, match="No space left"):
        save_cards(path, [])
    assert load_cards(path) == (GOOD,)
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


def test_a_link_to_the_list_stays_a_link(tmp_path: Path) -> None:
    """Settings that are kept elsewhere are written there."""
    real = tmp_path / "dotfiles.json"
    link = tmp_path / "keys.json"
    link.symlink_to(real)
    save_cards(link, [GOOD])
    assert link.is_symlink()
    assert load_cards(real) == (GOOD,)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"cards": 1}',
        '{"cards": [1]}',
        '{"cards": [{}]}',
        "[" * 100_000,
        json.dumps({"cards": [GOOD.members() | {"origin": "https://evil.test"}]}),
        json.dumps({"cards": [GOOD.members() | {"credential": "AA=="}]}),
        json.dumps({"cards": [GOOD.members(), {"user": "alice"}]}),
        json.dumps({"cards": [GOOD.members()]}) + " " * 1024 * 1024,
    ],
)
def test_a_list_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    """The sentence names the file, and nothing of it is used."""
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(ProfileError, match=r"keys\.json"):
        load_cards(path)


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    """As is whatever else cannot be read."""
    with pytest.raises(ProfileError, match="Is a directory"):
        load_cards(tmp_path)


def test_the_same_credential_has_one_card() -> None:
    """A card that comes again takes the place of the old one; another credential is another card."""
    renamed, other = changed({"label": "red"}), changed({"credential": b"other"})
    assert with_card([GOOD], renamed) == (renamed,)
    assert with_card([GOOD], other) == (GOOD, other)
    assert named_cards([renamed, other], "red") == (renamed,)
    assert named_cards([renamed, other], selector_text(other)) == (other,)
    assert named_cards([renamed, other], "none") == ()


def test_the_list_lies_where_the_desktop_keeps_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CONFIG_HOME counts where it is absolute, as its specification wants it."""
    monkeypatch.setenv("HOME", "/home/alice")
    for folder, place in [("/elsewhere", "/elsewhere"), ("", "/home/alice/.config"), ("here", "/home/alice/.config")]:
        monkeypatch.setenv("XDG_CONFIG_HOME", folder)
        assert profile_path() == Path(place) / "radiusd2fa" / "keys.json"
