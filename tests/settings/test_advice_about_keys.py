"""What the settings allow security keys although it is weak or cannot work, and what is said about it.

Only a site in which no key could ever answer, or in which one is needed and cannot, is told at every start.
Answers to no RFC; docs/fido-over-radius.md says what each ceremony is worth.
"""

from __future__ import annotations

import pytest

from radiusd2fa.core import ceremonies
from radiusd2fa.core.accounts import gather
from radiusd2fa.core.model import AccessRequest, Flow, Known, Nas
from radiusd2fa.core.rules import CEREMONIES, FidoRules, Rule, Rules, Station
from radiusd2fa.settings import Settings
from radiusd2fa.settings.advice import about_keys, about_paste, about_stations, obstacle

from .conftest import SECRET, Site, minimal

FIDO = "fido: {rp_id: auth.example.org}"
LOBBY = "stations: {lobby: {clients: [lab], reader: ACS}}"
BASTION = f"  bastion: {{networks: [192.0.2.20], secret: '{SECRET}', host_names: [bastion.example.org]}}"
VPN = f"  vpn: {{networks: [192.0.2.10], secret: '{SECRET}'}}"


def said(loaded: Settings) -> list[str]:
    """Return all advice about keys."""
    return [*about_keys(loaded.clients, loaded.rules), *about_stations(loaded.stations)]


NO_HOSTS = "the client has no host_names, and no station serves this client"
HOW = "write the names that people type behind `ssh`, or name it under the clients of a station"

DOUBTFUL = {
    "a relying party and nothing else": (
        (FIDO,),
        (),
        f"rule all: no security key can answer at lab: {NO_HOSTS}; {HOW}",
    ),
    "two clients and nothing else": (
        (VPN, FIDO),
        (),
        f"rule all: no security key can answer at lab and vpn: {NO_HOSTS}; {HOW}",
    ),
    "ssh alone, without host names": (
        (FIDO, LOBBY, "rules: [{name: a, ceremonies: [ssh]}]"),
        (),
        (
            "line 9: rule a: no security key can answer at lab: the client has no host_names; write the names that "
            "people type behind `ssh`"
        ),
    ),
    "ssh beside a station, without host names": (
        (FIDO, LOBBY),
        (),
        (
            "rule all: it allows ssh, and none of its clients has host_names; write the names that people type behind "
            "`ssh`, or leave ssh out of its ceremonies"
        ),
    ),
    "keys alone, ssh beside a station, without host names": (
        (FIDO, LOBBY, "rules: [{name: a, factors: [fido]}]"),
        (),
        (
            "line 9: rule a: it allows ssh, and none of its clients has host_names; write the names that people type "
            "behind `ssh`, or leave ssh out of its ceremonies"
        ),
    ),
    "keys alone, and a client without": (
        (BASTION, VPN, FIDO, LOBBY, "rules: [{name: a, factors: [fido]}]"),
        (),
        f"line 11: rule a: no security key can answer at vpn: {NO_HOSTS}; {HOW}",
    ),
    "a station alone, and a client without": (
        (BASTION, FIDO, LOBBY, "rules: [{name: a, ceremonies: [station]}]"),
        (),
        (
            "line 10: rule a: no security key can answer at bastion: no station serves this client; "
            "name it under the clients of a station"
        ),
    ),
    "a station alone, and none": (
        (FIDO, "rules: [{name: a, ceremonies: [station]}]"),
        ("host_names: [lab]",),
        (
            "line 9: rule a: no security key can answer at lab: no station serves this client; "
            "name it under the clients of a station"
        ),
    ),
    "a flow that asks nothing": (
        (FIDO, LOBBY, "rules: [{name: a, ceremonies: [ssh, station, paste]}]"),
        ("host_names: [lab]", "flow: append"),
        (
            "line 11: rule a: no security key can answer at lab: its flow append asks no question that a key could "
            "answer; write flow: auto"
        ),
    ),
    "stations without a relying party": (
        (LOBBY,),
        (),
        "stations: they are for security keys, and there is no section fido:; add one, or delete stations",
    ),
    "two stations that take everything": (
        (FIDO, "stations: {lobby: {clients: [lab]}, door: {clients: [lab]}, desk: {clients: [lab], reader: ACS}}"),
        ("host_names: [lab]",),
        (
            "stations lobby and door: each takes whatever key it finds, so on one host they would take each other's; "
            "give each its usb or its reader"
        ),
    ),
}


@pytest.mark.parametrize(("sections", "client", "sentence"), DOUBTFUL.values(), ids=list(DOUBTFUL))
def test_what_cannot_work_is_said(
    site: Site, sections: tuple[str, ...], client: tuple[str, ...], sentence: str
) -> None:
    """One sentence says which rule, at which clients, why, and what to write."""
    assert said(site.load(minimal(*sections, client=client))) == [sentence]


