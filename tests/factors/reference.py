"""One-time passwords written down a second time, as plainly as the RFCs say them, to judge the program by.

It shares no line with ``radiusd2fa.factors`` and is itself held against the RFCs' tables in ``test_vectors``.
RFC 4226 5.3 and RFC 6238 4.2.
"""

from __future__ import annotations

import hmac


def code_of(secret: bytes, moving_factor: int, digits: int = 6, algorithm: str = "sha1") -> bytes:
    """Return the code for one counter or time step."""
    mac = hmac.digest(secret, moving_factor.to_bytes(8, "big"), algorithm)
    offset = mac[-1] % 16
    number = int.from_bytes(mac[offset : offset + 4], "big") % 2**31
    return str(number % 10**digits).zfill(digits).encode()


def code_of_nobody(secret: bytes, moving_factors: range, digits: int = 6, algorithm: str = "sha1") -> bytes:
    """Return a code that belongs to none of these moving factors."""
    taken = {code_of(secret, moving_factor, digits, algorithm) for moving_factor in moving_factors}
    candidates = (str(number).zfill(digits).encode() for number in range(10**digits))
    return next(code for code in candidates if code not in taken)
