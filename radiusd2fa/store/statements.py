"""The statements of a login that look, and those of the house: the audit, the sweeping, what ``doctor`` reads.

Nothing here opens or commits anything. What a login changes is in ``token_effects``, ``user_effects`` and
``challenge_effects``; each is described in SQLAlchemy Core and compiled once for either store (``dialects``).
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Executable,
    Integer,
    and_,
    delete,
    false,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from radiusd2fa.core.model import Event
from radiusd2fa.core.record import record
from radiusd2fa.store.dialects import Insert, Statement, described, parameter
from radiusd2fa.store.schema import (
    EVENT_COLUMNS,
    callers,
    chains,
    challenges,
    checkpoints,
    events,
    meta,
    sightings,
    tokens,
    users,
)

Row = tuple[Any, ...]


@record
class Step:
    """One statement with its parameters; a guarded one holds only if it changes exactly one row."""

    statement: Statement
    parameters: Row
    guarded: bool = False


_p: Final = parameter
IN_HANDS: Final[tuple[ColumnElement[str], ...]] = (
    literal_column("'active'"),
    literal_column("'assigned'"),
)
_TOKEN: Final = (
    tokens.c.id,
    tokens.c.serial,
    tokens.c.kind,
    tokens.c.moving_factor,
    tokens.c.sealed,
    tokens.c.digits,
    tokens.c.algorithm,
    tokens.c.step,
    tokens.c.drift,
    tokens.c.state,
    tokens.c.valid_from,
    tokens.c.valid_until,
    tokens.c.last_used,
    tokens.c.candidate,
    tokens.c.candidate_until,
    tokens.c.activate_by,
)

# --- who logs in -----------------------------------------------------------------------------------------------------

LOAD_USER: Final = described(
    select(
        users.c.id,
        users.c.name,
        users.c.enabled,
        users.c.failures,
        users.c.locked_until,
        users.c.groups,
        users.c.source,
        users.c.password_hash,
        users.c.directory_id,
        users.c.enrolled,
        users.c.skip_until,
        *_TOKEN,
    )
    .select_from(users.outerjoin(tokens, and_(tokens.c.user_id == users.c.id, tokens.c.state.in_(IN_HANDS))))
    .where(users.c.name == _p("name")),
    "name",
)
"""A user with the tokens that can log in, a row each."""

LOAD_STOCK: Final = described(
    select(*_TOKEN).where(tokens.c.serial == _p("serial"), tokens.c.state == literal_column("'stock'")), "serial"
)
"""A token that is nobody's."""

LOAD_CHALLENGE: Final = described(select(*challenges.c).where(challenges.c.handle == _p("handle")), "handle")

LOAD_BLOCK: Final = described(
    select(callers.c.blocked_until).where(callers.c.nas == _p("nas"), callers.c.caller == _p("caller")), "nas caller"
)

_kin: Final = users.alias("kin")

LOAD_NAMESAKE: Final = described(
    select(users.c.name).where(
        users.c.directory_id == _p("directory"), or_(users.c.source == _p("source"), users.c.enrolled == true())
    ),
    "directory source",
)
"""Under which name somebody of a directory is known."""

LOAD_UNBOUND: Final = described(
    select(users.c.name)
    .where(users.c.bare == _p("bare"), users.c.source == _p("source"), users.c.directory_id.is_(None))
    .order_by(users.c.name != _p("name")),  # a name that has a row of its own is that row's
    "bare source name",
)
"""Who is called the same but for a realm, and is not known to the directory by its id yet: they may be the same."""

LOAD_KIN: Final = described(
    select(_kin.c.id).where(
        _kin.c.bare == _p("bare"),
        _kin.c.name != _p("name"),
        _kin.c.enrolled == true(),
        or_(_kin.c.source != _p("source"), _kin.c.directory_id.is_(None), _p("nameless", Boolean) == true()),
    ),
    "bare name source nameless",
)
"""Who has, or had, a token, is called the same but for a realm, and may be the same person."""

