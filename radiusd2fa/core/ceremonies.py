"""What a challenge offers to a security key, how the prompt says so, and what an answer to it must have signed.

Pure, and it verifies nothing: the readings of an answer go to factors/fido.py. Nothing that came over the wire decides
what was asked for: nonce, user, client, host names and stations are the daemon's own (WebAuthn 7.2, steps 11 to 14).
"""

from __future__ import annotations

from dataclasses import field
from typing import Final, Self

from radiusd2fa.core.answer import Answer, Assertion, KeyAnswer, read_typed
from radiusd2fa.core.judging import Facts, working_tokens
from radiusd2fa.core.model import KeyCeremony, Nas, PendingChallenge, Reason
from radiusd2fa.core.record import record
from radiusd2fa.core.responder import (
    KeyResponse,
    ResponderCode,
    Spoiled,
    authenticator_data,
    client_data,
    match_code,
    read_response,
    responder_challenge,
    selector,
    station_challenge,
)
from radiusd2fa.core.rules import MAX_PROMPT_OCTETS, FidoRules
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.core.texts import Text, base64url, octets, string

KIND: Final = "fido"
UNBOUND: Final = ""
"""The host name of a response that was made by hand."""


@record
class Offer:
    """The ways in which a person may answer a challenge."""

    codes: bool = True
    responder: bool = False
    stations: tuple[str, ...] = ()
    credentials: tuple[bytes, ...] = ()
    user_verification: bool = False


def offer(facts: Facts, *, password_passed: bool) -> Offer:
    """Say what to offer. Where nobody has proved anything yet, everybody is offered the same."""
    rule, nas = facts.rule, facts.request.nas
    if facts.rules.fido is None:
        return Offer()
    # locked or not: whoever has the password must not learn it from the prompt
    tokens = [token for token in working_tokens(facts) if token.kind in rule.kinds]
    rule = rule if password_passed else facts.site.for_anybody(nas.name)
    kinds = {token.kind for token in tokens} if password_passed else set(rule.factors)
    codes = kinds.difference(SHEETS) != {KIND}  # who has a sheet knows what is on it
    if KIND not in kinds:
        return Offer(codes)
    credentials = tuple(credential_id(token.secret) for token in tokens if token.kind == KIND)
    stations = tuple(station.name for station in facts.rules.stations if nas.name in station.clients)
    responder = "paste" in rule.ceremonies or ("ssh" in rule.ceremonies and bool(nas.host_names))
    stations = stations if "station" in rule.ceremonies else ()
    return Offer(codes, responder, stations, credentials, rule.user_verification)


def ceremony(made: Offer, nonce: bytes, before: KeyCeremony | None) -> KeyCeremony | None:
    """Return what the challenge must remember. A touch that is still awaited goes on when the question is put again.

    So it does where nobody is awaited because nobody has a key: a code that changes would tell.
    """
    if before is not None and before.answer is None and made.stations:
        return before
    if not made.responder and not made.stations:
        return None
    return KeyCeremony(
        nonce,
        station=bool(made.stations and made.credentials),
        credentials=made.credentials,
        user_verification=made.user_verification,
    )


def prompt(facts: Facts, made: Offer, begun: KeyCeremony | None, *, again: bool) -> str:
    """Return the text of a question for a code, in which a key may answer instead when a ceremony was begun.

    What does not fit into what the device shows is said shorter.
    """
    texts, nas = facts.rules.challenge, facts.request.nas
    if begun is None:
        return as_shown(nas, texts.next_code_prompt if again else texts.code_prompt)
    code = str(ResponderCode(begun.nonce, begun.user_verification))
    places = texts.between_stations.join(made.stations)
    match = match_code(begun.nonce)
    text = ""
    for where, how in (
        (places, texts.key_way),
        (places, texts.short_key_way),
        (texts.some_station, texts.short_key_way),
    ):
        ways = []
        if made.codes:
            ways.append(texts.next_code_way if again else texts.code_way)
        if made.stations:
            ways.append(texts.station_way.format(places=where, code=match))
        if made.responder:
            ways.append(how.format(nas=nas.name, code=code))
        text = texts.between_ways.join(ways)
        if len(text) + 2 <= nas.prompt_length and len(text.encode()) + 2 <= MAX_PROMPT_OCTETS:
            break
    return as_shown(nas, f"{text[0].upper()}{text[1:]}: ")


