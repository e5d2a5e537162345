"""The nouns: what a login is made of, and what it may change in the world.

Nothing here looks at a clock, a file or a socket; every value is handed in and stays as it was.
Names follow RFC 2865 (RADIUS), RFC 4226 (HOTP: moving factor, look-ahead) and RFC 6238 (TOTP: step, drift).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from radiusd2fa.core.attributes import ReplyAttribute
from radiusd2fa.core.record import record

NO_CALLER: Final = ""


class Flow(StrEnum):
    """How a client hands over password and code."""

    CHALLENGE = "challenge"
    APPEND = "append"
    PREPEND = "prepend"
    CODE_ONLY = "code-only"
    AUTO = "auto"


class Verdict(StrEnum):
    """What a primary backend says about a password. UNAVAILABLE is never taken for any of the others."""

    PASSED = "passed"
    REFUSED = "refused"
    CHALLENGED = "challenged"
    """An upstream server asks something of its own before it decides."""
    UNAVAILABLE = "unavailable"


class Reason(StrEnum):
    """Why a login ended as it did: for the log and the audit, never for the wire."""

    OK = "ok"
    RESYNCHRONISED = "resynchronised"
    SKIPPED = "skipped"
    """The rule asks for no second factor on this network."""
    GRACE = "grace"
    """The person has never had a token, and the rule gives time until a date."""
    NOT_ENROLLED = "not_enrolled"
    """The person has never had a token, and the rule does not ask for one yet."""
    UPSTREAM = "upstream"
    """The person has never had a token of ours; another authentication system has let them in."""
    SKIP_GRANTED = "skip_granted"
    """An administrator asks this person for no second factor, until a date."""
    EMERGENCY = "emergency"
    """A sealed emergency code, opened by two administrators."""
    SELF_ASSIGNED = "self_assigned"
    """The person has taken a token out of the stock, and has shown that it is in their hands."""
    CODE_WANTED = "code_wanted"
    TOKEN_WANTED = "token_wanted"
    """The person has no token, and is asked for the serial and the code of a new one."""
    PASSWORD_WANTED = "password_wanted"
    UPSTREAM_ASKS = "upstream_asks"
    WRONG_PASSWORD = "wrong_password"
    EMPTY_PASSWORD = "empty_password"
    PASSWORD_EXPIRED = "password_expired"
    ACCOUNT_LOCKED = "account_locked"
    ACCOUNT_EXPIRED = "account_expired"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_UNKNOWN = "account_unknown"
    """The directory knows nobody of that name."""
    ACCOUNT_AMBIGUOUS = "account_ambiguous"
    """The directory knows several people of that name; or says no id with a name that has several spellings."""
    ACCOUNT_REPLACED = "account_replaced"
    """The directory knows somebody else under that name than whom the tokens belong to."""
    ACCOUNT_RENAMED = "account_renamed"
    """The directory's person is known here under another name."""
    ACCOUNT_ELSEWHERE = "account_elsewhere"
    """The account of that name belongs to another backend than the one that was asked."""
    WRONG_CODE = "wrong_code"
    NO_CODE = "no_code"
    REPLAYED = "replayed"
    LOCKED = "locked"
    CALLER_LOCKED = "caller_locked"
    UNKNOWN_USER = "unknown_user"
    DISABLED_USER = "disabled_user"
    NO_TOKEN = "no_token"
    NO_RULE = "no_rule"
    BAD_NAME = "bad_name"
    BAD_PASSWORD_ENCODING = "bad_password_encoding"
    HOST_REFUSED_USER = "host_refused_user"
    CHAP_NOT_POSSIBLE = "chap_not_possible"
    MSCHAP_NOT_POSSIBLE = "mschap_not_possible"
    NO_CREDENTIAL = "no_credential"
    KEY_RESPONSE_CUT = "key_response_cut"
    KEY_RESPONSE_MALFORMED = "key_response_malformed"
    WRONG_KEY_RESPONSE = "wrong_key_response"
    WRONG_CLIENT_DATA = "wrong_client_data"
    NOT_BOUND_TO_HOST = "not_bound_to_host"
    NO_USER_PRESENCE = "no_user_presence"
    NO_USER_VERIFICATION = "no_user_verification"
    KEY_CLONED = "key_cloned"
    KEY_OUT_OF_ORDER = "key_out_of_order"
    STATION_NOT_TOUCHED = "station_not_touched"
    STATION_CONTESTED = "station_contested"
    CHALLENGE_UNKNOWN = "challenge_unknown"
    CHALLENGE_EXPIRED = "challenge_expired"
    PRIMARY_UNAVAILABLE = "primary_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    OVERSIZED_REPLY = "oversized_reply"
    UNSAYABLE_REPLY = "unsayable_reply"
    """A reply attribute cannot hold what this login would put into it."""
    INTERNAL_ERROR = "internal_error"