# --- the audit -------------------------------------------------------------------------------------------------------

_CHAINED: Final = (*EVENT_COLUMNS, events.c.chain, events.c.sequence, events.c.hash)
EVENT: Final = described(
    insert(events).inline().values({column: _p(column.name) for column in _CHAINED}),
    " ".join(column.name for column in _CHAINED),
)
_SIGNED: Final = tuple(column for column in checkpoints.c if column.name != "id")
CHECKPOINT: Final = described(
    insert(checkpoints).inline().values({column: _p(column.name) for column in _SIGNED}),
    " ".join(column.name for column in _SIGNED),
)

LOAD_CHAIN: Final = described(select(chains.c.sequence, chains.c.hash).where(chains.c.name == _p("name")), "name")
"""Where a chain of the audit ends."""


def _save_chain(insert: Insert) -> Executable:
    end = insert(chains).values({name: _p(name) for name in ("name", "sequence", "hash", "seal")})
    moved = {name: end.excluded[name] for name in ("sequence", "hash", "seal")}
    return end.on_conflict_do_update(index_elements=[chains.c.name], set_=moved)


SAVE_CHAIN: Final = described(_save_chain, "name sequence hash seal")


def event_row(event: Event) -> Row:
    """The columns of an audit row but for its place in the chain."""
    e = event
    return (
        e.time,
        e.name,
        e.login,
        e.nas,
        e.user,
        e.caller,
        e.factor,
        e.serial,
        e.outcome,
        e.reason,
        e.latency,
        e.actor,
    )


# --- house-keeping ---------------------------------------------------------------------------------------------------

_expired: Final = select(challenges.c.handle).where(challenges.c.expires <= _p("now"))
SWEEP_CHALLENGES: Final = described(
    delete(challenges).where(challenges.c.handle.in_(_expired.with_for_update(skip_locked=True))), "now"
)
_oldest_unproved: Final = (
    select(challenges.c.handle)
    .where(challenges.c.password_passed == false())
    .order_by(challenges.c.expires)
    .limit(_p("most", Integer))
    .offset(_p("skipped", Integer))
    .with_for_update(skip_locked=True)
)
EVICT_CHALLENGES: Final = described(delete(challenges).where(challenges.c.handle.in_(_oldest_unproved)), "most skipped")
"""Drop the oldest questions that were put to somebody who had proved nothing: a flood must not drive out the others."""
_forgotten: Final = select(callers.c.nas, callers.c.caller).where(
    callers.c.window_ends <= _p("now"), callers.c.blocked_until <= _p("now2")
)
SWEEP_CALLERS: Final = described(
    delete(callers).where(tuple_(callers.c.nas, callers.c.caller).in_(_forgotten.with_for_update(skip_locked=True))),
    "now now2",
)
"""What another node is writing just now is left for the next time: nobody waits for a broom."""
COUNT_CHALLENGES: Final = described(
    select(func.count()).select_from(challenges).where(challenges.c.expires > _p("now")), "now"
)

PROBE: Final = described(
    lambda insert: (
        insert(meta)
        .values(key=literal_column("'last_probe'"), value=_p("value"))
        .on_conflict_do_update(index_elements=[meta.c.key], set_={"value": _p("value2")})
    ),
    "value value2",
)
"""A write that means nothing but that writing works."""
_of_the_vault: Final = or_(
    meta.c.key == literal_column("'vault_key_id'"), meta.c.key == literal_column("'fingerprint_key'")
)
VAULT: Final = described(select(meta.c.key, meta.c.value).where(_of_the_vault), "")
"""Whose seeds these are."""

NOTE_SIGHTINGS: Final = described(
    lambda insert: (
        insert(sightings)
        .values(client=_p("client"), updated=_p("updated"), packets=_p("packets"))
        .on_conflict_do_update(
            index_elements=[sightings.c.client], set_={"updated": _p("updated2"), "packets": _p("packets2")}
        )
    ),
    "client updated packets updated2 packets2",
)
