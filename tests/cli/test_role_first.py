"""The role is asked for before anything else: who has none learns nothing of directories, files, clients or backends.

Each refusal is the role's, and says nothing of what was asked about. Answers to no RFC.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.cli import user

from .conftest import Shell

SECTION: Final = "administrators: {helpdesk: [daemon], operator: [bin], admin: [sys]}\nprimary:"
NOBODY: Final = "6"
"""The account `games`, which is in none of the groups."""
ASKED: Final = {
    "a backend, to add": ("user", "add", "bob", "--no-password", "--source", "nowhere"),
    "a password that is too long": ("user", "add", "bob", "--password-stdin"),
    "a backend, to bind": ("user", "bind", "alice", "--source", "nowhere", "--reason", "x"),
    "a client, to check": ("check", "--client", "nowhere", "--user", "alice"),
    "a client, to visit": ("doctor", "nowhere"),
    "a page that is there": ("report", "page", "THERE"),
    "a page that is not": ("report", "page", "NOT"),
    "the folder of a page": ("report", "page", "NOT/x", "--force"),
    "a key file that is there": ("token", "import", "THERE", "--key-file", "THERE"),
    "a key file that is not": ("token", "import", "THERE", "--key-file", "NOT"),
    "an answer that is there": ("key", "accept", "THERE"),
    "an answer that is not": ("key", "accept", "NOT"),
}


@pytest.fixture
def outside(people: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A site with roles, at which somebody without one gives commands by sudo."""
    people.change("primary:", f"fido: {{rp_id: auth.example.org}}\n{SECTION}")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    people.config.chmod(0o600)
    monkeypatch.setenv("SUDO_UID", NOBODY)
    return people


@pytest.mark.parametrize("words", ASKED.values(), ids=list(ASKED))
def test_who_has_no_role_learns_nothing(outside: Shell, words: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever is there or not, the answer is one and the same sentence."""
    (tmp_path / "THERE").write_text("x" * 200)
    (tmp_path / "THERE").chmod(0o644)
    told = [str(tmp_path / word) if word.startswith(("THERE", "NOT")) else word for word in words]
    error = outside.refused(*told, typed="x" * 200)
    assert "has no role here" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "what", ["a backend, to add", "a backend, to bind", "a client, to visit", "an answer that is not"]
)
def test_who_is_refused_stands_in_the_audit(outside: Shell, what: str) -> None:
    """Where the store can be written, with the command."""
    outside.refused(*ASKED[what])
    row = outside.events()[-1]
    assert (row.name, row.reason) == ("administration.refused", " ".join(ASKED[what][:2]).removesuffix(" nowhere"))


@pytest.mark.parametrize(
    "words",
    [("user", "add", "bob", "--no-password"), ("user", "bind", "alice", "--source", "local", "--yes", "--reason", "x")],
)
def test_nobody_without_a_role_makes_us_ask_a_directory(
    outside: Shell, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a packet leaves the house."""
    asked: list[str] = []
    monkeypatch.setattr(user, "_looked_up", lambda _, name: asked.append(name))
    assert "has no role here" in outside.refused(*words)
    monkeypatch.delenv("SUDO_UID")
    outside.run(*words)
    assert asked == [words[2]]


def test_who_has_no_role_does_not_learn_what_is_wrong_with_the_site(outside: Shell) -> None:
    """`check` says that to those who may know, and to others that they may not."""
    (outside.folder / "radiusd2fa.db").unlink()
    assert "has no role here" in outside.refused("check")