@record
class Nas:
    """One RADIUS client as the site describes it (``clients:`` in the settings)."""

    name: str
    flow: Flow = Flow.CHALLENGE
    password_encoding: str | None = None
    """A second encoding to try when a password is not UTF-8, e.g. ``latin-1``."""
    strip_realm: bool = False
    """``DOMAIN\\user`` and ``user@realm`` both mean ``user``."""
    host_names: tuple[str, ...] = ()
    """What people call the hosts behind this client when they type ``ssh NAME``: a key may sign for these."""
    prompt_length: int = 200
    """How many characters of a question the device shows."""
    prompt_ending: str = ": "
    """What follows the text of a question."""


@record
class Chap:
    """CHAP-Password taken apart (RFC 2865 5.3): the answer can be checked only against a known text."""

    identifier: int
    response: bytes = field(repr=False)
    challenge: bytes = field(repr=False)


@record
class AccessRequest:
    """One decoded Access-Request, its password in the clear and still bytes."""

    nas: Nas
    user_name: str | None
    """Canonical name (core.names); None when the name on the wire can be nobody's."""
    password: bytes | None = field(default=None, repr=False)
    chap: Chap | None = None
    mschap: bool = False
    state: str | None = field(default=None, repr=False)
    """The handle of the challenge that this packet answers."""
    caller: str = NO_CALLER
    """Calling-Station-Id, or NO_CALLER."""
    realm: str = ""
    """What stood behind the ``@``, or before the backslash, of the name on the wire."""
    attributes: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """All attributes of the packet, for rules that ask for some and for an upstream server."""


class TokenState(StrEnum):
    """Where a token is in its life; only ACTIVE, and ASSIGNED for a while, can log anybody in."""

    STOCK = "stock"
    ASSIGNED = "assigned"
    """Handed out; its first good code makes it ACTIVE."""
    ACTIVE = "active"
    DISABLED = "disabled"
    LOST = "lost"
    REVOKED = "revoked"
    EXPIRED = "expired"
    RETURNED = "returned"
    """Given back; somebody has to look at it before it goes to the stock."""


@record
class Token:
    """A second factor in a user's hands. ``moving_factor`` only ever grows.

    HOTP: the next counter that may be used. TOTP: the last step that was used. Security key: its signature counter.
    Yubico OTP: the last use. A sheet of codes (core.sheets): the codes that were used, a bit each.
    """

    id: int
    serial: str
    kind: str
    moving_factor: int
    secret: bytes = field(repr=False)
    """The seed; of a security key its attested credential data (WebAuthn 6.5.2), in which nothing is secret."""
    digits: int = 6
    """Length of a code, in characters; 0 for what shows none."""
    algorithm: str = "sha1"
    step: int = 30
    """TOTP: seconds a code is shown."""
    drift: int = 0
    """TOTP: learned offset of the token's clock, in steps."""
    state: TokenState = TokenState.ACTIVE
    valid_from: float = 0.0
    valid_until: float | None = None
    last_used: float | None = None
    candidate: int | None = None
    """Moving factor of a code seen beyond the window, waiting for its successor (resynchronisation)."""
    candidate_until: float = 0.0
    activate_by: float | None = None
    """ASSIGNED: until when its first code must come; None: whenever."""


@record
class User:
    """A person who may log in, with the tokens that are theirs."""

    id: int
    name: str
    enabled: bool = True
    failures: int = 0
    locked_until: float = 0.0
    groups: tuple[str, ...] = ()
    source: str = "local"
    """The name of the primary backend that knows this person."""
    password_hash: str | None = field(default=None, repr=False)
    tokens: tuple[Token, ...] = ()
    directory_id: str | None = None
    """Who this is in that backend's directory, whatever the name (``entryUUID``, ``objectGUID``); None: not known."""
    enrolled: bool = False
    """Whether this person has ever had a token. Nothing but removing the person takes it back."""
    skip_until: float = 0.0
    """Until when an administrator asks them for no second factor."""


class ChallengeKind(StrEnum):
    """What the person was asked for."""

    PASSWORD = "password"
    CODE = "code"
    UPSTREAM = "upstream"
    """What an upstream server has asked; the answer goes there."""


@record
class Relay:
    """A question of an upstream server on its way to the person, and what the answer must carry back."""

    prompt: str
    state: bytes = field(repr=False)
    """The upstream's State."""
    server: str
    """Which of the backend's servers has asked: the answer belongs to no other."""
    hidden: bool = True


