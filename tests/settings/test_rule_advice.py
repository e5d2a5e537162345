"""What is said about rules: that one can never fit, or lets somebody in with less than a rule seems to ask for.

Each sentence has the line and the name of its rule, so that it can be found, and says what to write.
Answers to no RFC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from radiusd2fa.settings.rule_advice import about_ended

from .conftest import SECRET, Site, minimal

OLD = "backends: {old: {kind: radius, servers: [{address: 192.0.2.50, secret: 'of enough characters'}]}}"
DIRECTORY = "primary: {kind: ldap, servers: ['ldaps://dc'], base: dc=x, groups: none}"
VPN = f"  vpn: {{networks: [192.0.2.10], secret: '{SECRET}', strip_realm: yes, flow: code-only}}"
BUT = "no password is asked for (flow: code-only), so everybody still needs a code there; write another flow, or delete"

SAID = {
    "hidden by a rule for everybody": (
        ("rules: [{name: all}, {name: late}]",),
        "line 7: rule late: it never applies, because rule all above it fits everybody; move it up, or delete it",
    ),
    "hidden by a wider rule": (
        (
            "rules:",
            "- {name: a, when: {users: [alice, bob], days: [mon]}}",
            "- {name: b, when: {users: [bob], groups: [x], days: [mon]}}",
            "- {name: all}",
        ),
        (
            "line 9: rule b: it never applies, because rule a above it fits everybody that it is for; "
            "move it up, or delete it"
        ),
    ),
    "hidden with the backend that it names": (
        ("rules: [{name: a, primary: none}, {name: b, primary: local}]",),
        "line 7: rule b: it never applies, because rule a above it fits everybody; move it up, or delete it",
    ),
    "no token is needed until further notice": (
        ("rules: [{name: a, enrolment: off}]",),
        (
            "line 7: rule a: people who have never had a token get in with their password alone; "
            "write enrolment: {grace_until: DATE} as soon as you can"
        ),
    ),
    "no token is needed for a while": (
        ("time_zone: Pacific/Auckland", "rules: [{name: a, enrolment: {grace_until: 2027-01-31}}]"),
        (
            "line 8: rule a: until 2027-01-31 people who have never had a token get in with their password alone; "
            "hand tokens out before then"
        ),
    ),
    "another system decides": (
        (OLD, "rules: [{name: a, enrolment: {upstream: old, until: 2027-01-31}}]"),
        (
            "line 8: rule a: until 2027-01-31 old decides alone about people who have never had a token; "
            "hand tokens out before then"
        ),
    ),
    "a network without codes": (
        ("rules: [{name: a, skip: {networks: [10.0.0.0/8], until: 2027-01-31}}]",),
        "line 7: rule a: until 2027-01-31 a password is enough on some networks; delete skip as soon as you can",
    ),
    "groups that nobody reads": (
        (DIRECTORY, "rules: [{name: a, when: {groups: [x]}}, {name: all}]"),
        (
            "line 8: rule a: it is for groups, of which ldap tells us none, so it fits only people to whom "
            "`user add --group` gave them; let a backend tell them, or name users"
        ),
    ),
    "groups of an upstream server": (
        (
            "primary: {kind: radius, servers: [{address: 192.0.2.1, secret: 'of enough characters'}]}",
            "rules: [{name: a, when: {groups: [x]}}, {name: all}]",
        ),
        "line 8: rule a: it is for groups, of which radius tells us none, so it fits only people to whom",
    ),
    "groups of newcomers": (
        (
            OLD,
            DIRECTORY.replace(", groups: none", ""),
            "rules: [{name: a, when: {groups: [x]}, enrolment: {upstream: old, until: 2027-01-31}}, {name: all}]",
        ),
        (
            "line 9: rule a: the groups of newcomers are known only after ldap has let them in, "
            "so old is never asked about them; choose them by users or clients"
        ),
    ),
    "users without the realm": (
        ("rules: [{name: a, when: {users: [alice, bob@else], realms: [corp]}}, {name: all}]",),
        (
            "line 7: rule a: none of its users has one of its realms, so it can never fit; "
            "write users as alice@realm, or delete the realms"
        ),
    ),
    "realms that are stripped": (
        (VPN, "rules: [{name: a, when: {realms: [corp]}}, {name: b, when: {clients: [lab], realms: [x]}}, {name: c}]"),
        (
            "client vpn: it strips realms, so alice and alice@realm are one person, who may choose by what they type "
            "whether rule a applies; delete strip_realm, or those realms"
        ),
    ),
    "a code for people who are known": (
        ("rules: [{name: a, when: {groups: [x]}, ask_code: always}, {name: all}]",),
        (
            "line 7: rule a: it asks for a code even after a wrong password, but only people whom we know are in its "
            "users and groups, so strangers can tell who is; choose it by clients instead"
        ),
    ),
    "a language beyond ASCII": (
        (
            "languages: {de: {code_way: '\N{LATIN CAPITAL LETTER U WITH DIAERESIS}'}}",
            "rules: [{name: a, language: de}]",
        ),
        "line 8: rule a: what it asks is not plain ASCII (code_way), and some devices show such characters wrongly;",
    ),
    "a reply that is too long": (
        (
            "    max_reply: 256",
            f"rules: [{{name: a, when: {{users: [x]}}, reply: {{Class: ['{'x' * 230}', y]}}}}, {{name: all}}]",
        ),
        "line 8: rule a: at lab an Access-Accept can be longer than the 256 octets that are read there, and such a ",
    ),
}


@pytest.mark.parametrize(("sections", "sentence"), SAID.values(), ids=list(SAID))
def test_what_is_doubtful_about_a_rule_is_said(site: Site, sections: tuple[str, ...], sentence: str) -> None:
    """One sentence, with the line of the rule, the reason and the remedy."""
    *others, said = site.with_sections(*sections).warnings

    assert said.startswith(sentence)
    assert "; " in said
    assert all("decides alone" in other for other in others)


def test_nobody_checks_the_password_that_is_to_be_enough(site: Site) -> None:
    """Grace and skip open no door where no password is checked; that is said, because the site will wonder."""
    rules = "rules: [{name: a, enrolment: off}]"
    _, nobody = site.with_sections("primary: {kind: none}", rules).warnings
    assert nobody == (
        "line 8: rule a: nobody checks a password there, so everybody still needs a code; delete enrolment and skip"
    )
    _, one = site.with_sections(VPN, rules).warnings
    assert one == f"line 8: rule a: at vpn {BUT} enrolment and skip"


QUIET = {
    "rules for different people": ("rules: [{name: a, when: {users: [x]}}, {name: b, when: {users: [y]}}, {name: c}]",),
    "the narrower one first": (
        "rules: [{name: a, when: {users: [x], days: [mon]}}, {name: b, when: {users: [x]}}, {name: c}]",
    ),
    "a late rule that names the backend": ("rules: [{name: a}, {name: b, primary: none}]",),
    "groups that some backend reads": (
        DIRECTORY,
        "backends: {host: {kind: pam}}",
        "rules: [{name: a, when: {groups: [x]}}, {name: b, when: {users: [y]}, primary: host}, {name: all}]",
    ),
    "groups of the store, and another system": (
        OLD,
        "rules: [{name: a, when: {groups: [x]}, enrolment: {upstream: old, until: 2027-01-31}}, {name: all}]",
    ),
    "users with their realm": ("rules: [{name: a, when: {users: [alice@corp], realms: [CORP]}}, {name: all}]",),
    "realms where they are kept": ("rules: [{name: a, when: {realms: [x]}}, {name: all}]",),
    "a code for all of a device": ("rules: [{name: a, when: {clients: [lab]}, ask_code: always}, {name: all}]",),
    "a language in ASCII": ("languages: {de: {code_way: den Kode}}", "rules: [{name: a, language: de}]"),
}


@pytest.mark.parametrize("sections", QUIET.values(), ids=list(QUIET))
def test_what_can_work_is_left_alone(site: Site, sections: tuple[str, ...]) -> None:
    """Rules that each have their people, and that ask for what can be known, are told nothing."""
    doors = re.compile("people who have never had a token")

    assert [said for said in site.with_sections(*sections).warnings if not doors.search(said)] == []


ENDING = minimal(
    OLD,
    "time_zone: UTC",
    "rules:",
    "- {name: a, when: {users: [x]}, enrolment: {grace_until: 2027-01-31}}",
    "- {name: b, when: {users: [y]}, enrolment: {upstream: old, until: 2027-01-30}}",
    "- {name: c, skip: {networks: [10.0.0.0/8], until: 2027-02-01}}",
)
ENDED = {
    "2027-01-30T23:59:59": [],
    "2027-01-31T00:00:00": ["line 11: rule b: the time of its enrolment ended with 2027-01-30; delete enrolment"],
    "2027-02-01T00:00:00": [
        "line 10: rule a: the time of its enrolment ended with 2027-01-31; delete enrolment",
        "line 11: rule b: the time of its enrolment ended with 2027-01-30; delete enrolment",
    ],
    "2027-02-02T00:00:00": [
        "line 10: rule a: the time of its enrolment ended with 2027-01-31; delete enrolment",
        "line 11: rule b: the time of its enrolment ended with 2027-01-30; delete enrolment",
        "line 12: rule c: the time of its skip ended with 2027-02-01; delete skip",
    ],
}


@pytest.mark.parametrize(("moment", "sentences"), ENDED.items(), ids=list(ENDED))
def test_a_date_that_has_passed_is_said(site: Site, moment: str, sentences: list[str]) -> None:
    """From the second on at which something has ended, and only for who knows the time: not at every start."""
    loaded = site.load(ENDING)
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()

    assert list(about_ended(loaded.rules, loaded.zone(), now)) == sentences
    assert not any("ended" in said for said in loaded.warnings)
