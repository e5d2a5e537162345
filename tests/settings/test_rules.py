"""For whom a rule is and what it says: every condition, every choice, and what it leaves as the site has it.

What is refused is in ``wrong_files.txt``; which rule decides a login is tested with core.choosing.
RFC 4226 7.2 and RFC 6238 5.2 (windows), ISO 8601 (dates), RFC 2865 5.31 (Calling-Station-Id).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from radiusd2fa.core.attributes import AttributeCondition
from radiusd2fa.core.choosing import Circumstances, misfit
from radiusd2fa.core.rules import (
    Backend,
    ChallengeRules,
    Enrolment,
    HotpRules,
    Rule,
    Rules,
    Skip,
    ThrottleRules,
    TotpRules,
)
from radiusd2fa.settings.rule_advice import _hides, _takes_over

from .conftest import SECRET, Site, minimal

BERLIN = ZoneInfo("Europe/Berlin")


def one_rule(site: Site, rule: str, *sections: str) -> Rule:
    """Return the only rule of a site."""
    (loaded,) = site.with_sections(*sections, f"rules: [{{name: a, {rule}}}]").rules.rules
    return loaded


def at(moment: str, zone: ZoneInfo = BERLIN) -> float:
    """Return a time there, in seconds since 1970."""
    return datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp()


# --- for whom it is -----------------------------------------------------------------------------------------

CLIENTS = (
    f"  vpn1: {{networks: [192.0.2.1], secret: '{SECRET}', tags: [vpn, berlin]}}",
    f"  vpn2: {{networks: [192.0.2.2], secret: '{SECRET}', tags: [vpn]}}",
)
FOR_CLIENTS = {
    "clients: [lab, vpn1]": {"lab", "vpn1"},
    "tags: [vpn]": {"vpn1", "vpn2"},
    "tags: [berlin]": {"vpn1"},
    "tags: [berlin, vpn]": {"vpn1", "vpn2"},
    "clients: [vpn2, lab], tags: [vpn]": {"vpn2"},
    "clients: [vpn2, vpn1], tags: [berlin, vpn]": {"vpn1", "vpn2"},
}


@pytest.mark.parametrize(("when", "expected"), FOR_CLIENTS.items(), ids=list(FOR_CLIENTS))
def test_clients_by_name_and_by_tag(site: Site, when: str, expected: set[str]) -> None:
    """One of several tags is enough; a client that is named beside tags must have one of them."""
    assert one_rule(site, f"when: {{{when}}}", *CLIENTS).clients == expected


def test_groups_and_realms_are_known_in_any_spelling(site: Site) -> None:
    """Directories and people do not tell case, so neither do rules."""
    rule = one_rule(site, "when: {groups: [NetAdmins, 'Domain Users', 'CN=X,DC=y'], realms: [Example.ORG, CORP]}")

    assert rule.groups == {"netadmins", "domain users", "cn=x,dc=y"}
    assert rule.realms == {"example.org", "corp"}


def test_networks_by_name_and_by_number(site: Site) -> None:
    """A name of ``networks:`` stands for all that it holds; an IPv4 network mapped into IPv6 is IPv4."""
    networks = "networks: {office: [192.0.2.0/24, '2001:db8::/32'], gate: [198.51.100.1]}"
    rule = one_rule(site, "when: {networks: [office, 203.0.113.7, '::ffff:10.0.0.0/104', gate]}", networks)

    assert [str(network) for network in rule.networks] == [
        "192.0.2.0/24",
        "2001:db8::/32",
        "203.0.113.7/32",
        "10.0.0.0/8",
        "198.51.100.1/32",
    ]


def test_attributes_of_the_request(site: Site) -> None:
    """Names are looked up, values become octets, a star at the end begins a text; numbers need no quotes."""
    rule = one_rule(site, "when: {attributes: {NAS-Identifier: [vpn1, 'edge-*'], NAS-Port-Type: Virtual, NAS-Port: 7}}")

    assert rule.attributes == (
        AttributeCondition(name="NAS-Identifier", number=32, values=frozenset({b"vpn1"}), prefixes=(b"edge-",)),
        AttributeCondition(name="NAS-Port-Type", number=61, values=frozenset({b"\0\0\0\5"})),
        AttributeCondition(name="NAS-Port", number=5, values=frozenset({b"\0\0\0\7"})),
    )


MON, TUE, SUN, DAY = 0, 1440, 6 * 1440, 1440
PARTS = {
    "days: [mon]": [(MON, MON + DAY)],
    "days: [MON, mon-tue]": [(MON, MON + DAY), (TUE, TUE + DAY)],
    "days: [sun-mon]": [(MON, MON + DAY), (SUN, SUN + DAY)],
    "days: [mon-sun]": [(day * DAY, (day + 1) * DAY) for day in range(7)],
    "days: [tue-mon]": [(day * DAY, (day + 1) * DAY) for day in range(7)],
    "days: [tue], hours: ['08:00-18:30']": [(TUE + 480, TUE + 1110)],
    "days: [tue], hours: ['00:00-24:00']": [(TUE, TUE + DAY)],
    "days: [tue], hours: ['22:00-06:00']": [(TUE + 1320, TUE + DAY + 360)],
    "days: [tue], hours: ['22:00-00:00']": [(TUE + 1320, TUE + DAY)],
    "days: [sun], hours: ['22:00-06:00']": [(SUN + 1320, SUN + DAY), (0, 360)],
    "days: [tue], hours: ['08:00-12:00', 13:00-17:00]": [(TUE + 480, TUE + 720), (TUE + 780, TUE + 1020)],
    "hours: ['12:00-12:01']": [(day * DAY + 720, day * DAY + 721) for day in range(7)],
}


@pytest.mark.parametrize(("when", "parts"), PARTS.items(), ids=list(PARTS))
def test_days_and_hours_are_parts_of_the_week(site: Site, when: str, parts: list[tuple[int, int]]) -> None:
    """A night belongs to the day on which it begins, and Sunday's ends on Monday; the end is not part of it."""
    assert list(one_rule(site, f"when: {{{when}}}").hours) == parts


