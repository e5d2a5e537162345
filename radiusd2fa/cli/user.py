"""`radiusd2fa user`: the people who may log in. No password is ever taken from the arguments or shown."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.offboard import offboard
from radiusd2fa.cli.site import (
    canonical_name,
    now,
    program,
    read_secret,
    refuse,
    site_registry,
    site_settings,
    wrong_usage,
)
from radiusd2fa.cli.site import (
    reason as why_so,
)
from radiusd2fa.cli.sync import sync
from radiusd2fa.cli.tables import moment, show_facts, show_json, show_table, user_state

if TYPE_CHECKING:
    from radiusd2fa.settings import BackendSettings, Settings
    from radiusd2fa.store.registry import UserRecord

app = typer.Typer(no_args_is_help=True, help="The people who may log in.")

Name = Annotated[str, typer.Argument(metavar="USER", help="The person's user name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="The password is the first line of standard input.")
]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; it stays in the audit.", show_default=False)
]


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="The password is checked elsewhere.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="BACKEND", help="Who checks the password, if not the site's `primary`.", show_default=False
        ),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(metavar="GROUP", help="A group, for the rules; may be given again.")
    ] = None,
) -> None:
    """Add a person. Asks for a password unless it is checked elsewhere.

    People of a directory need not be added: their first login does. Adding them gives them a token before that.
    """
    user, groups, hashed = canonical_name(name), _groups(group or []), None
    if no_password and password_stdin:
        wrong_usage("--no-password and --password-stdin exclude each other")
    settings = site_settings(ctx.obj)
    # the role is asked for before a directory is: who has none learns of nobody whether they exist there
    with site_registry(ctx.obj) as registry:
        backend = _backend(settings, "local" if password_stdin and source is None else source)
        known = backend.kind in ("local", "none")
        if not known and password_stdin:
            wrong_usage(f"{backend.name} checks the password, so none is kept here")
        if known and not no_password:
            hashed = _hash(ctx, "Password", password_stdin=password_stdin)
        identity = _looked_up(backend, user)
        registry.add_user(user, hashed, groups, now(), source="local" if known else backend.name, directory_id=identity)
    typer.echo(f"added {user}; next: {program(ctx)} token add --user {shlex.quote(user)} --kind totp")


@app.command()
def password(ctx: typer.Context, name: Name, password_stdin: PasswordStdin = False, reason: Reason = None) -> None:
    """Set a person's local password."""
    user = canonical_name(name)
    why = why_so(site_settings(ctx.obj), reason, f"set the password of {user}")
    with site_registry(ctx.obj) as registry:
        registry.user(user)
        registry.set_password(user, _hash(ctx, "New password", password_stdin=password_stdin), now(), why)
    typer.echo(f"set the password of {user}")


