"""What a good configuration becomes: defaults, every spelling that is allowed, and the warnings that go with it.

Bounds are tried on both sides here; what lies outside is in ``wrong_files.txt``.
RFC 5424 6.2.1 (facilities); the windows are those of RFC 4226 and RFC 6238.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from ipaddress import ip_network
from pathlib import Path

import pytest

from radiusd2fa.core.model import Flow, Nas
from radiusd2fa.core.rules import FACTORS, LOCAL, NOBODY, FidoRules, Rule, Rules, Station
from radiusd2fa.settings import (
    Administrators,
    AttestationSettings,
    ClientSettings,
    Endpoint,
    LocalSettings,
    LogSettings,
    Settings,
    StationSettings,
    SyslogSettings,
    load_settings,
)
from radiusd2fa.settings.calendar import minutes_of_week
from radiusd2fa.settings.node import this_host

from .conftest import SECRET, Site, minimal

WITHOUT_KEYS = ("yubico", "totp", "hotp", "recovery")
"""What counts where no rule says otherwise, and there is no relying party."""


def value(loaded: object, path: str) -> object:
    """Follow a dotted path through the settings."""
    for name in path.split("."):
        loaded = getattr(loaded, name)
    return loaded


def test_a_minimal_file_has_every_default(site: Site) -> None:
    """listen, store and clients are enough; everything else is as the values and rules say themselves."""
    assert site.load(minimal()) == Settings(
        path=site.file,
        listen=(Endpoint("127.0.0.1", 0),),
        store=f"sqlite:///{site.folder}/radiusd2fa.db",
        vault_key=site.folder / "vault.key",
        clients=(ClientSettings(Nas("lab"), (ip_network("127.0.0.1/32"),), (SECRET.encode(),)),),
        primary=LocalSettings(),
        rules=Rules(
            (Rule("all", WITHOUT_KEYS),),
            backends={"local": LOCAL, "none": NOBODY},
            minute_of_week=minutes_of_week(None),
        ),
        syslog=SyslogSettings(),
        log=LogSettings(),
        backends=(LocalSettings(),),
        node=this_host(),
        warnings=(),
    )


def test_settings_are_frozen_and_hide_their_secrets(site: Site) -> None:
    """No part of the settings can be changed, and no repr shows a secret."""
    loaded = site.load(minimal())

    with pytest.raises(FrozenInstanceError):
        loaded.store = ""  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        loaded.clients[0].secrets = ()  # type: ignore[misc]
    assert SECRET not in repr(loaded)


def test_a_relative_path_of_the_file_is_made_absolute(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the daemon is started from does not matter to where it finds its files."""
    site.put("radiusd2fa.yaml", minimal())
    monkeypatch.chdir(site.folder)
    loaded = load_settings(Path("radiusd2fa.yaml"))

    assert (loaded.path, loaded.store) == (site.file, f"sqlite:///{site.folder}/radiusd2fa.db")


