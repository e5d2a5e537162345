"""Which rule speaks about a login: each condition refused by itself, and the index compared with a plain search.

What Calling-Station-Id (RFC 2865 5.31) holds is what products write there: addresses, MAC addresses, telephone numbers.
A condition about something that the login does not say is never met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.attributes import AttributeCondition
from radiusd2fa.core.choosing import Chooser, Circumstances, address_of, misfit, within
from radiusd2fa.core.model import NO_CALLER
from radiusd2fa.core.rules import LOCAL, MINUTES_A_WEEK, NO_RULE, NOBODY, Backend, Rule, Rules

OFFICE: Final = ip_network("192.0.2.0/24")
OFFICE6: Final = ip_network("2001:db8:1::/48")
SERVICE_TYPE: Final = AttributeCondition("Service-Type", 6, values=frozenset({b"\0\0\0\x08"}))
HELPDESK: Final = AttributeCondition("NAS-Identifier", 32, values=frozenset({b"helpdesk"}), prefixes=(b"desk-",))

MONDAY_NINE: Final = 9 * 60
AT: Final = Circumstances(
    client="vpn",
    user="alice",
    realm="example.org",
    groups=("staff", "netadmin"),
    caller="192.0.2.7",
    now=float(MONDAY_NINE),
    attributes=((1, b"alice"), (6, b"\0\0\0\x08"), (32, b"desk-3")),
)
"""Everything that a login can say."""
NOTHING_SAID: Final = Circumstances(client="vpn", user="alice", now=float(MONDAY_NINE))
"""The same without what it need not say."""

EXACTING: Final = Rule(
    "exacting",
    clients=frozenset({"vpn", "ssh"}),
    users=frozenset({"alice", "bob"}),
    groups=frozenset({"netadmin", "ops"}),
    realms=frozenset({"example.org"}),
    networks=(OFFICE, OFFICE6),
    hours=((8 * 60, 9 * 60), (MONDAY_NINE, MONDAY_NINE + 1)),
    attributes=(SERVICE_TYPE, HELPDESK),
)
"""A rule with every condition."""


def minute(now: float) -> int:
    """A site where the clock shows minutes of the week."""
    return int(now)


# --- one condition after the other -----------------------------------------------------------------------------------

MISFITS: Final = {
    "another client": ("clients", replace(AT, client="wifi")),
    "the client in capitals": ("clients", replace(AT, client="VPN")),
    "another user": ("users", replace(AT, user="carol")),
    "a user whose name goes on": ("users", replace(AT, user="alice2")),
    "other groups": ("groups", replace(AT, groups=("staff",))),
    "no groups": ("groups", replace(AT, groups=())),
    "another realm": ("realms", replace(AT, realm="example.com")),
    "no realm": ("realms", replace(AT, realm="")),
    "another network": ("networks", replace(AT, caller="192.0.3.7")),
    "no caller": ("networks", replace(AT, caller=NO_CALLER)),
    "a telephone": ("networks", replace(AT, caller="+49 30 1234567")),
    "a minute early": ("hours", replace(AT, now=float(8 * 60 - 1))),
    "a minute late": ("hours", replace(AT, now=float(MONDAY_NINE + 1))),
    "a day late": ("hours", replace(AT, now=float(MONDAY_NINE + 24 * 60))),
    "an attribute with another value": ("attributes", replace(AT, attributes=((6, b"\0\0\0\x01"), (32, b"desk-3")))),
    "one attribute of two": ("attributes", replace(AT, attributes=((6, b"\0\0\0\x08"),))),
    "no attributes": ("attributes", replace(AT, attributes=())),
}


@pytest.mark.parametrize(("condition", "at"), MISFITS.values(), ids=MISFITS.keys())
def test_one_condition_that_is_not_met_is_enough(condition: str, at: Circumstances) -> None:
    """Everything else fits, and still the rule does not: it says because of what, and is not chosen."""
    assert misfit(EXACTING, at, minute) == condition
    assert Chooser((EXACTING,), minute).first(at) is None


def test_a_rule_whose_conditions_are_all_met_fits() -> None:
    """One client, user, group, network and span of each list is enough; of attributes all must fit."""
    assert misfit(EXACTING, AT, minute) is None
    assert Chooser((EXACTING,), minute).first(AT) is EXACTING


@pytest.mark.parametrize("condition", ["groups", "realms", "networks", "attributes"])
def test_what_a_login_does_not_say_meets_no_condition(condition: str) -> None:
    """A rule for a group, a realm, a network or an attribute is not for those of whom it is unknown."""
    wanting = replace(Rule("wanting"), **{condition: getattr(EXACTING, condition)})
    assert misfit(wanting, NOTHING_SAID, minute) == condition
    assert misfit(wanting, AT, minute) is None


def test_a_rule_without_conditions_fits_everybody() -> None:
    """Empty conditions fit, whatever the login says or does not say."""
    for at in (AT, NOTHING_SAID, Circumstances("", "")):
        assert misfit(Rule("all"), at, minute) is None


def test_an_empty_realm_is_no_realm() -> None:
    """Whoever types no realm is of none that a rule can name."""
    assert misfit(Rule("by realm", realms=frozenset({"example.org"})), replace(AT, realm=""), minute) == "realms"


# --- hours -----------------------------------------------------------------------------------------------------------

SPANS: Final = (
    ((0, 1), 0, True),
    ((0, 1), 1, False),
    ((MINUTES_A_WEEK - 1, MINUTES_A_WEEK), MINUTES_A_WEEK - 1, True),
    ((MINUTES_A_WEEK - 1, MINUTES_A_WEEK), 0, False),
    ((480, 1020), 479, False),
    ((480, 1020), 480, True),
    ((480, 1020), 1019, True),
    ((480, 1020), 1020, False),
    ((480, 480), 480, False),
)


@pytest.mark.parametrize(("span", "at", "fits"), SPANS)
def test_a_span_holds_its_first_minute_and_not_its_end(span: tuple[int, int], at: int, fits: bool) -> None:
    """From 8:00 to 17:00 is over at 17:00."""
    rule = Rule("hours", hours=((3000, 3000), span))
    assert (misfit(rule, replace(AT, now=float(at)), minute) is None) is fits


def test_the_minute_is_the_sites_own() -> None:
    """Time reaches a rule only through the site's clock, which is asked at each login, for rules with hours only."""
    asked: list[float] = []

    def clock(now: float) -> int:
        asked.append(now)
        return datetime.fromtimestamp(now, UTC).hour * 60

    site = Rules(rules=(Rule("night", hours=((0, 360),)), Rule("else")), minute_of_week=clock)
    assert site.for_login(replace(AT, now=1_700_000_000.0)).name == "else"  # 22:13
    assert site.for_login(replace(AT, now=1_700_010_000.0)).name == "night"  # 01:00
    assert set(asked) == {1_700_000_000.0, 1_700_010_000.0}
    before = len(asked)
    assert Rules(rules=(Rule("else"),), minute_of_week=clock).for_login(AT).name == "else"
    assert len(asked) == before


