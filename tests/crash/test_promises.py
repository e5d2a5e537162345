"""docs/promises.md is honest: every promise has its row, and every test that is named there exists.

That the tests see what they should was tried by planting the faults that stand there; this test cannot repeat it. No
RFC speaks here.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "promises.md").read_text()
_NAMED: Final = re.compile(r"`(tests/[a-z_/0-9]+\.py)(?:::(test_[a-z0-9_]+))?")
_SOURCE: Final = re.compile(r"`((?:radiusd2fa|bench)/[a-z_/0-9]+\.(?:py|c))`")


@pytest.mark.parametrize("number", range(1, 21))
def test_every_promise_is_proved(number: int) -> None:
    """Each row says where it is kept, names a test, and a fault that was planted with the test that saw it."""
    (row,) = re.findall(rf"^\| \*\*P{number}\*\* .*$", PAGE, re.MULTILINE)
    _, _, kept, proved, planted, _ = row.split(" | ".strip())
    assert _SOURCE.search(kept)
    assert _NAMED.search(proved)
    assert _NAMED.search(planted)


def test_what_is_named_exists() -> None:
    """Every test file on the page is there and has the test that the page says it has; so is every source."""
    for match in _NAMED.finditer(PAGE):
        tree = ast.parse((ROOT / match[1]).read_text())
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert match[2] is None or match[2] in names
    for match in _SOURCE.finditer(PAGE):
        assert (ROOT / match[1]).is_file()