GOOD = {
    # spelling -> where it ends, what it is
    "hotp: {look_ahead: 0}": ("rules.hotp.look_ahead", 0),
    "hotp: {look_ahead: 50}": ("rules.hotp.look_ahead", 50),
    "hotp: {look_ahead: '7'}": ("rules.hotp.look_ahead", 7),
    "hotp: {resync_window: 10}": ("rules.hotp.resync_window", 10),
    "hotp: {resync_window: 1000}": ("rules.hotp.resync_window", 1000),
    "totp: {steps_either_side: 0}": ("rules.totp.steps_either_side", 0),
    "totp: {steps_either_side: 10}": ("rules.totp.steps_either_side", 10),
    "totp: {resync_steps: 200}": ("rules.totp.resync_steps", 200),
    "totp: {max_drift: 0}": ("rules.totp.max_drift", 0),
    "totp: {widen_every: 90d}": ("rules.totp.widen_every", 90 * 86400.0),
    "totp: {widen_every: 0}": ("rules.totp.widen_every", 0.0),
    "totp: {steps_either_side: 8, widen_every: 1s, widen_at_most: 2}": ("rules.totp.widen_at_most", 2),
    "throttle: {max_failures: 1}": ("rules.throttle.max_failures", 1),
    "throttle: {first_lock: 1s}": ("rules.throttle.first_lock", 1.0),
    "throttle: {first_lock: 1h}": ("rules.throttle.first_lock", 3600.0),
    "throttle: {max_lock: 30d}": ("rules.throttle.max_lock", 2592000.0),
    "throttle: {caller_max_failures: 1}": ("rules.throttle.caller_max_failures", 1),
    "throttle: {caller_window: 1s}": ("rules.throttle.caller_window", 1.0),
    "challenge: {lifetime: 2s}": ("rules.challenge.lifetime", 2.0),
    "challenge: {lifetime: 2500ms}": ("rules.challenge.lifetime", 2.5),
    "challenge: {lifetime: 2.5s}": ("rules.challenge.lifetime", 2.5),
    "challenge: {lifetime: 10m}": ("rules.challenge.lifetime", 600.0),
    "challenge: {lifetime: '60s'}": ("rules.challenge.lifetime", 60.0),
    "challenge: {tries: 1}": ("rules.challenge.tries", 1),
    "challenge: {tries: 10}": ("rules.challenge.tries", 10),
    "challenge: {resync_lifetime: 2s}": ("rules.challenge.resync_lifetime", 2.0),
    "challenge: {password_prompt: 'Your password: '}": ("rules.challenge.password_prompt", "Your password: "),
    f"challenge: {{code_prompt: '{'x' * 198}: '}}": ("rules.challenge.code_prompt", "x" * 198 + ": "),
    "challenge: {token_prompt: 'Serial, then code: '}": ("rules.challenge.token_prompt", "Serial, then code: "),
    "workers: 1": ("workers", 1),
    "workers: 64": ("workers", 64),
    "tokens: {}": ("activation", 30 * 86400.0),
    "tokens: {activation: 1h}": ("activation", 3600.0),
    "tokens: {activation: 3650d}": ("activation", 3650 * 86400.0),
    "administrators: {helpdesk: [desk, 'CORP\\domain users']}": (
        "administrators",
        Administrators(helpdesk=frozenset({"desk", "CORP\\domain users"})),
    ),
    "administrators: {admin: [wheel], operator: [adm], helpdesk: [adm]}": (
        "administrators",
        Administrators(frozenset({"adm"}), frozenset({"adm"}), frozenset({"wheel"})),
    ),
    "primary: {kind: none}": ("rules.primary", NOBODY),
    "primary: {kind: local}": ("rules.primary", LOCAL),
    "primary: {memory_kib: 65536}": ("primary.memory_kib", 65536),
    "primary: {queue: 1}": ("primary.queue", 1),
    "syslog: off": ("syslog", None),
    "syslog: 'off'": ("syslog", None),
    "syslog: {to: unix:log.sock}": ("syslog.path", "FOLDER/log.sock"),
    "syslog: {to: unix:/run/log}": ("syslog", SyslogSettings("unix", "/run/log", "", 0, 10)),
    "syslog: {to: udp://log.example:514}": ("syslog", SyslogSettings("udp", "", "log.example", 514, 10)),
    "syslog: {to: 'tcp://[2001:db8::1]:6514'}": ("syslog", SyslogSettings("tcp", "", "2001:db8::1", 6514, 10)),
    "syslog: {facility: kern}": ("syslog.facility", 0),
    "syslog: {facility: clock}": ("syslog.facility", 15),
    "syslog: {facility: local7}": ("syslog.facility", 23),
    "log: {format: json, level: debug}": ("log", LogSettings("json", "debug")),
    "log: {}": ("log", LogSettings()),
    "vault: {key_file: keys/a.key}": ("vault_key", "FOLDER/keys/a.key"),
    "vault: {key_file: /etc/a.key}": ("vault_key", "/etc/a.key"),
}


@pytest.mark.parametrize(
    ("section", "place", "expected"), [(text, *rest) for text, rest in GOOD.items()], ids=list(GOOD)
)
def test_a_section_becomes_its_value(site: Site, section: str, place: str, expected: object) -> None:
    """Each allowed spelling, up to the bounds, becomes the value that it names."""
    found = value(site.with_sections(section), place)

    if isinstance(expected, str) and not isinstance(found, Path):
        expected = expected.replace("FOLDER", str(site.folder))
    elif isinstance(expected, str):
        expected = Path(expected.replace("FOLDER", str(site.folder)))
    assert found == expected


