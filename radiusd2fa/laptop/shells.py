"""The lines in a shell's start-up file that make ssh ask this program.

Only what stands between our two marks is ever changed, and an askpass program that was there before is kept as the next
one. ssh(1) under SSH_ASKPASS and SSH_ASKPASS_REQUIRE; the manuals of bash, zsh and fish for where and how.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from radiusd2fa.laptop.passing import NEXT, NEXT_REQUIRE

BEGIN: Final = "# >>> radiusd2fa-key >>>"
END: Final = "# <<< radiusd2fa-key <<<"


def start_up_file(shell: str, environment: Mapping[str, str], platform: str) -> Path:
    """Return the file that an interactive shell reads."""
    home = Path(environment.get("HOME") or Path.home())
    if shell == "fish":
        folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        return folder / "fish" / "conf.d" / "radiusd2fa-key.fish"
    if shell == "zsh":
        return Path(environment.get("ZDOTDIR") or home) / ".zshrc"
    return home / (".bash_profile" if platform == "darwin" else ".bashrc")  # macOS starts login shells


def block(shell: str, program: str, environment: Mapping[str, str], text: str) -> str:
    """Return our lines, marks included. ``text`` is what the start-up file holds now."""
    settings = {"SSH_ASKPASS": program, "SSH_ASKPASS_REQUIRE": "force"} | _following(program, environment)
    lines = [_line(shell, name, value) for name, value in settings.items()]
    if NEXT not in settings and not _is_set_otherwise(program, environment):
        lines += [line for line in _between(text).splitlines() if NEXT in line]  # a program that was kept stays kept
    return "".join(f"{line}\n" for line in [BEGIN, *lines, END])


def with_block(text: str, lines: str) -> str:
    """Return the file with our lines: in place of the old ones, or at its end."""
    old = _between(text)
    if old:
        return text.replace(old, lines, 1)
    return text + ("" if text.endswith("\n") or not text else "\n") + lines


def written(path: Path, text: str) -> bool:
    """Write the file, whole or not at all, and leave its mode and the links to it alone; False when nothing is new."""
    place = path.resolve()
    octets = text.encode("utf-8", "surrogateescape")
    mode = 0o644
    if place.exists():
        if place.read_bytes() == octets:
            return False
        mode = stat.S_IMODE(place.stat().st_mode)
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.radiusd2fa-key")
    try:
        new.write_bytes(octets)
        new.chmod(mode)
        new.replace(place)
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    return True


def _between(text: str) -> str:
    """Return our lines as they stand in a file, marks included; empty when they do not."""
    begin = text.find(BEGIN)
    end = text.find(END, begin)
    if begin < 0 or end < 0:
        return ""
    return text[begin : end + len(END)] + ("\n" if text[end + len(END) :].startswith("\n") else "")


def _following(program: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that keep the askpass program which was there before."""
    if _is_set_otherwise(program, environment):
        kept = {NEXT: environment["SSH_ASKPASS"], NEXT_REQUIRE: environment.get("SSH_ASKPASS_REQUIRE", "")}
    else:
        kept = {name: environment.get(name, "") for name in (NEXT, NEXT_REQUIRE)}
    if kept[NEXT_REQUIRE] not in {"prefer", "force"}:
        del kept[NEXT_REQUIRE]
    return kept if kept[NEXT] else {}


def _is_set_otherwise(program: str, environment: Mapping[str, str]) -> bool:
    there = environment.get("SSH_ASKPASS", "")
    return bool(there) and Path(there).name != Path(program).name and environment.get("SSH_ASKPASS_REQUIRE") != "never"


def _line(shell: str, name: str, value: str) -> str:
    if shell == "fish":
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{quoted}'"
    return f"export {name}={shlex.quote(value)}"
