"""A site for each test that wants one, and a daemon that serves it.

Nothing here looks at the machine's own configuration, credentials or services.
Answers to no RFC.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .site import Daemon, Site
from .upstream import Upstream
from .wire import PATIENCE


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with one client for each flow; nobody is in it yet."""
    return Site.make(tmp_path / "site")


@pytest.fixture
def daemon(site: Site) -> Iterator[Daemon]:
    """The daemon of that site."""
    with site.serving() as daemon:
        yield daemon


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server that answers when the test does."""
    with Upstream() as upstream:
        yield upstream
