"""A place between us and an emulated key, where a test sees every request and may change what goes by.

With it the emulated key takes on what it has not itself: a fingerprint reader, or the habits of keys before CTAP 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.ctap import CtapDevice
from fido2.ctap2.pin import PinProtocolV2
from fido2.hid import CTAPHID

from radiusd2fa.emulators.softkey import SoftKey, memory
from radiusd2fa.keys.asking import FoundKey

MAKE_CREDENTIAL, GET_ASSERTION, GET_INFO, CLIENT_PIN, SELECTION = 0x01, 0x02, 0x04, 0x06, 0x0B
GET_TOKEN_BY_SENSOR, GET_TOKEN_BY_PIN = 0x06, 0x09

Parameters = dict[int, Any]


class Between(CtapDevice):
    """A well-behaved emulated key behind a glass pane."""

    changed_options: ClassVar[dict[str, bool]] = {}
    changed_info: ClassVar[Parameters] = {}

    def __init__(self, key: SoftKey) -> None:
        self.key = key
        self.seen: list[tuple[int, Parameters]] = []

    def open(self) -> None:
        self.device = memory.connect(self.key)

    @property
    def capabilities(self) -> int:
        return self.device.capabilities

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        raise NotImplementedError

    def call(
        self, cmd: int, data: bytes = b"", event: Event | None = None, on_keepalive: Callable[..., None] | None = None
    ) -> bytes:
        if cmd != CTAPHID.CBOR:
            return self.device.call(cmd, data, event, on_keepalive)
        command, parameters = data[0], cbor.decode(data[1:]) if data[1:] else {}
        assert isinstance(parameters, dict)
        self.seen.append((command, dict(parameters)))
        changed = self.change(command, parameters)
        if isinstance(changed, bytes):
            return changed
        reply = self.device.call(
            cmd, bytes((command,)) + (cbor.encode(changed) if changed else b""), event, on_keepalive
        )
        if command != GET_INFO:
            return self.changed(command, reply)
        info = cbor.decode(reply[1:])
        assert isinstance(info, dict)
        options = info[4] | self.changed_options
        return reply[:1] + cbor.encode(info | self.changed_info | {4: options})

    def change(self, _command: int, parameters: Parameters) -> Parameters | bytes:
        """Return the request as it is to go on, or at once the reply to it."""
        return parameters

    def changed(self, _command: int, reply: bytes) -> bytes:
        """Return the reply as it is to go on."""
        return reply

    def requests(self, command: int) -> list[Parameters]:
        """Return the parameters of all requests of this kind."""
        return [parameters for seen, parameters in self.seen if seen == command]

    def close(self) -> None:
        self.device.close()


class WithSensor(Between):
    """A key that knows its user by the finger. It is found right as often as `matches` says True."""

    changed_options: ClassVar = {"uv": True}

    def __init__(self, key: SoftKey, pin: str, *matches: bool, blocked: bool = False) -> None:
        super().__init__(key)
        self._pin = pin
        self._matches = list(matches)
        self._blocked = blocked

    def change(self, command: int, parameters: Parameters) -> Parameters | bytes:
        if command != CLIENT_PIN or parameters[2] != GET_TOKEN_BY_SENSOR:
            return parameters
        if self._blocked:
            return b"\x3c"
        if not self._matches.pop(0):
            return b"\x3f"
        return parameters | {2: GET_TOKEN_BY_PIN, 6: self._pin_as_the_key_wants_it(parameters[3])}

    def _pin_as_the_key_wants_it(self, client: dict[int, Any]) -> bytes:
        """Encrypt the PIN to the client's half of the key agreement: the key makes its token for that client."""
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(client[-2], "big"), int.from_bytes(client[-3], "big"), ec.SECP256R1()
        )
        protocol: Any = PinProtocolV2()
        secret = protocol.kdf(self.key.power.key_agreement.exchange(ec.ECDH(), numbers.public_key()))
        return bytes(protocol.encrypt(secret, hashlib.sha256(self._pin.encode()).digest()[:16]))


@contextmanager
def instead(device: Between) -> Iterator[CtapDevice]:
    """Open this device, whatever key was to be opened."""
    device.open()
    try:
        yield device
    finally:
        device.close()


def found(name: str = "between") -> FoundKey:
    return FoundKey(f"/nowhere/{name}", name, "usb")
