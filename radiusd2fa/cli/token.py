"""`radiusd2fa token`: the key fobs, in stock and in people's hands: added one by one, and brought back into step.

A seed comes in over standard input only, goes out once if we made it, and is never shown again. Who has a token is
``custody``, what is known of it ``token_lists`` and ``papers``. RFC 4226 and RFC 6238 for the bounds.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli import custody, papers, token_lists
from radiusd2fa.cli.papers import Batch, Box, Delivered, Label, Model, papers_of
from radiusd2fa.cli.site import canonical_name, now, read_secret, refuse, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import show_json
from radiusd2fa.cli.token_import import import_tokens
from radiusd2fa.cli.token_lists import AsJson, Serial, for_programs

if TYPE_CHECKING:
    from radiusd2fa.core.model import Token

app = typer.Typer(no_args_is_help=True, help="The key fobs and who has them.")

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_OWN_SEED_OCTETS = {"sha1": 20, "sha256": 32, "sha512": 64}
_LONGEST_SERIAL = 64
_LARGEST_COUNTER = 2**62
_ONLY_OATH = ("counter", "digits", "step", "algorithm")
"""Options that a Yubico OTP leaves no choice about."""


class Kind(StrEnum):
    """What makes the code move."""

    HOTP = "hotp"
    TOTP = "totp"
    YUBICO = "yubico"


@app.command()
def add(
    ctx: typer.Context,
    kind: Annotated[
        Kind,
        typer.Option(help="hotp has a button, totp a clock, yubico types 32 letters and more.", show_default=False),
    ],
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose it is; else it goes into stock.", show_default=False)
    ] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="The seed, hex or base32, is the first line of standard input.")
    ] = False,
    counter: Annotated[
        int, typer.Option(min=0, max=_LARGEST_COUNTER, metavar="N", help="hotp: the next counter that counts.")
    ] = 0,
    digits: Annotated[int, typer.Option(min=6, max=8, metavar="N", help="Length of a code.")] = 6,
    step: Annotated[
        int | None,
        typer.Option(
            min=15, max=120, metavar="S", help="totp: seconds that a code is shown, else 30.", show_default=False
        ),
    ] = None,
    algorithm: Annotated[str, typer.Option(metavar="A", help="sha1, sha256 or sha512.")] = "sha1",
    serial: Annotated[
        str | None, typer.Option(metavar="S", help="The serial on its back; else one is made up.", show_default=False)
    ] = None,
    label: Label = None,
    model: Model = None,
    batch: Batch = None,
    box: Box = None,
    delivered: Delivered = None,
    as_json: AsJson = False,
) -> None:
    """Add a token. Without --secret-stdin a seed is made and shown once, as otpauth URI and QR code.

    Of a yubico token the line on standard input is: public id (modhex), private id (hex), AES key (hex).
    """
    from radiusd2fa.core.model import Token
    from radiusd2fa.store.inventory import Papers

    chosen = algorithm.lower().replace("-", "")
    _refuse_what_does_not_fit(ctx, kind, counter, step, chosen, secret_stdin=secret_stdin)
    written = papers_of({"label": label, "model": model, "batch": batch, "box": box}, delivered, site_settings(ctx.obj))
    if kind is Kind.YUBICO:
        seed = _parse_yubico(read_secret("Ids and key", from_stdin=True, option="--secret-stdin"))
        digits, serial = 32 + 2 * (len(seed) - 22), serial or _public_id(seed)
    elif secret_stdin:
        seed = _parse_seed(read_secret("Seed", from_stdin=True, option="--secret-stdin"))
    else:
        seed = secrets.token_bytes(_OWN_SEED_OCTETS[chosen])
    token = Token(
        id=0,
        serial=_checked_serial(serial),
        kind=kind.value,
        moving_factor=counter,
        secret=seed,
        digits=digits,
        algorithm=chosen,
        step=step or 30,
    )
    owner = None if user is None else canonical_name(user)
    with site_registry(ctx.obj) as registry:
        elsewhere = registry.add_token(token, owner, now(), Papers(**written))  # type: ignore[arg-type]
        record = registry.token(token.serial)
    if elsewhere:
        _warn_of_twins(elsewhere)
    uri = None if secret_stdin else _otpauth(token, owner or token.serial)
    if as_json:
        show_json({**for_programs(record, now()), **({} if uri is None else {"otpauth": uri})})
        return
    typer.echo(f"added {kind.value} token {token.serial}" + (f" for {owner}" if owner else " to the stock"))
    if uri is not None:
        _show_once(uri)


app.command("import")(import_tokens)
app.command("list")(token_lists.list_tokens)
app.command()(token_lists.show)
app.command()(token_lists.history)
app.command()(custody.assign)
app.command()(custody.unassign)
app.command("return")(custody.give_back)
app.command()(custody.restock)
app.command()(custody.lost)
app.command()(custody.enable)
app.command()(custody.disable)
app.command()(custody.revoke)
app.command()(papers.label)
app.command()(papers.validity)
app.command()(papers.counter)


@app.command()
def resync(
    ctx: typer.Context,
    serial: Serial,
    code1: Annotated[str, typer.Argument(metavar="CODE1", help="A fresh code.", show_default=False)],
    code2: Annotated[str, typer.Argument(metavar="CODE2", help="The very next code.", show_default=False)],
) -> None:
    """Find a token again that was pressed in a pocket or whose clock ran away, by two codes in a row."""
    from radiusd2fa.core.resync import resynchronise
    from radiusd2fa.factors import find_functions

    rules = site_settings(ctx.obj).rules
    with site_registry(ctx.obj) as registry:
        token = registry.with_seed(serial)
        if token.kind not in (Kind.HOTP, Kind.TOTP):
            refuse(f"{serial} is a {token.kind} token: it says in each code how far it is, and is never out of step")
        find = find_functions((token.kind,))[token.kind]
        found = resynchronise(token, code1.encode(), code2.encode(), now(), rules, find)
        if found is None and not all(len(code) == token.digits and code.isdecimal() for code in (code1, code2)):
            refuse(f"{serial}: these are not two new codes in a row; a code of this token has {token.digits} digits")
        if found is None:
            refuse(
                f"{serial}: these are not two new codes in a row within the resynchronisation window; "
                "press again and give the next two, or check that this is the right token"
            )
        registry.resynchronise(token, found.to, found.drift, now())
    typer.echo(f"{serial} is in step again")


def _refuse_what_does_not_fit(
    ctx: typer.Context, kind: Kind, counter: int, step: int | None, algorithm: str, *, secret_stdin: bool
) -> None:
    """End the command where options do not belong together."""
    if algorithm not in _OWN_SEED_OCTETS:
        wrong_usage("--algorithm: choose sha1, sha256 or sha512")
    if kind is Kind.TOTP and counter:
        wrong_usage("--counter is for hotp; a totp token has a clock (--step)")
    if kind is Kind.HOTP and step is not None:
        wrong_usage("--step is for totp; an hotp token has a button (--counter)")
    if kind is Kind.YUBICO:
        if not secret_stdin:
            wrong_usage("--kind yubico: give public id, private id and AES key on standard input with --secret-stdin")
        for option in _ONLY_OATH:
            source = ctx.get_parameter_source(option)
            if source is not None and source.name == "COMMANDLINE":
                wrong_usage(f"--{option} is not for yubico: each of its codes says where it stands")


def _warn_of_twins(serials: tuple[str, ...]) -> None:
    typer.secho("warning: ", fg=typer.colors.YELLOW, err=True, nl=False)
    typer.echo(
        f"this seed is in the store already, as {', '.join(serials)}: who has one fob can log in with the codes of "
        "the other",
        err=True,
    )


def _checked_serial(serial: str | None) -> str:
    if serial is None:
        return made_up_serial("T")
    if not 1 <= len(serial) <= _LONGEST_SERIAL or not serial.isascii() or not serial.isprintable() or " " in serial:
        wrong_usage("a serial has 1 to 64 printable ASCII characters and no space")
    return serial


def made_up_serial(letter: str) -> str:
    """Return a serial for what has none on its back."""
    return letter + "".join(secrets.choice(_CROCKFORD) for _ in range(8))


def _parse_seed(line: bytes) -> bytes:
    """Read hex or base32; spaces and dashes are for people. Nothing of the seed is ever repeated in an error."""
    from radiusd2fa.factors.hotp import MAX_SEED_OCTETS, MIN_SEED_OCTETS

    text = line.decode("ascii", errors="replace").replace(" ", "").replace("-", "").rstrip("=")
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        try:
            seed = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
        except (binascii.Error, ValueError):
            wrong_usage("this seed is neither hex nor base32 (RFC 4648); copy it again, with nothing around it")
    if not MIN_SEED_OCTETS <= len(seed) <= MAX_SEED_OCTETS:
        wrong_usage(f"this seed has {len(seed)} octets; a token has {MIN_SEED_OCTETS} to {MAX_SEED_OCTETS}")
    return seed


def _parse_yubico(line: bytes) -> bytes:
    """Read public id, private id and AES key; nothing of the line is ever repeated in an error."""
    from radiusd2fa.factors.yubico import KEY_OCTETS, PRIVATE_OCTETS, modhex_to_octets

    parts = re.split(r"[,;\s]+", line.decode("ascii", errors="replace").strip())
    public, private, key = (
        (modhex_to_octets(parts[0]), _hex(parts[1]), _hex(parts[2])) if len(parts) == 3 else [None] * 3
    )
    if public is None or private is None or key is None:
        wrong_usage("this is not public id (modhex), private id (hex) and AES key (hex), with commas between them")
    if not 1 <= len(public) <= 16 or len(private) != PRIVATE_OCTETS or len(key) != KEY_OCTETS:
        wrong_usage("a public id has 2 to 32 letters, a private id 12 hex digits, an AES key 32")
    return key + private + public


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _public_id(seed: bytes) -> str:
    """The letters that each OTP begins with: what it is known by when nobody says a serial."""
    from radiusd2fa.factors.yubico import octets_to_modhex

    return octets_to_modhex(seed[22:])


def _otpauth(token: Token, name: str) -> str:
    """The key URI that authenticator apps read from a QR code."""
    import pyotp.utils

    uri: str = pyotp.utils.build_uri(
        base64.b32encode(token.secret).decode().rstrip("="),
        name,
        initial_count=token.moving_factor if token.kind == Kind.HOTP else None,
        issuer="radiusd2fa",
        algorithm=token.algorithm,
        digits=token.digits,
        period=token.step if token.kind == Kind.TOTP else None,
    )
    return uri


def _show_once(uri: str) -> None:
    import sys

    import segno

    typer.echo("\nShown once; scan it now, or load it into the fob:\n")
    typer.echo(uri)
    if sys.stdout.isatty():
        segno.make(uri, error="l").terminal(compact=True)
