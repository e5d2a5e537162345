"""The statements of a login: described in SQLAlchemy Core, compiled once, run through the plain DBAPI cursor.

Nothing here opens or commits anything. Each guard is a condition in the statement itself, so that the database decides
who was first; the effects and their meaning are those of core.model.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from radiusd2fa.core.model import (
    AddAccount,
    AdvanceMovingFactor,
    ClearFailures,
    CloseChallenge,
    ContestStations,
    DisableToken,
    Effect,
    Event,
    NoteAccount,
    NoteLogin,
    NoteResyncCandidate,
    OpenChallenge,
    PendingChallenge,
    RecordAssertion,
    RecordCallerFailure,
    RecordFailure,
    ReplacePasswordHash,
    TakeToken,
    UseSheet,
    WriteEvent,
)
from radiusd2fa.core.names import bare
from radiusd2fa.core.record import record
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.core.texts import base64url
from radiusd2fa.store.schema import EVENT_COLUMNS, callers, chains, challenges, events, sightings, tokens, users

Row = tuple[Any, ...]


@record
class Step:
    """One statement with its parameters; a guarded one holds only if it changes exactly one row."""

    sql: str
    parameters: Row
    guarded: bool = False


def _compiled(statement: Executable, order: str) -> str:
    """Return the SQL with ``?`` for each parameter; ``order`` names them as they stand, so that a change is noticed."""
    text = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))  # type: ignore[attr-defined]
    if text.positiontup != order.split():
        msg = f"parameters stand as {' '.join(text.positiontup)}"
        raise AssertionError(msg)
    return str(text)


_p: Final = bindparam
_ZERO: Final = literal_column("0", Integer)
_ONE: Final = literal_column("1", Integer)
_MOST_DOUBLINGS: Final = literal_column("30", Integer)
_FOBS: Final[tuple[ColumnElement[str], ...]] = tuple(literal_column(f"'{kind}'") for kind in ("hotp", "totp", "yubico"))
_SHEETS: Final[tuple[ColumnElement[str], ...]] = tuple(literal_column(f"'{kind}'") for kind in SHEETS)


_IN_HANDS: Final[tuple[ColumnElement[str], ...]] = (
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
    tokens.c.valid_from,
    tokens.c.valid_until,
    tokens.c.last_used,
    tokens.c.candidate,
    tokens.c.candidate_until,
    tokens.c.state,
    tokens.c.activate_by,
)

# --- reading ---------------------------------------------------------------------------------------------------------

LOAD_USER: Final = _compiled(
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
    .select_from(users.outerjoin(tokens, and_(tokens.c.user_id == users.c.id, tokens.c.state.in_(_IN_HANDS))))
    .where(users.c.name == _p("name")),
    "name",
)
"""A user with the tokens that can log in, a row each."""

LOAD_STOCK: Final = _compiled(
    select(*_TOKEN).where(tokens.c.serial == _p("serial"), tokens.c.state == literal_column("'stock'")), "serial"
)
"""A token that is nobody's."""

LOAD_CHALLENGE: Final = _compiled(select(*challenges.c).where(challenges.c.handle == _p("handle")), "handle")

LOAD_BLOCK: Final = _compiled(
    select(callers.c.blocked_until).where(callers.c.nas == _p("nas"), callers.c.caller == _p("caller")), "nas caller"
)

# --- effects ---------------------------------------------------------------------------------------------------------

_may_log_in: Final = (users.c.id == _p("user"), users.c.enabled == _ONE, users.c.locked_until <= _p("now"))
_usable: Final = tokens.c.state.in_(_IN_HANDS)
_ADVANCE: Final = _compiled(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id == _p("owner"),
        or_(
            tokens.c.state == literal_column("'active'"),
            and_(
                tokens.c.state == literal_column("'assigned'"),
                or_(tokens.c.activate_by.is_(None), tokens.c.activate_by > _p("in_time")),
            ),
        ),
        or_(tokens.c.valid_until.is_(None), tokens.c.valid_until > _p("still")),
        tokens.c.moving_factor < _p("below"),
        exists().where(*_may_log_in),
    )
    .values(
        state=literal_column("'active'"),
        moving_factor=_p("to"),
        drift=_p("to_drift"),
        last_used=_p("used"),
        candidate=literal_column("NULL"),
        candidate_until=_ZERO,
    ),
    "to to_drift used token owner in_time still below user now",
)
"""A token that was handed out becomes active by its first code, if that comes in time."""