GOOD_CLIENTS = {
    **{f"flow: {flow.value}": ("nas.flow", flow) for flow in Flow},
    "message_authenticator: observe": ("require_message_authenticator", False),
    "message_authenticator: required": ("require_message_authenticator", True),
    "sign_replies: no": ("sign_replies", False),
    "sign_replies: false": ("sign_replies", False),
    "sign_replies: yes": ("sign_replies", True),
    "strip_realm: true": ("nas.strip_realm", True),
    "reject_delay: 0": ("reject_delay", 0.0),
    "reject_delay: 200ms": ("reject_delay", 0.2),
    "reject_delay: 10s": ("reject_delay", 10.0),
    "max_pps: 0": ("max_pps", 0),
    "max_pps: 1": ("max_pps", 1),
    "max_pps: '1000000'": ("max_pps", 1_000_000),
    "password_encoding: latin-1": ("nas.password_encoding", "iso8859-1"),
    "password_encoding: cp1252": ("nas.password_encoding", "cp1252"),
    "password_encoding: utf-8": ("nas.password_encoding", None),
}


@pytest.mark.parametrize(
    ("option", "place", "expected"), [(text, *rest) for text, rest in GOOD_CLIENTS.items()], ids=str
)
def test_an_option_of_a_client_becomes_its_value(site: Site, option: str, place: str, expected: object) -> None:
    """Each allowed spelling of a client's option becomes the value that it names."""
    assert value(site.with_client(option).clients[0], place) == expected


ENDPOINTS = {
    "127.0.0.1:1812": Endpoint("127.0.0.1", 1812),
    "192.0.2.1:0": Endpoint("192.0.2.1", 0),
    "[::]:65535": Endpoint("::", 65535),
    "[0:0::1]:1812": Endpoint("::1", 1812),
}


@pytest.mark.parametrize(("written", "expected"), ENDPOINTS.items(), ids=list(ENDPOINTS))
def test_an_address_to_listen_on(site: Site, written: str, expected: Endpoint) -> None:
    """IPv4 and bracketed IPv6 addresses with a port, 0 included, are endpoints."""
    assert site.load(minimal().replace("127.0.0.1:0", written)).listen == (expected,)


def test_several_ephemeral_ports_of_one_address(site: Site) -> None:
    """Port 0 may be written twice: the kernel chooses a different one each time."""
    assert len(site.load(minimal().replace("'127.0.0.1:0'", "'127.0.0.1:0', '127.0.0.1:0'")).listen) == 2


NETWORKS = {
    "127.0.0.1": "127.0.0.1/32",
    "192.0.2.0/24": "192.0.2.0/24",
    "'2001:db8::/64'": "2001:db8::/64",
    "'::1'": "::1/128",
    "'::ffff:192.0.2.0/120'": "192.0.2.0/24",
    "'::ffff:192.0.2.1'": "192.0.2.1/32",
}


@pytest.mark.parametrize(("written", "expected"), NETWORKS.items(), ids=list(NETWORKS))
def test_a_network_of_a_client(site: Site, written: str, expected: str) -> None:
    """Addresses are networks of one, and IPv4-mapped IPv6 is IPv4."""
    (client,) = site.load(minimal().replace("127.0.0.1]", f"{written}]")).clients

    assert client.networks == (ip_network(expected),)


STORES = {
    "sqlite:///a.db": "sqlite:///FOLDER/a.db",
    "sqlite:///data/../a.db": "sqlite:///FOLDER/a.db",
    "sqlite:////var/lib/a.db": "sqlite:////var/lib/a.db",
    "postgresql://u@h/d": "postgresql://u@h/d",
    "postgresql:///d": "postgresql:///d",
    "postgresql://u@[2001:db8::1]:5433/d?sslmode=require": "postgresql://u@[2001:db8::1]:5433/d?sslmode=require",
    "postgresql://u@h:5432,i/d": "postgresql://u@h:5432,i/d?target_session_attrs=read-write",
    "postgresql://u@h,i/d?target_session_attrs=primary": "postgresql://u@h,i/d?target_session_attrs=primary",
    "postgresql:///d?host=/a,/b": "postgresql:///d?host=/a,/b&target_session_attrs=read-write",
    "postgresql://?service=otp": "postgresql://?service=otp",
    "postgresql://u@h/d?sslrootcert=system": "postgresql://u@h/d?sslrootcert=system",
    "postgresql://u@h/d?sslrootcert=ca.pem": "postgresql://u@h/d?sslrootcert=FOLDER/ca.pem",
}


