"""FreeRADIUS reads the sample, and lets in with the codes of exactly the seeds that are read from it here.

It runs on a port and with a configuration of the test's own, and is ended by who has started it. users(5), rlm_totp,
RFC 6238.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.imports import freeradius_totp
from radiusd2fa.imports.seeds import How, LeftOut, Seed
from tests.clients.freeradius import FREERADIUS, READY, needs_freeradius
from tests.clients.oathtool import needs_oathtool, totp

from .spent import counts
from .tables import entries

RADCLIENT: Final = shutil.which("radclient")
SAMPLE: Final = Path("hardware/samples/freeradius-users")
SECRET: Final = "secret-of-the-test"
TRIES: Final = 5
"""How often a port, or a code whose half minute ends just then, is taken anew."""

CONFIGURATION: Final = """
prefix = /usr
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/pid
log {{
    destination = stdout
}}
security {{
    reject_delay = 0
}}
modules {{
    files {{
        usersfile = {folder}/users
    }}
    totp {{
    }}
}}
client localhost {{
    ipaddr = 127.0.0.1
    secret = {secret}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
        files
        update request {{
            &TOTP-Password := "%{{User-Password}}"
        }}
        if (!&control:Auth-Type) {{
            update control {{
                &Auth-Type := totp
            }}
        }}
    }}
    authenticate {{
        Auth-Type totp {{
            totp
        }}
    }}
}}
"""

pytestmark = [
    needs_freeradius,
    needs_oathtool,
    pytest.mark.skipif(RADCLIENT is None, reason="needs Debian package freeradius-utils"),
]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a FreeRADIUS whose users file is the sample."""
    assert FREERADIUS is not None
    folder = tmp_path_factory.mktemp("freeradius")
    (folder / "dictionary").write_text("")
    (folder / "users").write_text(SAMPLE.read_text())
    for _ in range(TRIES):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            number: int = one.getsockname()[1]
        configuration = folder / "radiusd.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(CONFIGURATION.format(folder=folder, secret=SECRET, port=number))
        command = [FREERADIUS, "-f", "-l", "stdout", "-d", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            printed = []
            try:
                for line in process.stdout:
                    printed.append(line)
                    if READY in line:
                        yield number
                        return
            finally:
                process.kill()
    pytest.fail(f"FreeRADIUS never was ready: {''.join(printed[-10:])}")


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_freeradius_takes_the_codes_of_the_seeds_that_were_read(port: int, name: str) -> None:
    """Base32 and hex mean the same octets there, and a code that was taken there counts no more here."""
    now = time.time()
    (found,) = (e for e in entries(freeradius_totp, SAMPLE.read_bytes(), How(now=now)) if _is_of(e, name))
    assert isinstance(found, Seed)
    assert _is_let_in(port, name, found.secret)
    assert not counts(found, totp(found.secret, now, 6, "sha1"), now)


def test_freeradius_turns_away_whose_token_is_left_out(port: int) -> None:
    """Nobody gets in with dave's seed there, and it is no token here; carol is commented out in both."""
    (left,) = (e for e in entries(freeradius_totp, SAMPLE.read_bytes()) if isinstance(e, LeftOut))
    assert "dave" in left.what
    text = SAMPLE.read_text()
    for name in ("dave", "carol"):
        alone = text[text.index(f"{name}\t") :].partition("\n")[0].replace(", Auth-Type := Reject", "") + "\n"
        (token,) = (e for e in entries(freeradius_totp, alone) if isinstance(e, Seed))
        assert not _is_let_in(port, name, token.secret, tries=1)


def _is_of(entry: object, name: str) -> bool:
    return isinstance(entry, Seed) and entry.user == name


def _is_let_in(port: int, name: str, secret: bytes, tries: int = TRIES) -> bool:
    assert RADCLIENT is not None
    for _ in range(tries):
        packet = f'User-Name = "{name}", User-Password = "{totp(secret, time.time(), 6, "sha1")}"'
        command = [RADCLIENT, "-x", "-t", "5", "-r", "1", f"127.0.0.1:{port}", "auth", SECRET]
        if "Received Access-Accept" in subprocess.run(command, input=packet, capture_output=True, text=True).stdout:
            return True
    return False