QUIET = {
    "no keys": (),
    "host names": (BASTION, FIDO, "rules: [{name: a, when: {clients: [bastion]}, factors: [fido]}]"),
    "a station": (FIDO, LOBBY, "rules: [{name: a, factors: [fido], ceremonies: [station]}]"),
    "paste": (FIDO, "rules: [{name: a, factors: [fido], ceremonies: [paste]}]"),
    "a VPN for codes beside a bastion": (BASTION, VPN, FIDO),
    "a rule without keys": (BASTION, FIDO, "rules: [{name: a, factors: [hotp], ceremonies: [station]}]"),
    "hosts of two clients that share a name": (BASTION, BASTION.replace("bastion:", "b:").replace(".20", ".21"), FIDO),
    "an origin longer than the RP ID": (BASTION, "fido: {rp_id: example.org, origin: 'https://a.example.org'}"),
    "one station that takes everything": (
        FIDO,
        "stations: {a: {clients: [lab]}, b: {clients: [lab], usb: /dev/a}}",
        "rules: [{name: a, ceremonies: [station]}]",
    ),
}


@pytest.mark.parametrize("sections", QUIET.values(), ids=list(QUIET))
def test_what_works_is_left_alone(site: Site, sections: tuple[str, ...]) -> None:
    """A site in which each key has somewhere to answer is told nothing."""
    assert said(site.with_sections(*sections)) == []


def test_host_names_without_a_relying_party_are_warned_about(site: Site) -> None:
    """They do nothing, and the site may think that they do."""
    assert site.with_client("host_names: [bastion.example.org]").warnings == (
        "client lab: host_names are for security keys, and there is no section fido:; add one, or delete host_names",
    )


def test_paste_is_not_said_at_every_start(site: Site) -> None:
    """That paste stops no live relay is advice for ``check``: a site may have chosen it, and need not hear it daily."""
    rules = "rules: [{name: a, ceremonies: [paste]}, {name: b, factors: [hotp], ceremonies: [paste]}, {name: c}]"
    loaded = site.with_sections(BASTION, FIDO, rules.replace("a, ", "a, when: {users: [x]}, ", 1))
    (sentence,) = about_paste(loaded.rules.rules)

    assert sentence.startswith("line 9: rule a: it allows paste, so whoever passes our prompt on to a person")
    assert not any("paste" in warning for warning in loaded.warnings)


FITTING = (Station("lobby", frozenset({"lab", "other"})), Station("door", frozenset({"lab"})))
FOREIGN = (Station("lobby", frozenset({"other"})),)


@pytest.mark.parametrize("stations", [(), FITTING, FOREIGN], ids=["no stations", "its stations", "others' stations"])
@pytest.mark.parametrize("host_names", [(), ("lab.example",)], ids=["no hosts", "hosts"])
@pytest.mark.parametrize("ways", [*((way,) for way in CEREMONIES), CEREMONIES], ids=" ".join)
def test_an_obstacle_is_there_when_the_daemon_makes_no_offer(
    stations: tuple[Station, ...], host_names: tuple[str, ...], ways: tuple[str, ...]
) -> None:
    """What is said to be possible is what a challenge offers, in each flow that has challenges."""
    rule = Rule("a", ("fido",), ceremonies=ways)
    rules = Rules((rule,), fido=FidoRules("a.example", "https://a.example"), stations=stations)
    for flow in (Flow.CHALLENGE, Flow.AUTO, Flow.CODE_ONLY):
        nas = Nas("lab", flow, host_names=host_names)
        facts = gather(AccessRequest(nas, "alice"), "alice", Known(), 0.0, b"", rules, {})
        offer = ceremonies.offer(facts, password_passed=False)
        possible = {way for way in CEREMONIES if obstacle(way, rule, nas, stations) is None}

        assert offer.responder == bool(possible & {"ssh", "paste"})
        assert bool(offer.stations) == ("station" in possible)


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND])
@pytest.mark.parametrize("way", CEREMONIES)
def test_a_flow_without_questions_is_an_obstacle(way: str, flow: Flow) -> None:
    """Where password and code come together nothing is asked, so a key has nothing to answer."""
    rule = Rule("a", ("fido",), ceremonies=CEREMONIES)
    found = obstacle(way, rule, Nas("lab", flow, host_names=("lab",)), FITTING)

    assert found is not None
    assert str(found) == f"its flow {flow} asks no question that a key could answer; write flow: auto"


def test_a_client_that_no_rule_speaks_of_is_named(site: Site) -> None:
    """Rules for some clients leave the others without any, and nobody gets in there: that is said at every start."""
    rules = "rules: [{name: vpn, when: {clients: [vpn]}, factors: [hotp]}]"
    told = [one for one in site.load(minimal(VPN, rules)).warnings if "no rule fits it" in one]
    assert len(told) == 1
    assert told[0].startswith("client lab: ")
    assert not [one for one in site.load(minimal(VPN, f"{rules[:-1]}, {{name: all}}]")).warnings if "no rule" in one]
