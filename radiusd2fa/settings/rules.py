"""The rules, as the file says them: for whom each is, and what counts there.

Nothing is decided here; a rule that could never fit, or would let everybody in, is refused. What a rule means is
``core.rules``' business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from radiusd2fa.core.attributes import AttributeCondition, ReplyAttribute
from radiusd2fa.core.model import Flow
from radiusd2fa.core.names import canonical_group
from radiusd2fa.core.rules import CEREMONIES, FACTORS, Rule
from radiusd2fa.settings import calendar, keys, places
from radiusd2fa.settings.attributes import Pairs, conditions, replies, written
from radiusd2fa.settings.exceptions import Emergency, Grants, SelfAssign, after_a_password
from radiusd2fa.settings.section import Section, each_once, some
from radiusd2fa.settings.values import Network
from radiusd2fa.settings.windows import ChallengeSection, HotpSection, ThrottleSection, TotpSection
from radiusd2fa.settings.words import (
    Surroundings,
    a_name,
    a_text,
    choice,
    closest,
    reader,
    refused,
    surroundings,
)
from radiusd2fa.settings.yaml_lines import Word

RULE: Final = Rule("")


# --- how the words are read -------------------------------------------------------------------------------------------


def _rule_name(word: Word, around: Surroundings) -> str:
    name = a_name("rule")(word, around)
    around.only_once("rule name", name, word.line)
    return name


def _one_of(what: str, known: str, place: str) -> Callable[[Word, Surroundings], str]:
    """Read a name that another part of the file defines."""

    def read(word: Word, around: Surroundings) -> str:
        name = a_text(word, around)
        names = getattr(around, known)
        if name not in names:
            meant = closest(name, frozenset(names))
            remedy = f"did you mean {meant}?" if meant else f"write one of those {place}"
            raise refused(f"is not {what} of this file", remedy)
        return name

    return read


_read_tag: Final = _one_of("a tag of a client", "tags", "under `tags:` of the clients")
_read_backend: Final = _one_of("a primary backend", "backends", "under `backends:`")
_read_language: Final = _one_of("a language", "languages", "under `languages:`")


def _group(word: Word, around: Surroundings) -> str:
    group = a_text(word, around)  # spelled as a reply will name it; for comparing it is made canonical later
    if canonical_group(group) is None:
        raise refused("is no name of a group", "write it without spaces at its ends")
    return group


def _realm(word: Word, around: Surroundings) -> str:
    realm = canonical_group(a_text(word, around))
    if realm is None or "@" in realm or "\\" in realm:
        raise refused(
            "is no realm", r"write what stands behind the @ of alice@example.org, or before the \ of CORP\alice"
        )
    return realm


def a_range(word: Word, around: Surroundings) -> tuple[Network, ...]:
    """Read an address, a network, or the name of an entry of ``networks:``."""
    if str(word) in around.networks:
        return around.networks[str(word)]
    if places.as_network(word) is None:
        meant = closest(str(word), frozenset(around.networks))
        remedy = f"did you mean {meant}?" if meant else "write 192.0.2.0/24, or a name under `networks:`"
        raise refused("is neither a network nor the name of one", remedy)
    return (places.some_addresses(word, around),)


def _upstream(word: Word, around: Surroundings) -> str:
    name = _read_backend(word, around)
    if around.backends[name] == "none":
        raise refused("checks nothing", "name the backend of the other system, an entry of `backends:`")
    return name


def _beside_the_sites(section: str) -> BeforeValidator:
    """Let a rule's windows be judged together with what it leaves as the site has it."""

    def complete(raw: object, info: ValidationInfo) -> object:
        return {**surroundings(info).windows.get(section, {}), **raw} if isinstance(raw, dict) else raw

    return BeforeValidator(complete)


Factor = Annotated[str, choice({name: name for name in FACTORS}), AfterValidator(keys.a_possible_factor)]
Ceremony = Annotated[str, choice({name: name for name in CEREMONIES})]
Ranges = tuple[Annotated[tuple[Network, ...], reader(a_range)], ...]
LastDay = Annotated[float, reader(calendar.last_day)]
ClientTag = Annotated[str, reader(_read_tag)]
BackendName = Annotated[str, reader(_read_backend)]


# --- the sections -----------------------------------------------------------------------------------------------------


