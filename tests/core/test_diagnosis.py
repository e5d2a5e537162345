"""What the doctor says about a device, from packets as the daemon has noted them.

First what must not be said: a healthy device has no fault, whichever of the make that we know it is. Then each
complaint, once with the packets that cause it and once without. RFC 2865 2.5, RFC 3579 3.2, RFC 5080 2.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.diagnosis import Advice, Device, Gravity, diagnose, gravest, summary
from radiusd2fa.core.makes import LIBKRAD, looks_like
from radiusd2fa.core.model import Flow, Reason
from radiusd2fa.core.seen import CallerForm, Credential, NameForm, Seen, SeenPacket

MONDAY: Final = 1_800_000_000.0
VPN: Final = Device("vpn", networks=("10.0.0.0/24",), listening=(1812,))

PAM_RADIUS: Final = SeenPacket(
    code=1,
    identifier=49,
    authenticator="00",
    attributes=("1", "2", "4", "32", "5", "61", "6", "31"),
    signed=False,
    credential=Credential.PAP,
    name=NameForm.PLAIN,
    person="a1",
    states=0,
    proxy_states=0,
    caller=CallerForm.IPV4,
    service_type=8,
    nas_port_type=5,
    length=103,
)
PLAIN: Final = replace(
    PAM_RADIUS, attributes=("80", "1", "2", "31"), signed=True, service_type=None, nas_port_type=None
)
"""Nobody's in particular, and nothing is wrong with it."""
MAKES: Final = {  # pam_radius and ocserv exactly as Debian 12's were seen to write them
    "pam_radius": PAM_RADIUS,
    "ocserv": replace(PAM_RADIUS, attributes=("1", "2", "4", "31", "77", "6", "61", "32"), nas_port_type=0),
    "openvpn": replace(PAM_RADIUS, attributes=("1", "2", "32", "5", "61", "6", "7", "44", "31", "4"), service_type=5),
    "strongswan": replace(
        PAM_RADIUS,
        attributes=("1", "2", "61", "6", "87", "4", "30", "31", "5", "32", "80"),
        signed=True,
        service_type=2,
        caller=CallerForm.IPV4_WITH_PORT,
    ),
    LIBKRAD: replace(PAM_RADIUS, attributes=("2", "32", "6", "1"), nas_port_type=None, caller=CallerForm.ABSENT),
    "opnsense": replace(
        PAM_RADIUS,
        attributes=("1", "6", "7", "32", "5", "61", "2"),
        service_type=1,
        nas_port_type=15,
        caller=CallerForm.ABSENT,
    ),
    "fortigate": replace(PLAIN, attributes=("80", "1", "2", "26.12356.3")),
    "paloalto": replace(PLAIN, attributes=("80", "1", "2", "26.25461.7")),
    "asa": replace(PLAIN, attributes=("80", "1", "2", "26.9.1", "26.3076.146")),
    "ios": replace(PLAIN, attributes=("80", "1", "2", "26.9.1")),
    "junos": replace(PLAIN, attributes=("80", "1", "2", "26.2636.1")),
    "mikrotik": replace(PLAIN, attributes=("80", "1", "2", "26.14988.3")),
    "netscaler": replace(PLAIN, attributes=("80", "1", "2", "26.5951.1")),
    "f5": replace(PLAIN, attributes=("80", "1", "2", "26.3375.1")),
    "checkpoint": replace(PLAIN, attributes=("80", "1", "2", "26.2620.1")),
}


def at(
    seconds: float,
    fate: str = "accepted:ok",
    packet: SeenPacket | None = PLAIN,
    *,
    port: int = 40000,
    latency: float | None = 0.01,
    source: str = "10.0.0.1",
) -> Seen:
    """A datagram so long after the first; only what was decided has a latency."""
    return Seen(MONDAY + seconds, source, port, fate, latency if ":" in fate else None, packet)


def several(
    fate: str, packet: SeenPacket = PLAIN, number: int = 4, every: float = 20.0, start: float = 0.0
) -> list[Seen]:
    """The same again and again, each a packet of its own."""
    times = [start + every * turn for turn in range(number)]
    return [
        at(time, fate, replace(packet, identifier=turn, authenticator=f"{time}")) for turn, time in enumerate(times)
    ]


