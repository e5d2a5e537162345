"""What an emulated key can be told to do wrong, so that those who talk to it can be tested against broken hardware.

Nothing here happens by itself: a key behaves until somebody hands it a `Misbehaviour` with a switch on.
Each switch breaks one rule of CTAP 2.1 or of WebAuthn 6.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Unplug(StrEnum):
    """When the key is pulled out."""

    NEVER = "never"
    WAITING = "waiting"
    """While it waits to be touched."""
    ANSWERING = "answering"
    """After the first packet of an answer that a touch has earned."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """The switches; all are off at first."""

    stale_counter: bool = False
    """The signature counter says again what it said last, as the clone of a key would."""
    no_user_presence: bool = False
    """UP = 0 although the key was touched."""
    wrong_rp_id_hash: bool = False
    """Assertions are signed for another relying party."""
    broken_signature: bool = False
    """Signatures lack their last octet: no valid DER for ES256, 63 octets for EdDSA."""
    unknown_credential: bool = False
    """Assertions come from a new credential that nobody has registered."""
    never_touched: bool = False
    """The touch never comes: keep-alives until the client cancels or the key's own time is up."""
    silent: bool = False
    """Requests that need a touch are never answered; the key still says hello and who it is."""
    dead: bool = False
    """Nothing is ever answered."""
    unplug: Unplug = Unplug.NEVER
    keep_alive_every: float = 0.1
    """Seconds between two keep-alives while the key waits."""


WELL_BEHAVED: Final = Misbehaviour()