_USE_SHEET: Final = _compiled(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id == _p("owner"),
        tokens.c.state == literal_column("'active'"),
        tokens.c.valid_until.is_(None) | (tokens.c.valid_until > _p("still")),
        tokens.c.moving_factor.bitwise_and(_p("unused")) == _ZERO,
        exists().where(*_may_log_in),
    )
    .values(moving_factor=tokens.c.moving_factor.bitwise_or(_p("used")), last_used=_p("at")),
    "used at token owner still unused user now",
)
"""Two codes of one sheet at one moment are both good; one code twice is not."""

_theirs: Final = tokens.alias("theirs")
_TAKE: Final = _compiled(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id.is_(None),
        tokens.c.state == literal_column("'stock'"),
        tokens.c.fingerprint.is_not(None),
        or_(tokens.c.valid_until.is_(None), tokens.c.valid_until > _p("still")),
        tokens.c.moving_factor < _p("below"),
        exists().where(*_may_log_in),
        not_(
            exists().where(
                _theirs.c.id != tokens.c.id,
                or_(
                    and_(
                        _theirs.c.user_id == _p("person"),
                        _theirs.c.kind.not_in(_SHEETS),
                        or_(
                            _theirs.c.state == literal_column("'disabled'"),
                            and_(
                                _theirs.c.state.in_(_IN_HANDS),
                                or_(_theirs.c.valid_until.is_(None), _theirs.c.valid_until > _p("over")),
                                or_(
                                    _theirs.c.state == literal_column("'active'"),
                                    _theirs.c.activate_by.is_(None),
                                    _theirs.c.activate_by > _p("late"),
                                ),
                            ),
                        ),
                    ),
                    _theirs.c.fingerprint == tokens.c.fingerprint,
                    and_(_theirs.c.fingerprint.is_(None), _theirs.c.kind.in_(_FOBS)),
                ),
            )
        ),
    )
    .values(
        user_id=_p("owner"),
        state=literal_column("'active'"),
        moving_factor=_p("to"),
        drift=_p("to_drift"),
        last_used=_p("at"),
        handed_at=_p("handed"),
        handed_by=literal_column("''"),
        activate_by=literal_column("NULL"),
        candidate=literal_column("NULL"),
        candidate_until=_ZERO,
    ),
    "owner to to_drift at handed token still below user now person over late",
)
"""Who has a token that works, or was switched off, takes none; nobody takes one whose seed another token has."""

_ASSERTED: Final = _compiled(
    update(tokens)
    .where(
        tokens.c.id == _p("token"),
        tokens.c.user_id == _p("owner"),
        tokens.c.state == literal_column("'active'"),
        or_(tokens.c.moving_factor < _p("below"), and_(tokens.c.moving_factor == _ZERO, _p("zero") == _ZERO)),
        exists().where(*_may_log_in),
    )
    .values(moving_factor=_p("to"), last_used=_p("used")),
    "to used token owner below zero user now",
)

_DISABLE: Final = _compiled(
    update(tokens).where(tokens.c.id == _p("token"), _usable).values(state=literal_column("'disabled'")),
    "token",
)

_still_open: Final = (challenges.c.handle == _p("handle"), challenges.c.expires > _p("now"))
_CLOSE: Final = _compiled(delete(challenges).where(*_still_open), "handle now")
_CLOSE_TOUCHED: Final = _compiled(delete(challenges).where(*_still_open, challenges.c.contested == _ZERO), "handle now")

_QUESTION: Final = "handle nas user_name user_id kind password_passed login expires tries"
_UNDER: Final = "rule backend doomed relay_state relay_server reply attributes"
_OPEN: Final = _compiled(
    insert(challenges).values({name: _p(name) for name in f"{_QUESTION} {_UNDER}".split()}), f"{_QUESTION} {_UNDER}"
)

_CEREMONY: Final = f"{_QUESTION} nonce station contested user_verification credentials answer {_UNDER}"
_OPEN_TO_KEYS: Final = _compiled(insert(challenges).values({name: _p(name) for name in _CEREMONY.split()}), _CEREMONY)