WEEKEND = "when: {days: [sun], hours: ['22:00-06:00']}"
MOMENTS = {
    # 2026-10-25 is the Sunday on which Berlin's clocks go back
    "2026-10-25T21:59:59": False,
    "2026-10-25T22:00:00": True,
    "2026-10-26T05:59:59": True,
    "2026-10-26T06:00:00": False,
    "2026-10-24T23:00:00": False,
    "2026-03-29T22:30:00": True,
}


@pytest.mark.parametrize(("moment", "fits"), MOMENTS.items(), ids=list(MOMENTS))
def test_hours_are_those_of_the_sites_time_zone(site: Site, moment: str, fits: bool) -> None:
    """The time zone of the file decides which day and hour it is, in summer and in winter."""
    rules = site.with_sections("time_zone: Europe/Berlin", f"rules: [{{name: a, {WEEKEND}}}]").rules
    circumstances = Circumstances("lab", "alice", now=at(moment))

    assert (rules.for_login(circumstances).name == "a") is fits


def test_another_zone_is_another_hour(site: Site) -> None:
    """The same moment is another hour elsewhere."""
    moment = Circumstances("lab", "alice", now=at("2026-01-07T12:30:00", ZoneInfo("UTC")))
    rule = "rules: [{name: a, when: {hours: ['12:00-13:00']}}]"

    assert site.with_sections("time_zone: UTC", rule).rules.for_login(moment).name == "a"
    assert site.with_sections("time_zone: Asia/Tokyo", rule).rules.for_login(moment).name == ""


# --- what it says -------------------------------------------------------------------------------------------


def test_dates_hold_to_the_end_of_their_day(site: Site) -> None:
    """What is granted until a day is granted on that day, in the site's own time."""
    rule = one_rule(site, "enrolment: {grace_until: 2027-03-28}", "time_zone: Europe/Berlin")

    assert rule.enrolment == Enrolment(required=False, until=at("2027-03-29T00:00:00"))
    assert datetime.fromtimestamp(rule.enrolment.until or 0, UTC).isoformat() == "2027-03-28T22:00:00+00:00"


UNTIL = datetime(2027, 2, 1, tzinfo=UTC).timestamp()
ENROLMENTS = {
    "enrolment: required": Enrolment(),
    "enrolment: off": Enrolment(required=False),
    "enrolment: 'off'": Enrolment(required=False),
    "enrolment: {grace_until: 2027-01-31}": Enrolment(required=False, until=UNTIL),
    "enrolment: {grace_until: '2027-01-31'}": Enrolment(required=False, until=UNTIL),
    "enrolment: {upstream: old, until: 2027-01-31}": Enrolment(upstream="old", until=UNTIL),
}


