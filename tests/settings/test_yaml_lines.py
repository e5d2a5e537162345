"""The strict YAML reader by itself: what a word knows, which line a path has, and that nothing is guessed.

PyYAML is the judge for texts without surprises; where it guesses, this reader keeps the text.
YAML 1.1.
"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.settings.yaml_lines import Word, read_yaml

GUESSED_BY_PYYAML = [
    "012345",
    "0x1F",
    "12:34:56",
    "no",
    "on",
    "Yes",
    "1e3",
    "1_000",
    "2027-01-31",
    "~",
    "null",
    ".inf",
    "true",
    "=",
]


@pytest.mark.parametrize("text", GUESSED_BY_PYYAML)
def test_a_plain_word_stays_the_text_that_it_was(text: str) -> None:
    """What PyYAML would make a number, a date, a truth value or None of is still a plain word here."""
    document = read_yaml(f"key: {text}\n")

    assert document.root == {"key": text}
    assert isinstance(document.root, dict)
    word = document.root[Word("key", 1, None)]
    assert isinstance(word, Word)
    assert word.plain


@pytest.mark.parametrize("text", ["'012345'", '"012345"'])
def test_a_word_in_quotes_is_known_to_be(text: str) -> None:
    """A word knows whether it stood in quotes."""
    document = read_yaml(f"- {text}\n")

    assert isinstance(document.root, list)
    (word,) = document.root
    assert isinstance(word, Word)
    assert (word, word.plain, word.style, word.line) == ("012345", False, text[0], 1)


def test_the_repr_of_a_word_hides_it() -> None:
    """A word shows only its line, because it may be a secret."""
    assert repr(read_yaml("- 1\n- canary\n").root) == "[<word on line 1>, <word on line 2>]"


def test_each_path_has_the_line_of_its_key() -> None:
    """Keys, values below keys and list items are found; what is not in the file has the line of what holds it."""
    document = read_yaml("a:\n  b:\n    - 1\n    - {c: 2,\n       d: 3}\n\ne: 4\n")

    paths = [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1), ("a", "b", 1, "c"), ("a", "b", 1, "d"), ("e",)]
    assert [document.line_of(path) for path in paths] == [1, 2, 3, 4, 4, 5, 7]
    assert document.line_of(("a", "b", 1, "missing")) == 4
    assert document.line_of(("missing",)) == 1


def test_the_first_of_two_equal_keys_is_kept_and_the_second_is_told() -> None:
    """The second of two equal keys never wins, whatever lies below it."""
    document = read_yaml("a: {x: 1}\nb: 2\na: {x: [3, {y: 4}]}\nc: 5\n")

    assert document.root == {"a": {"x": "1"}, "b": "2", "c": "5"}
    assert [(flaw.line, flaw.path) for flaw in document.flaws] == [(3, ("a",))]
    assert document.line_of(("a", "x")) == 1


PLAIN_TEXT = st.text("abcdefgh ijklmnop", min_size=1).map(str.strip).filter(bool)
TREES = st.recursive(
    PLAIN_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN_TEXT, inner, max_size=3),
    max_leaves=8,
).filter(lambda tree: depth(tree) <= 8)


def depth(tree: object) -> int:
    """Return how many levels of lists and keys a tree has."""
    below = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + max(map(depth, below), default=0) if isinstance(tree, dict | list) else 0


@settings(max_examples=100, deadline=None)
@given(tree=TREES, flow=st.booleans())
def test_pyyaml_agrees_where_nothing_is_guessed(tree: object, flow: bool) -> None:
    """Trees of texts that PyYAML has written come back as they were, without a flaw."""
    document = read_yaml(yaml.safe_dump(tree, default_flow_style=flow, default_style="'"))

    assert document.root == tree
    assert document.flaws == []


@settings(max_examples=300, deadline=None)
@given(text=st.text("ab:-?[]{}'\"#&*!|>%@`,\\ \n\t~0\x00\x85\u2028\ufeff", max_size=40))
def test_any_text_ends_as_a_tree_or_as_a_flaw(text: str) -> None:
    """No text makes the reader fail; without a flaw it is YAML for PyYAML as well."""
    document = read_yaml(text)

    if not document.flaws:
        nodes = yaml.compose(text, Loader=yaml.SafeLoader)
        assert (nodes is None) == (document.root is None)
