"""What is wrong between one device and us, read from its last packets, and what to write so that it works.

It decides no login, changes nothing and is never sure: each sentence says what was seen. Answers to RFC 2865 2.5
(retransmissions), RFC 3579 3.2 (Message-Authenticator), RFC 5080 2.2.2 (duplicates); CVE-2024-3596.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Final

from radiusd2fa.core.makes import LIBKRAD, looks_like
from radiusd2fa.core.model import Flow, Reason
from radiusd2fa.core.record import record
from radiusd2fa.core.seen import ACCESS_REQUEST, STATUS_SERVER, CallerForm, Credential, NameForm, Seen, SeenPacket


@record
class Device:
    """What the site, and its profile, say of one client. Times in seconds."""

    name: str
    profile: str | None = None
    flow: Flow = Flow.CHALLENGE
    require_message_authenticator: bool = True
    sign_replies: bool = True
    reject_delay: float = 1.0
    strip_realm: bool = False
    networks: tuple[str, ...] = ()
    timeout: float | None = None
    """How long such a device waits, unless told otherwise."""
    asks_at: tuple[int, ...] = ()
    """The ports at which such a device asks, unless told otherwise."""
    listening: tuple[int, ...] = ()
    """The ports at which we listen."""
    mschap_remedy: str = "let it send PAP"


# --- what is said about it -------------------------------------------------------------------------------------------


class Gravity(StrEnum):
    """How bad it is: logins fail, or it is worth knowing."""

    FAULT = "fault"
    NOTE = "note"


@record
class Advice:
    """One thing that was noticed, and what to write."""

    word: str
    """Stable, for programs."""
    gravity: Gravity
    problem: str
    remedy: str = ""


@record
class Summary:
    """The last packets of a device in numbers; retransmissions count as packets, and as nothing else."""

    packets: int
    first: float | None
    last: float | None
    accepted: int
    challenged: int
    rejected: int
    unanswered: int
    latency: float | None
    """The median."""


def summary(seen: Sequence[Seen]) -> Summary:
    """Count what was seen."""
    requests = [one for one in seen if not one.duplicate and one.fate]
    outcomes = [one.outcome for one in requests]
    latencies = [one.latency for one in requests if one.latency is not None]
    times = [one.time for one in seen]
    return Summary(
        packets=len(seen),
        first=min(times, default=None),
        last=max(times, default=None),
        accepted=outcomes.count("accepted"),
        challenged=outcomes.count("challenged"),
        rejected=outcomes.count("rejected"),
        unanswered=sum(1 for one in requests if not one.outcome and one.latency is None and not _is_status(one)),
        latency=median(latencies) if latencies else None,
    )


def diagnose(seen: Sequence[Seen], device: Device, strangers: Sequence[Seen] = ()) -> list[Advice]:
    """Return what was noticed, the gravest first; nothing when all is well.

    ``strangers`` are the datagrams from addresses that are no client's.
    """
    case = _Case.of(sorted(seen, key=lambda one: one.time), device, strangers)
    checks = _CHECKS if seen else (_never_seen,)
    noticed = [advice for check in checks for advice in check(case)]
    return sorted(noticed, key=lambda advice: advice.gravity is not Gravity.FAULT)


def gravest(advice: Sequence[Advice]) -> Gravity | None:
    """Return the gravity of the worst of them; None when there is nothing to say."""
    if not advice:
        return None
    return Gravity.FAULT if any(one.gravity is Gravity.FAULT for one in advice) else Gravity.NOTE


# --- the case --------------------------------------------------------------------------------------------------------

_ENOUGH: Final = 3
"""So many of a kind are no accident."""
_MOST_STRANGERS: Final = 3


@record
class _Request:
    """A sound Access-Request that is no retransmission."""

    seen: Seen
    packet: SeenPacket


@record
class _Case:
    seen: Sequence[Seen]
    """Everything, oldest first."""
    device: Device
    strangers: Sequence[Seen]
    requests: Sequence[_Request]
    copies: Sequence[Sequence[Seen]]
    """Retransmissions together with their originals, oldest first."""

    @classmethod
    def of(cls, seen: Sequence[Seen], device: Device, strangers: Sequence[Seen]) -> _Case:
        groups: dict[tuple[str, int, int, str], list[Seen]] = {}
        for one in seen:
            if one.packet is not None and one.packet.code == ACCESS_REQUEST:
                key = (one.source, one.port, one.packet.identifier, one.packet.authenticator)
                groups.setdefault(key, []).append(one)
        requests = [
            _Request(first, first.packet)
            for first, *_ in groups.values()
            if first.packet is not None and not first.duplicate
        ]
        return cls(seen, device, strangers, requests, [group for group in groups.values() if len(group) > 1])

    def reasons(self, *words: str) -> list[_Request]:
        return [request for request in self.requests if request.seen.reason in words]

    def first_packets(self) -> list[_Request]:
        return [request for request in self.requests if not request.packet.states]

    def interval(self) -> float | None:
        """After how long the device asks again, as far as it was seen to."""
        gaps = [again.time - once.time for once, again, *_ in self.copies]  # some wait longer each time
        return median(gaps) if gaps else None


def _is_status(one: Seen) -> bool:
    return one.packet is not None and one.packet.code == STATUS_SERVER


def _of(some: Sequence[object], all_: Sequence[object]) -> str:
    """``all 4 requests``, ``1 of 4 requests``."""
    number = len(all_)
    if len(some) < number:
        return f"{len(some)} of its last {number} requests"
    return "its only request" if number == 1 else f"all of its last {number} requests"


def _fault(word: str, problem: str, remedy: str) -> Advice:
    return Advice(word, Gravity.FAULT, problem, remedy)


def _note(word: str, problem: str, remedy: str = "") -> Advice:
    return Advice(word, Gravity.NOTE, problem, remedy)


def _seconds(time: float) -> str:
    """A time as people say it: ``300 ms``, ``2.5 s``."""
    return f"{time * 1000:.0f} ms" if time < 1 else f"{time:.1f}".removesuffix(".0") + " s"


# --- whether anything comes ------------------------------------------------------------------------------------------


def _never_seen(case: _Case) -> Iterator[Advice]:
    device = case.device
    remedy = "look whether a firewall stands between, and whether it has this server's address"
    if device.asks_at and device.listening and not set(device.asks_at) & set(device.listening):
        asks, listens = (" and ".join(map(str, ports)) for ports in (device.asks_at, device.listening))
        remedy = f"{device.profile} asks at port {asks} by default, and we listen at {listens}: set that port there"
    yield _fault(
        "never_seen", f"no packet ever came from {', '.join(device.networks) or 'its addresses'} (its networks)", remedy
    )
    latest = dict.fromkeys(one.source for one in sorted(case.strangers, key=lambda one: -one.time))
    for source in list(latest)[:_MOST_STRANGERS]:
        yield _note(
            "stranger",
            f"{source} asks and is no client",
            f"if that is {device.name}, add networks: [{source}] to it",
        )


def _only_status(case: _Case) -> Iterator[Advice]:
    if all(_is_status(one) for one in case.seen):
        yield _note(
            "only_status_server",
            "it asks whether we are alive (Status-Server), and has sent no login yet",
            "try one; if the device takes another server for it, this one is its second choice",
        )


# --- whether it can be trusted ---------------------------------------------------------------------------------------


def _unsigned(case: _Case) -> Iterator[Advice]:
    dropped = case.reasons("no_message_authenticator")
    proxied = case.reasons("unsigned_with_proxy_state")
    chap = case.reasons("unsigned_chap")
    if dropped:
        yield _fault(
            "no_message_authenticator",
            f"it sends no Message-Authenticator: {_of(dropped, case.requests)} got no answer",
            "update it or switch that on there; until then write message_authenticator: observe",
        )
    if proxied:
        yield _fault(
            "unsigned_with_proxy_state",
            f"a proxy passes requests on without a Message-Authenticator: {_of(proxied, case.requests)} got no answer, "
            "whatever message_authenticator says, because that is what CVE-2024-3596 needs",
            "update the proxy, so that it signs what it passes on",
        )
    if chap:
        yield _fault(
            "unsigned_chap",
            f"it sends CHAP without a Message-Authenticator: {_of(chap, case.requests)} got no answer, because anybody "
            "could have made them",
            "switch Message-Authenticator on there, or let it send PAP",
        )
    unsigned = [one for one in case.requests if not one.packet.signed]
    if unsigned and not (dropped or proxied or chap):
        yield _note(
            "unsigned",
            f"{_of(unsigned, case.requests)} carried no Message-Authenticator, so whoever sits between can forge an "
            "Access-Accept (CVE-2024-3596)",
            "update it when you can, then write message_authenticator: required",
        )
    elif case.requests and not unsigned and not case.device.require_message_authenticator:
        yield _note(
            "could_be_required",
            f"it signs {_of(case.requests, case.requests)}, and need not",
            "write message_authenticator: required",
        )


def _wrong_secret(case: _Case) -> Iterator[Advice]:
    wrong = [one for one in case.seen if one.fate == "wrong_message_authenticator"]
    signed = [one for one in case.seen if one.packet is not None and one.packet.signed]
    if wrong and len(wrong) == len(signed):
        yield _fault(
            "wrong_secret",
            "its Message-Authenticator is wrong in every packet: the secret is not the same on both sides",
            "type it anew on both; beware of blanks at the ends and of characters that the device does not take",
        )
    elif wrong:
        sources = sorted({one.source for one in wrong})
        yield _fault(
            "another_secret",
            f"its Message-Authenticator is wrong in {len(wrong)} of {len(signed)} packets ({', '.join(sources)}): some "
            "device, or one half of a cluster, has another secret",
            "give each its own entry under clients, or the same secret to all; write secret_old while you change it",
        )


_LOOKS_LIKE_GARBAGE: Final = frozenset(
    {
        Reason.WRONG_PASSWORD,
        Reason.BAD_PASSWORD_ENCODING,
        Reason.UNKNOWN_USER,
        Reason.WRONG_CODE,
        Reason.NO_CODE,
        Reason.LOCKED,
        Reason.CALLER_LOCKED,
    }
)


def _doubtful_secret(case: _Case) -> Iterator[Advice]:
    """Nothing proves the secret of an unsigned request; a wrong one turns every password into garbage."""
    decided = [one for one in case.requests if one.seen.outcome and one.packet.credential is Credential.PAP]
    if len(decided) < _ENOUGH or any(one.packet.signed for one in decided):
        return
    if all(one.seen.outcome == "rejected" and one.seen.reason in _LOOKS_LIKE_GARBAGE for one in decided):
        binary = sum(1 for one in decided if one.seen.reason == Reason.BAD_PASSWORD_ENCODING)
        yield _fault(
            "doubtful_secret",
            f"every password was wrong in its last {len(decided)} requests"
            + (f", and {binary} of them were no text at all" if binary else "")
            + ": the secret may not be the same on both sides",
            "type it anew on both; if it is the same, look at the passwords (password_encoding: latin-1?)",
        )


# --- what it asks with -----------------------------------------------------------------------------------------------


def _chap(case: _Case) -> Iterator[Advice]:
    chap = [one for one in case.requests if one.packet.credential is Credential.CHAP and one.seen.reason != _UNSIGNED]
    if not chap or case.device.flow is Flow.CODE_ONLY:
        return
    pap = {one.packet.person for one in case.requests if one.packet.credential is Credential.PAP}
    if all(one.packet.person in pap for one in chap):
        yield _note(
            "chap_first",
            "it tries CHAP first and PAP after the refusal, so each login takes two requests",
            "let it send PAP from the start",
        )
    else:
        yield _fault(
            "chap",
            f"it asks with CHAP ({_of(chap, case.requests)}), which hides password and code alike",
            "let it send PAP; or, where it sends nothing but the code, write flow: code-only",
        )


_UNSIGNED: Final = "unsigned_chap"


def _mschap(case: _Case) -> Iterator[Advice]:
    if any(one.packet.credential is Credential.MSCHAP for one in case.requests):
        problem = "it asks with MS-CHAP, against which no one-time code and no directory's password can be checked"
        yield _fault("mschap", problem, case.device.mschap_remedy)


def _eap(case: _Case) -> Iterator[Advice]:
    eap = [one for one in case.requests if one.packet.credential is Credential.EAP]
    if eap:
        yield _fault(
            "eap", f"it asks with EAP ({_of(eap, case.requests)}), which is not answered here", "let it send PAP"
        )


def _names(case: _Case) -> Iterator[Advice]:
    if case.device.strip_realm:
        return
    for form, shape in ((NameForm.REALM, "user@realm"), (NameForm.DOMAIN, "DOMAIN\\user")):
        such = [one for one in case.requests if one.packet.name is form and one.seen.outcome]
        if such and all(one.seen.reason in _UNKNOWN for one in such):
            yield _fault(
                "realm",
                f"it sends names as {shape} ({_of(such, case.requests)}), and nobody is known by such a name",
                "write strip_realm: yes, if the name alone says who it is",
            )


_UNKNOWN: Final = frozenset({Reason.UNKNOWN_USER, Reason.ACCOUNT_UNKNOWN})


def _malformed(case: _Case) -> Iterator[Advice]:
    reasons = dict.fromkeys(one.fate for one in case.seen if one.packet is None and one.fate)
    for reason in reasons:
        if reason in _TURNED_AWAY:
            continue
        number = sum(1 for one in case.seen if one.packet is None and one.fate == reason)
        remedy = _REMEDIES.get(reason, "update the device; a packet that breaks the rules is never answered")
        times = "once" if number == 1 else f"{number} times"
        yield _fault("malformed", f"it sent what cannot be read, {times}: {reason.replace('_', ' ')}", remedy)


_REMEDIES: Final = {
    "unexpected_code": "this port is for authentication: send accounting elsewhere, or switch it off",
    "user_password_length": "a password and code longer than 128 octets do not fit: shorten them",
    "cut_attribute": "a password longer than 128 octets breaks some devices' packets: shorten it, or update the device",
    "unsigned_status_server": "update the device, so that it signs Status-Server, or switch that off",
    "unsigned_eap_message": "let it send PAP; EAP is not answered here",
}


_TURNED_AWAY: Final = {
    "too_many": (
        "it sends more than the rate that it is allowed",
        "look at what makes it ask so often; where that is wanted, write a greater max_pps for this client",
    ),
    "too_late": (
        "its packets had waited longer for us than the device waits for an answer",
        "we cannot keep up, or a clock was stopped: look at the load of this host, and at `packet.dropped` in the log",
    ),
    "no_room": (
        "its packets found no room among those that wait",
        "we cannot keep up: look at the load of this host; write a max_pps for whichever client floods it",
    ),
}
"""What was never read, by no fault of its form (``radius.admission``)."""


def _turned_away(case: _Case) -> Iterator[Advice]:
    for fate, (what, remedy) in _TURNED_AWAY.items():
        number = sum(1 for one in case.seen if one.fate == fate)
        if number:
            yield _fault("turned_away", f"{what} ({number} of the last {len(case.seen)})", remedy)


# --- whether the two wait for each other -----------------------------------------------------------------------------


def _refused_too_late(case: _Case) -> Iterator[Advice]:
    delay, interval, usual = case.device.reject_delay, case.interval(), case.device.timeout
    if interval is not None:
        if delay and delay >= interval:
            yield _fault(
                "reject_delay",
                f"it retransmits every {_seconds(interval)}, and a refusal leaves after {_seconds(delay)}",
                f"reject_delay must be {_shorter(interval)}: write that",
            )
    elif usual is not None and delay and delay >= usual:
        yield _note(
            "reject_delay",
            f"{case.device.profile} waits {_seconds(usual)} by default, and a refusal leaves after {_seconds(delay)}",
            f"write reject_delay: {_shorter(usual)}, or let the device wait longer",
        )


def _shorter(patience: float) -> str:
    """A delay, as the configuration has it, that leaves the reply time to travel."""
    return "0" if patience < 0.6 else f"{int(patience * 5)}00ms"


def _answered_too_late(case: _Case) -> Iterator[Advice]:
    patience = case.interval() or case.device.timeout
    answers = [one.seen for one in case.requests if one.seen.outcome in {"accepted", "challenged"}]
    late = [one for one in answers if one.latency is not None and patience is not None and one.latency > patience]
    if late and patience is not None:
        slowest = max(one.latency or 0.0 for one in late)
        yield _fault(
            "late",
            f"{len(late)} of {len(answers)} answers came later than the {_seconds(patience)} that it waits, the "
            f"slowest after {_seconds(slowest)}",
            f"set its time-out to {slowest * 2:.0f} s or more, and look why the password backend is slow",
        )


def _replies_thrown_away(case: _Case) -> Iterator[Advice]:
    again = [
        copy
        for original, *copies in case.copies
        for copy in copies
        if original.latency is not None and copy.time > original.time + original.latency + _TRAVEL
    ]
    if len(again) >= 2:
        yield _fault(
            "replies_thrown_away",
            f"it asked again {len(again)} times for what was answered already, so our replies get lost or it throws "
            "them away",
            "compare the secrets, look at firewalls and NAT between; an old device may need sign_replies: no",
        )


_TRAVEL: Final = 0.1
"""Seconds within which a reply and a retransmission may cross."""


def _retry_is_new(case: _Case) -> Iterator[Advice]:
    pairs = [
        later.seen.time - earlier.seen.time
        for earlier, later in pairwise(case.first_packets())
        if earlier.packet.person == later.packet.person
        and earlier.packet.identifier == later.packet.identifier
        and (_was_waiting(earlier.seen, later.seen.time) or later.seen.reason == Reason.REPLAYED)
    ]
    if pairs:
        yield _fault(
            "retry_is_new",
            f"it asks again after {_seconds(median(pairs))} with a new packet, which looks like a second login: the "
            "code is spent by then, or a wrong one counts twice",
            "let it wait longer (radiusplugin.cnf: wait=5), and write a reject_delay under that",
        )


def _was_waiting(one: Seen, now: float) -> bool:
    return one.latency is None or one.time + one.latency >= now


def _our_faults(case: _Case) -> Iterator[Advice]:
    for reason, (problem, remedy) in _OUR_FAULTS.items():
        number = len(case.reasons(reason))
        if number:
            yield _fault(reason, f"{number} of its last {len(case.requests)} requests failed here: {problem}", remedy)


_OUR_FAULTS: Final = {
    Reason.PRIMARY_UNAVAILABLE.value: ("the password backend did not answer", "the daemon's log says which and why"),
    Reason.STORE_UNAVAILABLE.value: ("the database could not be used", "the daemon's log says why"),
    Reason.OVERSIZED_REPLY.value: ("the reply would have been too long for it", "send fewer or shorter attributes"),
    Reason.UNSAYABLE_REPLY.value: ("an attribute of the reply could not hold its value", "the daemon's log says which"),
    Reason.INTERNAL_ERROR.value: ("a fault of this program", "please report it with the traceback in the daemon's log"),
}


# --- whether people can answer ---------------------------------------------------------------------------------------


def _questions(case: _Case) -> Iterator[Advice]:
    asked = [one for one in case.requests if one.seen.outcome == "challenged"]
    answered = [one for one in case.requests if one.packet.states]
    lost = [one for one in answered if one.seen.reason == Reason.CHALLENGE_UNKNOWN]
    if len(asked) >= _ENOUGH and not answered and asked[-1].seen.time - asked[0].seen.time >= _TYPING:
        yield _fault(
            "never_answered",
            f"it was sent {len(asked)} questions and answered none: it may be unable to show them",
            "write flow: append, and people type the code behind the password; flow: auto allows both",
        )
    elif len(lost) >= _ENOUGH and len(lost) == len(answered):
        yield _fault(
            "state_lost",
            "the State in its answers is never the one that it was sent",
            "look whether several servers share its logins without sharing a database, or whether it cuts State off",
        )


_TYPING: Final = 30.0
"""Seconds in which somebody would have answered."""


def _second_packets(case: _Case) -> Iterator[Advice]:
    firsts, seconds = case.first_packets(), [one for one in case.requests if one.packet.states]
    missing = [one for one in seconds if one.packet.service_type is None]
    if missing and firsts and all(one.packet.service_type is not None for one in firsts):
        yield _note(
            "service_type_once",
            "Service-Type is in its first packets and not in its answers to questions",
            "nothing, for a login keeps the rule that its first packet has chosen",
        )


def _callers(case: _Case) -> Iterator[Advice]:
    if case.requests and all(one.packet.caller is CallerForm.ABSENT for one in case.requests):
        yield _note(
            "no_caller",
            "it sends no Calling-Station-Id, so neither the throttle of callers nor a rule about networks can tell its "
            "users apart",
            "switch that on there, if it can",
        )


def _proxies(case: _Case) -> Iterator[Advice]:
    most = max((one.packet.proxy_states for one in case.requests), default=0)
    if most:
        several = "a proxy stands" if most == 1 else f"{most} proxies stand"
        yield _note(
            "proxy",
            f"{several} in front of it (Proxy-State), so its address, time-outs and signature are the proxy's",
            "nothing, if that is meant; a client per NAS needs the NAS to ask here directly",
        )


# --- which make it is ------------------------------------------------------------------------------------------------


def _make(case: _Case) -> Iterator[Advice]:
    likely = looks_like(case.seen)
    if likely == LIBKRAD:
        if case.device.sign_replies:
            yield _fault(
                "libkrad",
                "it looks like a Kerberos KDC (libkrad), which throws signed replies away",
                "write sign_replies: no and flow: append",
            )
    elif likely is None or likely == case.device.profile:
        return
    elif case.device.profile is None:
        yield _note("profile", f"it looks like {likely}", f"write profile: {likely}")
    else:
        yield _fault(
            "wrong_profile", f"it looks like {likely}, not like {case.device.profile}", f"write profile: {likely}"
        )


_CHECKS: Final[tuple[Callable[[_Case], Iterator[Advice]], ...]] = (
    _wrong_secret,
    _unsigned,
    _doubtful_secret,
    _mschap,
    _chap,
    _eap,
    _malformed,
    _turned_away,
    _our_faults,
    _retry_is_new,
    _refused_too_late,
    _answered_too_late,
    _replies_thrown_away,
    _questions,
    _names,
    _make,
    _only_status,
    _proxies,
    _callers,
    _second_packets,
)
"""In the order in which people should hear of it, where the gravity is the same."""