@pytest.mark.parametrize(("written", "expected"), STORES.items(), ids=list(STORES))
def test_a_store_has_absolute_paths(site: Site, written: str, expected: str) -> None:
    """Paths begin beside the configuration file; of several servers the one is meant that can write."""
    loaded = site.load(minimal().replace("sqlite:///radiusd2fa.db", f"'{written}'"))

    assert loaded.store == expected.replace("FOLDER", str(site.folder))


def test_a_passfile_is_closed_to_others(site: Site) -> None:
    """The one that libpq would pass over without a word is refused; a good one begins beside the configuration."""
    text = minimal().replace("sqlite:///radiusd2fa.db", "postgresql://u@h/d?passfile=pgpass")
    site.put("pgpass", "h:5432:d:u:hunter2\n", mode=0o640)
    (fault,) = site.faults(text)
    assert str(fault).endswith("store: names a passfile that others than its owner can open; run chmod 600 on it")
    site.put("pgpass", "h:5432:d:u:hunter2\n")
    assert site.load(text).store == f"postgresql://u@h/d?passfile={site.folder}/pgpass"


def test_overlapping_networks_of_different_size_are_allowed(site: Site) -> None:
    """The longest prefix decides, so a network within another is no fault."""
    text = minimal("  other: {networks: [127.0.0.0/8], secret: 'also of enough characters'}")

    assert [client.nas.name for client in site.load(text).clients] == ["lab", "other"]