@pytest.mark.parametrize(("written", "expected"), ENROLMENTS.items(), ids=list(ENROLMENTS))
def test_what_becomes_of_people_without_a_token(site: Site, written: str, expected: Enrolment) -> None:
    """They are refused, let in for a while or until further notice, or left to another system."""
    assert one_rule(site, written, "time_zone: UTC", "backends: {old: {kind: pam}}").enrolment == expected


def test_a_skip(site: Site) -> None:
    """Networks, by name or number, and the day until which a password is enough there."""
    rule = one_rule(
        site,
        "skip: {networks: [office, 10.0.0.0/8], until: 2027-01-31}",
        "time_zone: UTC",
        "networks: {office: ['::1']}",
    )

    assert rule.skip == Skip((ip_network("::1/128"), ip_network("10.0.0.0/8")), UNTIL)


CHOICES = {
    "ask_code: always": ("ask_always", True),
    "ask_code: after_password": ("ask_always", False),
    "ask_code: always, enrolment: required": ("enrolment", Enrolment()),
    "primary: none": ("primary", "none"),
    "primary: local": ("primary", "local"),
    "flow: code-only": ("flow", "code-only"),
    "hotp: {look_ahead: 3}": ("hotp", HotpRules(look_ahead=3)),
    "totp: {}": ("totp", TotpRules()),
    "throttle: {max_failures: 3}": ("throttle", ThrottleRules(max_failures=3)),
    "challenge: {tries: 1}": ("challenge", ChallengeRules(tries=1)),
}


@pytest.mark.parametrize(("written", "key", "expected"), [(text, *rest) for text, rest in CHOICES.items()], ids=str)
def test_a_choice_of_a_rule(site: Site, written: str, key: str, expected: object) -> None:
    """Each choice becomes the value that it names."""
    assert getattr(one_rule(site, written), key) == expected


def test_a_rule_changes_what_it_writes_and_nothing_else(site: Site) -> None:
    """Windows and throttle are the site's but for what the rule says, in whatever order the file has them."""
    rules = site.with_sections(
        "rules:",
        "- name: a",
        "  hotp: {resync_window: 8}",
        "  totp: {resync_steps: 4, widen_at_most: 7}",
        "  throttle: {max_lock: 2m}",
        "- name: b",
        "hotp: {look_ahead: 5, resync_window: 6}",
        "totp: {steps_either_side: 3, widen_every: 90d}",
        "throttle: {first_lock: 90s, max_failures: 4}",
    ).rules
    a, b = rules.rules

    assert rules.under(a).hotp == HotpRules(5, 8)
    assert rules.under(a).totp == TotpRules(3, 4, widen_every=90 * 86400.0, widen_at_most=7)
    assert rules.under(a).throttle == ThrottleRules(4, 90.0, 120.0)
    assert (b.hotp, b.totp, b.throttle) == (None, None, None)
    assert (rules.under(b).hotp, rules.under(b).totp) == (rules.hotp, rules.totp)


def test_a_language_and_what_a_rule_says_beside_it(site: Site) -> None:
    """First the site's words, then the language's, then the rule's own."""
    rules = site.with_sections(
        "challenge: {code_prompt: 'Code: ', password_prompt: 'Who: ', tries: 2}",
        "languages: {de: {code_prompt: 'Kode: ', next_code_prompt: 'Weiter: ', code_way: den Kode}}",
        "rules: [{name: a, language: de, challenge: {next_code_prompt: 'Noch: ', lifetime: 5s}}, {name: b}]",
    ).rules
    a, b = rules.rules

    assert a.challenge == ChallengeRules(
        5.0, 2, code_prompt="Kode: ", next_code_prompt="Noch: ", password_prompt="Who: ", code_way="den Kode"
    )
    assert rules.under(b).challenge == ChallengeRules(tries=2, code_prompt="Code: ", password_prompt="Who: ")


def test_a_reply_of_a_rule(site: Site) -> None:
    """Groups are sent as the rule spells them, and known as directories do."""
    rule = one_rule(site, "when: {groups: [NetAdmins, ops]}, reply: {Class: '%{group}', Filter-Id: ['a', 'b-%{user}']}")
    class_, *filters = rule.reply

    assert dict(class_.groups) == {"netadmins": "NetAdmins", "ops": "ops"}
    assert [(one.name, one.pair and one.pair[1]) for one in filters] == [("Filter-Id", b"a"), ("Filter-Id", None)]


# --- rules that hide others ---------------------------------------------------------------------------------

NETWORKS = (ip_network("192.0.2.0/24"), ip_network("::/0"))
CONDITIONS = (
    AttributeCondition(name="a", number=61, values=frozenset({b"x"})),
    AttributeCondition(name="b", number=32, prefixes=(b"edge",)),
)


