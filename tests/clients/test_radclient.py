"""radclient of FreeRADIUS, with its own dictionary, against the daemon: it builds, signs, sends and judges.

It is another implementation's opinion of our packets: a reply that it cannot verify it does not print.
RFC 2865 4 (Access-Challenge and State), RFC 3579 3.2, RFC 5997.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.site import PASSWORD, SECRET, Daemon, Site
from tests.daemon.wire import PATIENCE

from .oathtool import hotp, needs_oathtool, totp

RADCLIENT: Final = shutil.which("radclient")
pytestmark = pytest.mark.skipif(RADCLIENT is None, reason="needs Debian package freeradius-utils")

SIGNED: Final = "Message-Authenticator = 0x00"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """The shared secret, where radclient can read it and `ps` cannot."""
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_bytes(SECRET)
    return path


def _radclient(daemon: Daemon, secret_file: Path, *attributes: str, kind: str = "auth", tries: int = 1) -> str:
    """What radclient prints, request and reply."""
    assert RADCLIENT is not None
    host, port = daemon.address
    options = ["-x", "-r", str(tries), "-t", "0.5" if tries == 1 else "5", "-S", str(secret_file)]
    done = subprocess.run(
        [RADCLIENT, *options, f"{host}:{port}", kind],
        input=", ".join(attributes) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return done.stdout + done.stderr


def _asked(daemon: Daemon, secret_file: Path, user: str, password: str, *more: str) -> tuple[str, str]:
    """A signed login: the kind of the reply, and everything that stands in it."""
    attributes = (f'User-Name = "{user}"', f'User-Password = "{password}"', SIGNED, *more)
    output = _radclient(daemon, secret_file, *attributes, tries=2)
    kind, _, reply = output.rpartition("Received Access-")[2].partition(" ")
    return kind, reply


def test_a_challenge_is_answered(site: Site, daemon: Daemon, secret_file: Path) -> None:
    """The password leads to an Access-Challenge with prompt and State, the code with that State to an Access-Accept."""
    alice = site.person("alice")
    kind, reply = _asked(daemon, secret_file, "alice", PASSWORD)
    assert kind == "Challenge"
    assert 'Reply-Message = "Enter the code from your token: "' in reply
    state = re.findall(r"State = (0x[0-9a-f]+)", reply)
    assert len(state) == 1
    kind, reply = _asked(daemon, secret_file, "alice", alice.press(), f"State = {state[0]}")
    assert kind == "Accept"
    # nobody is promised anything that this site did not configure
    assert re.findall(r"^\t([A-Za-z-]+) = ", reply, re.MULTILINE) == ["Message-Authenticator"]


def test_a_wrong_code_is_asked_again_and_a_used_state_is_not(site: Site, daemon: Daemon, secret_file: Path) -> None:
    """A wrong code leads to the next question; the State of the first one is of no more use, right code or not."""
    bob = site.person("bob")
    _, reply = _asked(daemon, secret_file, "bob", PASSWORD)
    state = f"State = {re.findall(r'State = (0x[0-9a-f]+)', reply)[0]}"
    kind, reply = _asked(daemon, secret_file, "bob", bob.wrong_codes(1)[0], state)
    assert kind == "Challenge"
    assert 'Reply-Message = "Enter the next code: "' in reply
    assert _asked(daemon, secret_file, "bob", bob.code_at(0), state)[0] == "Reject"
    state = f"State = {re.findall(r'State = (0x[0-9a-f]+)', reply)[0]}"
    assert _asked(daemon, secret_file, "bob", bob.code_at(0), state)[0] == "Accept"


def test_a_wrong_password_is_refused(site: Site, daemon: Daemon, secret_file: Path) -> None:
    """A wrong password, and a right one of somebody unknown, are answered by an Access-Reject with nothing in it."""
    site.person("carol")
    for user, password in (("carol", "wrong"), ("nobody", PASSWORD)):
        kind, reply = _asked(daemon, secret_file, user, password)
        assert kind == "Reject"
        assert re.findall(r"^\t([A-Za-z-]+) = ", reply, re.MULTILINE) == ["Message-Authenticator"]


def test_a_code_alone_is_enough_where_the_client_is_so(code_site: Site, code_daemon: Daemon, secret_file: Path) -> None:
    """In the code-only flow the code is accepted once; it and a wrong one are refused."""
    dora = code_site.person("dora", password=None)
    code = dora.press()
    answers = [_asked(code_daemon, secret_file, "dora", sent)[0] for sent in (code, code, dora.wrong_codes(1)[0])]
    assert answers == ["Accept", "Reject", "Reject"]


def test_chap_carries_a_code(code_site: Site, code_daemon: Daemon, secret_file: Path) -> None:
    """radclient's CHAP-Password, made of a code, is accepted once in the code-only flow."""
    erna = code_site.person("erna", password=None)
    attributes = ('User-Name = "erna"', f'CHAP-Password = "{erna.press()}"', SIGNED)
    outputs = [_radclient(code_daemon, secret_file, *attributes, tries=2) for _ in range(2)]
    assert "Received Access-Accept" in outputs[0]
    assert "Received Access-Reject" in outputs[1]


def test_status_server_is_answered(daemon: Daemon, secret_file: Path) -> None:
    """A signed Status-Server is answered by an Access-Accept that radclient can verify."""
    assert "Received Access-Accept" in _radclient(daemon, secret_file, SIGNED, kind="status", tries=2)


def test_an_unsigned_request_gets_no_answer(site: Site, daemon: Daemon, secret_file: Path) -> None:
    """Where a Message-Authenticator is required, radclient without one waits in vain; signed it is answered."""
    site.person("fred")
    attributes = ('User-Name = "fred"', f'User-Password = "{PASSWORD}"')
    assert "Received" not in _radclient(daemon, secret_file, *attributes)
    assert "Received Access-Challenge" in _radclient(daemon, secret_file, *attributes, SIGNED, tries=2)


def test_another_secret_gets_no_answer(daemon: Daemon, tmp_path: Path) -> None:
    """A NAS with a wrong shared secret hears nothing."""
    wrong = tmp_path / "wrong"
    wrong.write_text("another secret of this length")
    assert "Received" not in _radclient(daemon, wrong, SIGNED, kind="status")


@needs_oathtool
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("kind", ["hotp", "totp"])
def test_oathtool_is_the_fob(
    code_site: Site, code_daemon: Daemon, secret_file: Path, kind: str, algorithm: str
) -> None:
    """Codes that oathtool makes are accepted once: HOTP and TOTP, with SHA-1, SHA-256 and SHA-512."""
    seed = bytes(range(100, 132))
    name = f"{kind}-{algorithm}"
    code_site.person(name, kind, password=None, algorithm=algorithm, seed=seed)
    code = hotp(seed, 3, 8, algorithm) if kind == "hotp" else totp(seed, time.time(), 8, algorithm)
    assert [_asked(code_daemon, secret_file, name, code)[0] for _ in range(2)] == ["Accept", "Reject"]
