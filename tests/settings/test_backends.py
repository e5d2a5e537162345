"""Who checks the password: what each kind of backend becomes, and that none of them ever shows a secret.

What is refused is in ``wrong_files.txt``: above all whatever would send a password in the clear.
RFC 4511 and 4516 (directories), RFC 2865 (upstream servers), pam_start(3).
"""

from __future__ import annotations

import pytest

from radiusd2fa.core.rules import LOCAL, NOBODY, Backend
from radiusd2fa.settings import (
    LdapSettings,
    LocalSettings,
    NoneSettings,
    PamSettings,
    RadiusSettings,
    UpstreamServer,
)
from tests.directory.certificates import Authority

from .conftest import Site, minimal
from .test_secrets import CANARY, everything_said

LDAP = "kind: ldap, servers: ['ldaps://dc1.example.org'], base: 'dc=example,dc=org'"


def ldap(site: Site, *options: str) -> LdapSettings:
    """Return the directory with these options."""
    backend = site.with_sections(f"primary: {{{', '.join((LDAP, *options))}}}").primary
    assert isinstance(backend, LdapSettings)
    return backend


# --- a directory --------------------------------------------------------------------------------------------


def test_a_directory_of_few_words(site: Site) -> None:
    """Servers and a base are enough: people are searched for anonymously, and all else has its default."""
    assert ldap(site) == LdapSettings(
        "ldap",
        ("ldaps://dc1.example.org",),
        search_base="dc=example,dc=org",
    )
    assert ldap(site, "groups: search").group_base == "dc=example,dc=org"


KINDS = {
    "openldap": ("(uid={name})", "entryUUID", "member_of"),
    "active_directory": (
        "(&(objectCategory=person)(objectClass=user)(sAMAccountName={name}))",
        "objectGUID",
        "nested",
    ),
    "freeipa": ("(uid={name})", "ipaUniqueID", "member_of"),
    "389ds": ("(uid={name})", "nsUniqueId", "member_of"),
}


@pytest.mark.parametrize("directory", KINDS)
def test_a_kind_of_directory_sets_defaults(site: Site, directory: str) -> None:
    """The name of the product says how people are found, what never changes about them, and how groups are read."""
    loaded = ldap(site, f"directory: {directory}")
    assert (loaded.search_filter, loaded.id_attribute, loaded.groups) == KINDS[directory]

    own = ldap(site, f"directory: {directory}", "filter: '(cn={user})', id_attribute: '1.2.3', groups: none")
    assert (own.search_filter, own.id_attribute, own.groups) == ("(cn={user})", "1.2.3", "none")


GOOD = {
    "start_tls: no": ("start_tls", False),
    "bind_template: 'uid={name},dc=x'": ("bind_template", "uid={name},dc=x"),
    "bind_template: '{user}@example.org'": ("bind_template", "{user}@example.org"),
    "bind_template: '{realm}\\{name}'": ("bind_template", "{realm}\\{name}"),
    "filter: '(|(uid={name})(mail={user}))'": ("search_filter", "(|(uid={name})(mail={user}))"),
    "group_base: 'ou=groups,dc=x'": ("group_base", "ou=groups,dc=x"),
    "group_filter: '(memberUid={name})'": ("group_filter", "(memberUid={name})"),
    "groups: search": ("groups", "search"),
    "group_name: dn": ("group_name", "dn"),
    "group_depth: 10": ("group_depth", 10),
    "id_attribute: none": ("id_attribute", None),
    "connect_timeout: 100ms": ("connect_timeout", 0.1),
    "timeout: 5s": ("timeout", 5.0),
    "calls: 256": ("calls", 256),
    "queue: 10000": ("queue", 10000),
    "retry_after: 1h": ("retry_after", 3600.0),
    "search_user: 'cn=r', search_password: 'reads'": ("search_password", b"reads"),
    "search_user: 'cn=r', search_password_file: ldap.password": ("search_password", b"from a file"),
}


