"""All recipes of docs/nas: that our side of each is right, that none claims too much, and that none is missing.

Nothing is started here but the command line; those that can be played are played by the tests of their own names.
docs/nas/README.md.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from radiusd2fa.settings.profiles import PROFILES
from tests.daemon.site import Site

from .recipes import FOLDER, NOT_RUN, REPLACED, SECRET, Block, Recipe

NAMES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")
TESTS = Path(__file__).parent


@pytest.mark.parametrize("name", NAMES)
def test_our_side_passes_check(name: str, tmp_path: Path) -> None:
    """What a recipe adds to our configuration is accepted as it stands there, its secret beside it."""
    recipe = Recipe.read(name)
    site = Site(tmp_path)
    recipe.write_secrets(tmp_path)
    site.config.touch(mode=0o600)
    site.config.write_text(f'listen: {{udp: ["127.0.0.1:0"]}}\nstore: sqlite:///radiusd2fa.db\n{recipe.ours}')
    site.cli("init", "--dir", str(tmp_path))
    code, said = site.attempt("check")
    assert code == 0, said


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_played_or_says_that_it_is_not(name: str) -> None:
    """A page without the warning has a test that plays it and is named on it; a page with the warning has none."""
    recipe = Recipe.read(name)
    test = TESTS / f"test_recipe_{name.replace('-', '_')}.py"
    assert recipe.is_run == test.exists()
    if recipe.is_run:
        assert re.search(rf'recipes\.played\(.+, "{name}"', test.read_text())
        assert f"](../../tests/clients/{test.name})" in recipe.page
    else:
        assert recipe.page.splitlines()[2].startswith(NOT_RUN)
        assert recipe.theirs == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_both_sides(name: str) -> None:
    """Each page shows the other side with the secret's placeholder, and how to look at the client it describes."""
    recipe = Recipe.read(name)
    assert SECRET not in recipe.ours
    assert SECRET in recipe.page
    for client in recipe.clients:
        assert f"`radiusd2fa doctor {client}`" in recipe.page


def test_every_profile_has_a_recipe() -> None:
    """There is a page for every profile, and no page names one that there is not."""
    named = {entry["profile"] for name in NAMES for entry in Recipe.read(name).clients.values() if "profile" in entry}
    assert named == set(PROFILES)


def test_the_overview_lists_every_recipe() -> None:
    """Each page stands in the table once, with its profile and whether a test plays it."""
    rows = re.findall(
        r"^\| \[.+?\]\((.+?)\.md\) \| (.+?) \| .+? \| (yes|no) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
    )
    told = {name: (profile.strip("`"), played == "yes") for name, profile, played in rows}
    assert len(rows) == len(told)
    facts = {}
    for name in NAMES:
        recipe = Recipe.read(name)
        (entry,) = recipe.clients.values()
        facts[name] = (entry.get("profile", "none"), recipe.is_run)
    assert told == facts


def test_a_placeholder_that_does_not_occur_is_an_error(tmp_path: Path) -> None:
    """A recipe whose files hold no placeholder for the secret is not laid out: a test would play something else."""
    recipe = Recipe("one", "", (Block("one.conf", "secret = another\n"),))
    with pytest.raises(AssertionError, match="does not occur"):
        recipe.lay_over(tmp_path / "etc", tmp_path)
    mended = Recipe("one", "", (Block("one.conf", f"secret = {SECRET}\n"),))
    mended.lay_over(tmp_path / "etc", tmp_path)
    assert (tmp_path / "one.conf").read_text() == f"secret = {REPLACED[SECRET]}\n"


def test_a_line_that_the_distribution_does_not_have_is_an_error(tmp_path: Path) -> None:
    """A block that takes the place of a line fails when that line is not there."""
    blocks = (Block("/etc/hosts", SECRET, instead="# no such line is in there"),)
    with pytest.raises(AssertionError, match="has no line"):
        Recipe("one", "", blocks).lay_over(tmp_path, tmp_path)


def test_a_mark_without_a_block_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose mark stands above nothing is not read: the block would silently be left out."""
    monkeypatch.setattr("tests.clients.recipes.FOLDER", tmp_path)
    (tmp_path / "one.md").write_text("<!-- file: one.conf -->\n\n```\ntext\n```\n")
    with pytest.raises(AssertionError, match="a mark without a block"):
        Recipe.read("one")
