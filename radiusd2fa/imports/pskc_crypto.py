"""Encrypted values of a PSKC file: which key opens them, and whether they are still what the sender wrote.

It never opens a value whose MAC it has not verified, never takes one without integrity, and says no key and no seed.
RFC 6030 6 (keys and MACs), XML Encryption 1.1 3 and 5.4 (where they are written), RFC 8018 5.2 (PBKDF2).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from radiusd2fa.imports.pskc_ciphers import KEY_OCTETS, METHODS, ClosedError, Method
from radiusd2fa.imports.pskc_xml import Element, FlawError, shown
from radiusd2fa.imports.secrets_text import base64_seed
from radiusd2fa.imports.seeds import How, LockedError, UnreadableError

MOST_ITERATIONS: Final = 10_000_000
"""Some seconds of PBKDF2; a file that asks for more would keep the machine busy for nothing."""
HASHES: Final = {f"hmac-{name}": name for name in ("sha1", "sha224", "sha256", "sha384", "sha512")}

_ASK_THE_VENDOR: Final = "ask whoever made the file for one as RFC 6030 has it"


class Opener:
    """What opens the encrypted values of one file."""

    def __init__(self, encryption_key: Element | None, mac_method: Element | None, how: How) -> None:
        """Find out which key is wanted; UnreadableError when it has not been given."""
        self.expected = encryption_key is not None or how.key is not None or how.password is not None
        """Whether seeds must be encrypted here: by what the file says, or by what has been given."""
        self._wanted, self._key = _pre_shared(None, how) if encryption_key is None else _key_of(encryption_key, how)
        self._mac_method = mac_method
        self._mac_key: bytes | None = None
        self._mac_key_method: Method | None = None
        self._proved = False

    def open(self, holder: Element) -> bytes:
        """Return what the EncryptedValue in this element says; FlawError, or UnreadableError when none has opened."""
        encrypted, mac = holder.child("EncryptedValue"), holder.child("ValueMAC")
        if encrypted is None:
            raise FlawError(holder.line, f"<{holder.name}> has no value", _ASK_THE_VENDOR)
        method, octets = _method(encrypted), _octets(encrypted)
        key = self._key_for(method, encrypted)
        # RFC 6030 6.1.1 demands a MAC of algorithms without an integrity check of their own, so a key wrap may do
        # without; a MAC that is there must be right all the same
        if mac is not None or not method.proves_itself:
            self._verify(octets, mac, encrypted)
        # the MAC is over the octets alone, and another cipher would make another seed of them. RFC 6030 6 has one
        # for the whole file; that of the MAC key is the right one, or no MAC would fit
        if not method.proves_itself and method is not self._mac_key_method:
            raise FlawError(encrypted.line, "a value is encrypted by another cipher than the MAC key", _ASK_THE_VENDOR)
        try:
            value = method.open(key, octets)
        except ClosedError:
            raise self._distrust(encrypted, "a value does not open") from None
        self._proved = True
        return value

    def _verify(self, octets: bytes, mac: Element | None, encrypted: Element) -> None:
        if self._mac_method is None:
            raise UnreadableError(
                encrypted.line,
                "it is encrypted and has no MACMethod, so nobody can tell whether it has been changed on its way",
                "ask whoever made the file for one with MACs (RFC 6030 6.1.1)",
            )
        if mac is None:
            problem = "a value is encrypted without a MAC"
            raise FlawError(encrypted.line, problem, "ask whoever made the file for one with MACs (RFC 6030 6.1.1)")
        said = base64_seed(mac.text)
        if said is None:
            raise FlawError(mac.line, "the MAC is no base64", _ASK_THE_VENDOR)
        if self._mac_key is None:
            self._mac_key = self._find_mac_key(self._mac_method)
        # over what CipherValue holds, initialisation vector and all (figures 6 and 7)
        right = hmac.digest(self._mac_key, octets, _hash(self._mac_method, "MAC"))
        if not hmac.compare_digest(right, said):
            raise self._distrust(mac, "the MAC does not fit")
        self._proved = True

    def _find_mac_key(self, method: Element) -> bytes:
        carried, named = method.child("MACKey"), method.child("MACKeyReference")
        if named is not None:
            raise UnreadableError(
                named.line,
                f"its MACs are made with a second key, {shown(named.text)}, which only the sender knows",
                "ask whoever made the file for one that carries its MACKey",
            )
        if carried is None:
            # as the drafts had it, and the RFC's schema still lets both be absent; of AES only one cipher fits a key
            key = self._key_for(None, method)
            self._mac_key_method = METHODS.get(f"aes{8 * len(key)}-cbc")
            return key
        try:
            self._mac_key_method = way = _method(carried)
            mac_key = way.open(self._key_for(way, carried), _octets(carried))
        except FlawError as flaw:
            raise UnreadableError(flaw.line, f"its MAC key: {flaw.problem}", flaw.remedy) from None
        except ClosedError:
            raise self._distrust(carried, "the MAC key does not open") from None
        if not mac_key:
            raise UnreadableError(carried.line, "the MAC key is empty", _ASK_THE_VENDOR)
        return mac_key

    def _key_for(self, method: Method | None, at: Element) -> bytes:
        if self._key is None:
            raise LockedError(
                at.line,
                "its seeds are encrypted",
                f"give {self._wanted}, which comes by another way than the file",
                password=False,
            )
        if method is not None and len(self._key) not in method.key_octets:
            wanted = " or ".join(map(str, method.key_octets))
            problem = f"its encryption takes a key of {wanted} octets, and this one has {len(self._key)}"
            raise UnreadableError(at.line, problem, f"give {self._wanted}")
        return self._key

    def _distrust(self, at: Element, what: str) -> Exception:
        if self._proved:
            problem = f"{what}: this token has been changed on its way, or was damaged"
            return FlawError(at.line, problem, "fetch the file again, and ask whoever made it what they sent")
        return UnreadableError(
            at.line, f"{what}: the key is wrong, or the file has been changed on its way", f"give {self._wanted}"
        )


def _key_of(element: Element, how: How) -> tuple[str, bytes]:
    derived = element.child("DerivedKey")
    if derived is not None:
        name = derived.child("MasterKeyName") or derived.child("CarriedKeyName")
        wanted = "the password" + (f" that its sender calls {shown(name.text)}" if name is not None else "")
        if how.password is None:
            given = "a key has been given" if how.key is not None else "none has been given"
            raise LockedError(
                element.line,
                f"its seeds are encrypted with a password, and {given}",
                f"give {wanted}, which comes by another way than the file",
                password=True,
            )
        return wanted, _derived(derived, how.password)
    certificate = element.child("X509Data", "KeyValue", "EncryptedKey", "AgreementMethod")
    if certificate is not None:
        raise UnreadableError(
            certificate.line,
            "its seeds are encrypted for the holder of a certificate, which cannot be opened here",
            "ask whoever made the file for one with a pre-shared key or a password",
        )
    wanted, key = _pre_shared(element.child("KeyName"), how)
    if key is None:
        given = "a password has been given" if how.password is not None else "none has been given"
        raise LockedError(
            element.line,
            f"its seeds are encrypted with a pre-shared key, and {given}",
            f"give {wanted}, which comes by another way than the file",
            password=False,
        )
    return wanted, key


def _pre_shared(name: Element | None, how: How) -> tuple[str, bytes | None]:
    return "the pre-shared key" + (f" that its sender calls {shown(name.text)}" if name is not None else ""), how.key


def _derived(derived: Element, password: str) -> bytes:
    method = derived.child("KeyDerivationMethod")
    parameters = None if method is None else method.child("PBKDF2-params")
    if method is None or parameters is None or _fragment(method) != "pbkdf2":
        problem = "it does not make its key from the password by PBKDF2"
        raise UnreadableError(derived.line, problem, _ASK_THE_VENDOR)
    salt = parameters.child("Salt")
    specified = None if salt is None else salt.child("Specified")
    octets = None if specified is None else base64_seed(specified.text)
    if octets is None:
        raise UnreadableError(parameters.line, "the salt of its password is missing or no base64", _ASK_THE_VENDOR)
    iterations, length = _count(parameters, "IterationCount"), _count(parameters, "KeyLength")
    if not 1 <= iterations <= MOST_ITERATIONS:
        problem = f"it wants {iterations} iterations of PBKDF2; 1 to {MOST_ITERATIONS} are done"
        raise UnreadableError(parameters.line, problem, _ASK_THE_VENDOR)
    if length not in KEY_OCTETS:
        problem = f"it wants a key of {length} octets; {', '.join(map(str, KEY_OCTETS))} can be used"
        raise UnreadableError(parameters.line, problem, _ASK_THE_VENDOR)
    prf = parameters.child("PRF")
    # "PRF [...] DEFAULT algid-hmacWithSHA1" (RFC 8018 A.2); figure 7 has an empty element
    name = "sha1" if prf is None or not _uri(prf) else _hash(prf, "PBKDF2")
    return hashlib.pbkdf2_hmac(name, password.encode(errors="surrogateescape"), octets, iterations, length)


def _count(parameters: Element, name: str) -> int:
    element = parameters.child(name)
    text = "" if element is None else element.text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UnreadableError(parameters.line, f"<{name}> is missing or no number", _ASK_THE_VENDOR)
    return int(text)


def _hash(element: Element, what: str) -> str:
    uri = _uri(element)
    name = HASHES.get(uri.rpartition("#")[2].lower())
    if name is None:
        raise UnreadableError(element.line, f"its {what} is by {shown(uri)}, which is not known here", _ASK_THE_VENDOR)
    return name


def _uri(element: Element) -> str:
    # <MACAlgorithm>URI</MACAlgorithm> in drafts, and <PRF>URI</PRF> by python-pskc, instead of the attribute
    return element.attribute("Algorithm") or element.text.strip()


def _fragment(element: Element) -> str:
    return (element.attribute("Algorithm") or "").rpartition("#")[2].lower()


def _method(encrypted: Element) -> Method:
    said = encrypted.child("EncryptionMethod")
    if said is None:
        raise UnreadableError(encrypted.line, "it does not say how its values are encrypted", _ASK_THE_VENDOR)
    # PBES2 says the cipher one element further in
    method = METHODS.get(_fragment(said.child("EncryptionScheme") or said))
    if method is None:
        uri = shown(said.attribute("Algorithm") or "")
        remedy = "ask whoever made the file for one with AES, whose key is pre-shared or made from a password"
        raise UnreadableError(said.line, f"it is encrypted by {uri}, which is not known here", remedy)
    return method


def _octets(encrypted: Element) -> bytes:
    data = encrypted.child("CipherData")
    value = None if data is None else data.child("CipherValue")
    if value is None:
        raise FlawError(encrypted.line, "an encrypted value is not there", _ASK_THE_VENDOR)
    octets = base64_seed(value.text)
    if octets is None:
        raise FlawError(value.line, "an encrypted value is no base64", "fetch the file again")
    return octets
