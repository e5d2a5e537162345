"""`radiusd2fa token`: the key fobs, in stock and in people's hands.

A seed comes in over standard input only, goes out once if we made it, and is never shown again.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.site import canonical_name, now, read_secret, refuse, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import moment, show_facts, show_json, show_table

if TYPE_CHECKING:
    from radiusd2fa.core.model import Token
    from radiusd2fa.store.registry import TokenRecord

app = typer.Typer(no_args_is_help=True, help="The key fobs and who has them.")

Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The token's serial number.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_OWN_SEED_OCTETS = {"sha1": 20, "sha256": 32, "sha512": 64}
_LONGEST_SERIAL = 64
_LARGEST_COUNTER = 2**62


class Kind(StrEnum):
    """What makes the code move."""

    HOTP = "hotp"
    TOTP = "totp"


@app.command()
def add(
    ctx: typer.Context,
    kind: Annotated[Kind, typer.Option(help="hotp has a button, totp a clock.", show_default=False)],
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
    as_json: AsJson = False,
) -> None:
    """Add a token. Without --secret-stdin a seed is made and shown once, as otpauth URI and QR code."""
    from radiusd2fa.core.model import Token

    chosen = algorithm.lower().replace("-", "")
    if chosen not in _OWN_SEED_OCTETS:
        wrong_usage(f"--algorithm {algorithm}: choose sha1, sha256 or sha512")
    if kind is Kind.TOTP and counter:
        wrong_usage("--counter is for hotp; a totp token has a clock (--step)")
    if kind is Kind.HOTP and step is not None:
        wrong_usage("--step is for totp; an hotp token has a button (--counter)")
    if secret_stdin:
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
        registry.add_token(token, owner, now())
        record = registry.token(token.serial)
    uri = None if secret_stdin else _otpauth(token, owner or token.serial)
    if as_json:
        show_json({**_plain(record), **({} if uri is None else {"otpauth": uri})})
        return
    typer.echo(f"added {kind.value} token {token.serial}" + (f" for {owner}" if owner else " to the stock"))
    if uri is not None:
        _show_once(uri)


@app.command("list")
def list_tokens(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Only this person's.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Show all tokens, or one person's."""
    with site_registry(ctx.obj) as registry:
        owner = None if user is None else registry.user(canonical_name(user)).name
        records = registry.tokens(owner)
    if as_json:
        show_json([_plain(record) for record in records])
        return
    show_table(
        ("serial", "kind", "user", "state", "digits", "algorithm", "last used"),
        [
            (r.serial, r.kind, r.user or "-", r.state, str(r.digits or "-"), r.algorithm, moment(r.last_used))
            for r in records
        ],
        nothing="no tokens; `radiusd2fa token add --user NAME --kind hotp` adds one",
    )


@app.command()
def show(ctx: typer.Context, serial: Serial, as_json: AsJson = False) -> None:
    """Show one token, all but its seed."""
    with site_registry(ctx.obj) as registry:
        record = registry.token(serial)
    if as_json:
        show_json(_plain(record))
        return
    facts = {
        "serial": record.serial,
        "kind": record.kind,
        "user": record.user or "-",
        "state": record.state,
        "digits": str(record.digits or "-"),
        "algorithm": record.algorithm,
        "added": moment(record.created),
        "last used": moment(record.last_used),
    }
    if record.kind == Kind.HOTP:
        facts["next counter"] = str(record.moving_factor)
    elif record.kind == "fido":
        facts["has counted to"] = str(record.moving_factor)
    else:
        facts["step"] = f"{record.step} s"
        facts["last step used"] = str(record.moving_factor or "-")
        facts["drift"] = f"{record.drift:+d} steps ({record.drift * record.step:+d} s)"
    show_facts(facts)


@app.command()
def assign(
    ctx: typer.Context,
    serial: Serial,
    user: Annotated[str, typer.Option(metavar="NAME", help="Who gets it.", show_default=False)],
) -> None:
    """Hand a token out of the stock to a person."""
    owner = canonical_name(user)
    with site_registry(ctx.obj) as registry:
        registry.assign(serial, owner, now())
    typer.echo(f"assigned {serial} to {owner}")


@app.command()
def unassign(ctx: typer.Context, serial: Serial) -> None:
    """Take a token back into the stock."""
    with site_registry(ctx.obj) as registry:
        registry.unassign(serial, now())
    typer.echo(f"took {serial} back into the stock")


@app.command()
def enable(ctx: typer.Context, serial: Serial) -> None:
    """Let a disabled token log its owner in again."""
    _set_state(ctx, serial, "active")
    typer.echo(f"enabled {serial}")


@app.command()
def disable(ctx: typer.Context, serial: Serial) -> None:
    """Refuse a token from the next packet on; `enable` brings it back."""
    _set_state(ctx, serial, "disabled")
    typer.echo(f"disabled {serial}")


@app.command()
def revoke(ctx: typer.Context, serial: Serial) -> None:
    """Refuse a token for ever, from the next packet on."""
    _set_state(ctx, serial, "revoked")
    typer.echo(f"revoked {serial}")


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


def _set_state(ctx: typer.Context, serial: str, state: str) -> None:
    from radiusd2fa.core.model import TokenState

    with site_registry(ctx.obj) as registry:
        registry.set_state(serial, TokenState(state), now())


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


def _plain(record: TokenRecord) -> dict[str, object]:
    return asdict(record)
