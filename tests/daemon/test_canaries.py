"""Secrets that can be recognised are planted everywhere, everything is done with them, and then they are looked for.

What is searched: all that daemon and commands wrote, both logs, the database, and the arguments and environment of the
processes; in the forms in which a secret could slip out. A canary that is found nowhere must be known to sing: the
search itself is tried first.
No RFC speaks of this; what a log line may hold is radiusd2fa.log's list of fields.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from radiusd2fa.emulators.softfob import SoftFob

from .site import APPEND as AUTO
from .site import CHALLENGE, CODE_ONLY, Daemon, Site
from .wire import packet, request

PASSWORD: Final = "CanaryPassword!7Gx2"
SECOND_PASSWORD: Final = "CanarySecondOne!9Ab4"
WRONG_PASSWORD: Final = "CanaryWrong!3Zq8"
SHARED: Final = "CanarySharedSecret!5Ty6Kk"
OLD_SHARED: Final = "CanaryOldShared!1Mm2Pp"
SEED: Final = b"CanarySeedOfAFob!8Rd"
CLOCK_SEED: Final = b"CanaryClockSeed!4Jw!CanaryClock!"

_SECRETS: Final = f'secret: "{SHARED}", secret_old: "{OLD_SHARED}", reject_delay: 0s'
CLIENTS: Final = {
    "code": f"{{networks: [{CODE_ONLY}/32], {_SECRETS}, flow: code-only}}",
    "ask": f"{{networks: [{CHALLENGE}/32], {_SECRETS}, flow: challenge}}",
    "both": f"{{networks: [{AUTO}/32], {_SECRETS}, flow: auto}}",
}


def _forms(secret: bytes) -> set[bytes]:
    """A secret in the clear, in hex and base32 and base64, and as Python writes it."""
    hexadecimal = secret.hex().encode()
    encoded = {base64.b32encode(secret).rstrip(b"="), base64.b64encode(secret).rstrip(b"=")}
    return {secret, hexadecimal, hexadecimal.upper(), *encoded, repr(secret).encode()[2:-1]}


def _sings(secret: bytes, text: bytes) -> bool:
    """Whether a secret is there in any form. A number counts only when it is not part of a longer one."""
    if secret.isdigit():
        return re.search(rb"(?<![0-9])" + secret + rb"(?![0-9])", text) is not None
    return any(form in text for form in _forms(secret))


def test_the_search_finds_what_it_looks_for() -> None:
    """A secret is found in each of its forms, and a code is not taken for a part of a time."""
    for form in _forms(SEED):
        assert _sings(SEED, b'{"exception": "... ' + form + b' ..."}')
    assert _sings(b"12345678", b"code=12345678 ")
    assert not _sings(b"12345678", b"12:00:00.123456789")


COMMANDS: Final[tuple[tuple[str, str], ...]] = (
    ("user add alice --password-stdin", PASSWORD),
    ("user add alice --password-stdin", PASSWORD),  # there is one already
    ("user add bob --password-stdin", PASSWORD * 8),  # too long
    ("user add bob --no-password", ""),
    ("user add carol --password-stdin", SECOND_PASSWORD),
    ("token add --user alice --kind hotp --digits 8 --serial A --secret-stdin", SEED.hex()),
    ("token add --user alice --kind hotp --serial A --secret-stdin", SEED.hex()),
    ("token add --user bob --kind hotp --serial B --secret-stdin", SEED.hex() + "?"),
    ("token add --user nobody --kind hotp --serial C --secret-stdin", base64.b32encode(SEED).decode()),
    ("token add --user bob --kind totp --serial D --digits 8 --secret-stdin", CLOCK_SEED.hex()),
    ("token add --user carol --kind hotp --serial E --digits 8 --secret-stdin", SEED.hex()),
    ("token list --json", ""),
    ("token show A", ""),
    ("user show alice --json", ""),
    ("user list", ""),
    ("check", ""),
    ("check --client ask --user alice --json", ""),
)


def test_no_canary_sings(tmp_path: Path) -> None:
    """After logins, refusals and errors of all kinds, at debug level, no secret is in any output, row or process."""
    to = f'{{to: "unix:{tmp_path}/log", facility: local3}}'
    site = Site.make(tmp_path / "site", CLIENTS, secret=SHARED.encode(), syslog=to)
    printed = "".join(_said(site, words, stdin) for words, stdin in COMMANDS)
    codes: list[str] = []
    with _collector(tmp_path / "log") as received, site.serving({}) as daemon:
        _go_right(daemon, codes)
        processes = _processes(daemon)
        _go_wrong(site, daemon, codes)
        printed += _said(site, "user password alice --password-stdin", SECOND_PASSWORD)
        (site.folder / "vault.key").chmod(0o604)
        printed += _said(site, "token list", "")
        (site.folder / "vault.key").chmod(0o600)
        assert daemon.stop() == 0
    key = base64.b64decode((site.folder / "vault.key").read_bytes().split(b":")[1])
    texts = (PASSWORD, SECOND_PASSWORD, WRONG_PASSWORD, SHARED, OLD_SHARED)
    planted = [*(text.encode() for text in texts), SEED, CLOCK_SEED, key, *(code.encode() for code in codes)]
    places = {
        "log": site.log.read_bytes(),
        "syslog": b"\n".join(received),
        "output of commands": printed.encode(),
        "processes": processes,
        "database": b"".join(path.read_bytes() for path in sorted(site.folder.glob("radiusd2fa.db*"))),
    }
    # everything happened, and is where it is looked for
    for words in (
        b"access.accepted",
        b"access.challenged",
        b"replayed",
        b"locked",
        b"internal_error",
        b"store.alarm",
    ):
        assert words in places["log"]
        assert words in places["syslog"]
    assert b'"exception":' in places["log"]
    assert b"serve" in places["processes"]
    assert b"there is" in places["output of commands"]
    assert b"alice" in places["database"]
    for place, text in places.items():
        for secret in planted:
            assert not _sings(secret, text), f"{secret!r} is in the {place}"


def _said(site: Site, words: str, stdin: str) -> str:
    """What a command prints on either stream."""
    return site.attempt(*words.split(), stdin=stdin)[1]


def _go_right(daemon: Daemon, codes: list[str]) -> None:
    """Logins of all flows that succeed; the codes are noted."""
    fob, clock = SoftFob("hotp", SEED, 8), SoftFob("totp", CLOCK_SEED, 8)
    with daemon.peer(CODE_ONLY) as code_only, daemon.peer(CHALLENGE) as asking, daemon.peer(AUTO) as together:
        codes += [fob.press(0) for _ in range(5)] + [clock.press(time.time())]
        kinds = [
            code_only.ask("alice", codes[0]).kind,
            asking.ask("alice", codes[1], asking.ask("alice", PASSWORD).state).kind,
            together.ask("alice", PASSWORD + codes[2]).kind,
            asking.ask("alice", _static(PASSWORD, codes[3])).kind,
            code_only.ask("bob", codes[5]).kind,
        ]
    with daemon.peer(CODE_ONLY, OLD_SHARED.encode()) as old:
        kinds.append(old.ask("alice", codes[4]).kind)
    assert kinds == ["accept"] * 6


def _go_wrong(site: Site, daemon: Daemon, codes: list[str]) -> None:
    """Used codes, wrong passwords, broken packets, a lock, and rows that make the program stumble."""
    fob = SoftFob("hotp", SEED, 8, counter=5)
    with daemon.peer(CODE_ONLY) as code_only, daemon.peer(CHALLENGE) as asking, daemon.peer(AUTO) as together:
        code_only.ask("alice", codes[0])
        for user in ("alice", "bob", "nobody"):
            asking.ask(user, WRONG_PASSWORD)
            together.ask(user, WRONG_PASSWORD + codes[1])
        asking.ask("alice", codes[2], asking.ask("alice", PASSWORD).state)
        asking.ask("alice", PASSWORD, b"f" * 32)
        asking.ask("alice", b"SCRV1:" + PASSWORD.encode() + b":" + codes[3].encode())
        asking.ask("alice", PASSWORD.encode() + b"\0" + PASSWORD.encode())
        asking.ask("alice", PASSWORD.encode() + b"\xff")
        good = request(site.secret, "alice", PASSWORD.encode())
        naked = packet(1, os.urandom(16), [(1, b"alice"), (2, PASSWORD.encode()[:16])], site.secret)
        for octets in (good[:40], good[:-1] + b"\0", naked, packet(1, os.urandom(16), [(2, SHARED.encode())], None)):
            asking.send(octets)
        with daemon.peer(CHALLENGE, WRONG_PASSWORD.encode()) as stranger:
            stranger.send(request(WRONG_PASSWORD.encode(), "alice", PASSWORD.encode()))
        guesses = [f"{number:08d}" for number in range(77_000_000, 77_000_012)]
        for guess in guesses:
            code_only.ask("alice", guess)
        codes += guesses
        codes.append(fob.press(0))
        code_only.ask("alice", codes[-1])
        for spoil in (
            "UPDATE tokens SET algorithm = 'md5' WHERE serial = 'E'",
            "UPDATE tokens SET sealed = (SELECT sealed FROM tokens WHERE serial = 'A') WHERE serial = 'E'",
            "UPDATE users SET password_hash = 'no hash' WHERE name = 'carol'",
            "ALTER TABLE users RENAME TO elsewhere",
        ):
            with contextlib.closing(sqlite3.connect(site.database)) as database, database:
                database.execute(spoil)
            code_only.send(request(site.secret, "carol", codes[-1].encode()))
            asking.send(request(site.secret, "carol", SECOND_PASSWORD.encode()))
            daemon.wait_until_read()
        daemon.wait_for("packet.dropped", reason="store_unavailable")
        with contextlib.closing(sqlite3.connect(site.database)) as database, database:
            database.execute("ALTER TABLE elsewhere RENAME TO users")


def _static(password: str, code: str) -> bytes:
    """OpenVPN's static challenge."""
    return b":".join([b"SCRV1", base64.b64encode(password.encode()), base64.b64encode(code.encode())])


def _processes(daemon: Daemon) -> bytes:
    """The arguments of every process, as `ps` shows them, and the daemon's environment."""
    found = [Path(f"/proc/{daemon.process.pid}/environ").read_bytes()]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes())
    return b"\n".join(found)


@contextlib.contextmanager
def _collector(path: Path) -> Iterator[list[bytes]]:
    """A syslog receiver at a Unix socket; the list is complete when the block is over."""
    received: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        # an empty datagram, from us, is the last one
        reader = threading.Thread(target=lambda: received.extend(iter(lambda: listening.recv(1 << 16), b"")))
        reader.start()
        try:
            yield received
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", str(path))
            reader.join()