def test_a_vault_key_comes_from_systemd_where_there_is_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A credential named vault.key is used unless another key file is written; without it the file beside is."""
    credentials = tmp_path_factory.mktemp("credentials")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert site.load(minimal()).vault_key == site.folder / "vault.key"

    key = Site(credentials).put("vault.key", "sealed", 0o400)
    assert site.load(minimal()).vault_key == key
    assert site.with_sections("vault: {key_file: vault.key}").vault_key == site.folder / "vault.key"


def test_rules_are_read_in_order_with_canonical_user_names(site: Site) -> None:
    """Names in a rule are written as the daemon knows them; what is not narrowed fits everybody."""
    loaded = site.with_sections(
        "rules:",
        "- name: admins",
        "  when: {clients: [lab], users: [ALICE, 'Jose\N{COMBINING ACUTE ACCENT}', no, '123']}",
        "  factors: [hotp]",
        "- {name: staff, when: {groups: [Staff]}}",
        "- name: all",
    )

    assert loaded.rules.rules == (
        Rule(
            "admins",
            ("hotp",),
            line=8,
            clients=frozenset({"lab"}),
            users=frozenset({"alice", "jos\xe9", "no", "123"}),
        ),
        Rule("staff", WITHOUT_KEYS, line=11, groups=frozenset({"staff"})),
        Rule("all", WITHOUT_KEYS, line=12),
    )
    assert loaded.warnings == ()


# --- security keys ------------------------------------------------------------------------------------------

FIDO = "fido: {rp_id: auth.example.org}"

PARTIES = {
    "rp_id: auth.example.org": ("auth.example.org", "https://auth.example.org"),
    "rp_id: localhost": ("localhost", "https://localhost"),
    "rp_id: xn--bcher-kva.example": ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    "rp_id: 3com.example": ("3com.example", "https://3com.example"),
    f"rp_id: {'.'.join(['a' * 63] * 3 + ['a' * 61])}": tuple(
        f"{scheme}{'.'.join(['a' * 63] * 3 + ['a' * 61])}" for scheme in ("", "https://")
    ),
    "rp_id: example.org, origin: https://auth.example.org": ("example.org", "https://auth.example.org"),
    "origin: 'https://a.b.example.org:8443', rp_id: example.org": ("example.org", "https://a.b.example.org:8443"),
    "rp_id: localhost, origin: 'https://localhost:65535'": ("localhost", "https://localhost:65535"),
}


@pytest.mark.parametrize(("written", "party"), PARTIES.items(), ids=list(PARTIES))
def test_a_relying_party(site: Site, written: str, party: tuple[str, str]) -> None:
    """The RP ID is a name; the origin is its https origin or that of a host below it, and any port but 443."""
    loaded = site.with_sections(f"fido: {{{written}}}")

    assert loaded.rules.fido == FidoRules(*party)
    assert loaded.attestation is None


def test_without_a_relying_party_no_rule_allows_keys(site: Site) -> None:
    """A rule that names no factors allows those that the site can judge, and keys are among them only with fido."""
    rules = "rules: [{name: a}, {name: b, factors: [hotp]}]"

    assert [rule.factors for rule in site.with_sections(rules).rules.rules] == [WITHOUT_KEYS, ("hotp",)]
    assert [rule.factors for rule in site.with_sections(FIDO, rules).rules.rules] == [FACTORS, ("hotp",)]
    assert site.with_sections(FIDO).rules.rules == (Rule("all", FACTORS),)


def test_attestation_by_roots(site: Site) -> None:
    """Models are held in lower case, files by absolute paths."""
    site.put("maker.pem", "")
    models = "'2FC0579F-8113-47EA-B116-BB5A8DB9202A', 19453c89-e143-4c28-ba84-b021f4483271"
    loaded = site.with_sections(
        f"fido: {{rp_id: a.example, attestation: {{aaguids: [{models}], roots: [maker.pem, ./x/../maker.pem]}}}}"
    )

    assert loaded.attestation == AttestationSettings(
        frozenset({"2fc0579f-8113-47ea-b116-bb5a8db9202a", "19453c89-e143-4c28-ba84-b021f4483271"}),
        (site.folder / "maker.pem", site.folder / "maker.pem"),
    )


@pytest.mark.parametrize("roots", ["", ", roots: [maker.pem]", ", roots: []"])
def test_attestation_by_metadata(site: Site, roots: str) -> None:
    """The list of the FIDO Alliance can take the place of roots, or stand beside them."""
    for name in ("maker.pem", "blob.jwt", "root.pem"):
        site.put(name, "")
    files = f"metadata: blob.jwt, metadata_root: {site.folder}/root.pem{roots}"
    model = "00000000-0000-0000-0000-000000000000"
    loaded = site.with_sections(f"fido: {{rp_id: a.example, attestation: {{aaguids: ['{model}'], {files}}}}}")

    assert loaded.attestation == AttestationSettings(
        frozenset({model}),
        (site.folder / "maker.pem",) if "maker" in roots else (),
        site.folder / "blob.jwt",
        site.folder / "root.pem",
    )


@pytest.mark.parametrize("word", ["none", "'none'"])
def test_no_attestation(site: Site, word: str) -> None:
    """``none`` is a word, in quotes or not."""
    assert site.with_sections(f"fido: {{rp_id: a.example, attestation: {word}}}").attestation is None


HOSTS = {
    "bastion.example.org": "bastion.example.org",
    "Bastion.Example.ORG.": "bastion.example.org",
    "bastion": "bastion",
    "192.0.2.20": "192.0.2.20",
    "'2001:DB8:0:0::20'": "2001:db8::20",
    "'::ffff:c000:214'": "::ffff:192.0.2.20",
    "no": "no",
    "10": "10",
}


@pytest.mark.parametrize(("written", "expected"), HOSTS.items(), ids=list(HOSTS))
def test_a_host_name_of_a_client(site: Site, written: str, expected: str) -> None:
    """A host is held in the form in which a key signs it, however it is spelt."""
    loaded = site.load(minimal(FIDO, client=(f"host_names: [{written}]",)))

    assert loaded.clients[0].nas.host_names == (expected,)
    assert loaded.warnings == ()


def test_stations(site: Site) -> None:
    """A station has its clients, and a USB key, a reader, both, or whatever its host has."""
    loaded = site.with_sections(
        FIDO,
        "stations:",
        f"  {'x' * 32}: {{clients: [lab]}}",
        "  door: {clients: [lab], usb: /dev/./hidraw0}",
        "  lobby: {clients: [lab], reader: ACS ACR122U, usb: '/dev/hidraw1'}",
    )
    names = ("x" * 32, "door", "lobby")

    assert loaded.rules.stations == tuple(Station(name, frozenset({"lab"})) for name in names)
    assert loaded.stations == (
        StationSettings(names[0]),
        StationSettings("door", Path("/dev/hidraw0")),
        StationSettings("lobby", Path("/dev/hidraw1"), "ACS ACR122U"),
    )
    assert site.with_sections("stations: {}").stations == ()


KEY_RULES = {
    "ceremonies: [paste]": ("ceremonies", ("paste",)),
    "ceremonies: [station, ssh, paste]": ("ceremonies", ("station", "ssh", "paste")),
    "user_verification: required": ("user_verification", True),
    "user_verification: discouraged": ("user_verification", False),
    "on_clone: lock": ("lock_clones", True),
    "on_clone: refuse": ("lock_clones", False),
    "factors: [fido]": ("factors", ("fido",)),
    "factors: [hotp, fido]": ("factors", ("hotp", "fido")),
}


@pytest.mark.parametrize(
    ("option", "place", "expected"), [(text, *rest) for text, rest in KEY_RULES.items()], ids=list(KEY_RULES)
)
def test_an_option_of_a_rule_becomes_its_value(site: Site, option: str, place: str, expected: object) -> None:
    """Each way to answer, and each choice about keys, becomes the value that it names."""
    (rule,) = site.with_sections(FIDO, f"rules: [{{name: a, {option}}}]").rules.rules

    assert value(rule, place) == expected


# --- warnings -----------------------------------------------------------------------------------------------

DOUBTFUL = {
    "message_authenticator: observe": (
        "client lab: its requests are answered without a Message-Authenticator, so whoever sits between can forge an "
        "Access-Accept (CVE-2024-3596); let the device send one, then write message_authenticator: required"
    ),
    "sign_replies: no": (
        "client lab: replies to it carry no Message-Authenticator, so whoever sits between can forge an Access-Accept "
        "(CVE-2024-3596); update the device, then write sign_replies: yes"
    ),
    "secret_old: '123456789012345'": (
        "client lab: its secret is shorter than 16 characters, so one recorded packet is enough to guess it; "
        "set a longer one on both sides, e.g. from `openssl rand -base64 24`"
    ),
}


@pytest.mark.parametrize(("option", "warning"), DOUBTFUL.items(), ids=list(DOUBTFUL))
def test_a_doubtful_option_of_a_client_is_warned_about(site: Site, option: str, warning: str) -> None:
    """The warning says which client, what the risk is, and what to do."""
    assert site.with_client(option).warnings == (warning,)


def test_a_secret_of_sixteen_characters_is_enough(site: Site) -> None:
    """The bound of the warning is sixteen."""
    assert site.with_client("secret_old: '1234567890123456'").warnings == ()


DOUBTFUL_SECTIONS = {
    "challenge: {code_prompt: 'Código: '}": "challenge.code_prompt: it is not plain ASCII",
    "primary: {memory_kib: 1024}": "primary: its password hashes cost less than the default",
    "rules: [{name: all}, {name: late}]": "line 7: rule late: it never applies, because rule all above it fits",
    "fido: {rp_id: a.example}": "rule all: no security key can answer at lab: the client has no host_names",
    "stations: {door: {clients: [lab]}}": "stations: they are for security keys, and there is no section fido:",
    "fido: {rp_id: a.example}\nrules: [{name: a, ceremonies: [station]}]\n"
    "stations: {door: {clients: [lab]}, lobby: {clients: [lab]}}": "stations door and lobby: each takes whatever key",
    "  wide: {networks: ['::/0'], secret: 'also of enough characters'}": "client wide: its network is the whole",
}


@pytest.mark.parametrize(("section", "warning"), DOUBTFUL_SECTIONS.items(), ids=list(DOUBTFUL_SECTIONS))
def test_a_doubtful_section_is_warned_about(site: Site, section: str, warning: str) -> None:
    """What is allowed but weak is said in one sentence."""
    (said,) = site.with_sections(section).warnings

    assert said.startswith(warning)
    assert "; " in said