# --- callers ---------------------------------------------------------------------------------------------------------

NO_ADDRESS: Final = (
    NO_CALLER,
    " ",
    "00-11-22-33-44-55",
    "00:11:22:33:44:55",
    "001122334455",
    "0011.2233.4455",
    "AA-BB-CC-DD-EE-FF:office",
    "+49301234567",
    "4930123456",
    "3221225991",
    "0xc0000207",
    "console",
    "tty1",
    "localhost",
    "192.0.2",
    "192.0.2.7.1",
    "192.0.2.256",
    "192.0.2.07",
    "192.0.2.-7",
    "192.0.2.7/24",
    " 192.0.2.7",
    "192.0.2.7 ",
    "192.0.2.7\n",
    "192.0.2.7\0",
    "192.0.2.7:",
    "192.0.2.7:http",
    "192.0.2.7:123456",
    "192.0.2.7[]",
    "192.0.2.7[4500",
    "192.0.2.7[4500]:1",
    "\N{FULLWIDTH DIGIT ONE}92.0.2.7",
    "\N{ARABIC-INDIC DIGIT ONE}92.0.2.7",
    "192.0.2.7:\N{ARABIC-INDIC DIGIT ONE}",
    "2001:db8::1::2",
    "2001:db8::g",
    "2001:db8::1/64",
    "[2001:db8::1",
    "2001:db8::1]",
    "[[2001:db8::1]]",
    "[]",
    "[2001:db8::1]4500",
    "[2001:db8::1]:",
    "fe80::1%eth0",
    "fe80::1%1",
    "[fe80::1%eth0]:4500",
    "2001:db8::1%eth0",
    "192.0.2.7, 198.51.100.1",
    "192.0.2.7 192.0.2.8",
)


@pytest.mark.parametrize("caller", NO_ADDRESS)
def test_what_is_no_address_is_in_no_network(caller: str) -> None:
    """MAC addresses, telephone numbers, zones, cut and doubled addresses: not even all of the internet holds them."""
    assert address_of(caller) is None
    assert not within(caller, (ip_network("0.0.0.0/0"), ip_network("::/0")))