_other: Final = challenges.alias("other")
_CONTEST: Final = _compiled(
    update(challenges)
    .where(
        challenges.c.station == _ONE,
        challenges.c.user_id == _p("user"),
        challenges.c.contested == _ZERO,
        challenges.c.expires > _p("now"),
        exists().where(
            _other.c.station == _ONE,
            _other.c.user_id == _p("user2"),
            _other.c.login != challenges.c.login,
            _other.c.password_passed >= challenges.c.password_passed,
            _other.c.expires > _p("now2"),
        ),
    )
    .values(contested=_ONE),
    "user now user2 now2",
)
"""Only what is not marked yet is looked at, or a flood of questions would cost more with each one."""

_one_more: Final = users.c.failures + _ONE
_doublings: Final = func.min(_one_more - _p("over"), _MOST_DOUBLINGS, type_=Integer)
_FAIL: Final = _compiled(
    update(users)
    .where(users.c.id == _p("user"), users.c.locked_until <= _p("now"))
    .values(
        failures=_one_more,
        locked_until=case(
            (_one_more < _p("most"), users.c.locked_until),
            else_=_p("since") + func.min(_p("longest"), _p("first") * _ONE.bitwise_lshift(_doublings)),
        ),
    ),
    "most since longest first over user now",
)

_CLEAR: Final = _compiled(
    update(users).where(users.c.id == _p("user")).values(failures=_ZERO, locked_until=_ZERO), "user"
)

_seen: Final = sqlite_insert(callers).values(
    nas=_p("in_nas"), caller=_p("in_caller"), failures=_ONE, window_ends=_p("until"), blocked_until=_p("at_once")
)
_FAIL_CALLER: Final = _compiled(
    _seen.on_conflict_do_update(
        index_elements=[callers.c.nas, callers.c.caller],
        set_={
            "failures": case((callers.c.window_ends <= _p("now1"), _ONE), else_=callers.c.failures + _ONE),
            "window_ends": case((callers.c.window_ends <= _p("now2"), _p("until2")), else_=callers.c.window_ends),
            "blocked_until": case(
                (
                    callers.c.window_ends <= _p("now3"),
                    func.max(_seen.excluded.blocked_until, callers.c.blocked_until),
                ),
                (callers.c.failures + _ONE >= _p("most"), _p("until3")),
                else_=callers.c.blocked_until,
            ),
        },
    ),
    "in_nas in_caller until at_once now1 now2 until2 now3 most until3",
)

_NOTE: Final = _compiled(
    update(tokens)
    .where(tokens.c.id == _p("token"), tokens.c.moving_factor <= _p("above"))
    .values(candidate=_p("to"), candidate_until=_p("until")),
    "to until token above",
)

_REHASH: Final = _compiled(
    update(users).where(users.c.id == _p("user"), users.c.password_hash == _p("old")).values(password_hash=_p("new")),
    "new user old",
)

_NEWCOMER: Final = "name source groups created directory_id last_login bare"
_ADD_ACCOUNT: Final = _compiled(
    sqlite_insert(users).values({name: _p(name) for name in _NEWCOMER.split()}).on_conflict_do_nothing(), _NEWCOMER
)

_kin: Final = users.alias("kin")


def _no_kin(name: Any, source: Any, identity: Any, same: Any, itself: Any) -> ColumnElement[bool]:  # noqa: ANN401
    """Nobody who has, or had, a token is called the same but for a realm, unless one directory tells the two apart."""
    told_apart = and_(_kin.c.source == source, _kin.c.directory_id.is_not(None), identity.is_not(None))
    alike = or_(and_(_kin.c.bare == name, not_(told_apart)), _kin.c.directory_id == same)
    return not_(exists().where(_kin.c.id != itself, _kin.c.enrolled == _ONE, alike))


_ADMIT: Final = _compiled(
    sqlite_insert(users)
    .from_select(
        _NEWCOMER.split(),
        select(*(_p(name) for name in _NEWCOMER.split())).where(
            _no_kin(_p("bare1"), _p("source1"), _p("id1"), _p("id2"), literal_column("-1"))
        ),
    )
    .on_conflict_do_nothing(),
    f"{_NEWCOMER} bare1 source1 id1 id2",
)
"""The same for somebody who is let in by it."""

_NOTE_ACCOUNT: Final = _compiled(
    update(users)
    .prefix_with("OR IGNORE")  # another row has that id by now: nothing is changed, and the guard does not hold
    .where(
        users.c.id == _p("user"),
        or_(users.c.directory_id.is_(None), users.c.directory_id.is_not_distinct_from(_p("same"))),
    )
    .values(groups=func.coalesce(_p("groups"), users.c.groups), directory_id=_p("directory")),
    "groups directory user same",
)

