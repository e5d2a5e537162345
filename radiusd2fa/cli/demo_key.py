"""The demo's second half: the same daemon and the same kind of prompt, answered with a security key.

Without a key of plastic it is an emulated one, a file that is no second factor, and the demo says so. Registration and
signing go the real ways: `radiusd2fa key register`, and the code that answers ssh for people (laptop/signing.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from radiusd2fa.core.invitation import KeyCard
    from radiusd2fa.emulators.nas import Nas

USER: Final = "bob"
PASSWORD: Final = "battery staple"
HOST: Final = "bastion.example.org"
FAKE_HOST: Final = "bastion.examp1e.org"
SETTINGS: Final = """
fido: {rp_id: demo.example.org}
rules:
  - {name: all, factors: [fido, totp, hotp], ceremonies: [ssh, paste]}   # paste: see docs/fido-over-radius.md
"""
CLIENT_SETTINGS: Final = f"host_names: [{HOST}]\n    "
_PATIENCE: Final = 15.0

Line = Callable[[str, str, str, str], None]
"""What was sent, what stands before the answer, the answer, and the answer that must come."""


@dataclass(frozen=True, slots=True)
class DemoKey:
    """The key of the demo: an emulated one at ``device``, or whatever is plugged in."""

    device: str = ""

    @property
    def is_emulated(self) -> bool:
        """Whether it is a file."""
        return bool(self.device)


@contextlib.contextmanager
def plugged_in(folder: Path, *, real: bool) -> Iterator[DemoKey]:
    """Have a key at hand: the one on USB, or an emulated one that a process of its own serves."""
    if real:
        yield DemoKey()
        return
    command = [sys.executable, "-m", "radiusd2fa.cli.app", "softkey", str(folder / "key.json"), "--pty"]
    process = subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        yield DemoKey(process.stdout.readline().strip())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE)
        assert process.stdout is not None  # noqa: S101
        process.stdout.close()


def register(key: DemoKey, run: Callable[..., str]) -> KeyCard:
    """Register the key as an administrator would; returns the card that the user's laptop gets."""
    import json

    from radiusd2fa.core.invitation import KeyCard

    run("user", "add", USER, "--password-stdin", stdin=PASSWORD)
    where = ("--device", key.device) if key.is_emulated else ("--usb",)
    registered = json.loads(run("key", "register", USER, *where, "--json", shown=not key.is_emulated))
    card = KeyCard.read(registered["card"])
    if card is None:
        raise OSError("the card cannot be read")
    return card


def laptop(folder: Path) -> Path:
    """Where the demo's laptop keeps its cards, so that it touches nobody's own."""
    return folder / "laptop"


def hand_over(card: KeyCard, folder: Path) -> None:
    """Give the card to the demo's laptop, as `radiusd2fa-key add` does."""
    from radiusd2fa.laptop.profile import save_cards

    save_cards(laptop(folder) / "radiusd2fa" / "keys.json", [card])


def transcript(nas: Nas, key: DemoKey, card: KeyCard, line: Line, say: Callable[[str], None]) -> None:
    """Log in with the key, and show what somebody in between would get."""
    which = "an emulated one, a file: no second factor" if key.is_emulated else "the one that is plugged in"
    say(f"\nThe same with {USER}'s security key ({which}). The host's name is signed with the answer:\n")
    response, state = _answer(nas, key, card, HOST, line)
    accepted = nas.ask(USER, response, state)
    line(f"> {USER}, signed for {HOST}", "<", accepted.kind, "accept")
    say("\nWhoever has seen that answer has seen nothing of use:\n")
    again = nas.ask(USER, PASSWORD)
    line(f"> {USER}, password", "<", again.kind, "challenge")
    replayed = nas.ask(USER, response, again.state)
    line(f"> {USER}, the same answer again", "< refused, asked anew:", replayed.kind, "challenge")
    say(f"\nA fake host that calls itself {FAKE_HOST} and passes everything on:\n")
    response, state = _answer(nas, key, card, FAKE_HOST, line)
    relayed = nas.ask(USER, response, state)
    line(f"> {USER}, signed for {FAKE_HOST}", "< refused, asked anew:", relayed.kind, "challenge")


def _answer(nas: Nas, key: DemoKey, card: KeyCard, host: str, line: Line) -> tuple[str, bytes | None]:
    from radiusd2fa.core.responder import KeyResponse, find_code
    from radiusd2fa.laptop.screen import Screen, open_terminal
    from radiusd2fa.laptop.signing import sign

    asked = nas.ask(USER, PASSWORD)
    code = find_code(asked.prompt)
    if code is None:
        raise OSError("the prompt holds no code for a key")
    shown = asked.prompt.replace(str(code), f"{str(code)[:9]}-...")
    line(f"> {USER}, password", f'< "{shown}"', asked.kind, "challenge")
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere if key.is_emulated else sys.stderr):
        screen = Screen(None if key.is_emulated else open_terminal())  # nobody has to touch an emulated key
        response = sign(code, [card], host, screen, device=key.device)
    if not isinstance(response, KeyResponse):
        raise OSError(getattr(response, "detail", "no key has answered"))
    return str(response), asked.state