SPELLINGS: Final = (
    ("192.0.2.7", "192.0.2.7"),
    ("192.0.2.7:4500", "192.0.2.7"),
    ("192.0.2.7:0", "192.0.2.7"),
    ("192.0.2.7[4500]", "192.0.2.7"),
    ("[192.0.2.7]:4500", "192.0.2.7"),
    ("::ffff:192.0.2.7", "192.0.2.7"),
    ("::FFFF:c000:207", "192.0.2.7"),
    ("[::ffff:192.0.2.7]:4500", "192.0.2.7"),
    ("::ffff:192.0.2.7[4500]", "192.0.2.7"),
    ("2001:db8:1::7", "2001:db8:1::7"),
    ("2001:DB8:1:0:0:0:0:7", "2001:db8:1::7"),
    ("[2001:db8:1::7]", "2001:db8:1::7"),
    ("[2001:db8:1::7]:4500", "2001:db8:1::7"),
    ("2001:db8:1::7[4500]", "2001:db8:1::7"),
    # the last group is no port: RFC 3986 wants brackets for that
    ("2001:db8:1::7:4500", "2001:db8:1::7:4500"),
    ("::192.0.2.7", "::192.0.2.7"),
)


@pytest.mark.parametrize(("caller", "address"), SPELLINGS)
def test_spellings_of_an_address(caller: str, address: str) -> None:
    """With and without a port, in brackets or not; IPv4 in IPv6 is IPv4."""
    assert address_of(caller) == ip_address(address)
    assert within(caller, (ip_network(f"{address}/{32 if '.' in address and ':' not in address else 128}"),))


def test_networks_of_one_version_hold_none_of_the_other() -> None:
    """An IPv4 network does not hold an IPv6 address with the same number, nor the other way round."""
    assert not within("192.0.2.7", (ip_network("::/0"),))
    assert not within("::c000:207", (OFFICE, ip_network("0.0.0.0/0")))
    assert not within("2001:db8:1::7", (OFFICE,))
    assert within("2001:db8:1::7", (OFFICE, OFFICE6))


def test_no_network_holds_nobody() -> None:
    """Where no network is named, nobody is within."""
    assert not within("192.0.2.7", ())


@given(st.text(max_size=40) | st.from_regex(r"[\[\]0-9a-fA-F:.%]{0,30}", fullmatch=True))
def test_no_text_is_an_error(caller: str) -> None:
    """Whatever a NAS writes, it is an address or it is none; an address written out is found again."""
    address = address_of(caller)
    if address is not None:
        assert address_of(str(address)) == address
        assert address_of(f"[{address}]:1") == address
        assert within(caller, (ip_network(address),))


# --- the index is the plain search -----------------------------------------------------------------------------------

CLIENTS: Final = ("vpn", "ssh", "wifi")
USERS: Final = ("alice", "bob", "carol")
GROUPS: Final = ("staff", "netadmin", "ops")
CALLERS: Final = (NO_CALLER, "192.0.2.7", "192.0.3.7", "2001:db8:1::1", "00-11-22-33-44-55")


def _some(*values: str) -> st.SearchStrategy[frozenset[str]]:
    return st.just(frozenset()) | st.frozensets(st.sampled_from(values), max_size=2)


RULES: Final = st.builds(
    Rule,
    name=st.just("rule"),
    line=st.integers(0, 10_000),
    clients=_some(*CLIENTS),
    users=_some(*USERS),
    groups=_some(*GROUPS),
    realms=st.just(frozenset()) | _some("example.org", "example.com"),
    networks=st.sampled_from(((), (), (OFFICE,), (OFFICE6, OFFICE))),
    hours=st.sampled_from(((), (), ((0, 600),), ((600, 1200), (0, 60)))),
    attributes=st.sampled_from(((), (), (SERVICE_TYPE,))),
    primary=st.sampled_from((None, None, "ldap", "none")),
)
AROUND: Final = st.builds(
    Circumstances,
    client=st.sampled_from((*CLIENTS, "printer")),
    user=st.sampled_from((*USERS, "dave")),
    realm=st.sampled_from(("", "example.org")),
    groups=st.lists(st.sampled_from((*GROUPS, "other")), max_size=3).map(tuple),
    caller=st.sampled_from(CALLERS),
    now=st.integers(0, 1300).map(float),
    attributes=st.sampled_from(((), ((6, b"\0\0\0\x08"),))),
)


