"""`radiusd2fa report page`: where it may write, and that no name of anybody becomes a part of the page.

The page is read back with Python's own HTML parser, which knows nothing of how it was made. Standards: HTML, CSP 3.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import time
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from .conftest import Shell

HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><b>",
    "&lt;script&gt;",
    "a\u202egpj.exe",
    "x\x1b[2J",
    "<!--",
    "]]>",
)
ALLOWED: Final = frozenset(
    (
        *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "h3", "p", "b", "div"),
        *("table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "text"),
    )
)
REJECTED: Final = (
    "INSERT INTO events (time, name, login, nas, user, caller, factor, serial, outcome, reason, latency, actor) "
    "VALUES (?, 'access.rejected', '', ?, ?, ?, '', '', '', ?, 0, '')"
)


class Page(HTMLParser):
    """What a browser would see: elements, their attributes, and the text between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


def test_a_file_that_is_there(shell: Shell, tmp_path: Path) -> None:
    """It is refused, and stays as it is."""
    file = tmp_path / "review.html"
    file.write_text("mine")
    assert "is there already" in shell.refused("report", "page", str(file))
    assert file.read_text() == "mine"


@pytest.mark.parametrize("what", ["a text", "the database", "a link", "a folder", "a pipe"])
def test_nothing_but_a_page_is_replaced(shell: Shell, tmp_path: Path, what: str) -> None:
    """Whoever may run this with the service's rights cannot overwrite the service's files by it."""
    file, page = tmp_path / "review.html", tmp_path / "page.html"
    shell.run("report", "page", str(page))
    match what:
        case "a text":
            file.write_text("mine")
        case "the database":
            file = shell.folder / "radiusd2fa.db"
        case "a link":
            file.symlink_to(page)
        case "a folder":
            file.mkdir()
        case "a pipe":
            os.mkfifo(file)
    before = os.lstat(file)
    assert "is no page of ours" in shell.refused("report", "page", str(file), "--force")
    assert os.lstat(file).st_ino == before.st_ino


def test_a_link_to_nowhere(shell: Shell, tmp_path: Path) -> None:
    """Nothing is written through it."""
    (tmp_path / "link.html").symlink_to(tmp_path / "elsewhere")
    assert "is there already" in shell.refused("report", "page", str(tmp_path / "link.html"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    """It is said in a sentence."""
    assert "cannot write it (No such file or directory)" in shell.refused("report", "page", str(tmp_path / "no" / "x"))


@pytest.mark.parametrize("days", ["0", "3651", "x"])
def test_wrong_days(shell: Shell, tmp_path: Path, days: str) -> None:
    """A period is 1 to 3650 days; nothing is written."""
    assert "--days" in shell.wrong("report", "page", str(tmp_path / "x.html"), "--days", days)
    assert not (tmp_path / "x.html").exists()


def test_only_its_owner_may_read_it(shell: Shell, tmp_path: Path) -> None:
    """Whatever the umask; and so it stays when it is replaced."""
    before = os.umask(0)
    try:
        for options in ([], ["--force"]):
            shell.run("report", "page", str(tmp_path / "x.html"), *options)
            assert stat.S_IMODE(os.lstat(tmp_path / "x.html").st_mode) == 0o600
    finally:
        os.umask(before)
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["x.html"]


def _page_of(shell: Shell, tmp_path: Path) -> str:
    file = tmp_path / "x.html"
    assert shell.run("report", "page", str(file)) == f"wrote {file}; open it in a browser, or print it\n"
    return file.read_text(encoding="utf-8")


def test_all_reports_are_on_it(people: Shell, tmp_path: Path) -> None:
    """A section each, and the figures that matter above."""
    page = Page(_page_of(people, tmp_path))
    sections = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    assert sections == ["coverage", "exceptions", "recovery", "failures", "stale", "inventory"]
    assert len([one for one in page.elements if one[1].get("class") == "tile"]) == 8


def test_no_name_becomes_a_part_of_the_page(people: Shell, tmp_path: Path) -> None:
    """Users, callers, reasons and models stay text, written out where they would not print or turn the line around."""
    with closing(sqlite3.connect(people.folder / "radiusd2fa.db", isolation_level=None)) as store:
        for number, name in enumerate(HOSTILE):
            store.execute("INSERT INTO users (name, created, groups) VALUES (?, 0, ?)", (name, name))
            store.execute(
                "INSERT INTO grants (user_id, user, kind, reason, granted_by, created, until) VALUES (1,?,?,?,?,?,?)",
                (name, name, name, name, time.time() - number, time.time() + 9000),
            )
            store.execute(
                REJECTED,
                (time.time(), name, name, name, name),
            )
        store.execute("UPDATE tokens SET model = ?, batch = ?, box = ?, label = ?", (HOSTILE[0],) * 4)
    text = _page_of(people, tmp_path)
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= ALLOWED
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert all(char.isprintable() or char == "\n" for char in text)
    said = "\n".join(page.texts)
    for name in HOSTILE:
        assert name.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b") in said


def test_it_loads_nothing_and_runs_nothing(people: Shell, tmp_path: Path) -> None:
    """No address anywhere, no script, and a policy that forbids both should one slip in."""
    text = _page_of(people, tmp_path)
    page = Page(text)
    policies = [one[1].get("content") for one in page.elements if one[1].get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]
    assert {tag for tag, _ in page.elements} <= ALLOWED
    for attribute in ("src", "href", "action", "style"):
        assert not [one for one in page.elements if attribute in one[1]], attribute
    assert not re.search(r"https?:|url\(|@import|javascript:", text)


def test_bars_are_drawn_to_scale(people: Shell, tmp_path: Path) -> None:
    """The most fills its line, half as many half of it; days stand beside each other with their counts."""
    with closing(sqlite3.connect(people.folder / "radiusd2fa.db", isolation_level=None)) as store:
        for reason, count in (("wrong_code", 20), ("locked", 10)):
            store.executemany(
                REJECTED,
                [(time.time(), "lab", "alice", "", reason)] * count,
            )
    text = _page_of(people, tmp_path)
    section = text[text.index('id="failures"') :]
    assert re.findall(r'<rect width="([\d.]+)" height="10"/>', section)[:2] == ["100.00", "50.00"]
    assert re.search(r"<title>\d{4}-\d\d-\d\d: 30</title>", section)


def test_it_is_made_for_the_dark_and_for_paper(shell: Shell, tmp_path: Path) -> None:
    """Dark colours on a screen that asks for them, never on paper; paper is A4."""
    text = _page_of(shell, tmp_path)
    assert "@media screen and (prefers-color-scheme: dark)" in text
    assert "@page { size: A4" in text