def login(start: float, first: SeenPacket, identifier: int) -> list[Seen]:
    """A question and its answer."""
    one = replace(first, identifier=identifier, authenticator=f"q{identifier}")
    two = replace(one, identifier=identifier + 1, authenticator=f"a{identifier}", states=1)
    return [at(start, "challenged:code_wanted", one), at(start + 9, "accepted:ok", two)]


def words(advice: Sequence[Advice]) -> list[str]:
    """What was noticed."""
    return [one.word for one in advice]


def faults(seen: Sequence[Seen], device: Device = VPN) -> list[str]:
    """What is called a fault."""
    return [one.word for one in diagnose(seen, device) if one.gravity is Gravity.FAULT]


def the(word: str, seen: Sequence[Seen], device: Device = VPN) -> Advice:
    """The one piece of advice of that name."""
    (found,) = [one for one in diagnose(seen, device) if one.word == word]
    return found


# --- healthy devices -------------------------------------------------------------------------------------------------


def test_nothing_is_said_about_a_healthy_device() -> None:
    """Signed requests, questions that are answered, a caller: there is nothing to say at all."""
    seen = [
        *login(0, PLAIN, 1),
        *login(60, PLAIN, 3),
        at(120, "rejected:wrong_code", replace(PLAIN, authenticator="r")),
    ]
    assert diagnose(seen, VPN) == []
    assert gravest([]) is None


@pytest.mark.parametrize("make", [make for make in MAKES if make != LIBKRAD])
def test_no_make_is_a_fault_in_itself(make: str) -> None:
    """Each make that we know logs in under its own profile without a fault; what is said is worth knowing at most."""
    packet = MAKES[make]
    device = replace(VPN, profile=make, require_message_authenticator=packet.signed, timeout=3.0)
    assert faults([*login(0, packet, 1), *login(60, packet, 3)], device) == []


def test_a_fresh_question_is_not_called_unanswered() -> None:
    """Three people who were asked a moment ago are still typing."""
    assert faults(several("challenged:code_wanted", number=5, every=2)) == []


def test_a_wrong_password_now_and_then_is_no_wrong_secret() -> None:
    """One password that was right proves the secret."""
    packet = MAKES["pam_radius"]
    device = replace(VPN, require_message_authenticator=False)
    assert faults([*several("rejected:wrong_password", packet), at(99, "challenged:code_wanted", packet)], device) == []


def test_a_few_wrong_passwords_are_no_wrong_secret() -> None:
    """Two refusals are two refusals."""
    device = replace(VPN, require_message_authenticator=False)
    assert faults(several("rejected:wrong_password", PAM_RADIUS, number=2), device) == []


def test_signed_wrong_passwords_are_no_wrong_secret() -> None:
    """A right signature proves the secret, however wrong the passwords are."""
    assert faults(several("rejected:wrong_password")) == []


def test_one_lost_reply_is_no_fault() -> None:
    """A network loses a packet now and then."""
    assert faults([at(0), at(3, "duplicate_answered")]) == []


def test_locks_are_no_business_of_the_doctor() -> None:
    """Who is locked is between them and the administrator."""
    assert faults(several("rejected:locked")) == []


# --- the complaints --------------------------------------------------------------------------------------------------

Case = tuple[Sequence[Seen], Device, str, Gravity, str, str]

