"""`radiusd2fa softkey`: be a security key, on a pseudo-terminal or in the virtual reader of vpcd.

It never talks to the daemon, and it never answers before the key's counter is in its file. It is a file and no second
factor, and says so.
What it speaks is FIDO CTAP 2.1 and U2F 1.2, by the soft key.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.site import refuse, wrong_usage

if TYPE_CHECKING:  # loaded inside the command, so that `--help` stays quick
    from radiusd2fa.emulators.softkey.key import SoftKey, Touch, TouchRequest
    from radiusd2fa.emulators.softkey.pty import PtyKey
    from radiusd2fa.emulators.softkey.vpcd import VpcdKey

HONEST: Final = "This key is a file: fit for a demo and for tests, and no second factor."
MAX_PORT: Final = 65535


def softkey(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The key's file; made if it is not there.")],
    pty: Annotated[bool, typer.Option("--pty", help="Be a USB key at a pseudo-terminal. The default.")] = False,
    vpcd: Annotated[
        str | None,
        typer.Option("--vpcd", metavar="HOST:PORT", help="Be an NFC key in the virtual reader that listens there."),
    ] = None,
    u2f_only: Annotated[bool, typer.Option("--u2f-only", help="A new key speaks U2F only.")] = False,
    pin_stdin: Annotated[
        bool, typer.Option("--pin-stdin", help="A new key gets the PIN in the first line of standard input.")
    ] = False,
    touch: Annotated[
        bool, typer.Option("--touch", help="Enter touches the key; without this it is touched at once.")
    ] = False,
) -> None:
    """Be a security key until Ctrl-C. The first line says where: the path that FIDO clients take for a device.

    Exit code: 0 done, 1 the key could not be kept or the reader is gone, 2 wrong usage.
    """
    from radiusd2fa.emulators.softkey.key import automatic
    from radiusd2fa.emulators.softkey.state import KeyFileError

    if pty and vpcd is not None:
        wrong_usage("--pty and --vpcd exclude each other: a key is plugged in or held to a reader")
    address = None if vpcd is None else _address(vpcd)
    try:
        key = _key(file, press_enter if touch else automatic, u2f_only=u2f_only, pin_stdin=pin_stdin)
    except KeyFileError as fault:
        wrong_usage(str(fault))
    try:
        transport = _plugged_in(key) if address is None else _held_to(key, address)
        # Ctrl-C is the way to put a key away; what it has signed by then is in its file.
        with closing(transport), suppress(KeyboardInterrupt):
            transport.serve()
            refuse("the reader is gone")
    except KeyFileError as fault:
        refuse(str(fault))


def press_enter(asked: TouchRequest) -> bool:
    """Say what the key blinks for; a line on standard input is the touch."""
    if not asked.waited:
        while _line_came():
            pass  # what was pressed before the key began to blink
        typer.echo(f"The key is asked to {asked.purpose}: press Enter to touch it.", err=True)
    return _line_came()


# --- inside ----------------------------------------------------------------------------------------------------------


def _key(file: Path, touch: Touch, *, u2f_only: bool, pin_stdin: bool) -> SoftKey:
    """Open the key, or make it. Nothing of an old key is changed."""
    from radiusd2fa.emulators.softkey.key import SoftKey

    if not file.exists():
        pin = sys.stdin.readline().rstrip("\r\n") if pin_stdin else None
        return SoftKey.make(path=file, u2f_only=u2f_only, pin=pin, touch=touch)
    key = SoftKey.load(file, touch=touch)
    if pin_stdin:
        wrong_usage(f"{file}: only a new key gets a PIN from here; fido2-token -S and -C set and change it")
    if u2f_only and not key.state.u2f_only:
        wrong_usage(f"{file}: this key speaks CTAP2 too; --u2f-only is for a new one")
    return key


def _plugged_in(key: SoftKey) -> PtyKey:
    from radiusd2fa.emulators.softkey.pty import PtyKey

    transport = PtyKey(key)
    _announce(transport.path)
    return transport


def _held_to(key: SoftKey, address: tuple[str, int]) -> VpcdKey:
    from radiusd2fa.emulators.softkey.vpcd import VpcdKey

    try:
        transport = VpcdKey(key, address)
    except OSError as fault:
        refuse(
            f"no virtual reader at {address[0]}:{address[1]}: {fault.strerror or fault}; is pcscd with vpcd running?"
        )
    _announce(f"vpcd {address[0]}:{address[1]}")
    return transport


def _announce(where: str) -> None:
    typer.echo(where)
    sys.stdout.flush()
    typer.echo(HONEST, err=True)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= MAX_PORT:
        wrong_usage(f"--vpcd wants HOST:PORT, such as 127.0.0.1:35963, and got {text!r}")
    return host.strip("[]"), int(port)


def _line_came() -> bool:
    """Whether a line is there now; it is taken. The end of the input is no line."""
    keys = sys.stdin.fileno()
    ready, _, _ = select.select([keys], [], [], 0)
    return bool(ready) and b"\n" in os.read(keys, 256)
