"""What a site may write that opens more than it seems: refused where it can mean nothing good, else said aloud.

Each sentence is tried beside the very same file without the one word that earns it.
RFC 2865 3 (secrets of 16 octets or more), RFC 2865 5.11 (Filter-Id).
"""

from __future__ import annotations

import pytest

from .conftest import SECRET, Site, minimal

STRIPS = f"  vpn: {{networks: [192.0.2.10], secret: '{SECRET}', strip_realm: yes}}"
KEEPS = f"  vpn: {{networks: [192.0.2.10], secret: '{SECRET}'}}"
SAYS_REALM = "line 8: rule a: its reply says %{realm}, and at vpn people may type any; "


@pytest.mark.parametrize(
    "empty", ["attributes: {}", "users: []", "groups: []", "clients: []", "realms: []", "days: []"]
)
def test_a_condition_that_names_nothing_is_refused(site: Site, empty: str) -> None:
    """It would fit everybody, or nobody: whoever wrote it meant something else."""
    (fault,) = site.faults(minimal(f"rules: [{{name: a, when: {{{empty}}}, enrolment: off}}]"))
    assert fault.line == 7
    assert empty.partition(":")[0] in str(fault)


@pytest.mark.parametrize(
    "reply", ["Filter-Id: '%{realm}'", "Class: ['staff', 'of %{realm}']", "Filter-Id: 'x%{realm}y'"]
)
def test_a_reply_that_people_write_themselves_is_warned_about(site: Site, reply: str) -> None:
    """Where the realm is cut off, alice@domain-admins is alice, and says into the reply what she likes."""
    (said,) = site.with_sections(STRIPS, f"rules: [{{name: a, reply: {{{reply}}}}}]").warnings
    assert said.startswith(SAYS_REALM)


@pytest.mark.parametrize(
    ("client", "rule"),
    [
        (KEEPS, "reply: {Filter-Id: '%{realm}'}"),
        (STRIPS, "when: {clients: [lab]}, reply: {Filter-Id: '%{realm}'}"),
        (STRIPS, "reply: {Filter-Id: '%{user}'}"),
        (STRIPS, "reply: {Filter-Id: '%%{realm}'}"),
    ],
    ids=["a name of its own", "at another client", "the user", "no substitution"],
)
def test_other_replies_are_not(site: Site, client: str, rule: str) -> None:
    """Where alice@realm is somebody else than alice, where nobody's realm is cut off, and where no realm is said."""
    said = site.with_sections(client, f"rules: [{{name: a, {rule}}}, {{name: z}}]").warnings
    assert not any("%{realm}" in one for one in said)


def test_a_reply_for_realms_that_are_named_is_not_warned_about_twice(site: Site) -> None:
    """Of those only the named ones come through; that people may choose among them is said already."""
    rule = "rules: [{name: a, when: {realms: [x]}, reply: {Filter-Id: '%{realm}'}}, {name: z}]"
    (said,) = site.with_sections(STRIPS, rule).warnings
    assert said.startswith("client vpn: it strips realms")


@pytest.mark.parametrize(
    ("networks", "where"),
    [
        ("0.0.0.0/0", "everywhere"),
        ("'::/0'", "everywhere"),
        ("192.0.2.0/24, '::/0'", "everywhere"),
        ("192.0.2.0/24", "on some networks"),
        ("0.0.0.0/1", "on some networks"),
    ],
)
def test_how_far_a_skip_reaches_is_said(site: Site, networks: str, where: str) -> None:
    """The whole internet is not some networks."""
    (said,) = site.with_sections(f"rules: [{{name: a, skip: {{networks: [{networks}], until: 2027-01-31}}}}]").warnings
    assert said.startswith("line 7: rule a: ")
    assert f"a password is enough {where}; " in said


@pytest.mark.parametrize(("secret", "short"), [("x", True), ("x" * 15, True), ("x" * 16, False)])
@pytest.mark.parametrize("after_another", [False, True])
def test_a_short_secret_of_an_upstream_server_is_warned_about(
    site: Site, secret: str, short: bool, after_another: bool
) -> None:
    """Of whichever server: it signs what we believe. The secret itself is not said."""
    servers = [f"{{address: 192.0.2.51, secret: '{secret}'}}"]
    if after_another:
        servers.insert(0, f"{{address: 192.0.2.50, secret: '{SECRET}'}}")
    said = [
        one
        for one in site.with_sections(f"primary: {{kind: radius, servers: [{', '.join(servers)}]}}").warnings
        if "a secret of its servers is shorter than 16 characters" in one
    ]
    assert len(said) == (1 if short else 0)
    assert not any("xxx" in one for one in said)


@pytest.mark.parametrize(
    ("servers", "options", "too_long"),
    [(1, "timeout: 5s", False), (1, "timeout: 2s, tries: 3", True), (2, "timeout: 2500ms", False), (3, "", True)],
)
def test_servers_that_can_take_longer_than_a_login_are_warned_about(
    site: Site, servers: int, options: str, too_long: bool
) -> None:
    """All tries at all of them: the daemon has given the login up by then."""
    listed = ", ".join(f"{{address: 192.0.2.{50 + one}, secret: '{SECRET}'}}" for one in range(servers))
    section = ", ".join(filter(None, ("kind: radius", f"servers: [{listed}]", options)))
    said = [one for one in site.with_sections(f"primary: {{{section}}}").warnings if "5 s after which a login" in one]
    assert len(said) == (1 if too_long else 0)
