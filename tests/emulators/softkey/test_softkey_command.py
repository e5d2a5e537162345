"""`radiusd2fa softkey` as a script and as a person meet it: the first line, the file, the touch, and how it ends.

Other programs talk to the command at the path that it prints; its own process is started and ended by the test.
CTAP 2.1 11.2.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.testing import CliRunner

from radiusd2fa.cli.softkey import HONEST, softkey
from radiusd2fa.emulators.softkey import SoftKey
from radiusd2fa.emulators.softkey.nfc import ATR
from radiusd2fa.emulators.softkey.pty import PtyKey

from .ceremonies import PIN, REQUIRED, Person, at_path, credential_of, log_in, register

app: Final = typer.Typer()
app.command()(softkey)
PATIENCE: Final = 30.0
PROGRAM: Final = "import typer; from radiusd2fa.cli.softkey import softkey; typer.run(softkey)"


@pytest.fixture(autouse=True)
def _nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is refused must be refused before anybody is answered; processes of their own do not notice this."""

    def serve(_transport: PtyKey) -> None:
        raise AssertionError("the key is being served")

    monkeypatch.setattr(PtyKey, "serve", serve)


@contextmanager
def _running(*arguments: object, given: str = "") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command: the first line that it prints, and the process."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(given)
        process.stdin.flush()
        try:
            first = process.stdout.readline().rstrip("\n")
            assert process.stderr.readline().rstrip("\n") == HONEST
            yield first, process
        finally:
            process.kill()


def _refused(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    return result.exit_code, result.stderr


def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    """The command does not use such a key: exit 2, with the remedy."""
    file = tmp_path / "key.json"
    SoftKey.make(path=file)
    file.chmod(0o644)
    code, error = _refused(file)
    assert code == 2
    assert f"chmod 600 {file}" in error


@pytest.mark.parametrize("address", ["", "35963", "localhost:", ":35963", "localhost:0", "localhost:65536", "host:x"])
def test_an_address_that_is_none(tmp_path: Path, address: str) -> None:
    """`--vpcd` wants HOST:PORT: exit 2, and no key is made."""
    code, error = _refused(tmp_path / "key.json", "--vpcd", address)
    assert code == 2
    assert "HOST:PORT" in error
    assert not (tmp_path / "key.json").exists()


def test_two_places_at_once(tmp_path: Path) -> None:
    """A key is plugged in or held to a reader, not both: exit 2."""
    assert _refused(tmp_path / "key.json", "--pty", "--vpcd", "localhost:1")[0] == 2


def test_an_old_key_gets_no_new_pin(tmp_path: Path) -> None:
    """`--pin-stdin` and `--u2f-only` are for new keys: exit 2, and the old one stays as it was."""
    file = tmp_path / "key.json"
    SoftKey.make(path=file)
    before = file.read_bytes()
    for option in ("--pin-stdin", "--u2f-only"):
        code, error = _refused(file, option)
        assert code == 2
        assert "new" in error
    assert file.read_bytes() == before


def test_a_reader_that_is_not_there(tmp_path: Path) -> None:
    """Nobody listens: exit 1, with a hint."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    code, error = _refused(tmp_path / "key.json", "--vpcd", f"127.0.0.1:{port}")
    assert code == 1
    assert "is pcscd with vpcd running?" in error


def test_a_pin_that_is_too_short(tmp_path: Path) -> None:
    """A PIN that CTAP would refuse: exit 2, and it is not repeated."""
    result = CliRunner().invoke(app, [str(tmp_path / "key.json"), "--pin-stdin"], input="12\n")
    assert result.exit_code == 2
    assert "12" not in result.stderr
    assert not (tmp_path / "key.json").exists()


def test_a_key_at_a_path(tmp_path: Path) -> None:
    """The first line is a device; what is registered there logs in at the next start; Ctrl-C ends it with 0."""
    file = tmp_path / "key.json"
    with _running(file) as (path, process):
        device = at_path(path)
        credential = credential_of(register(device))
        device.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    with _running(file, "--pty") as (path, _):
        device = at_path(path)
        assert log_in(device, credential).counter == SoftKey.load(file).state.counter
        device.close()


def test_a_u2f_only_key(tmp_path: Path) -> None:
    """`--u2f-only` makes a key that says nothing of CTAP2."""
    with _running(tmp_path / "key.json", "--u2f-only") as (path, _):
        device = at_path(path)
        assert register(device).fmt == "fido-u2f"
        device.close()


def test_a_key_with_a_pin(tmp_path: Path) -> None:
    """The PIN comes from standard input, never from the command line; the touch is a line there."""
    person = Person()
    with _running(tmp_path / "key.json", "--pin-stdin", "--touch", given=f"{PIN}\n\n\n") as (path, process):

        def press() -> None:
            assert person.asked.wait(PATIENCE)
            assert process.stderr is not None
            assert process.stdin is not None
            assert "register at auth.example.org: press Enter" in process.stderr.readline()
            process.stdin.write("\n")
            process.stdin.flush()

        hand = threading.Thread(target=press)
        hand.start()
        device = at_path(path)
        made = register(device, verification=REQUIRED, person=person)
        device.close()
        hand.join()
    assert made.auth_data.flags == 0x45
    assert PIN not in (tmp_path / "key.json").read_text()


def test_a_key_in_a_reader(tmp_path: Path) -> None:
    """With `--vpcd` it goes to the reader, shows its ATR, and ends with 1 when the reader lets it go."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with _running(tmp_path / "key.json", "--vpcd", f"127.0.0.1:{port}") as (where, process):
            assert where == f"vpcd 127.0.0.1:{port}"
            reader, _ = server.accept()
            with reader:
                reader.sendall(b"\0\x01\x01" + b"\0\x01")  # power on, and half of the next message
                reader.sendall(b"\x04")
                assert reader.recv(100) == len(ATR).to_bytes(2, "big") + ATR
            assert process.wait(PATIENCE) == 1
            assert process.stderr is not None
            assert "the reader is gone" in process.stderr.read()