def as_shown(nas: Nas, text: str) -> str:
    """Return a question as that device should show it: questions of the settings end with a colon and a space."""
    return text if nas.prompt_ending == ": " else text.removesuffix(": ") + nas.prompt_ending


# --- reading the answer ----------------------------------------------------------------------------------------------


def read_answer(facts: Facts, challenge: PendingChallenge, text: bytes) -> Answer | Reason:
    """Read what was typed, pasted, or brought in by a station; a Reason when it is nothing that could be judged."""
    begun, fido = challenge.ceremony, facts.rules.fido
    asked = challenge.expires - facts.rules.challenge.lifetime
    if begun is not None and fido is not None and KIND in facts.rule.factors:
        if not text and begun.station:
            return _from_station(facts, begun, asked)
        response = read_response(text)
        if isinstance(response, Spoiled):
            return Reason.KEY_RESPONSE_CUT if response.cut else Reason.KEY_RESPONSE_MALFORMED
        if response is not None:
            return _from_responder(facts, fido, begun, response, asked)
    return read_typed(text) or Reason.NO_CODE


def _from_responder(
    facts: Facts, fido: FidoRules, begun: KeyCeremony, response: KeyResponse, asked: float
) -> KeyAnswer:
    """Rebuild what the key has signed, once for each host name that it may have signed."""
    rule, hosts = facts.rule, facts.request.nas.host_names

    def reading(host: str) -> Assertion:
        challenge = responder_challenge(begun.nonce, facts.name, host)
        return Assertion(
            selector=response.selector,
            client_data=client_data(challenge, fido.origin),
            authenticator_data=authenticator_data(fido.rp_id, response.flags, response.counter),
            signature=response.signature,
            challenge=challenge,
            compact=True,
        )

    bound = tuple(map(reading, hosts)) if "ssh" in rule.ceremonies else ()
    unbound = (reading(UNBOUND),)
    if "paste" in rule.ceremonies:
        return KeyAnswer((*bound, *unbound), rule.user_verification, asked=asked)
    return KeyAnswer(bound, rule.user_verification, unbound, asked)


def _from_station(facts: Facts, begun: KeyCeremony, asked: float) -> KeyAnswer | Reason:
    """Take what a station has brought in; it is believed no more than what comes over the wire."""
    if begun.contested:
        return Reason.STATION_CONTESTED
    if begun.answer is None:
        return Reason.STATION_NOT_TOUCHED
    answer = StationAnswer.read(begun.answer)
    if answer is None:
        return Reason.KEY_RESPONSE_MALFORMED
    nas = facts.request.nas.name
    allowed = "station" in facts.rule.ceremonies and any(
        station.name == answer.station and nas in station.clients for station in facts.rules.stations
    )
    reading = Assertion(
        selector=selector(answer.credential),
        client_data=answer.client_data,
        authenticator_data=answer.authenticator_data,
        signature=answer.signature,
        challenge=station_challenge(begun.nonce, facts.name, nas, answer.station),
    )
    return KeyAnswer((reading,) if allowed else (), facts.rule.user_verification, asked=asked)


@record
class StationAnswer(Text):
    """What a key at a station has signed, on its way through the store."""

    PREFIX = "RKS1-"
    LONGEST = 16 * 1024

    station: str
    credential: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes = field(repr=False)

    def members(self) -> dict[str, object]:
        """Return what the JSON says, in WebAuthn's names."""
        return {
            "station": self.station,
            "id": base64url(self.credential),
            "clientDataJSON": base64url(self.client_data),
            "authenticatorData": base64url(self.authenticator_data),
            "signature": base64url(self.signature),
        }

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Read an answer, or None."""
        try:
            members = cls.read_members(text)
            return cls(
                string(members, "station"),
                octets(string(members, "id")),
                octets(string(members, "clientDataJSON")),
                octets(string(members, "authenticatorData")),
                octets(string(members, "signature")),
            )
        except ValueError:
            return None


def credential_id(attested: bytes) -> bytes:
    """Return the id in attested credential data (WebAuthn 6.5.2: AAGUID 16, length 2, id, public key)."""
    length = int.from_bytes(attested[16:18], "big")
    return attested[18 : 18 + length]
