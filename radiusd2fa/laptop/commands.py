"""The commands that a person types: respond, add, remove, list, register, setup-ssh, doctor.

Standard output carries results alone (a response, an answer to an invitation, a list); what is said beside them goes to
the terminal or to standard error. WebAuthn 7.1 and 7.2 are what register and respond serve.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from radiusd2fa import __version__
from radiusd2fa.laptop.askpass import DEVICE, SITE, USER
from radiusd2fa.laptop.screen import Screen, harmless, open_terminal

PROGRAM: Final = "radiusd2fa-key"


class Refused(Exception):  # noqa: N818 - not an error of the program: it says no, and why
    """The command cannot do what it was asked for. The text is one sentence for the person."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    from radiusd2fa.laptop.profile import ProfileError

    wanted = _parser().parse_args(arguments)
    try:
        code = int(wanted.run(wanted))
        sys.stdout.flush()
        return code
    except (Refused, ProfileError) as fault:
        sys.stderr.write(f"{PROGRAM}: {harmless(str(fault))}\n")
        return 1
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Logs in with a security key over ssh and RADIUS. As SSH_ASKPASS it answers ssh by itself.",
        epilog="Begin with `register` or `add`, then `setup-ssh --write`; `doctor` finds out what is missing.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, does: str, *, asks_keys: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=does, description=does, allow_abbrev=False)
        if asks_keys:
            added.add_argument(
                "--device",
                metavar="PATH",
                default=os.environ.get(DEVICE, ""),
                help=f"the key's device file or the reader's name (default: every key; or {DEVICE})",
            )
        return added

    respond = command("respond", "Sign a code from a prompt and print the response, to be pasted.", asks_keys=True)
    respond.add_argument("code", nargs="+", metavar="CODE", help="RK1-..., or the whole prompt that holds it")
    respond.add_argument("--user", default=os.environ.get(USER, ""), help="whose cards, where there are several users'")
    respond.add_argument("--site", default=os.environ.get(SITE, ""), help="which RP ID, where there are several")
    respond.add_argument(
        "--case-free", action="store_true", help="119 characters that survive a device which folds case"
    )
    respond.set_defaults(run=_respond)

    add = command("add", "Store a key card (RKC1-...) that an administrator has given you.")
    add.add_argument("card", metavar="CARD")
    add.set_defaults(run=_add)

    remove = command("remove", "Forget a key card.")
    remove.add_argument("which", metavar="WHICH", help="its label, or the eight digits that `list` shows")
    remove.set_defaults(run=_remove)

    listing = command("list", "Show the keys that are plugged in and the cards that are stored.", asks_keys=True)
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(run=_list)

    register = command(
        "register", "Register a key as an invitation (RKI1-...) asks, and print the answer.", asks_keys=True
    )
    register.add_argument("invitation", metavar="INVITATION", help="- reads it from standard input")
    register.add_argument("--label", default="", help="what you call this key")
    register.set_defaults(run=_register)

    setup = command("setup-ssh", "Show or write the two lines that make ssh ask this program.")
    setup.add_argument("--write", action="store_true", help="write them into your shell's start-up file")
    setup.add_argument("--shell", choices=("bash", "zsh", "fish"), default=_own_shell(), help="default: $SHELL")
    setup.set_defaults(run=_setup_ssh)

    doctor = command("doctor", "Look for keys, readers, rights and settings, and say what to do.", asks_keys=True)
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(run=_doctor)
    return parser


# --- signing and registering -----------------------------------------------------------------------------------------


def _respond(wanted: argparse.Namespace) -> int:
    from radiusd2fa.core.responder import KeyResponse, find_code
    from radiusd2fa.laptop.profile import Unchosen, choose, load_cards, profile_path
    from radiusd2fa.laptop.signing import sign

    code = find_code(" ".join(wanted.code))
    if code is None:
        raise Refused("there is not exactly one code in it; a code is RK1- and 26 characters, in groups of five")
    cards = choose(load_cards(profile_path()), user=wanted.user, site=wanted.site)
    if isinstance(cards, Unchosen):
        raise Refused(cards.why)
    screen = Screen(open_terminal())
    screen.say(
        f"Login of {cards[0].user} with a key of {cards[0].rp_id}, not bound to a host: whoever gets the response"
    )
    screen.say("can log in with it once. Go on only if you have just asked for this login yourself.")
    result = sign(code, cards, "", screen, device=wanted.device)
    if not isinstance(result, KeyResponse):
        raise Refused(getattr(result, "detail", "no key was used"))
    sys.stdout.write((result.case_free() if wanted.case_free else str(result)) + "\n")
    return 0