_NOTE_LOGIN: Final = _compiled(update(users).where(*_may_log_in).values(last_login=_p("at")), "at user now")
_NOTE_UNENROLLED: Final = _compiled(
    update(users)
    .where(
        *_may_log_in,
        users.c.enrolled == _ZERO,
        _no_kin(users.c.bare, users.c.source, users.c.directory_id, users.c.directory_id, users.c.id),
    )
    .values(last_login=_p("at")),
    "at user now",
)

_NOTE_GRANTED: Final = _compiled(
    update(users).where(*_may_log_in, users.c.skip_until > _p("still")).values(last_login=_p("at")),
    "at user now still",
)

LOAD_NAMESAKE: Final = _compiled(
    select(users.c.name).where(
        users.c.directory_id == _p("directory"), or_(users.c.source == _p("source"), users.c.enrolled == _ONE)
    ),
    "directory source",
)
"""Under which name somebody of a directory is known."""

LOAD_UNBOUND: Final = _compiled(
    select(users.c.name)
    .where(users.c.bare == _p("bare"), users.c.source == _p("source"), users.c.directory_id.is_(None))
    .order_by(users.c.name != _p("name")),  # a name that has a row of its own is that row's
    "bare source name",
)
"""Who is called the same but for a realm, and is not known to the directory by its id yet: they may be the same."""

LOAD_KIN: Final = _compiled(
    select(_kin.c.id).where(
        _kin.c.bare == _p("bare"),
        _kin.c.name != _p("name"),
        _kin.c.enrolled == _ONE,
        or_(_kin.c.source != _p("source"), _kin.c.directory_id.is_(None), _p("nameless") == _ONE),
    ),
    "bare name source nameless",
)
"""Who has, or had, a token, is called the same but for a realm, and may be the same person."""

NOTE_SIGHTINGS: Final = _compiled(
    sqlite_insert(sightings)
    .values(client=_p("client"), updated=_p("updated"), packets=_p("packets"))
    .on_conflict_do_update(
        index_elements=[sightings.c.client], set_={"updated": _p("updated2"), "packets": _p("packets2")}
    ),
    "client updated packets updated2 packets2",
)

# --- audit and house-keeping -----------------------------------------------------------------------------------------

_CHAINED: Final = (*EVENT_COLUMNS, events.c.chain, events.c.sequence, events.c.hash)
EVENT: Final = _compiled(
    insert(events).values({column: _p(column.name) for column in _CHAINED}),
    " ".join(column.name for column in _CHAINED),
)

LOAD_CHAIN: Final = _compiled(select(chains.c.sequence, chains.c.hash).where(chains.c.name == _p("name")), "name")
"""Where a chain of the audit ends."""

_end: Final = sqlite_insert(chains).values({name: _p(name) for name in ["name", "sequence", "hash", "seal"]})
SAVE_CHAIN: Final = _compiled(
    _end.on_conflict_do_update(
        index_elements=[chains.c.name], set_={name: _end.excluded[name] for name in ("sequence", "hash", "seal")}
    ),
    "name sequence hash seal",
)

SWEEP_CHALLENGES: Final = _compiled(delete(challenges).where(challenges.c.expires <= _p("now")), "now")
_oldest_unproved: Final = (
    select(challenges.c.handle)
    .where(challenges.c.password_passed == _ZERO)
    .order_by(challenges.c.expires)
    .limit(_p("most"))
    .offset(_p("skipped"))
)
EVICT_CHALLENGES: Final = _compiled(delete(challenges).where(challenges.c.handle.in_(_oldest_unproved)), "most skipped")
"""Drop the oldest questions that were put to somebody who had proved nothing: a flood must not drive out the others."""
SWEEP_CALLERS: Final = _compiled(
    delete(callers).where(and_(callers.c.window_ends <= _p("now"), callers.c.blocked_until <= _p("now2"))), "now now2"
)
PROBE: Final = "INSERT OR REPLACE INTO meta (key, value) VALUES ('last_probe', datetime())"
"""A write that means nothing but that writing works."""
COUNT_CHALLENGES: Final = _compiled(select(func.count()).select_from(challenges), "")


