"""A site and a daemon for programs of other people, and what to say when one of them is not installed.

The programs send from 127.0.0.1 and cannot choose; so one client of each flow has its own port's daemon instead.
Nothing outside the test's folder and loopback is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.daemon.site import SECRET, USUAL_CLIENTS, Daemon, Site

PLAIN_SECRET: Final = b"one-word-as-pam_radius-wants-it"
"""Its configuration file has words between spaces."""

_CLIENT: Final = '{{networks: [127.0.0.1/32], secret: "{secret}", reject_delay: 0s, {rest}}}'


def _clients(rest: str, secret: bytes = SECRET) -> dict[str, str]:
    return USUAL_CLIENTS | {"real": _CLIENT.format(secret=secret.decode(), rest=rest)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose client at 127.0.0.1 is asked for the code by a challenge, and must sign."""
    return Site.make(tmp_path_factory.mktemp("clients"), _clients("flow: challenge"))


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """The daemon of that site."""
    with site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def observing_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The same for a client that cannot sign its requests."""
    rest = "flow: challenge, message_authenticator: observe"
    return Site.make(tmp_path_factory.mktemp("observed"), _clients(rest, PLAIN_SECRET))


@pytest.fixture(scope="module")
def observing_daemon(observing_site: Site) -> Iterator[Daemon]:
    """The daemon of that site."""
    with observing_site.serving() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def code_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose client at 127.0.0.1 sends nothing but codes."""
    return Site.make(tmp_path_factory.mktemp("codes"), _clients("flow: code-only"))


@pytest.fixture(scope="module")
def code_daemon(code_site: Site) -> Iterator[Daemon]:
    """The daemon of that site."""
    with code_site.serving() as daemon:
        yield daemon
