"""`radiusd2fa key`: the security keys (FIDO2, U2F) and who has them: registered at a desk, or from afar by invitation.

Nothing that a key or a laptop says is kept before `enrolment` has verified it. A card and an invitation hold no secret
that outlives its use, but an invitation is for one person: hand it over as you would a new password.
"""

from __future__ import annotations

import secrets
import sys
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from radiusd2fa.cli.site import canonical_name, now, refuse, site_keyring, site_settings, wrong_usage
from radiusd2fa.cli.tables import moment, show_json, show_table

if TYPE_CHECKING:
    from radiusd2fa.core.model import Token
    from radiusd2fa.core.rules import FidoRules
    from radiusd2fa.enrolment.attestation import AttestationPolicy
    from radiusd2fa.enrolment.registration import Enrolled
    from radiusd2fa.keys.model import Answer, FoundKey, Request
    from radiusd2fa.laptop.touching import Messenger
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.keyring import KeyRecord

app = typer.Typer(no_args_is_help=True, help="The security keys and who has them.")

INVITATION_LIFETIME: Final = 15 * 60.0
PATIENCE: Final = 60.0
"""Seconds for plugging in and touching."""

Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The key's serial, as `key list` shows it.")]
User = Annotated[str, typer.Argument(metavar="USER", help="Whose key it is.")]
Label = Annotated[str, typer.Option(metavar="L", help="What its owner calls it, such as 'blue, key ring'.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Usb = Annotated[bool, typer.Option("--usb", help="Only keys on USB.")]
Nfc = Annotated[bool, typer.Option("--nfc", help="Only keys on an NFC reader.")]
Device = Annotated[str, typer.Option(metavar="PATH", help="Only this device file, or the reader of this name.")]


@app.command()
def register(
    ctx: typer.Context,
    user: User,
    usb: Usb = False,
    nfc: Nfc = False,
    device: Device = "",
    label: Label = "",
    as_json: AsJson = False,
) -> None:
    """Register the key that is plugged in here, or held to a reader, for somebody. It is touched once."""
    from radiusd2fa.core.invitation import registration_challenge, registration_client_data
    from radiusd2fa.core.responder import NONCE_OCTETS
    from radiusd2fa.keys.model import Registered, RegisterRequest

    settings, fido = _site(ctx)
    _checked_label(label)
    with site_keyring(ctx.obj) as keyring:
        policy = _policy(settings)
        keyring.belong_to(fido.rp_id)
        registrant = keyring.registrant(canonical_name(user))
        challenge = registration_challenge(secrets.token_bytes(NONCE_OCTETS), registrant.user)
        client_data = registration_client_data(challenge, fido.origin)
        answer = _ask(
            RegisterRequest(
                rp_id=fido.rp_id,
                rp_name=fido.rp_id,
                user_name=registrant.user,
                user_handle=registrant.handle,
                client_data=client_data,
                exclude=registrant.credentials,
                attestation=policy.required,
            ),
            f"Registering a key for {registrant.user} at {fido.rp_id}",
            _keys_at_hand(usb=usb, nfc=nfc, device=device),
        )
        if not isinstance(answer, Registered):
            refuse("the key has done something else than register")
        enrolled = _verified(client_data, answer.attestation_object, challenge, fido, policy)
        token = _token(enrolled)
        keyring.add(registrant.user, token, label, now())
        record = keyring.key(token.serial)
    _show_registered(record, token, fido, enrolled, as_json=as_json)


@app.command()
def invite(ctx: typer.Context, user: User, label: Label = "", as_json: AsJson = False) -> None:
    """Let somebody register a key on their own machine, with `radiusd2fa-key register`, within 15 minutes."""
    from radiusd2fa.core.invitation import Invitation
    from radiusd2fa.core.responder import NONCE_OCTETS

    settings, fido = _site(ctx)
    _checked_label(label)
    nonce, at = secrets.token_bytes(NONCE_OCTETS), now()
    with site_keyring(ctx.obj) as keyring:
        required = _policy(settings).required
        keyring.belong_to(fido.rp_id)
        guest = keyring.invite(canonical_name(user), label, nonce, at + INVITATION_LIFETIME, at)
    invitation = Invitation(
        fido.rp_id, fido.origin, guest.user, guest.handle, nonce, guest.credentials, attestation=required
    )
    if as_json:
        show_json({"user": guest.user, "invitation": str(invitation), "expires": at + INVITATION_LIFETIME})
        return
    typer.echo(f"An invitation for {guest.user}, good once, until {moment(at + INVITATION_LIFETIME)}.", err=True)
    typer.echo("On their machine: run `radiusd2fa-key register -`, paste this line, then Enter and Ctrl-D.", err=True)
    typer.echo("It answers with a line for `radiusd2fa key accept`. Both ways must be ones that you trust.\n", err=True)
    typer.echo(str(invitation))


@app.command()
def accept(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Holds the answer; else it is read from standard input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take the answer to an invitation (RKR1-…), check it, and keep the key."""
    from radiusd2fa.core.invitation import RegistrationAnswer, registration_challenge

    settings, fido = _site(ctx)
    # the role is asked for before the file is read: who has none learns of no path whether there is a file
    with site_keyring(ctx.obj) as keyring:
        answer = RegistrationAnswer.read(_answer_text(file, RegistrationAnswer.LONGEST))
        if answer is None:
            wrong_usage("this is no answer to an invitation, or not all of it; it is one line that begins with RKR1-")
        keyring.belong_to(fido.rp_id)
        guest, label = keyring.invited(answer.nonce, now())
        challenge = registration_challenge(answer.nonce, guest.user)
        enrolled = _verified(answer.client_data, answer.attestation_object, challenge, fido, _policy(settings))
        token = _token(enrolled)
        keyring.add(guest.user, token, label, now(), invitation=answer.nonce)
        record = keyring.key(token.serial)
    _show_registered(record, token, fido, enrolled, as_json=as_json, has_card=True)


@app.command("list")
def list_keys(
    ctx: typer.Context,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Only this person's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show all security keys, or one person's."""
    with site_keyring(ctx.obj) as keyring:
        records = keyring.keys(None if user is None else canonical_name(user))
    if as_json:
        show_json([_plain(record) for record in records])
        return
    show_table(
        ("serial", "user", "label", "model", "state", "counter", "last used"),
        [
            (r.serial, r.user or "-", r.label, _model(r.model), r.state, str(r.counter), moment(r.last_used))
            for r in records
        ],
        nothing="no security keys; `radiusd2fa key register USER` registers one",
    )


@app.command()
def card(ctx: typer.Context, serial: Serial) -> None:
    """Print a key's card again: what a laptop must know to use it."""
    _, fido = _site(ctx)
    with site_keyring(ctx.obj) as keyring:
        keyring.belong_to(fido.rp_id)
        record, token = keyring.key(serial), keyring.credential(serial)
    typer.echo(f"radiusd2fa-key add {_card(record, token, fido)}")


@app.command("test")
def try_key(ctx: typer.Context, serial: Serial, usb: Usb = False, nfc: Nfc = False, device: Device = "") -> None:
    """Have a key sign here and check it as a login would; nobody is logged in."""
    from radiusd2fa.core.answer import Assertion, KeyAnswer
    from radiusd2fa.core.ceremonies import credential_id
    from radiusd2fa.core.finding import Asserted, Refused
    from radiusd2fa.core.responder import NONCE_OCTETS, client_data, responder_challenge, selector
    from radiusd2fa.factors.fido import find
    from radiusd2fa.keys.model import Signed, SignRequest

    settings, fido = _site(ctx)
    with site_keyring(ctx.obj) as keyring:
        keyring.belong_to(fido.rp_id)
        token = keyring.credential(serial)
        # no login can ever have this challenge: a host's name has no space
        challenge = responder_challenge(secrets.token_bytes(NONCE_OCTETS), serial, "key test")
        signed_text = client_data(challenge, fido.origin)
        own = credential_id(token.secret)
        signed = _ask(
            SignRequest(fido.rp_id, signed_text, (own,)),
            f"Trying {serial}",
            _keys_at_hand(usb=usb, nfc=nfc, device=device),
        )
        if not isinstance(signed, Signed):
            refuse("the key has done something else than sign")
        reading = Assertion(selector(own), signed_text, signed.authenticator_data, signed.signature, challenge)
        finding = find(token, KeyAnswer((reading,), user_verification=False), now(), settings.rules)
        match finding:
            case Asserted(counter):
                keyring.tried(token, counter, now())
                typer.echo(f"{serial} works; it has counted to {counter}")
            case Refused(reason):
                refuse(f"{serial}: a login with it would be refused: {reason}")
            case _:
                refuse(f"{serial}: this is another key, or it does not sign as it did when it was registered")


@app.command()
def rename(
    ctx: typer.Context, serial: Serial, label: Annotated[str, typer.Argument(metavar="LABEL", help="Its new label.")]
) -> None:
    """Give a key another label."""
    _checked_label(label)
    if not label:
        wrong_usage("a label has at least one character")
    with site_keyring(ctx.obj) as keyring:
        keyring.rename(serial, label, now())
    typer.echo(f"{serial} is called {label} now")


@app.command()
def revoke(ctx: typer.Context, serial: Serial) -> None:
    """Refuse a key for ever, from the next packet on."""
    with site_keyring(ctx.obj) as keyring:
        keyring.revoke(serial, now())
    typer.echo(f"revoked {serial}")


@app.command()
def stations(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the stations of the configuration, when each was last alive, and the keys and readers on this machine."""
    settings = site_settings(ctx.obj)
    with site_keyring(ctx.obj) as keyring:
        seen = {record.name: record for record in keyring.stations()}
    rows = [(station.name, sorted(station.clients), seen.get(station.name)) for station in settings.rules.stations]
    keys, readers = _keys_here(), _readers_here()
    if as_json:
        show_json(
            {
                "stations": [
                    {"name": name, "clients": clients, **({} if last is None else asdict(last))}
                    for name, clients, last in rows
                ],
                "keys": [asdict(key) for key in keys],
                "readers": readers,
            }
        )
        return
    show_table(
        ("station", "clients", "last alive", "device"),
        [
            (name, " ".join(clients), moment(None if last is None else last.seen), "-" if last is None else last.device)
            for name, clients, last in rows
        ],
        nothing="no stations; add them to the configuration: stations: {lobby-1: {clients: [NAME]}}",
    )
    for key in keys:
        typer.echo(f"here: {key.name} ({key.transport}, {key.path})")
    for reader in readers:
        typer.echo(f"here: reader {reader}")


# --- asking a key ----------------------------------------------------------------------------------------------------


def _ask(request: Request, what: str, keys: list[FoundKey]) -> Answer:
    """Have a key here answer; a key that does not ends the command with its reason."""
    from radiusd2fa.keys.asking import ask
    from radiusd2fa.keys.model import Failed
    from radiusd2fa.laptop.screen import Screen, open_terminal
    from radiusd2fa.laptop.touching import Typed, touch_or_type

    if not keys:
        refuse("no security key is here: plug one in, or `radiusd2fa-key doctor` says why it is not seen")

    def work(messenger: Messenger, cancel: Event) -> Answer:
        return ask(keys, request, messenger, timeout=PATIENCE, cancel=cancel)

    screen = Screen(open_terminal())
    screen.say(what)
    answer = touch_or_type(work, screen, may_type=False)
    if isinstance(answer, Failed | Typed):
        refuse(answer.detail if isinstance(answer, Failed) else "no key was used")
    return answer


def _keys_at_hand(*, usb: bool, nfc: bool, device: str) -> list[FoundKey]:
    from radiusd2fa.laptop.signing import keys_at_hand

    if (usb or nfc) and device:
        wrong_usage("--device says already which key: leave --usb and --nfc away")
    wanted = {transport for transport, chosen in (("usb", usb), ("nfc", nfc)) if chosen}
    return [key for key in keys_at_hand(device) if not wanted or key.transport in wanted]


def _keys_here() -> list[FoundKey]:
    from radiusd2fa.laptop.signing import keys_at_hand

    return keys_at_hand()


def _readers_here() -> list[str]:
    from radiusd2fa.keys import nfc

    return list(nfc.readers())


# --- keeping one -----------------------------------------------------------------------------------------------------


def _site(ctx: typer.Context) -> tuple[Settings, FidoRules]:
    settings = site_settings(ctx.obj)
    if settings.rules.fido is None:
        wrong_usage(
            f"{settings.path} has no section fido:; add fido: {{rp_id: auth.example.org}} (docs/fido-over-radius.md)"
        )
    return settings, settings.rules.fido


def _policy(settings: Settings) -> AttestationPolicy:
    """Read the certificates and the metadata that the settings name."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from radiusd2fa.enrolment.attestation import NO_ATTESTATION, AttestationPolicy
    from radiusd2fa.enrolment.metadata import MetadataError, read_metadata

    wanted = settings.attestation
    if wanted is None:
        return NO_ATTESTATION

    def certificates(path: Path) -> list[bytes]:
        return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(path.read_bytes())]

    path = Path()
    try:
        roots: list[bytes] = []
        for path in wanted.roots:
            roots += certificates(path)
        metadata = None
        if wanted.metadata is not None and wanted.metadata_root is not None:
            path = wanted.metadata_root
            signer = certificates(path)[0]
            path = wanted.metadata
            metadata = read_metadata(path.read_bytes(), signer, now())
            if metadata.stale(now()):
                typer.echo(f"warning: {path} should have been replaced already: fetch it again", err=True)
    except (OSError, ValueError, MetadataError) as error:
        wrong_usage(f"fido.attestation: {path}: {error}")
    return AttestationPolicy(required=True, aaguids=wanted.aaguids, roots=tuple(roots), metadata=metadata)


def _verified(
    client_data: bytes, attestation_object: bytes, challenge: bytes, fido: FidoRules, policy: AttestationPolicy
) -> Enrolled:
    from radiusd2fa.enrolment.registration import Refused, verify_registration

    outcome = verify_registration(
        client_data,
        attestation_object,
        challenge=challenge,
        rp_id=fido.rp_id,
        origin=fido.origin,
        user_verification=False,
        policy=policy,
        now=now(),
    )
    if isinstance(outcome, Refused):
        refuse(f"{outcome.sentence} ({outcome.reason})")
    return outcome


def _token(enrolled: Enrolled) -> Token:
    from radiusd2fa.cli.token import made_up_serial
    from radiusd2fa.core.model import Token
    from radiusd2fa.factors.fido import ES256, KIND

    return Token(
        id=0,
        serial=made_up_serial("K"),
        kind=KIND,
        moving_factor=enrolled.counter,
        secret=enrolled.credential,
        digits=0,
        algorithm="es256" if enrolled.algorithm == ES256 else "eddsa",
    )


def _show_registered(
    record: KeyRecord, token: Token, fido: FidoRules, enrolled: Enrolled, *, as_json: bool, has_card: bool = False
) -> None:
    line = _card(record, token, fido)
    if as_json:
        show_json({**_plain(record), "attested": enrolled.attested, "card": line})
        return
    claim = "" if enrolled.attested else ", as it says itself"
    typer.echo(f"registered {record.serial} for {record.user} ({_model(record.model)}{claim})")
    if not has_card:
        typer.echo("\nOn the laptop that it will be used with, once:\n", err=True)
        typer.echo(f"radiusd2fa-key add {line}")


def _card(record: KeyRecord, token: Token, fido: FidoRules) -> str:
    from radiusd2fa.core.ceremonies import credential_id
    from radiusd2fa.core.invitation import KeyCard

    return str(KeyCard(fido.rp_id, fido.origin, record.user or "", credential_id(token.secret), record.label))


def _model(aaguid: str) -> str:
    """The name of a key model, where hardware/ knows it."""
    from radiusd2fa.hardware import key_model

    if not aaguid:
        return "-"
    if UUID(aaguid).int == 0:
        return "U2F key"
    known = key_model(UUID(aaguid))
    return aaguid if known is None else known.name


def _plain(record: KeyRecord) -> dict[str, object]:
    return {**asdict(record), "model_name": _model(record.model)}


def _answer_text(file: Path | None, longest: int) -> str:
    if file is None:
        if sys.stdin.isatty():
            typer.echo("Paste the answer (RKR1-…), then Enter and Ctrl-D:", err=True)
        return sys.stdin.read(longest + 1)
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(longest + 1)
    except OSError as error:
        wrong_usage(f"{file}: {error.strerror}")


def _checked_label(label: str) -> None:
    from radiusd2fa.store.keyring import LONGEST_LABEL

    if len(label) > LONGEST_LABEL or not label.isprintable():
        wrong_usage(f"a label has at most {LONGEST_LABEL} printable characters")
