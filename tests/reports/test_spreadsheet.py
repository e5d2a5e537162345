"""Comma-separated values of a report: nothing in them is a formula, and all of it comes back out (RFC 4180)."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.reports.report import Cell, Column, Figure, Report, Shown, Table, for_programs
from radiusd2fa.reports.spreadsheet import for_spreadsheets, harmless

COLUMNS = (Column("user", "user"), Column("when", "when", Shown.MOMENT), Column("sure", "sure", Shown.YES_NO))


def report_of(*rows: tuple[Cell, ...]) -> Report:
    """Return a report with one figure and two tables."""
    more = Table("more", "more", (Column("share", "share", Shown.SHARE),), ((0.25,),), "none")
    table = Table("people", "People", COLUMNS, rows, "none", whole=False)
    return Report("x", "X", 9.0, (Figure("n", "so many", 3, 4),), (table, more), since=1.0, about="staff")


def read(report: Report) -> list[list[str]]:
    """Read it as a program would."""
    return list(csv.reader(io.StringIO(for_spreadsheets(report, lambda moment: f"at {moment}"), newline="")))


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])  # noqa: RUF001
def test_what_begins_like_a_formula_is_made_harmless(formula: str) -> None:
    """An apostrophe stands before it, in the file too."""
    assert harmless(formula).startswith("'")
    assert read(report_of((formula, None, None)))[2][3] == harmless(formula)


@pytest.mark.parametrize("text", ["x;=1", 'x"=1', "x,-1", "x\t=1", "x\n@y"])
def test_nor_does_one_begin_behind_a_separator(text: str) -> None:
    """A spreadsheet that splits at semicolons or tabs finds none either."""
    assert harmless(text)[2] == "'"


@pytest.mark.parametrize("text", ["alice", "a-b", "a=b", "alice@example.org", "1 + 1", ""])
def test_other_texts_stay_as_they_are(text: str) -> None:
    """Names with such a character inside are left alone."""
    assert harmless(text) == text


@settings(deadline=None)
@given(st.text(st.sampled_from("=+-@;,\"\t\r\n'ab"), max_size=12))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    """However it is cut at what may separate cells."""
    assert not [piece for piece in re.split('[;,\t\r\n"]', harmless(text)) if piece[:1] in tuple("=+-@")]


def test_tables_and_figures_in_one_sheet() -> None:
    """The first column says which table; columns of other tables stay empty; times and truths are words."""
    assert read(report_of(("alice", 5.0, True), ("bob", None, False))) == [
        ["table", "figure", "value", "user", "when", "sure", "share"],
        ["totals", "n", "3", "", "", "", ""],
        ["people", "", "", "alice", "at 5.0", "yes", ""],
        ["people", "", "", "bob", "", "no", ""],
        ["more", "", "", "", "", "", "0.25"],
    ]


def test_numbers_are_numbers_and_texts_are_quoted() -> None:
    """What is not in quotes is a number: no text can pass for one."""
    lines = for_spreadsheets(report_of(("7", 5.0, True)), str).splitlines()
    assert lines[1:3] == ['"totals","n",3,"","","",""', '"people","","","7","5.0","yes",""']


def test_as_json() -> None:
    """Figures by name, tables by name as lists of rows by column, and which of them were cut short."""
    assert for_programs(report_of(("alice", 5.0, True))) == {
        "report": "x",
        "made": 9.0,
        "since": 1.0,
        "group": "staff",
        "totals": {"n": 3},
        "people": [{"user": "alice", "when": 5.0, "sure": True}],
        "more": [{"share": 0.25}],
        "cut_short": ["people"],
    }
