"""Nothing goes wrong in silence: what somebody should look at is counted, and told in one line that no flood drowns.

What starts are refused, tests/daemon/test_refused_start.py shows; the disk, test_disk.py; the log, test_logging.py; a
directory that is left alone, tests/daemon/test_directory.py. RFC 3579 3.2 (Message-Authenticator), RFC 5080 2.2.2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.daemon.site import CODE_ONLY, OBSERVED, SECRET, Site
from tests.daemon.wire import request

MANY: Final = 20


def test_what_somebody_should_look_at_is_counted_and_told_once(tmp_path: Path) -> None:
    """Packets without a signature, of strangers and of locked people: each has its count, its line and its reason."""
    site = Site.make(tmp_path / "site", throttle="{max_failures: 3}")
    alice, bob = site.person("alice"), site.person("bob")
    with (
        site.serving() as daemon,
        daemon.peer(CODE_ONLY) as peer,
        daemon.peer(OBSERVED) as old,
        daemon.peer("127.0.9.9") as stranger,
    ):
        for _ in range(MANY):
            assert old.ask("bob", "00000000", sign=False).kind == "reject"
            stranger.send(request(SECRET, "bob", b"00000000"))
        site.cli("user", "unlock", "bob")
        assert old.ask("bob", bob.press(), sign=False).kind == "accept"
        for code in alice.wrong_codes(3):
            assert peer.ask("alice", code).kind == "reject"
        assert peer.ask("alice", alice.press()).kind == "reject"
        daemon.wait_for("access.rejected", user="alice", reason="locked")
    counted = daemon.counters()
    assert counted["unsigned"] == MANY + 1
    assert counted["unknown_client"] == MANY
    assert len(daemon.lines("packet.unsigned")) == 1
    assert len([line for line in daemon.lines("packet.dropped") if line["reason"] == "unknown_client"]) == 1
    assert [row["reason"] for row in site.audit() if row["user"] == "alice" and row["name"] == "access.rejected"] == [
        "wrong_code",
        "wrong_code",
        "wrong_code",
        "locked",
    ]
