"""The soft key at a pseudo-terminal, driven by other people's programs: libfido2's tools and OpenSSH's ssh-keygen.

They get the path and nothing else, and judge by code of their own: fido2-cred and fido2-assert verify what they get.
CTAP 2.1 11.2 (USB HID), 6.5 (PIN); OpenSSH's PROTOCOL.u2f.
"""

from __future__ import annotations

import base64
import hashlib
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.emulators.softkey import Format, Misbehaviour, SoftKey, Unplug
from radiusd2fa.emulators.softkey.pty import PtyKey

from .ceremonies import PIN, RP_ID

PATIENCE: Final = 30.0
HASH: Final = base64.b64encode(hashlib.sha256(b"client data").digest()).decode()
USER_ID: Final = base64.b64encode(b"alice").decode()
KINDS: Final = pytest.mark.parametrize("kind", ["es256", "eddsa"])
pytestmark = [
    pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is missing: apt-get install {package}")
    for tool, package in (("fido2-assert", "fido2-tools"), ("ssh-keygen", "openssh-client"), ("setsid", "util-linux"))
]


def _run(*command: str, given: str = "") -> str:
    """Run a program that must succeed; what it printed."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run_with_pin(*command: str, given: str, pin: str = PIN) -> tuple[int, str]:
    """Run a program at a terminal of its own, and type the PIN there when it asks: exit code and what it printed."""
    master, slave = os.openpty()
    try:
        with subprocess.Popen(
            ["setsid", "-c", "sh", "-c", 'given=$1; shift; printf %s "$given" | "$@"', "sh", given, *command],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            seen = ""
            while "PIN" not in seen:
                ready, _, _ = select.select([master], [], [], PATIENCE)
                assert ready, "no PIN was asked for"
                seen += os.read(master, 4096).decode(errors="replace")
            os.write(master, f"{pin}\n".encode())
            printed, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, printed
    finally:
        os.close(master)
        os.close(slave)


def _credential(made: str, kind: str, *flags: str) -> tuple[str, str]:
    """Let fido2-cred verify a registration: credential id and public key (PEM)."""
    credential_id, public_key = _run("fido2-cred", "-V", *flags, kind, given=made).split("\n", 1)
    return credential_id, public_key


REGISTER: Final = f"{HASH}\n{RP_ID}\nalice\n{USER_ID}\n"


def _asked(credential_id: str) -> str:
    return f"{HASH}\n{RP_ID}\n{credential_id}\n"


@KINDS
def test_an_assertion_with_a_broken_signature_is_refused(kind: str, tmp_path: Path) -> None:
    """fido2-assert -V tells a good assertion from a broken one."""
    key = SoftKey.make()
    with PtyKey(key) as plugged_in:
        credential_id, public_key = _credential(_run("fido2-cred", "-M", plugged_in.path, kind, given=REGISTER), kind)
        (tmp_path / "key.pem").write_text(public_key)
        key.misbehaviour = Misbehaviour(broken_signature=True)
        signed = _run("fido2-assert", "-G", "-t", "up=true", plugged_in.path, given=_asked(credential_id))
    command = ["fido2-assert", "-V", str(tmp_path / "key.pem"), kind]
    verified = subprocess.run(command, input=signed, text=True, capture_output=True, timeout=PATIENCE, check=False)
    assert verified.returncode == 1


def test_a_wrong_pin_is_refused() -> None:
    """fido2-cred with a wrong PIN gets nothing, and a try is gone."""
    key = SoftKey.make(pin=PIN)
    with PtyKey(key) as plugged_in:
        code, printed = _run_with_pin("fido2-cred", "-M", "-v", plugged_in.path, given=REGISTER, pin="000000")
    assert (code, printed) == (1, "")
    assert key.state.pin_retries == 7


def test_an_unplugged_key_ends_the_client() -> None:
    """libfido2 notices that the key is gone in the middle of its answer."""
    key = SoftKey.make()
    key.misbehaviour = Misbehaviour(unplug=Unplug.ANSWERING)
    with PtyKey(key) as plugged_in:
        command = ["fido2-cred", "-M", plugged_in.path, "es256"]
        done = subprocess.run(command, input=REGISTER, text=True, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1


def test_token_info() -> None:
    """`fido2-token -I` reads what the key says of itself."""
    with PtyKey(SoftKey.make(pin=PIN)) as plugged_in:
        said = _run("fido2-token", "-I", plugged_in.path)
    assert "aaguid: 19453c89e1434c28ba84b021f4483271" in said
    assert "version strings: U2F_V2, FIDO_2_0, FIDO_2_1" in said
    assert "algorithms: es256 (public-key), eddsa (public-key)" in said
    assert "options: nork, up, clientPin, pinUvAuthToken, makeCredUvNotRqd" in said
    assert "pin retries: 8" in said


@KINDS
@pytest.mark.parametrize("attestation", [Format.PACKED, Format.SELF])
def test_register_and_assert(kind: str, attestation: Format, tmp_path: Path) -> None:
    """fido2-cred registers and verifies, fido2-assert gets an assertion and verifies it, with the user present."""
    with PtyKey(SoftKey.make(attestation=attestation)) as plugged_in:
        credential_id, public_key = _credential(_run("fido2-cred", "-M", plugged_in.path, kind, given=REGISTER), kind)
        (tmp_path / "key.pem").write_text(public_key)
        signed = _run("fido2-assert", "-G", "-p", plugged_in.path, given=_asked(credential_id))
    _run("fido2-assert", "-V", "-p", str(tmp_path / "key.pem"), kind, given=signed)


def test_u2f(tmp_path: Path) -> None:
    """libfido2 speaks U2F with a U2F-only key, and verifies registration and login."""
    with PtyKey(SoftKey.make(u2f_only=True)) as plugged_in:
        made = _run("fido2-cred", "-M", "-u", plugged_in.path, "es256", given=REGISTER)
        credential_id, public_key = _credential(made, "es256")
        (tmp_path / "key.pem").write_text(public_key)
        signed = _run("fido2-assert", "-G", "-u", plugged_in.path, given=_asked(credential_id))
    _run("fido2-assert", "-V", "-p", str(tmp_path / "key.pem"), "es256", given=signed)


@KINDS
def test_with_the_pin(kind: str, tmp_path: Path) -> None:
    """With the PIN typed at a terminal, registration and login say that the user was verified."""
    with PtyKey(SoftKey.make(pin=PIN)) as plugged_in:
        code, made = _run_with_pin("fido2-cred", "-M", "-v", plugged_in.path, kind, given=REGISTER)
        assert code == 0
        credential_id, public_key = _credential(made, kind, "-v")
        (tmp_path / "key.pem").write_text(public_key)
        code, signed = _run_with_pin("fido2-assert", "-G", "-v", plugged_in.path, given=_asked(credential_id))
        assert code == 0
    _run("fido2-assert", "-V", "-p", "-v", str(tmp_path / "key.pem"), kind, given=signed)


@pytest.mark.parametrize(("kind", "key_type"), [("ed25519-sk", "ssh-ed25519"), ("ecdsa-sk", "ecdsa-sha2-nistp256")])
def test_ssh_keygen(kind: str, key_type: str, tmp_path: Path) -> None:
    """ssh-keygen makes a key pair that lives on the soft key."""
    with PtyKey(SoftKey.make()) as plugged_in:
        _run("ssh-keygen", "-q", "-t", kind, "-O", f"device={plugged_in.path}", "-N", "", "-f", str(tmp_path / "key"))
    assert (tmp_path / "key.pub").read_text().startswith(f"sk-{key_type}")
