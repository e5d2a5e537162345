"""OpenLDAP's server with a small company in it, started on ports of its own in the test's folder.

Its configuration is our own file; nothing of the host's directory is read or changed. ``allow bind_anon_dn`` makes it
as careless as RFC 4513 5.1.2 permits: a bind with an empty password is a success. slapd(8), slapd.conf(5).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from .certificates import Authority, Pair

_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
SLAPD: Final = shutil.which("slapd", path=_PATH)
SLAPADD: Final = shutil.which("slapadd", path=_PATH)
LDAPADD: Final = shutil.which("ldapadd", path=_PATH)
needs_slapd: Final = [
    pytest.mark.skipif(SLAPD is None or SLAPADD is None, reason="needs Debian package slapd"),
    pytest.mark.skipif(LDAPADD is None, reason="needs Debian package ldap-utils"),
]

BASE: Final = "dc=example,dc=org"
PEOPLE: Final = f"ou=people,{BASE}"
GROUPS: Final = f"ou=groups,{BASE}"
SEARCHER: Final = f"cn=search,{BASE}"
SEARCHERS_PASSWORD: Final = b"look, do not touch"
PASSWORD: Final = b"hunter2"
ALICES_ID: Final = "00000000-0000-4000-8000-00000000a11c"
WEIRD: Final = 'o(r*k),"+é#'
"""Everything that means something in a filter or in a distinguished name, and a letter that is not ASCII."""
_PATIENCE: Final = 20.0
_TRIES: Final = 5

_CONFIGURATION: Final = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
TLSCACertificateFile {authority}
TLSCertificateFile {pair.certificate}
TLSCertificateKeyFile {pair.key}
allow bind_anon_cred bind_anon_dn
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{searcher}" read by users read by anonymous auth
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root
directory {folder}/database
maxsize 10485760
index uid,entryUUID,member,memberUid eq
overlay memberof
overlay ppolicy
ppolicy_default "cn=policy,{base}"
ppolicy_use_lockout
"""

_TREE: Final = f"""
dn: {BASE}
objectClass: domain
dc: example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: {SEARCHER}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: search
userPassword: {SEARCHERS_PASSWORD.decode()}

dn: cn=policy,{BASE}
objectClass: applicationProcess
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 50
pwdMaxAge: 8000000
pwdMustChange: TRUE
"""

_PERSON: Final = """
dn: {dn}
objectClass: inetOrgPerson
objectClass: shadowAccount
uid: {uid}
cn: {uid}
sn: {uid}
mail: {uid}@example.org
userPassword: hunter2
{more}
"""


def person(uid: str, more: str = "", place: str = "ou=people") -> str:
    """Return somebody's entry as LDIF."""
    escaped = re.sub(r'([\\,+"<>;=#])', r"\\\1", uid)
    return _PERSON.format(dn=f"uid={escaped},{place},{BASE}", uid=uid, more=more).replace("\n\n", "\n").rstrip() + "\n"


_ALL: Final = "\n".join(
    (
        _TREE.strip() + "\n",
        person("alice", f"entryUUID: {ALICES_ID}"),
        person("bob"),
        person(WEIRD),
        person("the blank"),
        person("twin"),
        person("twin", place="ou=groups"),
        person("locked", "pwdAccountLockedTime: 000001010000Z"),
        person("expired", "pwdChangedTime: 20200101000000Z"),
        person("reset", "pwdReset: TRUE"),
        person("left", "shadowExpire: 15000"),
        person("l" * 200),
    )
)


def _group(name: str, *members: str) -> str:
    held = "\n".join(f"member: {member}" for member in members)
    return f"dn: cn={name},{GROUPS}\nobjectClass: groupOfNames\ncn: {name}\n{held}\n"


_ALICE, _BOB = f"uid=alice,{PEOPLE}", f"uid=bob,{PEOPLE}"
_MEMBERSHIPS: Final = "\n".join(
    (
        _group("VPN Users", _ALICE, _BOB),
        _group("staff", f"cn=VPN Users,{GROUPS}"),
        _group("everybody", f"cn=staff,{GROUPS}"),
        _group("round", _BOB, f"cn=and-round,{GROUPS}"),
        _group("and-round", f"cn=round,{GROUPS}"),
        f"dn: cn=unix,{GROUPS}\nobjectClass: posixGroup\ncn: unix\ngidNumber: 1\nmemberUid: alice\n",
    )
)


@dataclass(frozen=True, slots=True)
class Slapd:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    tls_port: int
    local: str
    """The URI of its socket on this machine."""
    authority: Path
    made_by: Authority

    @property
    def plain(self) -> str:
        """The URI without TLS, or for StartTLS."""
        return f"ldap://localhost:{self.port}"

    @property
    def tls(self) -> str:
        """The URI with TLS from the beginning."""
        return f"ldaps://localhost:{self.tls_port}"

    def stop_answering(self) -> None:
        """Let it hang: its ports still accept connections."""
        self.process.send_signal(signal.SIGSTOP)

    def answer_again(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def slapd(folder: Path, authority: Authority | None = None) -> Iterator[Slapd]:
    """Start a server with everybody in it; its certificate is for localhost, and of a new authority if of no other."""
    (folder / "database").mkdir(parents=True)
    authority = authority or Authority.make(folder)
    pair = authority.pair(f"server-{folder.name}", "localhost", "127.0.0.1")
    _write_configuration(folder, authority.file, pair)
    (folder / "tree.ldif").write_text(_ALL)
    configuration = str(folder / "slapd.conf")
    _run(str(SLAPADD), "-f", configuration, "-l", str(folder / "tree.ldif"))
    local = f"ldapi://{quote(str(folder / 'ldapi'), safe='')}"
    process, port, tls_port = _started(configuration, local)
    try:
        (folder / "groups.ldif").write_text(_MEMBERSHIPS)
        to = ["-x", "-H", f"ldap://127.0.0.1:{port}", "-D", f"cn=root,{BASE}", "-w", "root"]
        _run(str(LDAPADD), *to, "-f", str(folder / "groups.ldif"))
        yield Slapd(process, port, tls_port, local, authority.file, authority)
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(_PATIENCE)
        if process.stderr is not None:
            process.stderr.close()


def _write_configuration(folder: Path, authority: Path, pair: Pair) -> None:
    text = _CONFIGURATION.format(authority=authority, pair=pair, searcher=SEARCHER, base=BASE, folder=folder)
    (folder / "slapd.conf").write_text(text)


def _started(configuration: str, local: str) -> tuple[subprocess.Popen[bytes], int, int]:
    # slapd cannot be told to take any free port; somebody may be faster than it
    for _ in range(_TRIES):
        port, tls_port = _free_ports()
        addresses = f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port} {local}"
        command = [str(SLAPD), "-f", configuration, "-h", addresses, "-d", "none"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert process.stderr is not None
        for line in process.stderr:
            if b"slapd starting" in line:
                _wait_for(port)
                _wait_for(tls_port)
                return process, port, tls_port
        process.wait(_PATIENCE)
        process.stderr.close()
    pytest.fail("slapd does not start")


def _wait_for(port: int) -> None:
    # it says so before it listens
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    pytest.fail("slapd does not listen")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:  # both at a time, or they might be the same
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
