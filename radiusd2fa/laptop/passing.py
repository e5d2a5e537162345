"""Passing on a prompt that is not ours: to the askpass program that was there before us, or to the terminal.

It never changes a prompt, never looks into an answer, and never loads more than it needs: every password prompt of the
person's ssh and git comes through here. ssh(1) under SSH_ASKPASS_REQUIRE says who is to be asked when, and so we do it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

from radiusd2fa.laptop.screen import Screen, Terminal

HINT: Final = "SSH_ASKPASS_PROMPT"
NEXT: Final = "RADIUSD2FA_KEY_NEXT_ASKPASS"
NEXT_REQUIRE: Final = "RADIUSD2FA_KEY_NEXT_ASKPASS_REQUIRE"
PASSED_ON: Final = "RADIUSD2FA_KEY_PASSED_ON"
"""Set for the next askpass, so that one that is ourselves by another name does not go round for ever."""
CONFIRM: Final = "confirm"
NOTIFY: Final = "none"


def pass_on(prompt: str, hint: str, terminal: Terminal | None) -> int:
    """Have the prompt answered; returns our exit code, or does not return because the next askpass has taken over."""
    following = _next_askpass(os.environ, hint, has_terminal=terminal is not None)
    if following is not None:
        _become(following, prompt)
    if terminal is None:
        Screen(None).say(
            "radiusd2fa-key: there is no terminal to ask on, and no other SSH_ASKPASS to pass the prompt to"
        )
        return 1
    asked = os.fsencode(prompt)
    match hint:
        case "confirm":
            return _confirmed(terminal, asked)
        case "none":
            terminal.show(asked + b"\n")
            return 0
        case _:
            return _answered(terminal, asked, hidden=not is_no_secret(prompt))


def is_no_secret(prompt: str) -> bool:
    """Whether the answer may be seen: ssh's questions about a host key, git's for a name. Servers write neither.

    Everything else is hidden, because ssh does not tell us which prompts are meant to be seen.
    """
    if prompt.startswith("("):  # by keyboard-interactive: the server's words
        return False
    about_a_host_key = prompt.startswith("The authenticity of host ") or "\nThe authenticity of host " in prompt
    return about_a_host_key or prompt.startswith(("Please type 'yes'", "Username for '"))


def _next_askpass(environment: Mapping[str, str], hint: str, *, has_terminal: bool) -> str | None:
    """Return the program that ssh would have asked without us, where it would have asked one."""
    following = environment.get(NEXT, "")
    on_screen = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    if not following and on_screen and not has_terminal:
        following = shutil.which("ssh-askpass") or ""  # what ssh takes by itself
    wanted = not has_terminal or hint in {CONFIRM, NOTIFY} or environment.get(NEXT_REQUIRE) in {"force", "prefer"}
    return following if following and wanted else None


def _become(program: str, prompt: str) -> None:
    """Let the next askpass take our place, so that answer, exit code and signals are its own affair."""
    if os.environ.get(PASSED_ON) == program:
        Screen(None).say(f"radiusd2fa-key: {program} leads back to this program")
        return
    environment = {name: value for name, value in os.environ.items() if name not in {NEXT, NEXT_REQUIRE}}
    environment[PASSED_ON] = program
    try:
        os.execvpe(program, [program, prompt], environment)  # noqa: S606 - the person's own choice, and no shell
    except OSError as fault:
        Screen(None).say(f"radiusd2fa-key: {NEXT} names {program}, which does not start: {fault.strerror}")


def _answered(terminal: Terminal, prompt: bytes, *, hidden: bool) -> int:
    line = terminal.ask(prompt, hidden=hidden)
    if line is None:
        return 1
    hand_over(line)
    return 0


def _confirmed(terminal: Terminal, prompt: bytes) -> int:
    line = terminal.ask(prompt + b" (yes/no) ", hidden=False)
    if line is None or line.strip().lower() != b"yes":
        return 1
    hand_over(b"yes")
    return 0


def hand_over(answer: bytes) -> None:
    """Give an answer to the program that asked."""
    octets = answer + b"\n"
    while octets:
        octets = octets[os.write(sys.stdout.fileno(), octets) :]