def few(*names: str) -> st.SearchStrategy[frozenset[str]]:
    """Choose some of a few names."""
    return st.frozensets(st.sampled_from(names), max_size=2)


def some(*things: object) -> st.SearchStrategy[tuple[object, ...]]:
    """Choose some of a few things."""
    return st.lists(st.sampled_from(things), max_size=2, unique=True).map(tuple)


PARTS_OF_RULES: dict[str, st.SearchStrategy[object]] = {
    "clients": few("lab", "vpn"),
    "users": few("alice", "bob"),
    "groups": few("staff", "ops"),
    "realms": few("corp", "else"),
    "networks": some(*NETWORKS),
    "hours": some((0, 720), (720, 1440)),
    "attributes": some(*CONDITIONS),
}
ANY_RULE = st.builds(lambda parts: Rule("a", **parts), st.fixed_dictionaries(PARTS_OF_RULES))


def alike(rule: Rule) -> st.SearchStrategy[Rule]:
    """Make a rule that differs in two parts at most, so that one may well hide the other."""
    others = st.fixed_dictionaries({}, optional=PARTS_OF_RULES).map(lambda parts: dict(list(parts.items())[:2]))
    return others.map(lambda parts: replace(rule, **parts))  # type: ignore[arg-type]


def fitting(rule: Rule) -> st.SearchStrategy[Circumstances]:
    """Make a login that fits a rule wherever that can be arranged, and is anything where the rule does not care."""

    def one(wanted: frozenset[str], *others: str) -> st.SearchStrategy[str]:
        return st.sampled_from(sorted(wanted) or others)

    return st.builds(
        Circumstances,
        client=one(rule.clients, "lab", "vpn", "else"),
        user=one(rule.users, "alice", "bob", "carol"),
        realm=one(rule.realms, "", "corp", "else"),
        groups=st.tuples(one(rule.groups, "staff", "ops", "else")),
        caller=st.sampled_from(["192.0.2.9", "2001:db8::9"] if rule.networks else ["", "192.0.2.9", "203.0.113.9"]),
        now=st.sampled_from([0.0, 719.0, 720.0] if rule.hours else [0.0, 720.0, 2000.0]),
        attributes=st.sampled_from(
            [[(61, b"x"), (32, b"edge-1")], [(61, b"x")]] if rule.attributes else [[], [(1, b"")]]
        ),
    )


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Rule, Rule, Circumstances]:
    """Two rules that are nearly the same, and a login that may well fit the second."""
    before = draw(ANY_RULE)
    rule = draw(alike(before))
    return before, rule, draw(fitting(rule))


@given(case=neighbours())
def test_a_hidden_rule_never_decides(case: tuple[Rule, Rule, Circumstances]) -> None:
    """Whoever fits a rule that is said to be hidden fits the one above it too."""
    before, rule, login = case
    if _hides(before, rule) and misfit(rule, login, int) is None:
        event("hidden, and it would have fitted")
        assert misfit(before, login, int) is None


@given(rule=ANY_RULE)
def test_a_rule_hides_its_like(rule: Rule) -> None:
    """A rule is hidden by one of the same conditions, and by one without any."""
    assert _hides(rule, rule)
    assert _hides(Rule("all"), rule)


BACKENDS = st.sampled_from([None, "x", "y"])


@given(case=neighbours(), backends=st.tuples(BACKENDS, BACKENDS))
def test_a_rule_that_is_called_useless_changes_nothing(
    case: tuple[Rule, Rule, Circumstances], backends: tuple[str | None, str | None]
) -> None:
    """Without the rule that is said never to apply, every login finds the same rule and the same backend."""
    before, rule, login = case
    before = replace(before, name="before", primary=backends[0])
    rule = replace(rule, name="rule", primary=backends[1])
    if _hides(before, rule) and _takes_over(before, rule):
        known = {name: Backend(name) for name in ("x", "y")}
        whole = Rules(rules=(before, rule), minute_of_week=int, backends=known)
        without = replace(whole, rules=(before,))
        assert whole.for_login(login) == without.for_login(login)
        assert whole.backend_for(login) == without.backend_for(login)


def test_a_minimal_site_has_one_rule_for_everybody(site: Site) -> None:
    """Without rules everybody may use every factor that the site can judge."""
    assert site.load(minimal()).rules.rules == (Rule("all", ("yubico", "totp", "hotp", "recovery")),)
