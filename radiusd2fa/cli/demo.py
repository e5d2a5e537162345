"""`radiusd2fa demo`: a whole login, for real, in a folder of its own.

A real daemon on a free loopback port, a real store, and pyrad's client as the NAS; nothing is played. It touches no
file outside its folder. Each step is checked, and the first that is not as expected ends the demo with 1.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli import demo_key
from radiusd2fa.cli.site import complain

if TYPE_CHECKING:
    from radiusd2fa.core.invitation import KeyCard
    from radiusd2fa.emulators.nas import Nas
    from radiusd2fa.emulators.softfob import SoftFob

_MARK: Final = ".radiusd2fa-demo"
_PASSWORD: Final = "correct horse"
_USER: Final = "alice"
_PATIENCE: Final = 15.0


class _NotAsExpectedError(Exception):
    """A step of the demo went otherwise than it must."""


class _Key(StrEnum):
    EMULATED = "emulated"
    USB = "usb"


@dataclass(frozen=True, slots=True)
class _Site:
    folder: Path
    config: Path
    port: int
    secret: bytes = field(repr=False)
    lock: IO[bytes]


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="D", help="Where the demo keeps its state; made anew each time.")
    ] = Path("demo-state"),
    key: Annotated[
        _Key, typer.Option(help="The security key: emulated, or one that is plugged in.", show_choices=True)
    ] = _Key.EMULATED,
) -> None:
    """Show logins with a key fob and a security key, end to end, then leave the daemon running for you to try.

    Without a terminal, or with CI=true, it ends after the transcript: 0 when every step was as expected, else 1.
    """
    try:
        site = _make_site(folder)
        fob = _make_person(site)
        with demo_key.plugged_in(site.folder, real=key is _Key.USB) as plugged, _daemon(site) as process:
            _say(f"A user {demo_key.USER} with a password and a security key")
            card = demo_key.register(plugged, _administer(site))
            demo_key.hand_over(card, site.folder)
            _transcript(site, fob, plugged, card)
            if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("CI") != "true":
                _leave_running(site, process, plugged)
    except (_NotAsExpectedError, OSError) as error:
        complain(f"the demo did not go as it must: {error}")
        raise typer.Exit(1) from None


# --- a site --------------------------------------------------------------------------------------------------------


def _make_site(folder: Path) -> _Site:
    if folder.exists():
        if not (folder / _MARK).exists():
            raise _NotAsExpectedError(f"{folder} is there and is no demo's folder; choose another with --dir")
        _hold(folder)
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    lock = _hold(folder)
    port = _free_port()
    _say(f"A site in {folder}/: configuration, vault key, database")
    _run(folder, "init", "--dir", str(folder), "--listen", f"127.0.0.1:{port}")
    config = folder / "radiusd2fa.yaml"
    from radiusd2fa.settings import load_settings

    client = load_settings(config).clients[0]
    # no wait before a refusal: the demo shows refusals, and nobody measures its answers
    text = config.read_text(encoding="utf-8").replace(
        "flow: challenge ", f"reject_delay: 0s\n    {demo_key.CLIENT_SETTINGS}flow: challenge ", 1
    ) + (f'log: {{format: json}}\nsyslog: "off"\n{demo_key.SETTINGS}')
    config.write_text(text, encoding="utf-8")
    return _Site(folder, config, port, client.secrets[0], lock)


def _hold(folder: Path) -> IO[bytes]:
    """Mark a folder as a demo's, and as in use for as long as the file is open."""
    mark = (folder / _MARK).open("ab")
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        mark.close()
        raise _NotAsExpectedError(f"another demo is running in {folder}; end it, or choose --dir") from error
    return mark


def _make_person(site: _Site) -> SoftFob:
    from radiusd2fa.emulators.softfob import SoftFob

    seed = secrets.token_bytes(20)
    serial = f"SOFT-{secrets.randbelow(10**6):06d}"
    _say(f"A user {_USER} with a password and a soft key fob {serial} (HOTP, 6 digits)")
    config = ("-c", str(site.config))
    _run(site.folder, *config, "user", "add", _USER, "--password-stdin", stdin=_PASSWORD)
    arguments = ("token", "add", "--user", _USER, "--kind", "hotp", "--serial", serial, "--secret-stdin")
    _run(site.folder, *config, *arguments, stdin=seed.hex())
    fob = SoftFob(kind="hotp", secret=seed, serial=serial)
    fob.save(site.folder / "fob.json")
    return fob


