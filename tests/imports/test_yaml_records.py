"""YAML that stands deep in itself: refused by its line, and never the end of the process.

libyaml makes nodes by calling itself, so each file is read by a process of its own, whose end is looked at. Answers to
no RFC.
"""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Final

import pytest

from radiusd2fa.imports import privacyidea, yaml_records
from radiusd2fa.imports.seeds import UnreadableError

from .tables import refusal

DEEP: Final = {
    "lists": "- otpkey: x\n  a:\n    " + "[" * 240_000 + "\n",
    "lists that end": "- otpkey: x\n  a:\n    " + "[" * 100_000 + "]" * 100_000 + "\n",
    "mappings": "- otpkey: x\n  a:\n    " + "{a: " * 50_000 + "\n",
    "dashes": "- otpkey: x\n  a:\n    " + "- " * 100_000 + "\n",
    "questions": "- otpkey: x\n  a:\n    " + "? " * 100_000 + "\n",
    "indentation": "- otpkey: x\n  a:\n" + "".join(f"{' ' * (3 + depth)}a:\n" for depth in range(500)),
}
READ: Final = """
import sys
from radiusd2fa.imports import yaml_records
from radiusd2fa.imports.seeds import UnreadableError
try:
    list(yaml_records.records(sys.stdin.buffer))
except UnreadableError as error:
    print(error.line, error.problem)
"""


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_what_stands_too_deep_is_refused_and_ends_no_process(text: str) -> None:
    """Whatever makes it deep: the line is named, where the stack of a process would have been at its end."""
    text = "\n".join(line[i : i + 8000] for line in text.split("\n") for i in range(0, max(len(line), 1), 8000))
    done = subprocess.run([sys.executable, "-c", READ], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    line, _, problem = done.stdout.decode().strip().partition(" ")
    assert int(line) >= 3
    assert problem in ("lists and mappings stand too deep in one another", "the entry is too long")


def test_the_line_is_that_of_the_depth_and_not_of_the_entry() -> None:
    """Counted from the beginning of the file."""
    text = "- otpkey: x\n- otpkey: y\n  a: 1\n  b:\n    " + "[" * 40 + "\n"
    error = refusal(privacyidea, text)
    assert (error.line, error.problem) == (5, "lists and mappings stand too deep in one another")


@pytest.mark.parametrize(("depth", "fits"), [(30, True), (31, False)])
def test_depth_has_a_bound_and_not_breadth(depth: int, fits: bool) -> None:
    """32 within one another, the list and the entry among them; as many beside one another as the entry can hold."""
    text = "- a: " + "[" * depth + "]" * depth + "\n" + "".join(f"  b{n}: [[x], {{y: z}}]\n" for n in range(100))
    if fits:
        assert len(list(yaml_records.records(io.BytesIO(text.encode())))) == 1
    else:
        with pytest.raises(UnreadableError, match="too deep"):
            list(yaml_records.records(io.BytesIO(text.encode())))
