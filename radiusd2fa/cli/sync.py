"""`radiusd2fa user sync`: holds the store's people against the directories that they come from.

Without --revoke nobody loses a token; with --dry-run nothing changes at all. It answers to no RFC.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.site import complain, now, program, refuse, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.tables import show_json, show_table

if TYPE_CHECKING:
    from radiusd2fa.reconciling import Difference
    from radiusd2fa.settings import LdapSettings, Settings
    from radiusd2fa.store.registry import Registry, UserRecord

_SUSPICIOUS: Final = 0.2
"""The share of a directory's people that does not vanish in one day, unless somebody has written a wrong base."""
_FEW: Final = 5


def sync(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only say what would change.")] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Disable those whom the directory does not know, and revoke their tokens.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do so even if many have vanished at once.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look everybody up in the directory they come from, and say who is gone, disabled, renamed or somebody else.

    People who were renamed get their new name here too, and keep their tokens. Exit code: 1 when somebody is gone whose
    tokens were not revoked.
    """
    settings = site_settings(ctx.obj)
    directories = _directories(settings)
    with site_registry(ctx.obj) as registry:
        everybody = registry.users()
        found, asked = [], 0
        for directory in directories:
            people = [user for user in everybody if user.source == directory.name]
            asked += len(people)
            here = list(_looked_up(directory, people, quiet=as_json))
            if len(here) > 1 and len(here) == len(people) and all(map(_is_orphan, here)):
                complain(f"{directory.name} knows none of its {len(people)} people: are its base and filter right?")
            if revoke and not dry_run and not yes:
                _refuse_many(here, people, directory.name)
            found += here
        done = {} if dry_run else {one.user.name: _act(registry, one, revoke=revoke) for one in found}
    if as_json:
        show_json([_plain(one, done) for one in found])
    else:
        show_table(
            ("user", "source", "is", "", "tokens", "done"),
            [
                (
                    one.user.name,
                    one.user.source,
                    one.change.value,
                    one.detail,
                    " ".join(one.user.live),
                    "nothing (--dry-run)" if dry_run else done[one.user.name],
                )
                for one in found
            ],
            nothing=f"looked {asked} people up: all are as the store has them",
        )
    left = [one.user.name for one in found if _is_orphan(one) and one.user.live and (dry_run or not revoke)]
    if left:
        if not as_json:
            complain(
                f"{len(left)} people are gone and have tokens; `{program(ctx)} user sync --revoke` disables them and "
                "revokes those"
            )
        raise typer.Exit(1)


def _directories(settings: Settings) -> list[LdapSettings]:
    from radiusd2fa.settings import LdapSettings

    found = [one for one in settings.backends if isinstance(one, LdapSettings)]
    if not found:
        wrong_usage("no directory is configured: this is for primary: {kind: ldap, ...} and for backends of that kind")
    lacking = [one.name for one in found if not settings.rules.backends[one.name].looks_up]
    if lacking:
        wrong_usage(f"{' and '.join(lacking)}: nobody can be looked up without base and search_user; write them")
    return found


def _looked_up(directory: LdapSettings, users: Sequence[UserRecord], *, quiet: bool) -> Iterator[Difference]:
    """Ask about each of them, with a bar for whoever watches."""
    from rich.console import Console
    from rich.progress import track

    from radiusd2fa.cli.directories import NoAnswerError, asking
    from radiusd2fa.reconciling import Directory, differences

    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    try:
        with asking(directory) as people:
            compared = differences(users, Directory(people.find, people.by_name))
            shown = track(compared, f"asking {directory.name}", total=len(users), console=console, transient=True)
            yield from (one for one in shown if one is not None)
    except NoAnswerError as error:
        refuse(f"{error}; nothing was changed")


def _refuse_many(found: Sequence[Difference], people: Sequence[UserRecord], name: str) -> None:
    from radiusd2fa.reconciling import is_done

    gone = sum(_is_orphan(one) and not is_done(one) for one in found)
    if gone > _FEW and gone > len(people) * _SUSPICIOUS:
        refuse(
            f"{gone} of {len(people)} people of {name} would lose their tokens; is its base or filter right? "
            "Nothing was changed; add --yes if they are really gone"
        )


def _is_orphan(one: Difference) -> bool:
    from radiusd2fa.reconciling import ORPHANED

    return one.change in ORPHANED


def _act(registry: Registry, one: Difference, *, revoke: bool) -> str:
    """Do what is to be done about one difference, and say what it was."""
    from radiusd2fa.reconciling import Change, is_done, new_name
    from radiusd2fa.store.administration import RefusedError

    user, person = one.user, one.person
    try:
        if _is_orphan(one) and revoke and not is_done(one):
            serials = registry.revoke_all(user.name, now())
            return f"disabled, revoked {' '.join(serials)}" if serials else "disabled"
        if one.change is Change.UNBOUND and person is not None:
            registry.bind(user.name, user.source, person.id, now())
            return "bound"
        new = None if person is None else new_name(user.name, person)
        if one.change is Change.RENAMED and new is not None:
            registry.rename(user.name, new, now())
            return f"renamed to {new}"
    except RefusedError as error:
        return f"not done: {error}"
    return "nothing"


def _plain(one: Difference, done: dict[str, str]) -> dict[str, object]:
    return {
        "user": one.user.name,
        "source": one.user.source,
        "change": one.change.value,
        "detail": one.detail,
        "tokens": one.user.live,
        "done": done.get(one.user.name),
    }
