"""What a daemon is called: by the settings, or by the host that it runs on. No resolver is asked. Answers to no RFC."""

from __future__ import annotations

import re

import pytest

from radiusd2fa.settings.node import this_host

from .conftest import Site, minimal


@pytest.mark.parametrize("name", ["vpn-east", "7a", "a.b.c", "n" * 63])
def test_a_node_is_called_as_it_is_written(site: Site, name: str) -> None:
    """Small letters, digits, dots and dashes, in any order that no chain of the audit is split by."""
    assert site.load(minimal(f"node: {name}")).node == name


HOSTS = {
    "vpn1": "vpn1",
    "VPN-East.example.org": "vpn-east",
    "my_host": "my-host",
    "_": "node",
    "": "node",
    "x" * 64: "x" * 63,
    "ä": "node",
}


@pytest.mark.parametrize("host", HOSTS)
def test_else_it_is_called_as_its_host_is(site: Site, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Up to the first dot, spelled so that it could be written; a host without a usable name is the node."""
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert this_host() == HOSTS[host]
    assert site.load(minimal()).node == site.load(minimal(f'node: "{HOSTS[host]}"')).node


def test_no_slash_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands behind a slash in the name of a chain is ours: a worker's number, or the command line."""
    monkeypatch.setattr("socket.gethostname", lambda: "vpn/administration")
    assert re.fullmatch("[a-z0-9-]+", this_host())
