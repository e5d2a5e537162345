"""What people carry on their key ring: emulated security keys, and the texts that a key's answer travels in.

The keys are asked by python-fido2 alone; code, response and station's answer are read and written here a second time,
so nothing of `radiusd2fa.keys` or of the daemon is looked at. A key can be made to lie in every way that a word names.
WebAuthn 6.1 and 6.3.3 (what is signed), CTAP 2.1 6.2 and U2F raw messages 5 (how a key is asked).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fido2.ctap1 import Ctap1
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.webauthn import AttestedCredentialData

from radiusd2fa.emulators.softkey import Misbehaviour, SoftKey, memory
from tests.factors.keys import Key as BareKey
from tests.factors.keys import authenticator_data, challenge_of, client_data, es384, text_of

from .transcript import Line, Words

RP_ID: Final = "auth.example.org"
PIN: Final = "314159"
ALGORITHMS: Final = {"eddsa": -8}
WORDS: Final = ("stale", "untouched", "pin", "no-pin", "user", "nas", "station", "rp", "member", "padded", "nested")
"""What a key, or whoever asks it, can do otherwise than it should."""
SPOILING: Final = ("flip", "cut", "case-free", "sloppy", "twice")
"""What can become of its answer on the way."""
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_PYTHON: Final = str.maketrans(_CROCKFORD, "0123456789ABCDEFGHIJKLMNOPQRSTUV")
_CODE: Final = re.compile(rf"RK1-((?:[{_CROCKFORD}]{{5}}-){{5}}[{_CROCKFORD}])")
_MATCH_CODE: Final = re.compile(r"\(code ([0-9]{4})\)")
_VERIFY_THE_USER: Final = 1 << 128
_LONGEST: Final = 119


# --- what a prompt says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt asks of a key."""

    nonce: bytes
    user_verification: bool


def asked_in(prompt: str) -> Asked | None:
    """Read the code in a prompt."""
    found = _CODE.search(prompt)
    if found is None:
        return None
    number = int(found[1].replace("-", "").translate(_TO_PYTHON), 32)
    return Asked((number % _VERIFY_THE_USER).to_bytes(16, "big"), number >= _VERIFY_THE_USER)


def unvaried(prompt: str) -> str:
    """Return a prompt with a star for all that chance has put into it."""
    text = _CODE.sub(lambda code: "RK1-*pin" if code[1] >= "8" else "RK1-*", prompt)
    return _MATCH_CODE.sub("(code *)", text)


def match_codes_in(prompt: str) -> list[str]:
    """Return the four digits by which a person knows their own login at a station."""
    return _MATCH_CODE.findall(prompt)


def match_code(nonce: bytes) -> str:
    """Return the four digits that belong to a nonce."""
    return f"{int(hashlib.sha256(b'radiusd2fa-match-v1' + bytes(1) + nonce).hexdigest()[:16], 16) % 10_000:04}"


# --- keys ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Key:
    """One key with one credential on it. ``bare`` is a private key alone, for algorithms that no key of ours has."""

    serial: str
    owner: str
    credential: AttestedCredentialData
    soft: SoftKey | None = None
    bare: BareKey | None = field(default=None, repr=False)

    @property
    def credential_id(self) -> bytes:
        """The id of the credential on it."""
        return bytes(self.credential.credential_id)

    def sign(self, client: bytes, words: Words, *, verify: bool) -> tuple[bytes, bytes]:
        """Let it sign; return the authenticator data and the signature."""
        if self.soft is None:
            assert self.bare is not None
            data = authenticator_data()
            return data, self.bare.sign(data, client)
        self.soft.misbehaviour = Misbehaviour(
            stale_counter="stale" in words, no_user_presence="untouched" in words, wrong_rp_id_hash="rp" in words
        )
        asked = hashlib.sha256(client).digest(), hashlib.sha256(RP_ID.encode()).digest()
        with memory.connect(self.soft) as device:
            if self.soft.state.u2f_only:
                said = Ctap1(device).authenticate(*asked, self.credential_id)
                data = authenticator_data(
                    said.user_presence, said.counter, "another.example" if "rp" in words else RP_ID
                )
                return data, said.signature
            ctap = Ctap2(device)
            pin = _pin(ctap, asked[0]) if verify and self.soft.state.pin_hash else {}
            credentials = [{"type": "public-key", "id": self.credential_id}]
            answer = ctap.get_assertion(RP_ID, asked[0], credentials, **pin)  # type: ignore[arg-type]
            return bytes(answer.auth_data), answer.signature

    @property
    def counter(self) -> int:
        """What it has counted when it was registered."""
        return 0 if self.soft is None else self.soft.state.counter