class WhenSection(Section):
    """``when:`` of a rule. A key that is not written fits everybody."""

    clients: Annotated[tuple[Annotated[str, reader(places.a_known_client)], ...] | None, AfterValidator(some)] = None
    tags: Annotated[tuple[ClientTag, ...] | None, AfterValidator(some)] = None
    users: Annotated[tuple[Annotated[str, reader(places.a_user)], ...] | None, AfterValidator(some)] = None
    groups: Annotated[tuple[Annotated[str, reader(_group)], ...] | None, AfterValidator(some)] = None
    realms: Annotated[tuple[Annotated[str, reader(_realm)], ...] | None, AfterValidator(some)] = None
    networks: Annotated[Ranges | None, AfterValidator(some)] = None
    days: Annotated[tuple[Annotated[tuple[int, ...], reader(calendar.days)], ...] | None, AfterValidator(some)] = None
    hours: Annotated[tuple[Annotated[calendar.Hours, reader(calendar.hours)], ...] | None, AfterValidator(some)] = None
    attributes: Annotated[Pairs, written] = Field(default=(), validate_default=True)

    @field_validator("tags")
    @classmethod
    def _somebody_has_them(cls, tags: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        clients = info.data.get("clients")
        if tags and clients and not set(clients) & _tagged(tags, surroundings(info)):
            raise refused("are of none of the rule's clients, so it can never fit", "delete one of the two conditions")
        return tags

    @field_validator("attributes")
    @classmethod
    def _known_attributes(cls, named: Pairs, info: ValidationInfo) -> tuple[AttributeCondition, ...]:
        return conditions(named, surroundings(info))

    def all_clients(self, around: Surroundings) -> frozenset[str]:
        """Return the clients that the rule is for; none for all."""
        named = frozenset(self.clients or ())
        if not self.tags:
            return named
        tagged = _tagged(self.tags, around)
        return tagged & named if named else tagged


def _tagged(tags: tuple[str, ...], around: Surroundings) -> frozenset[str]:
    return frozenset().union(*(around.tags[tag] for tag in tags))


class GraceSection(Section):
    """``enrolment:`` when it is more than a word."""

    grace_until: LastDay | None = None
    upstream: Annotated[str | None, reader(_upstream)] = None
    until: LastDay | None = Field(default=None, validate_default=True)

    @field_validator("until")
    @classmethod
    def _either(cls, until: float | None, info: ValidationInfo) -> float | None:
        grace, upstream = info.data.get("grace_until"), info.data.get("upstream")
        if "grace_until" not in info.data or "upstream" not in info.data:
            return until
        if (grace is None) == (upstream is None):
            raise refused(
                "is neither time to enrol nor another system",
                "write {grace_until: 2027-01-31} or {upstream: BACKEND, until: 2027-01-31}",
                key="grace_until",
            )
        if (upstream is None) != (until is None):
            raise refused("goes together with upstream", "write {upstream: BACKEND, until: 2027-01-31}")
        return until


NOT_YET: Final = GraceSection.model_construct(grace_until=None, upstream=None, until=None)
"""``enrolment: off``."""


def _enrolment(raw: object) -> object:
    if not isinstance(raw, Word) or not raw:
        return raw
    if raw not in ("required", "off"):
        remedy = "write required, off, {grace_until: 2027-01-31} or {upstream: BACKEND, until: 2027-01-31}"
        raise refused("is none of the choices", remedy)
    return NOT_YET if raw == "off" else None


class SkipSection(Section):
    """``skip:``."""

    networks: Annotated[Ranges, AfterValidator(some)]
    until: LastDay


class RuleSection(Section):
    """One entry of ``rules:``."""

    name: Annotated[str, reader(_rule_name)]
    when: WhenSection = WhenSection()
    factors: Annotated[tuple[Factor, ...], AfterValidator(some), AfterValidator(each_once)] = FACTORS
    flow: Annotated[Flow | None, choice({flow.value: flow for flow in Flow})] = None
    primary: BackendName | None = Field(default=None, validate_default=True)
    ceremonies: Annotated[tuple[Ceremony, ...], AfterValidator(some), AfterValidator(each_once)] = RULE.ceremonies
    user_verification: Annotated[bool, choice({"discouraged": False, "required": True})] = RULE.user_verification
    on_clone: Annotated[bool, choice({"refuse": False, "lock": True})] = RULE.lock_clones
    enrolment: Annotated[GraceSection | None, BeforeValidator(_enrolment)] = None
    skip: SkipSection | None = None
    grants: Grants = tuple(sorted(RULE.grants))
    break_glass: Emergency = RULE.break_glass
    self_assign: SelfAssign = Field(default=RULE.self_assign, validate_default=True)
    ask_code: Annotated[bool, choice({"after_password": False, "always": True})] = Field(
        default=False, validate_default=True
    )
    reply: Annotated[Pairs, written] = Field(default=(), validate_default=True)
    language: Annotated[str | None, reader(_read_language)] = None
    hotp: Annotated[HotpSection | None, _beside_the_sites("hotp")] = None
    totp: Annotated[TotpSection | None, _beside_the_sites("totp")] = None
    throttle: Annotated[ThrottleSection | None, _beside_the_sites("throttle")] = None
    challenge: ChallengeSection | None = None

    @field_validator("primary")
    @classmethod
    def _before_the_groups(cls, primary: str | None, info: ValidationInfo) -> str | None:
        when = info.data.get("when")
        if primary is not None and when is not None and when.groups:
            raise refused(
                "is chosen by groups, which only the backend knows",
                "choose it by clients, users, realms or networks, in a rule of its own",
            )
        return primary

    @field_validator("self_assign")
    @classmethod
    def _after_a_password(cls, taken: bool, info: ValidationInfo) -> bool:
        return after_a_password(taken, info.data, surroundings(info))

    @field_validator("ask_code")
    @classmethod
    def _of_everybody(cls, always: bool, info: ValidationInfo) -> bool:
        if always and (info.data.get("enrolment") is not None or info.data.get("skip") is not None):
            raise refused(
                "asks everybody for a code, and enrolment or skip lets some in without one",
                "delete ask_code, or the other two",
            )
        return always

    @field_validator("reply")
    @classmethod
    def _known_attributes(cls, named: Pairs, info: ValidationInfo) -> tuple[ReplyAttribute, ...]:
        when = info.data.get("when") or WhenSection()
        return replies(named, surroundings(info), when.groups or ())