CASES: Final[dict[str, Case]] = {
    "unsigned and dropped": (
        several("no_message_authenticator", PAM_RADIUS),
        VPN,
        "no_message_authenticator",
        Gravity.FAULT,
        "all of its last 4 requests got no answer",
        "message_authenticator: observe",
    ),
    "some unsigned": (
        [*several("no_message_authenticator", PAM_RADIUS, number=1), *login(50, PLAIN, 7)],
        VPN,
        "no_message_authenticator",
        Gravity.FAULT,
        "1 of its last 3 requests",
        "observe",
    ),
    "unsigned and observed": (
        login(0, PAM_RADIUS, 1),
        replace(VPN, require_message_authenticator=False),
        "unsigned",
        Gravity.NOTE,
        "all of its last 2 requests carried no Message-Authenticator",
        "message_authenticator: required",
    ),
    "signed and only observed": (
        login(0, PLAIN, 1),
        replace(VPN, require_message_authenticator=False),
        "could_be_required",
        Gravity.NOTE,
        "need not",
        "message_authenticator: required",
    ),
    "unsigned through a proxy": (
        several("unsigned_with_proxy_state", replace(PAM_RADIUS, proxy_states=1)),
        VPN,
        "unsigned_with_proxy_state",
        Gravity.FAULT,
        "CVE-2024-3596",
        "update the proxy",
    ),
    "unsigned CHAP": (
        several("unsigned_chap", replace(PAM_RADIUS, credential=Credential.CHAP)),
        replace(VPN, flow=Flow.CODE_ONLY, require_message_authenticator=False),
        "unsigned_chap",
        Gravity.FAULT,
        "anybody could have made them",
        "PAP",
    ),
    "another secret everywhere": (
        several("wrong_message_authenticator"),
        VPN,
        "wrong_secret",
        Gravity.FAULT,
        "the secret is not the same on both sides",
        "type it anew",
    ),
    "another secret in one half of a cluster": (
        [*several("wrong_message_authenticator", number=2), *login(50, PLAIN, 7)],
        VPN,
        "another_secret",
        Gravity.FAULT,
        "wrong in 2 of 4 packets (10.0.0.1)",
        "secret_old",
    ),
    "every unsigned password wrong": (
        [*several("rejected:wrong_password", PAM_RADIUS), at(99, "rejected:bad_password_encoding", PAM_RADIUS)],
        replace(VPN, require_message_authenticator=False),
        "doubtful_secret",
        Gravity.FAULT,
        "1 of them were no text at all: the secret may not be the same",
        "type it anew",
    ),
    "MS-CHAP": (
        several("rejected:mschap_not_possible", replace(PLAIN, credential=Credential.MSCHAP)),
        replace(VPN, mschap_remedy="set auth-type pap"),
        "mschap",
        Gravity.FAULT,
        "no one-time code and no directory's password",
        "set auth-type pap",
    ),
    "CHAP": (
        several("rejected:chap_not_possible", replace(PLAIN, credential=Credential.CHAP)),
        VPN,
        "chap",
        Gravity.FAULT,
        "hides password and code alike",
        "flow: code-only",
    ),
    "CHAP before PAP": (
        [
            at(0, "rejected:chap_not_possible", replace(PLAIN, credential=Credential.CHAP, authenticator="c")),
            *login(1, PLAIN, 7),
        ],
        VPN,
        "chap_first",
        Gravity.NOTE,
        "CHAP first and PAP after",
        "PAP from the start",
    ),
    "CHAP of some, PAP of others": (
        [
            at(0, "rejected:chap_not_possible", replace(PLAIN, credential=Credential.CHAP, person="b2")),
            *login(1, PLAIN, 7),
        ],
        VPN,
        "chap",
        Gravity.FAULT,
        "1 of its last",
        "PAP",
    ),
    "EAP": (
        several("rejected:no_credential", replace(PLAIN, credential=Credential.EAP)),
        VPN,
        "eap",
        Gravity.FAULT,
        "not answered here",
        "PAP",
    ),
    "a realm nobody knows": (
        several("rejected:unknown_user", replace(PLAIN, name=NameForm.REALM)),
        VPN,
        "realm",
        Gravity.FAULT,
        "user@realm",
        "strip_realm: yes",
    ),
    "a domain nobody knows": (
        several("rejected:account_unknown", replace(PLAIN, name=NameForm.DOMAIN)),
        VPN,
        "realm",
        Gravity.FAULT,
        "DOMAIN\\user",
        "strip_realm: yes",
    ),
    "malformed": (
        [at(0, "cut_attribute", None), at(1, "cut_attribute", None), *login(2, PLAIN, 7)],
        VPN,
        "malformed",
        Gravity.FAULT,
        "2 times: cut attribute",
        "128 octets",
    ),
    "accounting at the wrong port": (
        [at(0, "unexpected_code", None)],
        VPN,
        "malformed",
        Gravity.FAULT,
        "once: unexpected code",
        "accounting",
    ),
    "more than its rate": (
        [*login(-20, PLAIN, 7), at(5, "too_many", None), at(6, "too_many", None)],
        VPN,
        "turned_away",
        Gravity.FAULT,
        "more than the rate that it is allowed (2 of the last 4)",
        "max_pps",
    ),
    "what had waited too long": (
        [*login(-20, PLAIN, 7), at(5, "too_late", None)],
        VPN,
        "turned_away",
        Gravity.FAULT,
        "longer for us than the device waits",
        "the load of this host",
    ),
    "what found no room": (
        [*login(-20, PLAIN, 7), at(5, "no_room", None)],
        VPN,
        "turned_away",
        Gravity.FAULT,
        "no room among those that wait",
        "max_pps for whichever client floods",
    ),
    "malformed in a way that has no remedy of its own": (
        [at(0, "attribute_type_zero", None)],
        VPN,
        "malformed",
        Gravity.FAULT,
        "attribute type zero",
        "update the device",
    ),
    "a backend that is down": (
        several("primary_unavailable"),
        VPN,
        "primary_unavailable",
        Gravity.FAULT,
        "4 of its last 4 requests failed here: the password backend",
        "the daemon's log",
    ),
    "a reply that is too long for it": (
        several("rejected:oversized_reply"),
        VPN,
        "oversized_reply",
        Gravity.FAULT,
        "failed here: the reply would have been too long",
        "shorter attributes",
    ),
    "refusals that leave too late": (
        [at(0, "rejected:wrong_code", latency=1.0), at(0.3, "duplicate_in_progress"), at(0.6, "duplicate_in_progress")],
        VPN,
        "reject_delay",
        Gravity.FAULT,
        "it retransmits every 300 ms, and a refusal leaves after 1 s",
        "reject_delay must be 0",
    ),
    "refusals that leave too late for a patient device": (
        [at(0, "rejected:wrong_code", latency=5.0), at(3, "duplicate_in_progress")],
        replace(VPN, reject_delay=5.0),
        "reject_delay",
        Gravity.FAULT,
        "every 3 s, and a refusal leaves after 5 s",
        "reject_delay must be 1500ms",
    ),
    "refusals that leave as the device asks again": (
        [at(0, "rejected:wrong_code", latency=1.0), at(0.952, "duplicate_in_progress")],
        VPN,
        "reject_delay",
        Gravity.FAULT,
        "every 952 ms",
        "must be 400ms",
    ),
    "refusals that would leave too late by default": (
        login(0, PLAIN, 1),
        replace(VPN, profile="mikrotik", timeout=0.3),
        "reject_delay",
        Gravity.NOTE,
        "mikrotik waits 300 ms by default",
        "reject_delay: 0",
    ),
    "answers that come too late": (
        [at(0, "challenged:code_wanted", latency=4.5), at(20, packet=replace(PLAIN, authenticator="2"))],
        replace(VPN, timeout=3.0),
        "late",
        Gravity.FAULT,
        "1 of 2 answers came later than the 3 s that it waits, the slowest after 4.5 s",
        "9 s or more",
    ),
    "replies that are thrown away": (
        [at(0), at(3, "duplicate_answered"), at(6, "duplicate_answered")],
        VPN,
        "replies_thrown_away",
        Gravity.FAULT,
        "2 times",
        "sign_replies: no",
    ),
    "a retry that is a new packet": (
        [
            at(0, "accepted:ok", PLAIN, port=40001, latency=2.0),
            at(1, "rejected:replayed", replace(PLAIN, authenticator="01"), port=40002),
        ],
        VPN,
        "retry_is_new",
        Gravity.FAULT,
        "after 1 s with a new packet",
        "wait=5",
    ),
    "a retry that is a new packet, after a lost reply": (
        [
            at(0, "accepted:ok", PLAIN, port=40001),
            at(1, "rejected:replayed", replace(PLAIN, authenticator="01"), port=40002),
        ],
        VPN,
        "retry_is_new",
        Gravity.FAULT,
        "looks like a second login",
        "reject_delay",
    ),
    "questions that nobody answers": (
        several("challenged:code_wanted"),
        VPN,
        "never_answered",
        Gravity.FAULT,
        "4 questions and answered none",
        "flow: append",
    ),
    "a State that comes back as another": (
        [
            *several("challenged:code_wanted"),
            *several("rejected:challenge_unknown", replace(PLAIN, states=1), start=9),
        ],
        VPN,
        "state_lost",
        Gravity.FAULT,
        "never the one that it was sent",
        "sharing a database",
    ),
    "a signed reply for libkrad": (
        several("accepted:ok", MAKES[LIBKRAD]),
        replace(VPN, require_message_authenticator=False),
        "libkrad",
        Gravity.FAULT,
        "throws signed replies away",
        "sign_replies: no",
    ),
    "the profile of another make": (
        login(0, MAKES["ocserv"], 1),
        replace(VPN, profile="mikrotik", require_message_authenticator=False),
        "wrong_profile",
        Gravity.FAULT,
        "looks like ocserv, not like mikrotik",
        "profile: ocserv",
    ),
    "no profile": (
        login(0, MAKES["ocserv"], 1),
        VPN,
        "profile",
        Gravity.NOTE,
        "looks like ocserv",
        "profile: ocserv",
    ),
    "a proxy": (
        several("accepted:ok", replace(PLAIN, proxy_states=2)),
        VPN,
        "proxy",
        Gravity.NOTE,
        "2 proxies stand in front",
        "directly",
    ),
    "no caller": (
        several("accepted:ok", replace(PLAIN, caller=CallerForm.ABSENT)),
        VPN,
        "no_caller",
        Gravity.NOTE,
        "no Calling-Station-Id",
        "switch that on",
    ),
    "Service-Type in the first packet alone": (
        [
            at(0, "challenged:code_wanted", replace(PLAIN, service_type=8)),
            at(9, "accepted:ok", replace(PLAIN, states=1, authenticator="2")),
        ],
        VPN,
        "service_type_once",
        Gravity.NOTE,
        "not in its answers",
        "keeps the rule",
    ),
    "only asked whether we are alive": (
        [at(0, "status_server", replace(PLAIN, code=12))],
        VPN,
        "only_status_server",
        Gravity.NOTE,
        "no login yet",
        "second choice",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_complaints(case: Case) -> None:
    """Each has its gravity, says what was seen in numbers, and what to write."""
    seen, device, word, gravity, problem, remedy = case
    advice = the(word, seen, device)
    assert advice.gravity is gravity
    assert problem in advice.problem
    assert remedy in advice.remedy


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_complaint_has_a_remedy(case: Case) -> None:
    """Whatever else is noticed beside it: a sentence without a remedy would leave people alone."""
    seen, device, *_ = case
    assert all(one.problem and one.remedy for one in diagnose(seen, device))


Change = Callable[[Device], Device]

CURED: Final[dict[str, tuple[str, Change]]] = {
    "a realm nobody knows": ("realm", lambda device: replace(device, strip_realm=True)),
    "CHAP": ("chap", lambda device: replace(device, flow=Flow.CODE_ONLY)),
    "refusals that leave too late": ("reject_delay", lambda device: replace(device, reject_delay=0.0)),
    "refusals that leave too late for a patient device": (
        "reject_delay",
        lambda device: replace(device, reject_delay=1.5),
    ),
    "refusals that would leave too late by default": ("reject_delay", lambda device: replace(device, reject_delay=0.0)),
    "answers that come too late": ("late", lambda device: replace(device, timeout=9.0)),
    "a signed reply for libkrad": ("libkrad", lambda device: replace(device, sign_replies=False)),
    "the profile of another make": ("wrong_profile", lambda device: replace(device, profile="ocserv")),
    "no profile": ("profile", lambda device: replace(device, profile="ocserv")),
    "signed and only observed": (
        "could_be_required",
        lambda device: replace(device, require_message_authenticator=True),
    ),
}


@pytest.mark.parametrize("name", CURED)
def test_who_does_as_advised_hears_no_more_of_it(name: str) -> None:
    """The same packets after the remedy is written: that complaint is gone."""
    seen, device, *_ = CASES[name]
    word, cure = CURED[name]
    assert word in words(diagnose(seen, device))
    assert word not in words(diagnose(seen, cure(device)))


def test_faults_come_first() -> None:
    """However many things are noticed, what keeps people out stands at the top."""
    seen = several("challenged:code_wanted", replace(PAM_RADIUS, caller=CallerForm.ABSENT))
    advice = diagnose(seen, replace(VPN, require_message_authenticator=False))
    assert words(advice) == ["never_answered", "unsigned", "profile", "no_caller"]
    assert [one.gravity for one in advice] == [Gravity.FAULT, *[Gravity.NOTE] * 3]
    assert gravest(advice) is Gravity.FAULT
    assert gravest(advice[1:]) is Gravity.NOTE


def test_the_order_of_the_notes_does_not_matter() -> None:
    """Time decides which packet was the first, not where it stands."""
    seen, device, *_ = CASES["refusals that leave too late"]
    assert diagnose(list(reversed(seen)), device) == diagnose(seen, device)


# --- nothing came ----------------------------------------------------------------------------------------------------


def test_a_client_that_was_never_seen() -> None:
    """Its networks are named, and so are the latest three strangers, who may be it under another address."""
    strangers = [at(turn, "unknown_client", None, source=f"10.9.0.{turn}") for turn in range(5)]
    advice = diagnose([], VPN, strangers)
    assert words(advice) == ["never_seen", "stranger", "stranger", "stranger"]
    assert "10.0.0.0/24" in advice[0].problem
    assert [one.problem.split()[0] for one in advice[1:]] == ["10.9.0.4", "10.9.0.3", "10.9.0.2"]
    assert "add networks: [10.9.0.4] to it" in advice[1].remedy
    assert "if that is vpn" in advice[1].remedy


def test_strangers_are_no_business_of_a_client_that_is_seen() -> None:
    """Whoever asks as well is shown with all clients."""
    assert diagnose(login(0, PLAIN, 1), VPN, [at(0, "unknown_client", None)]) == []


def test_a_client_that_asks_at_another_port() -> None:
    """An ASA asks at 1645 by default, where nobody listens."""
    (advice,) = diagnose([], replace(VPN, profile="asa", asks_at=(1645,)))
    assert "asa asks at port 1645 by default, and we listen at 1812" in advice.remedy
    (advice,) = diagnose([], replace(VPN, profile="asa", asks_at=(1645,), listening=(1645, 1812)))
    assert "1645" not in advice.remedy


# --- which make ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKES)
def test_makes_are_told_apart(make: str) -> None:
    """Each by its first packets."""
    assert looks_like(login(0, MAKES[make], 1)) == make


def test_a_make_is_not_guessed_from_half_of_the_packets() -> None:
    """When two kinds of device stand behind one address, neither profile is proposed."""
    assert looks_like([*login(0, MAKES["ocserv"], 1), *login(20, MAKES["pam_radius"], 3)]) is None
    assert looks_like([*login(0, MAKES["ocserv"], 1), *login(20, PLAIN, 3)]) is None
    assert looks_like([]) is None


def test_what_a_proxy_passes_on_is_not_taken_for_the_proxy() -> None:
    """The proxy's profile is not that of the NAS behind it."""
    assert looks_like(login(0, replace(MAKES["ocserv"], proxy_states=1), 1)) is None


# --- in numbers ------------------------------------------------------------------------------------------------------


def test_the_numbers() -> None:
    """Retransmissions count as packets alone; what is in work, and Status-Server, counts as no outcome."""
    seen = [
        at(0, "challenged:code_wanted", latency=0.004),
        at(3, "duplicate_answered"),
        at(9, "accepted:ok", latency=0.006),
        at(10, "rejected:wrong_code", latency=1.0),
        at(11, "primary_unavailable"),
        at(12, "cut_attribute", None),
        at(13, "status_server", replace(PLAIN, code=12)),
        at(14, ""),
    ]
    numbers = summary(seen)
    assert (numbers.packets, numbers.first, numbers.last) == (8, MONDAY, MONDAY + 14)
    assert (numbers.accepted, numbers.challenged, numbers.rejected, numbers.unanswered) == (1, 1, 1, 2)
    assert numbers.latency == 0.006


def test_the_numbers_of_nothing() -> None:
    """Nothing has neither a first nor a median."""
    numbers = summary([])
    assert (numbers.packets, numbers.first, numbers.last, numbers.latency) == (0, None, None, None)


def test_fates_are_words_of_the_machine() -> None:
    """What is compared with a fate is a reason that the decision machine knows, so that neither changes alone."""
    known = {reason.value for reason in Reason}
    decided = {fate.partition(":")[2] for seen, *_ in CASES.values() for one in seen if ":" in (fate := one.fate)}
    assert decided <= known