@record
class KeyCeremony:
    """What a challenge offers to a security key. The nonce is spent with the challenge."""

    nonce: bytes = field(repr=False)
    station: bool = False
    """Whether stations may show it and ask for a touch."""
    credentials: tuple[bytes, ...] = field(default=(), repr=False)
    """The ids of the person's credentials, for the stations."""
    user_verification: bool = False
    """Whether the key must verify its user."""
    contested: bool = False
    """Whether a second login as this person has waited for a station at the same time: then no touch counts."""
    answer: str | None = field(default=None, repr=False)
    """What a station has brought in so far: not verified yet."""


@record
class PendingChallenge:
    """An Access-Challenge that was sent and not yet answered; its handle is the State attribute."""

    handle: str = field(repr=False)
    nas: str
    user_name: str
    user_id: int | None
    """Whom the question was put to; None for somebody unknown."""
    kind: ChallengeKind
    password_passed: bool
    """Whether a primary backend had passed a password before the question was put."""
    login: str
    """Ties all packets of one login together in log and audit."""
    expires: float
    tries: int
    """How many answers may still be given."""
    ceremony: KeyCeremony | None = None
    rule: str = ""
    """The rule under which it was put, and by which its answer is judged: the next packet may show less."""
    backend: str = ""
    """Who checks, or has checked, the password."""
    doomed: bool = False
    """Whether the password was wrong already, which nobody is told before the code was asked for too."""
    relay: Relay | None = None
    """For UPSTREAM: the question that was passed on."""
    reply: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """What an upstream server wants in the Access-Accept."""
    attributes: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """Those of the first packet that some rule looks at: later packets of a login may lack them."""


@record
class Account:
    """Who the person is in the directory that has answered."""

    id: str | None = None
    """What stays the same when the name changes, and never comes again; None when that directory has no such thing."""
    groups: tuple[str, ...] | None = None
    """Canonical group names (core.names.canonical_group); None where the backend knows of no groups."""


@record
class PrimaryAnswer:
    """What the primary backend said of one password."""

    verdict: Verdict
    rehashed: str | None = field(default=None, repr=False)
    """A hash to store in place of the old one, when its parameters have moved on."""
    reason: Reason | None = None
    """Why a password was refused, where the backend knows more than that it was wrong. For the log alone."""
    account: Account | None = None
    """Who that is, from a backend with a directory; never set but with PASSED."""
    attributes: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """What an upstream server wants in the Access-Accept, filtered already."""
    relay: Relay | None = None
    """The question behind CHALLENGED."""


@record
class Known:
    """All facts that a decision may use, as they were at one moment."""

    user: User | None = None
    challenge: PendingChallenge | None = None
    caller_locked: bool = False
    primary: Mapping[bytes | None, PrimaryAnswer] = field(default_factory=dict, repr=False)
    """Answers of the primary backend so far, by password; under None what it says about the account alone."""
    namesake: str | None = None
    """Under which other name the account is known here, or may be, that the backend has answered with."""
    has_kin: bool = False
    """Whether somebody who is called the same but for a realm has, or had, a token; they may be the same person."""
    stock: Mapping[str, Token | None] = field(default_factory=dict, repr=False)
    """The tokens in stock that were asked about so far, by serial; None where there is none."""


# --- effects: what the store must do, in one transaction, before the reply may leave ---------------------------------


@record
class AdvanceMovingFactor:
    """Spend a code. Holds only while the token is active, its owner neither locked nor disabled, and ``to`` is new."""

    token_id: int
    user_id: int
    to: int
    drift: int
    now: float


@record
class UseSheet:
    """Spend one code of a sheet. Holds only while it is unused, its sheet active, its owner enabled and not locked."""

    token_id: int
    user_id: int
    number: int
    """Which of the codes, from 0."""
    now: float


@record
class TakeToken:
    """Take a token out of the stock and spend its code at once. Holds only while it is nobody's, the code new, and the
    person, who has no other token, enabled and not locked."""

    token_id: int
    user_id: int
    to: int
    drift: int
    now: float


@record
class RecordAssertion:
    """Note what a key has counted. Holds only as AdvanceMovingFactor does, or while the key has never counted at all.

    A key that does not count is no protection against replay: the CloseChallenge beside it is.
    """

    token_id: int
    user_id: int
    counter: int
    now: float


@record
class DisableToken:
    """Refuse a token from now on, until an administrator has looked at it."""

    token_id: int


@record
class CloseChallenge:
    """Spend a State. Holds only while the challenge is open and unexpired."""

    handle: str = field(repr=False)
    now: float
    uncontested: bool = False
    """For a touch at a station: holds only while no second login has spoilt it."""


@record
class ContestStations:
    """A login waits for a station: when another one as the same person does too, no touch counts for any of them.

    A login that has proved nothing spoils none that has a password behind it, only itself.
    """

    user_id: int
    now: float


@record
class OpenChallenge:
    """Remember a challenge until it is answered or runs out."""

    challenge: PendingChallenge