@app.command("list")
def list_users(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show everybody."""
    with site_registry(ctx.obj) as registry:
        records = registry.users()
    if as_json:
        show_json([_plain(record) for record in records])
        return
    show_table(
        ("user", "source", "state", "groups", "tokens", "last login"),
        [
            (r.name, r.source, user_state(r), ", ".join(r.groups), " ".join(r.live), moment(r.last_login))
            for r in records
        ],
        nothing="nobody yet; `radiusd2fa user add NAME` adds the first",
    )


@app.command()
def show(ctx: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """Show one person."""
    with site_registry(ctx.obj) as registry:
        record = registry.user(canonical_name(name))
    if as_json:
        show_json(_plain(record))
        return
    show_facts(
        {
            "user": record.name,
            "source": record.source,
            "state": user_state(record),
            "failures": str(record.failures),
            "directory id": record.directory_id or "-",
            "password": "set" if record.has_password else "none",
            "groups": ", ".join(record.groups) or "-",
            "tokens": " ".join(record.tokens) or ("-" if record.enrolled else "never had one"),
            "added": moment(record.created),
            "last login": moment(record.last_login),
        }
    )


@app.command()
def bind(
    ctx: typer.Context,
    name: Name,
    source: Annotated[str, typer.Option(metavar="BACKEND", help="Who knows this person.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Reason = None,
) -> None:
    """Say anew where a person comes from: after a move to a directory, or when their account was made again there.

    Their tokens become those of whoever the directory knows under this name now: make sure that it is the same person.
    """
    from radiusd2fa.settings import LdapSettings

    settings, user = site_settings(ctx.obj), canonical_name(name)
    why = why_so(settings, reason, f"bind {user} anew")
    with site_registry(ctx.obj) as registry:
        backend, record = _backend(settings, source), registry.user(user)
        identity = _looked_up(backend, user)
        if not yes:
            tokens = f" with {' '.join(record.tokens)}" if record.tokens else ""
            typer.confirm(f"Is {user} of {backend.name} the person who is {user}{tokens} here?", abort=True)
        registry.bind(user, "local" if backend.kind in ("local", "none") else backend.name, identity, now(), why)
    whom = identity or ("whoever logs in next under this name" if isinstance(backend, LdapSettings) else user)
    typer.echo(f"{user} is {whom} of {backend.name} now")


@app.command()
def rename(
    ctx: typer.Context, name: Name, new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")]
) -> None:
    """Give a person another name; their tokens, keys and failures stay theirs."""
    old, to = canonical_name(name), canonical_name(new)
    with site_registry(ctx.obj) as registry:
        registry.rename(old, to, now())
    typer.echo(f"renamed {old} to {to}")


app.command()(sync)
app.command()(offboard)


@app.command()
def enable(ctx: typer.Context, name: Name, reason: Reason = None) -> None:
    """Let a disabled person log in again."""
    user = canonical_name(name)
    why = why_so(site_settings(ctx.obj), reason, f"enable {user}")
    with site_registry(ctx.obj) as registry:
        registry.set_enabled(user, now(), enabled=True, reason=why)
    typer.echo(f"enabled {user}")


@app.command()
def disable(ctx: typer.Context, name: Name) -> None:
    """Refuse a person from the next packet on; tokens stay theirs."""
    with site_registry(ctx.obj) as registry:
        registry.set_enabled(canonical_name(name), now(), enabled=False)
    typer.echo(f"disabled {canonical_name(name)}")


@app.command()
def unlock(ctx: typer.Context, name: Name, reason: Reason = None) -> None:
    """End a lock that wrong codes have caused."""
    user = canonical_name(name)
    why = why_so(site_settings(ctx.obj), reason, f"unlock {user}")
    with site_registry(ctx.obj) as registry:
        registry.unlock(user, now(), why)
    typer.echo(f"unlocked {user}")


@app.command()
def remove(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    reason: Reason = None,
) -> None:
    """Remove a person; their tokens go back to the stock."""
    user = canonical_name(name)
    why = why_so(site_settings(ctx.obj), reason, f"remove {user}")
    if not yes:
        typer.confirm(f"Remove {user}?", abort=True)
    with site_registry(ctx.obj) as registry:
        serials = registry.remove_user(user, now(), why)
    typer.echo(f"removed {user}" + (f"; back in stock: {' '.join(serials)}" if serials else ""))


def _backend(settings: Settings, name: str | None) -> BackendSettings:
    """Return the backend of that name, or the site's own."""
    from radiusd2fa.settings import LocalSettings

    found = {one.name: one for one in (LocalSettings(), *settings.backends)}
    if name is not None and name not in found:
        wrong_usage(f"there is no backend {name}; there are: {', '.join(found)}")
    return settings.primary if name is None else found[name]


def _looked_up(backend: BackendSettings, user: str) -> str | None:
    """Return who that is in the directory, where it can be asked; without, the first login says who it is."""
    from radiusd2fa.cli.directories import NoAnswerError, asking
    from radiusd2fa.settings import LdapSettings
    from radiusd2fa.settings.backends import looks_up

    if not isinstance(backend, LdapSettings) or not looks_up(backend):
        return None
    try:
        with asking(backend) as people:
            person = people.by_name(user)
    except NoAnswerError as error:
        refuse(f"{error}; so it cannot say who {user} is")
    if person is None:
        refuse(f"{backend.name} knows nobody called {user}")
    return person.id


def _groups(typed: Sequence[str]) -> list[str]:
    from radiusd2fa.core.names import canonical_group

    names = [canonical_group(one) for one in typed]
    known = [name for name in names if name is not None]
    if len(known) < len(names):
        wrong_usage("a group name has no spaces at its ends, no control characters, and is not empty")
    return list(dict.fromkeys(known))


def _hash(ctx: typer.Context, prompt: str, *, password_stdin: bool) -> str:
    from radiusd2fa.primary.local import hasher
    from radiusd2fa.settings import LocalSettings

    settings = site_settings(ctx.obj)
    parameters = next((one for one in settings.backends if isinstance(one, LocalSettings)), LocalSettings())
    typed = read_secret(prompt, from_stdin=password_stdin, option="--password-stdin", confirm=True)
    if not typed or b"\0" in typed or len(typed) > 128:
        wrong_usage("a password has 1 to 128 octets and no NUL (RFC 2865 5.2 carries no more)")
    return hasher(parameters).hash(typed)


def _plain(record: UserRecord) -> dict[str, object]:
    return {**asdict(record), "locked": record.locked_until > now()}
