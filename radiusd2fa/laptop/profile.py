"""The laptop's own list of key cards: which credentials its person has, and where they are registered.

It holds no secret (a credential id opens nothing without its key) but it says what a key is asked to sign, so a card
that no honest daemon writes is refused. WebAuthn 5.1.3 (origin and RP ID), XDG Base Directory (where the file is).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from radiusd2fa.core.invitation import Invitation, KeyCard
from radiusd2fa.core.names import canonical
from radiusd2fa.core.record import record
from radiusd2fa.core.responder import selector
from radiusd2fa.core.texts import base64url

MAX_FILE_OCTETS: Final = 1024 * 1024
MAX_CREDENTIAL_OCTETS: Final = 1023
"""WebAuthn 4, "Credential ID"."""

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ORIGIN: Final = re.compile(rf"https?://({_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?")


class ProfileError(Exception):
    """The list cannot be read or kept; the text says why and what to do."""


@record
class Site:
    """Where a credential is registered. A key is asked for one site at a time."""

    rp_id: str
    origin: str


@record
class Unchosen:
    """No card, or too many. ``why`` is a sentence for the person."""

    why: str


def profile_path() -> Path:
    """Return where the cards are kept."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(folder) if folder.startswith("/") else Path.home() / ".config") / "radiusd2fa" / "keys.json"


# --- cards that may be believed --------------------------------------------------------------------------------------


def fault_of_site(rp_id: str, origin: str) -> str | None:
    """Return what is wrong with a site; None when nothing is.

    The origin goes into what the key signs as it is: a quotation mark in it could put words there that mean a login at
    somebody else's web site.
    """
    found = _ORIGIN.fullmatch(origin)
    if not found:
        return "its origin is no https://host"
    if found[1] != rp_id and not found[1].endswith(f".{rp_id}"):
        return f"its origin does not belong to {rp_id}"
    if origin.startswith("http:") and rp_id != "localhost":
        return "its origin must begin with https://"
    return None


def fault_of_card(card: KeyCard) -> str | None:
    """Return what is wrong with a card; None when nothing is."""
    if not 1 <= len(card.credential) <= MAX_CREDENTIAL_OCTETS:
        return "its credential id is empty or too long"
    if not card.label.isprintable():
        return "its label holds control characters"
    return fault_of_site(card.rp_id, card.origin) or _fault_of_user(card.user)


def fault_of_invitation(invitation: Invitation) -> str | None:
    """Return what is wrong with an invitation; None when nothing is."""
    return fault_of_site(invitation.rp_id, invitation.origin) or _fault_of_user(invitation.user)


def _fault_of_user(user: str) -> str | None:
    return None if canonical(user.encode()) == user else "its user is no name in the form that the daemon uses"


# --- the file --------------------------------------------------------------------------------------------------------


def load_cards(path: Path) -> tuple[KeyCard, ...]:
    """Return the cards; none where there is no file yet."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_OCTETS + 1)
    except FileNotFoundError:
        return ()
    except OSError as fault:
        raise ProfileError(f"{path}: {fault.strerror}") from None
    remedy = "add the cards again after moving this file away"
    try:
        content = json.loads(octets) if len(octets) <= MAX_FILE_OCTETS else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(listed := content.get("cards"), list):
        raise ProfileError(f"{path}: not a list of key cards; {remedy}")
    cards = []
    for place, members in enumerate(listed, 1):
        card = KeyCard.read(KeyCard.PREFIX + base64url(json.dumps(members).encode()))  # one reader for both places
        why = "it is not complete" if card is None else fault_of_card(card)
        if card is None or why:
            raise ProfileError(f"{path}: card {place} cannot be used: {why}; {remedy}")
        cards.append(card)
    return tuple(cards)


def save_cards(path: Path, cards: Iterable[KeyCard]) -> None:
    """Keep the cards: mode 0600, whole or not at all."""
    place = path.resolve()  # whoever keeps settings elsewhere and links to them keeps the link
    text = json.dumps({"cards": [card.members() for card in cards]}, indent=2, ensure_ascii=False) + "\n"
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(place)
        except BaseException:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise ProfileError(f"{path}: cannot be written: {fault.strerror}") from None


def with_card(cards: Iterable[KeyCard], card: KeyCard) -> tuple[KeyCard, ...]:
    """Return the cards with this one, which takes the place of an older card of the same credential."""
    return (*(known for known in cards if not _same_credential(known, card)), card)


def named_cards(cards: Iterable[KeyCard], name: str) -> tuple[KeyCard, ...]:
    """Return the cards that a label or a selector (the eight digits that `list` shows) names."""
    return tuple(card for card in cards if name in {card.label, selector_text(card)})


def selector_text(card: KeyCard) -> str:
    """Return the eight hexadecimal digits that tell one card from another."""
    return selector(card.credential).hex()


def _same_credential(one: KeyCard, other: KeyCard) -> bool:
    return (one.rp_id, one.credential) == (other.rp_id, other.credential)


# --- which cards a login is for --------------------------------------------------------------------------------------


def choose(
    cards: Iterable[KeyCard], *, login: str = "", host: str = "", user: str = "", site: str = ""
) -> tuple[KeyCard, ...] | Unchosen:
    """Return the cards of one user at one site.

    ``user`` and ``site`` (an RP ID) are what the person has said. Without them the login name counts where a card has
    it, and the site whose name has most in common with the host; whatever remains open is for the person to say.
    """
    there = tuple(cards)
    if not there:
        return Unchosen("no key card is stored here: radiusd2fa-key add CARD, or radiusd2fa-key register INVITATION")
    users = {card.user for card in there}
    wanted = canonical((user or login).encode("utf-8", "replace"))
    if wanted in users:
        there = tuple(card for card in there if card.user == wanted)
    elif user:
        return Unchosen("no key card of that user is stored here: radiusd2fa-key list shows them")
    elif len(users) > 1:
        return Unchosen("several users have key cards here: say which with --user, or in RADIUSD2FA_KEY_USER")
    sites = {Site(card.rp_id, card.origin) for card in there if site in {"", card.rp_id}}
    if not sites:
        return Unchosen("no key card of that site is stored here: radiusd2fa-key list shows them")
    most = max(_in_common(one.rp_id, host) for one in sites)
    nearest = [one for one in sites if _in_common(one.rp_id, host) == most]
    if len(nearest) > 1:
        return Unchosen("key cards of several sites are stored here: say which with --site, or in RADIUSD2FA_KEY_SITE")
    return tuple(card for card in there if Site(card.rp_id, card.origin) == nearest[0])


def _in_common(rp_id: str, host: str) -> int:
    """Return how many labels two names share at their ends."""
    count = 0
    for one, other in zip(reversed(rp_id.split(".")), reversed(host.split(".")), strict=False):
        if one != other:
            break
        count += 1
    return count