@record
class RecordFailure:
    """Count a wrong code against its user; at ``max_failures`` the lock begins and doubles with each further one."""

    user_id: int
    now: float
    max_failures: int
    first_lock: float
    max_lock: float


@record
class ClearFailures:
    """Forget the failures of a user who has just logged in."""

    user_id: int


@record
class RecordCallerFailure:
    """Count a failure against (client, Calling-Station-Id); at ``max_failures`` within ``window`` the caller waits."""

    nas: str
    caller: str
    now: float
    max_failures: int
    window: float


@record
class NoteResyncCandidate:
    """Remember a code beyond the window; its direct successor, if it comes in time, resynchronises the token."""

    token_id: int
    moving_factor: int
    until: float


@record
class ReplacePasswordHash:
    """Store the same password under today's hash parameters, if it was not changed meanwhile."""

    user_id: int
    old: str = field(repr=False)
    new: str = field(repr=False)


@record
class AddAccount:
    """Remember somebody whom a directory has let in for the first time."""

    name: str
    source: str
    directory_id: str | None
    groups: tuple[str, ...]
    now: float
    admitted: bool = False
    """Whether this very login lets them in: then it holds only if nobody of that name came to be meanwhile."""
    without_kin: bool = False
    """Whether it holds only while nobody with a token may be the same person under another name."""


@record
class NoteAccount:
    """Remember who somebody is in the directory, and their groups. Holds only while nothing else was known."""

    user_id: int
    directory_id: str | None
    groups: tuple[str, ...] | None
    """None leaves them as they are."""


@record
class NoteLogin:
    """Note a login without a token. Holds only while the account is enabled and not locked.

    And, if so said, while it is unenrolled, or while an administrator still asks it for no second factor.
    """

    user_id: int
    now: float
    unenrolled: bool
    granted: bool = False


@record
class WriteEvent:
    """A second audit row beside that of the decision: something happened that is worth one of its own."""

    event: Event


Effect = (
    AdvanceMovingFactor
    | UseSheet
    | TakeToken
    | RecordAssertion
    | DisableToken
    | CloseChallenge
    | ContestStations
    | OpenChallenge
    | RecordFailure
    | ClearFailures
    | RecordCallerFailure
    | NoteResyncCandidate
    | ReplacePasswordHash
    | AddAccount
    | NoteAccount
    | NoteLogin
    | WriteEvent
)


# --- outcomes --------------------------------------------------------------------------------------------------------


@record
class Accept:
    """Let the person in, once the effects are committed. Built in core.login only."""

    effects: tuple[Effect, ...]
    token: Token | None
    """None where the rule has asked for none."""
    reason: Reason = Reason.OK
    reply: tuple[ReplyAttribute, ...] = ()
    """What the rule wants to be said to the NAS."""
    passed_on: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    """What an upstream server wants to be said."""
    groups: tuple[str, ...] = ()
    """The person's, as the reply may name them."""


@record
class Challenge:
    """Ask the person for something more."""

    effects: tuple[Effect, ...]
    prompt: str
    state: str = field(repr=False)
    reason: Reason = Reason.CODE_WANTED
    hidden: bool = False
    """Whether the answer should not be shown while it is typed (Prompt, RFC 2869 5.10)."""
    token: Token | None = None
    unhurried: bool = False
    """Whether it must leave no sooner than a refusal would: its moment must not tell what was found out."""


@record
class Reject:
    """Turn the person away."""

    reason: Reason
    effects: tuple[Effect, ...] = ()
    token: Token | None = None


@record
class Silence:
    """Send nothing: the NAS tries its next server, and a retransmission is a new chance."""

    reason: Reason


@record
class NeedPrimary:
    """A fact is missing: ask a primary backend about this password, or account, then decide again."""

    password: bytes | None = field(repr=False)
    backend: str = "local"
    relay: Relay | None = None
    """The upstream's question that the password answers."""


@record
class NeedToken:
    """A fact is missing: look whether a token of that serial is in stock, then decide again."""

    serial: str = field(repr=False)
    """What was typed there, which may be a password by mistake."""


Reply = Accept | Challenge | Reject
Decision = Reply | Silence
Outcome = Decision | NeedPrimary | NeedToken


# --- what is written down --------------------------------------------------------------------------------------------


@record
class Event:
    """One decision, as it goes to the audit table, the log and syslog. Holds no secret."""

    time: float
    """Seconds since 1970, UTC."""
    name: str
    """``access.accepted``, ``access.rejected``, ``access.challenged``, ``token.added`` …"""
    login: str
    """Ties all packets of one login together."""
    nas: str
    user: str
    caller: str = NO_CALLER
    factor: str = ""
    serial: str = ""
    outcome: str = ""
    reason: str = ""
    latency: float = 0.0
    """Seconds from the arrival of the packet to the decision."""
    actor: str = ""
    """Administration: the operating system user who did it."""
