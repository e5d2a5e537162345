"""A site for each test that wants one, and a daemon that serves it.

Nothing here looks at the machine's own configuration, credentials or services.
Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .site import Daemon, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with one client for each flow; nobody is in it yet."""
    return Site.make(tmp_path / "site")


@pytest.fixture
def daemon(site: Site) -> Iterator[Daemon]:
    """The daemon of that site."""
    with site.serving() as daemon:
        yield daemon
