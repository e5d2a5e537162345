"""What a server's words look like on the laptop's screen: they can push nothing away and draw nothing of their own.

The line that says who logs in where stands below them, so it is always in sight. No RFC speaks of this.
"""

from __future__ import annotations

import pytest

from radiusd2fa.core.responder import ResponderCode
from radiusd2fa.laptop.askpass import shown_text

CODE = str(ResponderCode(bytes(16)))
HOSTILE = {
    "many lines": "\n".join(f"line {n}" for n in range(500)),
    "one long line": "x" * 20_000,
    "blanks that wrap to the left edge": " " * 4000 + "Login of alice at bastion.example.org",
    "carriage returns": "a\rLogin of alice at bastion.example.org\r" * 50,
    "escapes": "\x1b[2J\x1b[HLogin of alice" * 50,
    "other line ends": "a\u2028b\u2029c\x0bd\x0ce\x85f" * 50,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("width", [1, 20, 80, 200])
def test_it_takes_few_lines_of_the_screen(text: str, width: int) -> None:
    """However long and whatever is in it: five lines and a mark that there was more, none wider than the screen."""
    lines = shown_text(text, width)
    assert len(lines) <= 6
    for line in lines:
        assert line.isprintable()
        assert len(line) <= max(width - 4, 20)


def test_usual_prompts_are_shown_whole() -> None:
    """The daemon's own prompt fits, without the code, which nobody needs to read here."""
    prompt = f"Enter the code from your token, or use your security key for bastion {CODE}: "
    assert shown_text(prompt, 80) == ["Enter the code from your token, or use your security key for bastion"]
    assert shown_text(f"{CODE}: ", 80) == []
