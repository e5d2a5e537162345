"""hardware/samples/README.md, held against the files beside it: each of them is listed, opens as it says, and comes in.

Every file goes through the command line into a site of its own. Answers to no RFC; which format holds what is for
tests/imports.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.cli.conftest import command

FOLDER: Final = Path(__file__).parents[2] / "hardware" / "samples"
PAGE: Final = (FOLDER / "README.md").read_text()
_ROW: Final = re.compile(
    r"^\| `(?P<file>[^`]+)` \| [^|]+ \| (?:-|(?P<how>password|key|file) `(?P<what>[^`]+)`) "
    r"\| (?P<taken>\d+) \| (?P<left_out>\d+) \|$",
    re.MULTILINE,
)
ROWS: Final = list(_ROW.finditer(PAGE))


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site without a token, to be copied."""
    folder = tmp_path_factory.mktemp("samples") / "site"
    assert command("init", "--dir", str(folder)).code == 0
    return folder


def test_every_file_is_listed_once() -> None:
    """Seed files stand in a row of their own, and key files beside what they open."""
    listed = [row["file"] for row in ROWS] + [row["what"] for row in ROWS if row["how"] == "file"]
    assert sorted([*listed, "README.md"]) == sorted(path.name for path in FOLDER.iterdir())
    assert len(ROWS) == len(re.findall(r"^\| `", PAGE, re.MULTILINE)), "a row that is not as the others"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_a_sample_comes_in_as_the_table_says(
    row: re.Match[str], empty_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the row names, as many tokens are taken in and left out as it says."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    site = shutil.copytree(empty_site, tmp_path / "site")
    if row["how"] == "file":
        key = shutil.copyfile(FOLDER / row["what"], tmp_path / "key")
        key.chmod(0o600)
    options, typed = {
        None: ((), ""),
        "password": (("--password-stdin",), f"{row['what']}\n"),
        "key": (("--key-stdin",), f"{row['what']}\n"),
        "file": (("--key-file", str(tmp_path / "key")), ""),
    }[row["how"]]
    file = str(FOLDER / row["file"])
    said = command(
        *("token", "import", file, "--unassigned", "--json", *options, "-c", str(site / "radiusd2fa.yaml")), typed=typed
    )
    assert said.code == 0, said
    report = json.loads(said.out)
    assert (report["taken"], len(report["left_out"])) == (int(row["taken"]), int(row["left_out"]))


@pytest.mark.parametrize("row", [row for row in ROWS if row["how"]], ids=lambda row: row["file"])
def test_a_sample_that_wants_a_key_opens_with_no_other(
    row: re.Match[str], empty_site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the table names is needed, and anything else is refused."""
    monkeypatch.delenv("SUDO_UID", raising=False)
    wrong = (
        ("--password-stdin", "wrong\n") if row["how"] == "password" else ("--key-stdin", f"{os.urandom(16).hex()}\n")
    )
    config = str(empty_site / "radiusd2fa.yaml")
    for options, typed in (((), ""), ((wrong[0],), wrong[1])):
        said = command("token", "import", str(FOLDER / row["file"]), *options, "-c", config, typed=typed)
        assert said.code in (1, 2), said
        assert "took in" not in said.out
