"""Whether a key of a PSKC file is a token whose codes are judged here, and whether its policy lets us.

It reads nothing that is secret, and takes what it does not understand for a prohibition, never for a detail.
RFC 6030 4.3.4 (what codes look like), 4.4 (derived keys), 5 (policy), 10 (algorithms), and what its drafts wrote.
"""

from __future__ import annotations

from typing import Final

from radiusd2fa.imports.pskc_xml import Element, line_of, shown

_URI: Final = "urn:ietf:params:xml:ns:keyprov:pskc"
KINDS: Final = {
    f"{start}{kind}": kind
    for kind in ("hotp", "totp")
    for start in (
        f"{_URI}:",  # RFC 6030 10.1 for HOTP, and what makers write for TOTP
        f"{_URI}#",  # draft-ietf-keyprov-pskc-02, draft-hoyer-keyprov-pskc-algorithm-profiles-01
        "http://www.ietf.org/keyprov/pskc#",  # ActivIdentity
    )
}
"""Kinds of token by the URI of their algorithm, in small letters."""
_OCRA: Final = "it answers challenges (OCRA), and such answers are not judged here"
_NO_FOBS: Final = {
    f"{_URI}:pin": "it is the PIN of a token, and no token",
    f"{_URI}:ocra": _OCRA,
    f"{_URI}#ocra-1": _OCRA,
    "http://www.yubico.com/#yubikey-aes": "it is a Yubico OTP: import the log of the programming tool instead",
}
_HASHES: Final = ("sha1", "sha256", "sha512")
_PIN_PLACES: Final = {
    "Prepend": "its PIN is typed in front of the code, and is not checked here (PINUsageMode Prepend)",
    "Append": "its PIN is typed behind the code, and is not checked here (PINUsageMode Append)",
    "Algorithmic": "its PIN goes into the calculation of the code (PINUsageMode Algorithmic)",
}
_PIN_ATTRIBUTES: Final = frozenset(
    {"PINKeyId", "PINUsageMode", "MaxFailedAttempts", "MinLength", "MaxLength", "PINEncoding"}
)
_OTHER_USES: Final = ("CR", "Integrity", "Encrypt", "Unlock")
"""Attributes of the drafts' Usage, beside OTP."""


def algorithm_of(key: Element) -> str | None:
    """Return the URI of its algorithm in small letters."""
    uri = key.attribute("Algorithm", "KeyAlgorithm")
    return None if uri is None else uri.lower()


def parameters_of(key: Element) -> Element | None:
    """Return the element that says what its codes look like."""
    return key.child("AlgorithmParameters", "Usage")


def hash_of(parameters: Element | None) -> str | None:
    """Return the hash that its Suite names; None when there is none, or none that is known."""
    suite = None if parameters is None else parameters.child("Suite")
    name = "" if suite is None else suite.text.strip().lower().replace("-", "").removeprefix("hmac")
    return name if name in _HASHES else None


def why_left_out(key: Element) -> str | None:
    """Say why this is no token that is judged here; None when it is one."""
    parameters = parameters_of(key)
    return (
        _foreign_algorithm(key)
        or _foreign_use(parameters)
        or _foreign_codes(parameters)
        or _foreign_hash(parameters)
        or _derived(key)
        or _forbidden(key)
    )


def _foreign_algorithm(key: Element) -> str | None:
    uri = algorithm_of(key)
    if uri is None or uri in KINDS:
        return None
    return _NO_FOBS.get(uri, f"its algorithm is {shown(uri)}, which is not known here")


def _foreign_use(parameters: Element | None) -> str | None:
    if parameters is None or parameters.attributes.get("OTP") == "true":
        return None
    use = next((use for use in _OTHER_USES if parameters.attributes.get(use) == "true"), None)
    return None if use is None else f"it is not for one-time passwords but for {use}"


def _foreign_codes(parameters: Element | None) -> str | None:
    response = None if parameters is None else parameters.child("ResponseFormat")
    if response is None:
        return None
    encoding = response.attribute("Encoding", "Format", "format") or "DECIMAL"
    if encoding.upper() != "DECIMAL":
        return f"its codes are {shown(encoding)}, and only digits are judged here"
    # the RFC's schema calls it CheckDigits, its text CheckDigit
    if (response.attribute("CheckDigits", "CheckDigit") or "false").lower() not in ("false", "0"):
        return "its codes end in a check digit, which is not judged here"
    return None


def _foreign_hash(parameters: Element | None) -> str | None:
    suite = None if parameters is None else parameters.child("Suite")
    if suite is None or not suite.text.strip() or hash_of(parameters) is not None:
        return None
    return f"its suite is {shown(suite.text)}, and HMAC-SHA1, HMAC-SHA256 and HMAC-SHA512 are known here"


def _derived(key: Element) -> str | None:
    data = key.child("Data")
    if key.child("KeyReference") is None or (data is not None and data.child("Secret") is not None):
        return None
    return "its seed is to be derived from a key that is not in the file (KeyReference)"


def _forbidden(key: Element) -> str | None:
    """RFC 6030 5: who does not understand an element of the policy must assume that the key may not be used."""
    uses: list[str] = []
    policy = key.child("Policy")
    for rule in () if policy is None else policy.children:
        match rule.name:
            case "StartDate" | "ExpiryDate":
                pass
            case "KeyUsage":
                uses.append(rule.text.strip())
            case "PINPolicy":
                forbidden = _forbidden_by_pin(rule)
                if forbidden is not None:
                    return forbidden
            case "NumberOfTransactions":
                return "it may be used only so many times, which is not counted here (NumberOfTransactions)"
            case _:
                return f"its policy has {shown(rule.name)}, which is not known here, so it may not be used"
    if uses and "OTP" not in uses:
        return f"it is not for one-time passwords but for {line_of(', '.join(uses))}"
    return None


def _forbidden_by_pin(policy: Element) -> str | None:
    unknown = [*(policy.attributes.keys() - _PIN_ATTRIBUTES), *(child.name for child in policy.children)]
    if unknown:
        return f"its PINPolicy has {shown(min(unknown))}, which is not known here, so it may not be used"
    mode = policy.attribute("PINUsageMode") or ""
    # Local: the fob itself asks for the PIN, and shows no code without
    return None if mode == "Local" else _PIN_PLACES.get(mode, "its PINPolicy does not say where the PIN goes")