@pytest.mark.parametrize(("option", "key", "expected"), [(text, *rest) for text, rest in GOOD.items()], ids=list(GOOD))
def test_an_option_of_a_directory(site: Site, option: str, key: str, expected: object) -> None:
    """Each allowed spelling, up to the bounds, becomes the value that it names."""
    site.put("ldap.password", "from a file\n")

    assert getattr(ldap(site, option), key) == expected


CLEAR = {
    "a server with StartTLS": "servers: ['ldap://dc1.example.org:3389'], start_tls: yes",
    "this host by its address": "servers: ['ldap://127.0.0.1:389']",
    "this host by any of its addresses": "servers: ['ldap://127.8.8.8']",
    "this host in IPv6": "servers: ['ldap://[::1]']",
    "this host by its name": "servers: ['ldap://localhost']",
    "this host beside TLS": "servers: ['ldap://127.0.0.1', 'ldaps://dc2.example.org/']",
}


@pytest.mark.parametrize("servers", CLEAR.values(), ids=list(CLEAR))
def test_what_no_wire_can_overhear_is_allowed(site: Site, servers: str) -> None:
    """Without TLS only this very host is asked; a slash at the end of a URL says nothing."""
    loaded = site.with_sections(f"primary: {{kind: ldap, base: dc=x, {servers}}}").primary

    assert isinstance(loaded, LdapSettings)
    assert all(not server.endswith("/") for server in loaded.servers)


BARE = "primary: {kind: ldap, servers: ['ldaps://dc'], "
LOOKS_UP = {
    f"{BARE}base: dc=x}}": True,
    f"{BARE}base: dc=x, search_user: cn=r, search_password: 'reads'}}": True,
    f"{BARE}base: dc=x, bind_template: '{{name}}@x'}}": False,
    f"{BARE}base: dc=x, bind_template: '{{name}}@x', search_user: cn=r, search_password: 'reads'}}": True,
    f"{BARE}bind_template: 'uid={{name}},dc=x'}}": False,
    f"{BARE}bind_template: 'uid={{name}},dc=x', search_user: cn=r, search_password: 'reads'}}": True,
    f"{BARE}bind_template: '{{name}}@x', id_attribute: none, groups: none}}": False,
    "primary: {kind: pam}": True,
    "primary: {kind: local}": False,
    "primary: {kind: radius, servers: [{address: 192.0.2.1, secret: 'of enough characters'}]}": False,
}


@pytest.mark.parametrize(("section", "expected"), LOOKS_UP.items(), ids=list(LOOKS_UP))
def test_who_can_say_without_a_password_whether_somebody_is_still_there(
    site: Site, section: str, expected: bool
) -> None:
    """A directory that is searched before anybody binds, or by a user of its own; PAM; nobody else."""
    assert site.with_sections(section).rules.primary.looks_up is expected


def test_what_is_weak_about_a_directory_is_said(site: Site) -> None:
    """Tokens that are tied to names, and people who left and cannot be looked up."""
    text = f"{BARE}bind_template: '{{name}}@x', id_attribute: none, groups: none}}"
    tied, left = sorted(site.with_sections(text).warnings, key=lambda said: "search_user" in said)

    assert tied.startswith("ldap: tokens are tied to names alone, so whoever gets the name")
    assert left.startswith(
        "ldap: it has no search_user, so where no password is checked (flow: code-only) a person who"
    )
    assert site.with_sections(f"primary: {{{LDAP}}}").warnings == ()