@contextlib.contextmanager
def _daemon(site: _Site) -> Iterator[subprocess.Popen[bytes]]:
    from radiusd2fa.emulators.nas import Nas

    log = site.folder / "radiusd2fa.log"
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "radiusd2fa.cli.app", "-c", str(site.config), "serve"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stream)  # noqa: S603 - ourselves
        try:
            deadline = time.monotonic() + _PATIENCE
            with Nas(("127.0.0.1", site.port), site.secret, timeout=0.2, retries=0) as nas:
                while not nas.status():
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise _NotAsExpectedError(f"the daemon did not start: {log.read_text()[-2000:]}")
            _say(f"A daemon, process {process.pid}, on 127.0.0.1 port {site.port}; its log is {log}")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_PATIENCE)


# --- the transcript ------------------------------------------------------------------------------------------------


def _transcript(site: _Site, fob: SoftFob, key: demo_key.DemoKey, card: KeyCard) -> None:
    from radiusd2fa.emulators.nas import Nas

    file = site.folder / "fob.json"
    with Nas(("127.0.0.1", site.port), site.secret) as nas:
        _say("\nA login, asked for by pyrad's RADIUS client:\n")
        state = _password_step(nas)
        code = _press(file)
        accepted = nas.ask(_USER, code, state)
        _line(f"> {_USER}, code {code}, State", "<", accepted.kind, "accept")
        again = nas.repeat()
        same = again.raw == accepted.raw
        _line(
            "> the same packet, sent again", "< identical reply," if same else "< another reply,", again.kind, "accept"
        )
        if not same:
            raise _NotAsExpectedError("a retransmission got another reply")
        _say("\nThe same code once more, in a new login:\n")
        state = _password_step(nas)
        replay = nas.ask(_USER, code, state)
        _line(f"> {_USER}, code {code} again", f'< refused: "{replay.prompt}"', replay.kind, "challenge")
        code = _press(file)
        _line(
            f"> {_USER}, next code {code}, State",
            "<",
            nas.ask(_USER, code, replay.state).kind,
            "accept",
        )
        _say("\nA wrong password:\n")
        _line(f"> {_USER}, wrong password", "<", nas.ask(_USER, "wrong").kind, "reject")
        demo_key.transcript(nas, key, card, _line, _say)
    _say("\nEvery step was as it must be: in, out, never twice with one code, and never for another host.")


def _password_step(nas: Nas) -> bytes | None:
    asked = nas.ask(_USER, _PASSWORD)
    _line(f"> {_USER}, password", f'< "{asked.prompt}"', asked.kind, "challenge")
    return asked.state


def _press(file: Path) -> str:
    from radiusd2fa.emulators.softfob import SoftFob

    return SoftFob.load(file).press(time.time())


def _line(sent: str, before: str, got: str, expected: str) -> None:
    words = {"accept": "Access-Accept", "reject": "Access-Reject", "challenge": "Access-Challenge"}
    typer.echo(f"  {sent:<37} {before} {words.get(got, got)}")
    if got != expected:
        raise _NotAsExpectedError(f"expected {expected}, got {got}")


def _leave_running(site: _Site, process: subprocess.Popen[bytes], key: demo_key.DemoKey) -> None:
    program = Path(sys.argv[0])
    radiusd2fa = f"{program} -c {site.config}"
    _say("\nTry it by hand, from two other terminals.\n")
    _say(f"With the fob (password: {_PASSWORD}):\n\n  {radiusd2fa} login {_USER}\n  {radiusd2fa} fob\n")
    device = f" --device {key.device}" if key.device else ""
    laptop = f"XDG_CONFIG_HOME={demo_key.laptop(site.folder).absolute()} {program}-key"
    _say(f"With the security key (password: {demo_key.PASSWORD}); copy the RK1-... of the prompt:\n")
    _say(f"  {radiusd2fa} login {demo_key.USER}\n  {laptop} respond{device} RK1-...\n")
    _say("The daemon runs until Ctrl-C.")
    with contextlib.suppress(KeyboardInterrupt):
        process.wait()


# --- small things --------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(folder: Path, *arguments: str, stdin: str = "", shown: bool = False) -> str:
    command = [sys.executable, "-m", "radiusd2fa.cli.app", *arguments]
    done = subprocess.run(  # noqa: S603 - ourselves
        command, input=stdin.encode(), stdout=subprocess.PIPE, stderr=None if shown else subprocess.PIPE, check=False
    )
    if done.returncode:
        why = "its reason stands above" if shown else done.stderr.decode()
        raise _NotAsExpectedError(f"radiusd2fa {' '.join(arguments)} in {folder}: {why}")
    return done.stdout.decode()


def _administer(site: _Site) -> Callable[..., str]:
    return functools.partial(_run, site.folder, "-c", str(site.config))


_say: Final[Callable[[str], None]] = typer.echo
