"""A station at work, as its own process in its own terminal, and what its screen says.

It shares nothing with the daemon but the configuration and the database. docs/fido-over-radius.md (station ceremony).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.daemon.site import PASSWORD, Site
from tests.daemon.wire import Peer, Reply

from .machines import Seat
from .reader import Reader

PRESS_ENTER: Final = "Now press Enter at your prompt."


@contextmanager
def at_work(site: Site, name: str, reader: Reader | None = None) -> Iterator[Seat]:
    """Run a station, where its reader is if it has one; it ends well when it is told to."""
    command = [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(site.config), "station", name]
    with Seat(command if reader is None else reader.command(*command), os.environ | {"TERM": "xterm"}) as seat:
        yield seat
        seat.process.terminate()
        assert seat.end().code == 0


def begin(nas: Peer, user: str, name: str, screen: Seat) -> Reply:
    """Begin a login that waits for a touch; the station's screen shows the code that the prompt shows."""
    challenge = nas.ask(user, PASSWORD)
    wanted = rf"touch your key at {name} \(code ([0-9]{{4}})\), then press Enter: \Z"
    shown = re.search(wanted, challenge.prompt, re.IGNORECASE)
    assert shown is not None, challenge.prompt
    screen.until(f"Code {shown[1]}:")
    return challenge