def make_key(serial: str, owner: str, words: Words) -> Key:
    """Make a key as the head of a conversation describes it, and register it with python-fido2."""
    if "es384" in words:
        bare = es384(serial)
        return Key(serial, owner, AttestedCredentialData(bare.attested()), bare=bare)
    soft = SoftKey.make(
        serial.encode(), u2f_only="u2f" in words, pin=PIN if "pin" in words else None, counts="uncounted" not in words
    )
    if "counter" in words:
        soft.place.change(lambda state: replace(state, counter=int(words["counter"])))
    hashed, rp_hash = bytes(32), hashlib.sha256(RP_ID.encode()).digest()
    with memory.connect(soft) as device:
        if soft.state.u2f_only:
            said = Ctap1(device).register(hashed, rp_hash)
            return Key(serial, owner, AttestedCredentialData.from_ctap1(said.key_handle, said.public_key), soft)
        rp, user = {"id": RP_ID, "name": RP_ID}, {"id": owner.encode() or b"-", "name": owner or "-"}
        algorithm = next((number for word, number in ALGORITHMS.items() if word in words), -7)
        ctap = Ctap2(device)
        pin = _pin(ctap, hashed, ClientPin.PERMISSION.MAKE_CREDENTIAL) if soft.state.pin_hash else {}
        made = ctap.make_credential(hashed, rp, user, [{"type": "public-key", "alg": algorithm}], **pin)  # type: ignore[arg-type]
    assert made.auth_data.credential_data is not None
    return Key(serial, owner, made.auth_data.credential_data, soft)


def _pin(
    ctap: Ctap2, hashed: bytes, permission: ClientPin.PERMISSION = ClientPin.PERMISSION.GET_ASSERTION
) -> dict[str, bytes | int]:
    client = ClientPin(ctap)
    token = client.get_pin_token(PIN, permission, RP_ID)
    return {"pin_uv_param": client.protocol.authenticate(token, hashed), "pin_uv_protocol": client.protocol.VERSION}


# --- the way back ----------------------------------------------------------------------------------------------------


def response(key: Key, asked: Asked, user: str, host: str, words: Words) -> bytes:
    """Return what a responder types: the key's answer to a code."""
    client = _client(challenge_of(b"radiusd2fa-key-v1", asked.nonce, words.get("user", user), host), words)
    data, signature = key.sign(client, words, verify=_verifies(asked.user_verification, words))
    octets = b"\x01" + hashlib.sha256(key.credential_id).digest()[:4] + data[32:37] + _compact(key, signature)
    return _travelled(_flipped(octets, words), words)


def station_answer(key: Key, nonce: bytes, user: str, nas: str, station: str, words: Words, *, verify: bool) -> str:
    """Return what a station brings in: the key's answer to a login that waits."""
    names = words.get("user", user), words.get("nas", nas), words.get("station", station)
    client = _client(challenge_of(b"radiusd2fa-station-v1", nonce, *names), words)
    data, signature = key.sign(client, words, verify=_verifies(verify, words))
    members = {
        "station": names[2],
        "id": text_of(key.credential_id),
        "clientDataJSON": text_of(client),
        "authenticatorData": text_of(_flipped(data, words)),
        "signature": text_of(signature),
    }
    return "RKS1-" + text_of(json.dumps(members).encode())


def _verifies(asked: bool, words: Collection[str]) -> bool:
    return "pin" in words or (asked and "no-pin" not in words)


def _client(challenge: bytes, words: Words) -> bytes:
    members: dict[str, object] = {}
    if "member" in words:
        name, _, value = words["member"].partition(":")
        members[name] = {"true": True, "false": False}.get(value, value)
    if "padded" in words:
        members["padding"] = "x" * int(words["padded"])
    written = client_data(challenge, **members)
    if "nested" not in words:
        return written
    deep = int(words["nested"])
    return written[:-1] + b',"nested":' + b"[" * deep + b"]" * deep + b"}"


def _compact(key: Key, signature: bytes) -> bytes:
    if key.credential.public_key[3] != -7:
        return signature
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))


def _flipped(octets: bytes, words: Words) -> bytes:
    """Flip one bit, named as OCTET.BIT."""
    if "flip" not in words:
        return octets
    octet, _, bit = words["flip"].partition(".")
    changed = bytearray(octets)
    changed[int(octet)] ^= 1 << int(bit or 0)
    return bytes(changed)


def _travelled(octets: bytes, words: Words) -> bytes:
    text = text_of(octets)
    if "case-free" in words or "sloppy" in words:
        number = int.from_bytes(octets, "big")
        text = "".join(_CROCKFORD[number >> 5 * at & 31] for at in range(_LONGEST - 1, -1, -1))
    if "sloppy" in words:  # as people type it: small letters, and letters for the digits that look like them
        text = text.lower().replace("0", "o").replace("1", "l")
    if "twice" in words:
        text += text
    return text[: int(words.get("cut", len(text)))].encode()


@dataclass(slots=True)
class Keychain:
    """The keys of a conversation, by serial, and the prompts that were seen."""

    keys: dict[str, Key] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    """By the name that the transcript gave to them."""
    answering: str = "last"
    """Which of them is being answered."""

    def key(self, serial: str | None, user: str, line: Line) -> Key:
        """Return that key, or this person's only one."""
        mine = [key for key in self.keys.values() if key.owner == user] or list(self.keys.values())
        if serial is None and len(mine) == 1:
            return mine[0]
        if serial is None:
            raise line.fault(f"{user} has the keys {', '.join(self.keys) or '(none)'}: say which, as in K1:KEY()")
        if serial not in self.keys:
            raise line.fault(f"there is no key {serial}")
        return self.keys[serial]

    def respond(self, serial: str | None, user: str, host: str, words: Words, line: Line) -> bytes:
        """Answer the code in the prompt that is being answered, or in the one that ``at`` names."""
        name = words.get("at", self.answering)
        asked = asked_in(self.prompts.get(name, ""))
        if asked is None:
            raise line.fault(f"the prompt {name} has no code for a key")
        return response(self.key(serial, user, line), asked, user, host, words)
