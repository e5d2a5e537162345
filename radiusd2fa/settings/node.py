"""What a daemon is called among those that share a store: ``node:``, or the host's own name in short.

It asks the system for that name and nobody else; no resolver is asked. RFC 1123 2.1 says what a host's name looks like.
"""

from __future__ import annotations

import re
import socket
from typing import Final

from radiusd2fa.settings.words import Surroundings, a_text, refused
from radiusd2fa.settings.yaml_lines import Word

_NODE: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
_NOT_IN_NODES: Final = re.compile(r"[^a-z0-9-]+")
_TAKEN: Final = "before-0005"
"""The chain of the audit rows of before there were chains."""


def a_node(word: Word, around: Surroundings) -> str:
    """Read the name of this node."""
    name = a_text(word, around)
    if not _NODE.fullmatch(name):
        remedy = "write at most 63 small letters, digits, dots and dashes, as in vpn-east"
        raise refused("can be no node's name", remedy)
    if name == _TAKEN:
        raise refused("is what the oldest audit rows are called", "choose another name")
    return name


def this_host() -> str:
    """Return the host's name up to the first dot, spelled as a node's name."""
    short = _NOT_IN_NODES.sub("-", socket.gethostname().partition(".")[0].lower())[:63].strip("-")
    return short or "node"