def plainly_fits(rule: Rule, at: Circumstances) -> bool:
    """The conditions written down a second time, with none of the program's code but the attribute's."""
    in_time = [begin <= at.now < end for begin, end in rule.hours]
    places: list[bool] = []
    for network in rule.networks:
        try:
            address = ip_address(at.caller)
        except ValueError:
            places.append(False)
        else:
            places.append(address.version == network.version and address in network)
    return (
        (not rule.clients or at.client in rule.clients)
        and (not rule.users or at.user in rule.users)
        and (not rule.groups or bool(rule.groups & set(at.groups)))
        and (not rule.realms or at.realm in rule.realms)
        and (not rule.networks or any(places))
        and (not rule.hours or any(in_time))
        and all(condition.fits(at.attributes) for condition in rule.attributes)
    )


def first(rules: Sequence[Rule], at: Circumstances) -> Rule | None:
    """The first that fits, by looking at each."""
    return next((rule for rule in rules if plainly_fits(rule, at)), None)


@given(st.lists(RULES, max_size=12), st.lists(AROUND, min_size=1, max_size=6))
def test_the_index_finds_what_a_plain_search_finds(rules: list[Rule], arounds: list[Circumstances]) -> None:
    """Whatever the rules and the login, the very rule that comes first in the file and fits is chosen."""
    chooser = Chooser(rules, minute)
    naming = [rule for rule in rules if rule.primary is not None]
    for at in arounds:
        assert chooser.first(at) is first(rules, at)
        assert chooser.first_naming_a_backend(at) is first(naming, at)
        assert [misfit(rule, at, minute) is None for rule in rules] == [plainly_fits(rule, at) for rule in rules]


# --- who checks the password -----------------------------------------------------------------------------------------

LDAP: Final = Backend("ldap", looks_up=True)
OLD: Final = Backend("old")
SITE: Final = Rules(
    rules=(
        Rule("guests", realms=frozenset({"guests"}), primary="none"),
        Rule("switches", clients=frozenset({"switch"}), groups=frozenset({"netadmin"})),
        Rule("partners", realms=frozenset({"partner.example"}), primary="old"),
        Rule("all", primary=None),
        Rule("never reached", primary="old"),
    ),
    primary=LDAP,
    backends={"old": OLD, "none": NOBODY, "local": LOCAL},
    minute_of_week=minute,
)

BACKENDS: Final = (
    (replace(AT, realm="guests"), "guests", "none"),
    (replace(AT, realm="partner.example"), "partners", "old"),
    (replace(AT, realm="partner.example", client="switch"), "switches", "old"),
    (AT, "all", "old"),
    (replace(AT, realm=""), "all", "old"),
)


@pytest.mark.parametrize(("at", "rule", "backend"), BACKENDS)
def test_the_first_rule_that_names_a_backend_and_fits_says_who_checks(
    at: Circumstances, rule: str, backend: str
) -> None:
    """It need not be the rule that decides the rest: a realm's passwords are checked in one place for all rules."""
    assert SITE.for_login(at).name == rule
    assert SITE.backend_for(at).name == backend


def test_where_no_rule_names_a_backend_the_sites_own_checks() -> None:
    """So it does when the name is nobody's, which the settings have refused already."""
    assert Rules(primary=LDAP).backend_for(AT) is LDAP
    assert Rules(rules=(Rule("all", primary="gone"),), primary=LDAP).backend_for(AT) is LDAP
    assert Rules(rules=(Rule("all", clients=frozenset({"ssh"}), primary="none"),), primary=LDAP).backend_for(AT) is LDAP


def test_backends_are_known_by_name() -> None:
    """The site's own and every other one; nobody else."""
    assert [SITE.backend(name) for name in ("ldap", "old", "none", "local", "gone", "")] == [
        LDAP,
        OLD,
        NOBODY,
        LOCAL,
        None,
        None,
    ]


def test_a_rule_is_found_by_the_name_that_a_question_remembers() -> None:
    """One that is there no more, or a question that names none, is NO_RULE: nobody gets in by it."""
    assert SITE.named("partners") is SITE.rules[2]
    assert SITE.named("gone") is NO_RULE
    assert SITE.named("") is NO_RULE


def test_networks_of_the_settings_are_what_a_rule_holds() -> None:
    """The types that ``ipaddress`` makes of the settings are those that ``within`` takes."""
    assert isinstance(OFFICE, IPv4Network)
    assert isinstance(OFFICE6, IPv6Network)
