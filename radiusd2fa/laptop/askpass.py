"""One prompt of ssh, answered: by a security key where our code stands in it, else by whoever answered before us.

A key never signs for a prompt whose host cannot be believed; the person can type a code in its place every time. Only
where our code is found are python-fido2 and cryptography loaded. ssh(1) under SSH_ASKPASS tells how we are called.
"""

from __future__ import annotations

import os
import re
import textwrap
from typing import Final

from radiusd2fa.laptop.passing import HINT, hand_over, pass_on
from radiusd2fa.laptop.screen import Screen, harmless, open_terminal

OUR_MARK: Final = "RK1-"
"""Of every responder code, in whatever case. Spelled here, because `core.responder` is loaded only when it is found."""
DEVICE: Final = "RADIUSD2FA_KEY_DEVICE"
USER: Final = "RADIUSD2FA_KEY_USER"
SITE: Final = "RADIUSD2FA_KEY_SITE"

_MARGIN: Final = "  | "
_MOST_LINES: Final = 5
_CODE: Final = re.compile(r"RK1-[0-9A-Z-]*", re.IGNORECASE)


def answer_prompt(prompt: str, caller: int) -> int:
    """Answer the prompt on standard output; returns the exit code. ``caller`` is the process that called us."""
    hint = os.environ.get(HINT, "")
    terminal = open_terminal()
    if not hint and OUR_MARK in prompt.upper():
        answer = _answer_of_a_key(prompt, caller, Screen(terminal))
        if answer is not None:
            hand_over(answer)
            return 0
    return pass_on(prompt, hint, terminal)


def _answer_of_a_key(prompt: str, caller: int, screen: Screen) -> bytes | None:
    """Return the response, or the code that was typed in its place; None when the prompt is still to be answered."""
    from radiusd2fa.laptop.prompt import Unclear, read_prompt

    asked = read_prompt(prompt)
    if asked is None:
        return None
    if isinstance(asked, Unclear):
        _say_why_not(screen, asked.why)
        return None

    from radiusd2fa.laptop.caller import why_not_believed
    from radiusd2fa.laptop.profile import ProfileError, Unchosen, choose, load_cards, profile_path

    if why := why_not_believed(caller):
        _say_why_not(screen, why)
        return None
    wanted_user, wanted_site = os.environ.get(USER, ""), os.environ.get(SITE, "")
    try:
        cards = choose(
            load_cards(profile_path()), login=asked.login, host=asked.host, user=wanted_user, site=wanted_site
        )
    except ProfileError as fault:
        _say_why_not(screen, str(fault))
        return None
    if isinstance(cards, Unchosen):
        _say_why_not(screen, cards.why)
        return None

    from radiusd2fa.keys.model import Failed
    from radiusd2fa.laptop.signing import sign
    from radiusd2fa.laptop.touching import Typed

    for line in shown_text(asked.text, screen.width):
        screen.say(f"{_MARGIN}{line}")
    screen.say(f"Login of {cards[0].user} at {asked.host}")  # last, so that no prompt can push it out of sight
    # what is typed where a PIN may be asked could be one, and must not go to a server
    may_type = not asked.code.user_verification
    try:
        result = sign(asked.code, cards, asked.host, screen, device=os.environ.get(DEVICE, ""), may_type=may_type)
    except Exception as bug:  # noqa: BLE001 - a code must still get in; the kind is all that may be shown
        _say_why_not(screen, f"of an error in this program ({type(bug).__name__}); radiusd2fa-key doctor may know more")
        return None
    match result:
        case Typed(line=typed):
            return typed
        case Failed(detail=detail):
            screen.say(f"radiusd2fa-key: {detail}")
            return None
        case response:
            return str(response).encode()


def shown_text(text: str, width: int) -> list[str]:
    """Return the server's words as they are shown: without the code, few lines, none wider than the screen."""
    words = " ".join(harmless(_CODE.sub("", text.replace("\n", " ").replace("\r", " "))).split()).rstrip(" :")
    lines = textwrap.wrap(words, max(width - len(_MARGIN) - 1, 20))
    return [*lines[:_MOST_LINES], *(["..."] if len(lines) > _MOST_LINES else [])]


def _say_why_not(screen: Screen, why: str) -> None:
    screen.say(f"radiusd2fa-key: no key is asked: {harmless(why)}.")
