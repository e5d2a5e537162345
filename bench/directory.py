"""A small OpenLDAP directory for one run: as many people as wanted, over TLS, under a certificate made for it.

It knows the people by the generator's numbers, with one password for all that costs nothing to check, so that what is
measured is the asking. Nothing of the host's directory is read or changed. slapd.conf(5); RFC 4511, RFC 4530.
"""

from __future__ import annotations

import ipaddress
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from servers import READY_WITHIN, NotReadyError, name_of

PASSWORD: Final = "correct horse"
BASE: Final = "dc=bench"
SEARCHER: Final = f"cn=search,{BASE}"
SEARCHERS_PASSWORD: Final = "look"

_PATH: Final = "/usr/sbin:/sbin:/usr/bin:/bin"
_CONFIGURATION: Final = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/server.crt
TLSCertificateKeyFile {folder}/server.key
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{searcher}" read by anonymous auth
database mdb
suffix "{base}"
directory {folder}/database
maxsize 104857600
index uid,entryUUID eq
"""


@dataclass(frozen=True, slots=True)
class Directory:
    """A running slapd."""

    process: subprocess.Popen[bytes]
    port: int
    authority: Path

    @property
    def uri(self) -> str:
        """Where it is asked."""
        return f"ldaps://127.0.0.1:{self.port}"


def id_of(index: int) -> str:
    """Return what ties one user to one entry."""
    return f"00000000-0000-4000-8000-{index:012}"


def is_installed() -> bool:
    """Whether this host has OpenLDAP's server."""
    return None not in (shutil.which("slapd", path=_PATH), shutil.which("slapadd", path=_PATH))


@contextmanager
def directory(folder: Path, people: int) -> Iterator[Directory]:
    """Run a directory with so many people in it."""
    (folder / "database").mkdir(parents=True)
    _certify(folder)
    configuration = folder / "slapd.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, searcher=SEARCHER, base=BASE))
    (folder / "people.ldif").write_text(_tree(people))
    load = [shutil.which("slapadd", path=_PATH), "-q", "-f", configuration, "-l", folder / "people.ldif"]
    subprocess.run([str(word) for word in load], check=True, capture_output=True)
    port = _free_port()
    command = [shutil.which("slapd", path=_PATH), "-f", configuration, "-h", f"ldaps://127.0.0.1:{port}", "-d", "none"]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    try:
        threading.Thread(target=process.stderr.read, daemon=True).start()
        _wait_for(port, process)
        yield Directory(process, port, folder / "server.crt")
    finally:
        process.kill()  # it may be stopped
        process.wait()


def _tree(people: int) -> str:
    searcher = "objectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: search"
    entries = [
        f"dn: {BASE}\nobjectClass: domain\ndc: bench\n",
        f"dn: {SEARCHER}\n{searcher}\nuserPassword: {SEARCHERS_PASSWORD}\n",
    ]
    for index in range(people):
        uid = name_of(index)
        entries.append(
            f"dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
            f"userPassword: {PASSWORD}\nentryUUID: {id_of(index)}\n"
        )
    return "\n".join(entries)


def _certify(folder: Path) -> None:
    """Make a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    # an authority is found by its name, so no two have one
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "server.key").touch(mode=0o600)
    (folder / "server.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise NotReadyError("slapd was never ready")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
