"""What is left to see on a terminal: lines that progress bars have drawn over are gone, colours mean nothing.

It knows as much of a terminal as our commands use, and fails on anything else. ECMA-48 8.3 (CUU, EL, SGR, modes).
"""

from __future__ import annotations

import re
from typing import Final

_PIECE: Final = re.compile(r"\x1b\[(?P<numbers>[?0-9;]*)(?P<order>[A-Za-z])|(?P<sign>.)", re.DOTALL)


def seen(output: str) -> list[str]:
    """Return the lines that stand on the screen in the end, without blanks at their ends."""
    lines, row, column = [""], 0, 0
    for piece in _PIECE.finditer(output):
        match piece["order"], piece["sign"]:
            case None, "\n":
                row += 1
                column = 0
                lines += [""] * (row + 1 - len(lines))
            case None, "\r":
                column = 0
            case None, str(sign) if sign.isprintable():
                lines[row] = lines[row][:column].ljust(column) + sign + lines[row][column + 1 :]
                column += 1
            case "A", _:  # cursor up
                row = max(0, row - int(piece["numbers"] or 1))
            case "K", _:  # erase the line: its end, or all of it
                lines[row] = "" if piece["numbers"] == "2" else lines[row][:column]
            case "m" | "h" | "l", _:  # colours; the cursor shown or hidden
                pass
            case order, sign:
                raise AssertionError(f"a terminal of this sort knows no {order or sign!r} in {output!r}")
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]