def step_for(effect: Effect) -> Step:
    """Translate one effect; an audit row is none, because it needs its place in a chain."""
    match effect:
        case AdvanceMovingFactor(token_id, user_id, to, drift, now):
            return Step(_ADVANCE, (to, drift, now, token_id, user_id, now, now, to, user_id, now), guarded=True)
        case UseSheet(token_id, user_id, number, now):
            bit = 1 << number
            return Step(_USE_SHEET, (bit, now, token_id, user_id, now, bit, user_id, now), guarded=True)
        case TakeToken(token_id, user_id, to, drift, now):
            taken = (user_id, to, drift, now, now, token_id, now, to, user_id, now, user_id, now, now)
            return Step(_TAKE, taken, guarded=True)
        case RecordAssertion(token_id, user_id, counter, now):
            return Step(_ASSERTED, (counter, now, token_id, user_id, counter, counter, user_id, now), guarded=True)
        case DisableToken(token_id):
            return Step(_DISABLE, (token_id,))
        case CloseChallenge(handle, now, uncontested):
            return Step(_CLOSE_TOUCHED if uncontested else _CLOSE, (handle, now), guarded=True)
        case ContestStations(user_id, now):
            return Step(_CONTEST, (user_id, now, user_id, now))
        case OpenChallenge(c):
            return _open(c)
        case RecordFailure(user_id, now, most, first, longest):
            return Step(_FAIL, (most, now, longest, first, most, user_id, now))
        case ClearFailures(user_id):
            return Step(_CLEAR, (user_id,))
        case RecordCallerFailure(nas, caller, now, most, window):
            until = now + window
            at_once = until if most <= 1 else 0.0
            return Step(_FAIL_CALLER, (nas, caller, until, at_once, now, now, until, now, most, until))
        case NoteResyncCandidate(token_id, moving_factor, until):
            return Step(_NOTE, (moving_factor, until, token_id, moving_factor))
        case ReplacePasswordHash(user_id, old, new):
            return Step(_REHASH, (new, user_id, old))
        case AddAccount(name, source, directory_id, groups, now, admitted, without_kin):
            row = (name, source, "\n".join(groups), now, directory_id, now if admitted else None, bare(name))
            if without_kin:
                return Step(_ADMIT, (*row, bare(name), source, directory_id, directory_id), guarded=True)
            return Step(_ADD_ACCOUNT, row, guarded=admitted)
        case NoteAccount(user_id, directory_id, groups):
            names = None if groups is None else "\n".join(groups)
            return Step(_NOTE_ACCOUNT, (names, directory_id, user_id, directory_id), guarded=True)
        case NoteLogin(user_id, now, unenrolled, granted):
            if granted:
                return Step(_NOTE_GRANTED, (now, user_id, now, now), guarded=True)
            return Step(_NOTE_UNENROLLED if unenrolled else _NOTE_LOGIN, (now, user_id, now), guarded=True)
        case WriteEvent():
            raise TypeError("an audit row needs its place in a chain")


def _open(c: PendingChallenge) -> Step:
    row = (c.handle, c.nas, c.user_name, c.user_id, c.kind, c.password_passed, c.login, c.expires, c.tries)
    asked = (None, None) if c.relay is None else (c.relay.state, c.relay.server)
    kept = (attributes_as_octets(c.reply) or None, attributes_as_octets(c.attributes) or None)
    under = (c.rule, c.backend, c.doomed, *asked, *kept)
    if c.ceremony is None:
        return Step(_OPEN, (*row, *under))
    k = c.ceremony
    credentials = ",".join(map(base64url, k.credentials))
    ceremony = (k.nonce.hex(), k.station, k.contested, k.user_verification, credentials, k.answer)
    return Step(_OPEN_TO_KEYS, (*row, *ceremony, *under))


def attributes_as_octets(attributes: tuple[tuple[int, bytes], ...]) -> bytes:
    """Write attributes as they stand in a packet (RFC 2865 5)."""
    return b"".join([bytes((number, len(value) + 2)) + value for number, value in attributes])


def octets_as_attributes(octets: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read what ``attributes_as_octets`` has written."""
    attributes, at = [], 0
    while at < len(octets):
        attributes.append((octets[at], octets[at + 2 : at + octets[at + 1]]))
        at += octets[at + 1]
    return tuple(attributes)


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
