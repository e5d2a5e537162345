"""`radiusd2fa user`: the people who may log in. No password is ever taken from the arguments or shown."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from radiusd2fa.cli.site import canonical_name, now, program, read_secret, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import moment, show_facts, show_json, show_table, user_state

if TYPE_CHECKING:
    from radiusd2fa.store.registry import UserRecord

app = typer.Typer(no_args_is_help=True, help="The people who may log in.")

Name = Annotated[str, typer.Argument(metavar="USER", help="The person's user name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="The password is the first line of standard input.")
]


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="The password is checked elsewhere.")] = False,
    group: Annotated[
        list[str] | None, typer.Option(metavar="GROUP", help="A group, for the rules; may be given again.")
    ] = None,
) -> None:
    """Add a person. Asks for a password unless told otherwise."""
    user, hashed = canonical_name(name), None
    if no_password and password_stdin:
        wrong_usage("--no-password and --password-stdin exclude each other")
    if not no_password:
        hashed = _hash(ctx, "Password", password_stdin=password_stdin)
    groups = group or []
    if any("," in one or not one.strip() for one in groups):
        wrong_usage("a group name holds no comma and is not empty")
    with site_registry(ctx.obj) as registry:
        registry.add_user(user, hashed, groups, now())
    typer.echo(f"added {user}; next: {program(ctx)} token add --user {shlex.quote(user)} --kind totp")


@app.command()
def password(ctx: typer.Context, name: Name, password_stdin: PasswordStdin = False) -> None:
    """Set a person's local password."""
    user = canonical_name(name)
    with site_registry(ctx.obj) as registry:
        registry.user(user)
        registry.set_password(user, _hash(ctx, "New password", password_stdin=password_stdin), now())
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
        ("user", "source", "state", "password", "groups", "tokens"),
        [
            (r.name, r.source, user_state(r), "yes" if r.has_password else "no", " ".join(r.groups), " ".join(r.tokens))
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
            "password": "set" if record.has_password else "none",
            "groups": " ".join(record.groups) or "-",
            "tokens": " ".join(record.tokens) or "-",
            "added": moment(record.created),
        }
    )


@app.command()
def enable(ctx: typer.Context, name: Name) -> None:
    """Let a disabled person log in again."""
    with site_registry(ctx.obj) as registry:
        registry.set_enabled(canonical_name(name), now(), enabled=True)
    typer.echo(f"enabled {canonical_name(name)}")


@app.command()
def disable(ctx: typer.Context, name: Name) -> None:
    """Refuse a person from the next packet on; tokens stay theirs."""
    with site_registry(ctx.obj) as registry:
        registry.set_enabled(canonical_name(name), now(), enabled=False)
    typer.echo(f"disabled {canonical_name(name)}")


@app.command()
def unlock(ctx: typer.Context, name: Name) -> None:
    """End a lock that wrong codes have caused."""
    with site_registry(ctx.obj) as registry:
        registry.unlock(canonical_name(name), now())
    typer.echo(f"unlocked {canonical_name(name)}")


@app.command()
def remove(
    ctx: typer.Context, name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Remove a person; their tokens go back to the stock."""
    user = canonical_name(name)
    if not yes:
        typer.confirm(f"Remove {user}?", abort=True)
    with site_registry(ctx.obj) as registry:
        serials = registry.remove_user(user, now())
    typer.echo(f"removed {user}" + (f"; back in stock: {' '.join(serials)}" if serials else ""))


def _hash(ctx: typer.Context, prompt: str, *, password_stdin: bool) -> str:
    from radiusd2fa.primary.local import hasher

    settings = site_settings(ctx.obj)
    typed = read_secret(prompt, from_stdin=password_stdin, option="--password-stdin", confirm=True)
    if not typed or b"\0" in typed or len(typed) > 128:
        wrong_usage("a password has 1 to 128 octets and no NUL (RFC 2865 5.2 carries no more)")
    return hasher(settings.primary).hash(typed)


def _plain(record: UserRecord) -> dict[str, object]:
    return {**asdict(record), "locked": record.locked_until > now()}