def _register(wanted: argparse.Namespace) -> int:
    from radiusd2fa.core.invitation import Invitation
    from radiusd2fa.keys.model import Failed
    from radiusd2fa.laptop.profile import (
        fault_of_card,
        fault_of_invitation,
        load_cards,
        profile_path,
        save_cards,
        with_card,
    )
    from radiusd2fa.laptop.registering import register

    if wanted.invitation == "-" and sys.stdin.isatty():
        sys.stderr.write("Paste the invitation (RKI1-...), then Enter and Ctrl-D:\n")
    text = sys.stdin.read(Invitation.LONGEST) if wanted.invitation == "-" else wanted.invitation
    invitation = Invitation.read(text)
    if invitation is None:
        raise Refused("this is no invitation, or not all of it; an invitation is one line that begins with RKI1-")
    if why := fault_of_invitation(invitation):
        raise Refused(f"this invitation is not followed: {why}")
    if not wanted.label.isprintable():
        raise Refused("a label cannot hold control characters")
    cards = load_cards(profile_path())  # a list that cannot be read is better known before the touch
    screen = Screen(open_terminal())
    screen.say(f"Registering a key for {invitation.user} at {invitation.rp_id}")
    new = register(invitation, wanted.label, screen, device=wanted.device)
    if isinstance(new, Failed):
        raise Refused(new.detail)
    if why := fault_of_card(new.card):
        raise Refused(f"this key cannot be used: {why}")
    save_cards(profile_path(), with_card(cards, new.card))
    sys.stdout.write(f"{new.answer}\n")
    screen.say("The key is ready. Give the line that begins with RKR1- to whoever has sent you the invitation.")
    return 0


# --- cards -----------------------------------------------------------------------------------------------------------


def _add(wanted: argparse.Namespace) -> int:
    from radiusd2fa.core.invitation import Invitation, KeyCard
    from radiusd2fa.laptop.profile import fault_of_card, load_cards, profile_path, save_cards, with_card

    card = KeyCard.read(wanted.card)
    if card is None:
        if wanted.card.startswith(Invitation.PREFIX):
            raise Refused(f"this is an invitation: run {PROGRAM} register with it")
        raise Refused("this is no key card, or not all of it; a card is one line that begins with RKC1-")
    if why := fault_of_card(card):
        raise Refused(f"this card is not stored: {why}")
    save_cards(profile_path(), with_card(load_cards(profile_path()), card))
    sys.stderr.write(f"Stored: the key of {card.user} at {card.rp_id}\n")
    return 0


def _remove(wanted: argparse.Namespace) -> int:
    from radiusd2fa.laptop.profile import load_cards, named_cards, profile_path, save_cards

    cards = load_cards(profile_path())
    named = named_cards(cards, wanted.which)
    if len(named) != 1:
        many = "several cards have that name: use the eight digits that `list` shows"
        raise Refused(many if named else "no card has that name; `list` shows them")
    save_cards(profile_path(), (card for card in cards if card not in named))
    sys.stderr.write(f"Forgotten: the key of {named[0].user} at {named[0].rp_id}. It can still log in elsewhere.\n")
    return 0


def _list(wanted: argparse.Namespace) -> int:
    from radiusd2fa.laptop.profile import load_cards, profile_path, selector_text
    from radiusd2fa.laptop.signing import keys_at_hand

    keys = keys_at_hand(wanted.device)
    cards = load_cards(profile_path())
    if wanted.json:
        told = {
            "keys": [{"path": key.path, "name": key.name, "transport": key.transport} for key in keys],
            "cards": [{"id": selector_text(card)} | card.members() for card in cards],
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return 0
    lines = ["Keys at hand:" if keys else "No key is at hand; radiusd2fa-key doctor looks for the reason."]
    lines += [f"  {key.transport}  {key.path}  {key.name}" for key in keys]
    lines += ["Cards:" if cards else "No card is stored."]
    lines += [f"  {selector_text(card)}  {card.user} at {card.rp_id}  {card.label}".rstrip() for card in cards]
    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines))
    return 0


# --- settings --------------------------------------------------------------------------------------------------------


def _own_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    return name if name in {"bash", "zsh", "fish"} else "bash"


def _own_path() -> str:
    """Return where this program is, as ssh can start it."""
    called = Path(sys.argv[0])
    found = shutil.which(PROGRAM) if called.suffix == ".py" else shutil.which(sys.argv[0])
    if found is None:
        raise Refused(f"{PROGRAM} is not where ssh could start it: install it first (pipx install {PROGRAM})")
    return str(Path(found).absolute())


def _setup_ssh(wanted: argparse.Namespace) -> int:
    from radiusd2fa.laptop.shells import block, start_up_file, with_block, written

    path = start_up_file(wanted.shell, os.environ, sys.platform)
    text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    lines = block(wanted.shell, _own_path(), os.environ, text)
    if not wanted.write:
        sys.stdout.write(lines)
        sys.stderr.write(f"These lines belong into {path}; --write puts them there.\n")
        return 0
    try:
        changed = written(path, with_block(text, lines))
    except OSError as fault:
        raise Refused(f"{path}: cannot be written: {fault.strerror}") from None
    sys.stderr.write(f"{'Written to' if changed else 'Already in'} {path}. A new terminal knows it.\n")
    return 0


def _doctor(wanted: argparse.Namespace) -> int:
    from radiusd2fa.laptop.doctor import State, examine

    findings = examine(wanted.device)
    if wanted.json:
        told = [{"about": one.about, "state": one.state, "text": one.text, "remedy": one.remedy} for one in findings]
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        for one in findings:
            sys.stdout.write(f"{one.state:<6}{one.about}: {harmless(one.text)}\n")
            if one.remedy:
                sys.stdout.write(f"      -> {harmless(one.remedy)}\n")
    return 1 if any(one.state is State.FAULT for one in findings) else 0