UNFIT = {
    "ca_file": "ca_file: junk.pem",
    "certificate": "certificate: junk.pem, certificate_key: junk.pem",
    "another's key": "certificate: one.crt, certificate_key: other.key",
    "an empty file": "ca_file: empty.pem",
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_certificate_that_tls_cannot_use_is_refused(site: Site, kind: str) -> None:
    """It is found before the daemon starts, under the key that names it: no certificate, or not that of the key."""
    site.put("junk.pem", "this is a letter to my aunt\n")
    site.put("empty.pem", "")
    authority = Authority.make(site.folder)
    authority.pair("one", "localhost")
    authority.pair("other", "localhost")
    (fault,) = site.faults(minimal(f"backends: {{corp: {{{LDAP}, {UNFIT[kind]}}}}}"))

    key = "ca_file" if "ca_file" in UNFIT[kind] else "certificate"
    assert (fault.line, fault.key) == (7, f"backends.corp.{key}")
    assert fault.problem.startswith("cannot be used (")
    assert "PEM" in fault.remedy


def test_certificates_that_fit(site: Site) -> None:
    """An authority and a client's certificate with its key are held by their absolute paths."""
    pair = Authority.make(site.folder, "ca").pair("client", "localhost")
    loaded = ldap(site, "ca_file: ca.pem, certificate: client.crt, certificate_key: client.key")

    assert (loaded.ca_file, loaded.certificate) == (site.folder / "ca.pem", pair.certificate)
    assert loaded.certificate_key == pair.key


# --- upstream servers, PAM, and the rest --------------------------------------------------------------------

ADDRESSES = {
    "192.0.2.40": ("192.0.2.40", 1812),
    "'192.0.2.40:1645'": ("192.0.2.40", 1645),
    "'2001:db8:0::5'": ("2001:db8::5", 1812),
    "'[2001:db8::5]:65535'": ("2001:db8::5", 65535),
}


@pytest.mark.parametrize(("written", "expected"), ADDRESSES.items(), ids=list(ADDRESSES))
def test_the_address_of_an_upstream_server(site: Site, written: str, expected: tuple[str, int]) -> None:
    """An address alone means port 1812."""
    loaded = site.with_sections(f"primary: {{kind: radius, servers: [{{address: {written}, secret: '{CANARY * 2}'}}]}}")

    assert loaded.primary == RadiusSettings("radius", (UpstreamServer(*expected, (CANARY * 2).encode()),))


def test_an_upstream_server_with_everything(site: Site) -> None:
    """All options, and attributes by their names; a vendor's stands for all vendors'."""
    site.put("nps.secret", "from a file, long enough\n")
    loaded = site.with_sections(
        "primary:",
        "  kind: radius",
        "  servers: [{address: 192.0.2.40, secret_file: nps.secret},",
        "    {address: '192.0.2.41:1', secret: 'inline, and long too'}]",
        "  message_authenticator: observe",
        "  timeout: 500ms",
        "  tries: 5",
        "  calls: 1",
        "  retry_after: 1s",
        "  nas_identifier: ours",
        "  pass_on: [NAS-Port-Type]",
        "  pass_back: [class, Cisco-AVPair]",
        "  strip_realm: yes",
    )

    assert loaded.primary == RadiusSettings(
        "radius",
        (
            UpstreamServer("192.0.2.40", 1812, b"from a file, long enough"),
            UpstreamServer("192.0.2.41", 1, b"inline, and long too"),
        ),
        require_message_authenticator=False,
        timeout=0.5,
        tries=5,
        calls=1,
        retry_after=1.0,
        nas_identifier="ours",
        pass_on=(61,),
        pass_back=(25, 26),
        strip_realm=True,
    )
    (warning,) = loaded.warnings
    assert warning.startswith("radius: replies without a Message-Authenticator are believed")


def test_pam(site: Site) -> None:
    """A service is a file of /etc/pam.d."""
    loaded = site.with_sections("primary: {kind: pam, service: radius-2.fa_x, timeout: 100ms, calls: 64, queue: 1}")

    assert loaded.primary == PamSettings("pam", service="radius-2.fa_x", timeout=0.1, calls=64, queue=1)
    assert site.with_sections("primary: {kind: pam}").primary == PamSettings()


def test_the_primary_and_others(site: Site) -> None:
    """Backends have names of their own; local and none need not be written, and are opened only where they are used."""
    backends = "backends: {corp: {kind: pam, service: corp}, spare: {memory_kib: 64}}"
    loaded = site.with_sections(backends, "primary: {kind: none}")

    assert loaded.primary == NoneSettings()
    assert loaded.backends == (
        NoneSettings(),
        PamSettings("corp", service="corp"),
        LocalSettings("spare", memory_kib=64),
    )
    assert loaded.rules.primary == NOBODY
    assert dict(loaded.rules.backends) == {
        "local": LOCAL,
        "none": NOBODY,
        "corp": Backend("corp", looks_up=True),
        "spare": Backend("spare", accounts_of="local"),
    }


def test_a_backend_that_a_rule_names_is_opened(site: Site) -> None:
    """A kind without options can be named as it stands, as a primary or as the system that goes on deciding."""
    rule = "rules: [{name: a, primary: none}, {name: b, enrolment: {upstream: local, until: 2027-01-31}}]"
    loaded = site.with_sections("primary: {kind: pam}", rule)

    assert {one.name for one in loaded.backends} == {"pam", "none", "local"}
    assert [rule.primary for rule in loaded.rules.rules] == ["none", None]


# --- no message shows a secret ------------------------------------------------------------------------------

HURRIED_HANDS = {
    "good": "  search_password: 'CANARY'\n",
    "plain": "  search_password: CANARY\n",
    "a list": "  search_password: ['CANARY', CANARY]\n",
    "keys": "  search_password: {CANARY: 1, CANARY: 2}\n",
    "no space": "  search_password:'CANARY'\n",
    "as a file": "  search_password_file: 'CANARY'\n",
    "beside a file": "  search_password_file: CANARY\n  search_password: 'CANARY'\n",
    "misspelt": "  search_pasword: 'CANARY'\n",
    "in the URL": "  servers: ['ldaps://reader:CANARY@dc1.example.org']\n",
    "as the filter": "  filter: '(CANARY'\n",
    "as the template": "  bind_template: 'CANARY'\n",
    "as a placeholder": "  bind_template: 'uid={CANARY}'\n",
    "as the id": "  id_attribute: 'CANARY !'\n",
    "as the kind of directory": "  directory: CANARY\n",
}
UPSTREAM = {
    "good": "    - {address: 192.0.2.1, secret: 'CANARY'}\n",
    "plain": "    - {address: 192.0.2.1, secret: CANARY}\n",
    "keys": "    - {address: 192.0.2.1, secret: {CANARY: 1, CANARY: 2}}\n",
    "no space": "    - {address: 192.0.2.1, secret:CANARY}\n",
    "no colon": "    - {address: 192.0.2.1, secret, CANARY}\n",
    "as the address": "    - {address: CANARY, secret: 'x'}\n",
    "as a file": "    - {address: 192.0.2.1, secret_file: CANARY}\n",
}
TEXTS = {
    **{
        f"directory: {name}": f"primary:\n  kind: ldap\n  search_user: cn=r\n  base: dc=x\n{lines}"
        f"{'' if 'servers' in lines else '  servers: [ldaps://dc]'}\n"
        for name, lines in HURRIED_HANDS.items()
    },
    **{f"upstream: {name}": f"primary:\n  kind: radius\n  servers:\n{lines}" for name, lines in UPSTREAM.items()},
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_no_message_shows_the_secret_of_a_backend(site: Site, text: str) -> None:
    """However it is written, rightly or wrongly, no fault, repr, warning or traceback contains it."""
    assert CANARY not in everything_said(site, minimal(text.replace("CANARY", CANARY)))


def test_the_secrets_of_a_backend_need_a_file_of_its_owners(site: Site) -> None:
    """The password of a searching user and the secret of an upstream server are secrets as those of clients are."""
    site.put("lab.secret", "of enough characters")
    text = (
        "listen: {udp: ['127.0.0.1:0']}\nstore: sqlite:///a.db\n"
        "clients: {lab: {networks: [127.0.0.1], secret_file: lab.secret}}\n"
        f"primary: {{{LDAP}, search_user: cn=r, search_password: 'reads'}}\n"
        "backends: {old: {kind: radius, servers: [{address: 192.0.2.1, secret: 'of enough characters'}]}}\n"
    )

    assert [(fault.line, fault.key) for fault in site.faults(text, 0o644)] == [
        (4, "primary.search_password"),
        (5, "backends.old.servers.secret"),
    ]
