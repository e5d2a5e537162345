"""What a client is made of: what the site writes, then what its profile says of such devices, then our own defaults.

Each profile is tried here, so that no profile can hold a value that the daemon does not take.
RFC 2865 5.18 and 5.24 (questions and State), RFC 2869 5.10 (Prompt).
"""

from __future__ import annotations

import pytest

from radiusd2fa.core.attributes import ReplyAttribute
from radiusd2fa.core.model import Flow
from radiusd2fa.settings import ClientSettings
from radiusd2fa.settings.profiles import PROFILES, Profile

from .conftest import Site, minimal

WRITTEN = {
    "flow: prepend": ("flow", Flow.PREPEND),
    "message_authenticator: observe": ("require_message_authenticator", False),
    "message_authenticator: required": ("require_message_authenticator", True),
    "reject_delay: 2s": ("reject_delay", 2.0),
    "reject_delay: 0": ("reject_delay", 0.0),
    "strip_realm: yes": ("strip_realm", True),
    "strip_realm: no": ("strip_realm", False),
    "prompt_length: 20": ("prompt_length", 20),
    "prompt_length: 200": ("prompt_length", 200),
    "prompt_ending: colon": ("prompt_ending", ": "),
    "prompt_ending: line": ("prompt_ending", "\n"),
    "prompt_ending: none": ("prompt_ending", ""),
    "prompt_attribute: no": ("prompt_attribute", False),
    "prompt_attribute: yes": ("prompt_attribute", True),
    "state_length: 22": ("state_length", 22),
    "state_length: '32'": ("state_length", 32),
    "max_reply: 256": ("max_reply", 256),
    "max_reply: 4096": ("max_reply", 4096),
    "timeout: 100ms": ("timeout", 0.1),
    "timeout: 60s": ("timeout", 60.0),
}


def seen(client: ClientSettings, name: str) -> object:
    """Return a value of the client, or of the device behind it."""
    return getattr(client if hasattr(client, name) else client.nas, name)


def usual(profile: Profile) -> dict[str, object]:
    """Return what a client of that make has when nothing else is written."""
    return {
        "flow": profile.flow,
        "require_message_authenticator": profile.message_authenticator == "required",
        "reject_delay": profile.reject_delay,
        "strip_realm": profile.strip_realm,
        "prompt_length": profile.prompt_length,
        "prompt_ending": profile.prompt_ending,
        "prompt_attribute": profile.prompt_attribute,
        "state_length": profile.state_length,
        "max_reply": profile.max_reply,
        "timeout": profile.timeout,
        "tries": profile.tries,
    }


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_gives_the_defaults(site: Site, name: str) -> None:
    """What is not written is as it is for such devices, and the client remembers what it is."""
    (client,) = site.with_client(f"profile: {name}").clients

    assert client.profile is PROFILES[name]
    assert {key: seen(client, key) for key in usual(PROFILES[name])} == usual(PROFILES[name])


@pytest.mark.parametrize("profile", ["", "pam_radius", "ocserv", "mikrotik"])
@pytest.mark.parametrize(("option", "key", "expected"), [(text, *rest) for text, rest in WRITTEN.items()], ids=str)
def test_what_is_written_counts_more(site: Site, profile: str, option: str, key: str, expected: object) -> None:
    """Each option wins over the profile, even when it says what a device without profile has; the rest stays."""
    options = (f"profile: {profile}", option) if profile else (option,)
    (client,) = site.with_client(*options).clients
    expected_of_all = usual(PROFILES[profile]) if profile else {key: seen(site.with_client().clients[0], key)}

    assert {name: seen(client, name) for name in expected_of_all} == expected_of_all | {key: expected}


def test_without_a_profile_there_is_none(site: Site) -> None:
    """A device that the site does not name is no make."""
    assert site.with_client().clients[0].profile is None


def test_tags(site: Site) -> None:
    """A client has the tags that it names, each once."""
    assert site.with_client("tags: [vpn, 'berlin.1']").clients[0].tags == frozenset({"vpn", "berlin.1"})
    assert site.with_client().clients[0].tags == frozenset()


# --- what each Access-Accept says ---------------------------------------------------------------------------


def said(attributes: tuple[ReplyAttribute, ...]) -> list[tuple[str, bytes | None]]:
    """Return names with the octets that are the same in every login."""
    return [(one.name, None if one.pair is None else one.pair[1]) for one in attributes]


def test_a_profile_brings_its_attributes(site: Site) -> None:
    """Cisco IOS lets nobody in without a Service-Type, so its profile sends one."""
    assert said(site.with_client("profile: ios").clients[0].reply) == [("Service-Type", b"\0\0\0\x07")]


def test_the_same_attribute_written_takes_the_place_of_the_profiles(site: Site) -> None:
    """A site that writes Service-Type, however it is spelled, sends one Service-Type."""
    (client,) = site.with_client("profile: ios", "reply: {service-type: Administrative-User, Class: all}").clients

    assert said(client.reply) == [("service-type", b"\0\0\0\x06"), ("Class", b"all")]


def test_attributes_of_all_kinds(site: Site) -> None:
    """Numbers need no quotes, a list says an attribute several times, and what names the person waits for the login."""
    (client,) = site.with_client(
        "reply:",
        "  Session-Timeout: 3600",
        '  Cisco-AVPair: ["shell:priv-lvl=15", "shell:roles=%{name}"]',
        "  Tunnel-Type:1: VLAN",
        "  Framed-IP-Address: 192.0.2.1",
    ).clients

    assert said(client.reply) == [
        ("Session-Timeout", b"\0\0\x0e\x10"),
        ("Cisco-AVPair", b"\0\0\0\t\1\x13shell:priv-lvl=15"),
        ("Cisco-AVPair", None),
        ("Tunnel-Type:1", b"\1\0\0\x0d"),
        ("Framed-IP-Address", b"\xc0\0\2\1"),
    ]


def test_an_attribute_of_the_sites_own_dictionary(site: Site) -> None:
    """A FreeRADIUS dictionary beside the configuration makes its attributes known, beside those of the package."""
    site.put("own.dictionary", "VENDOR Acme 32473\nBEGIN-VENDOR Acme\nATTRIBUTE Acme-Role 1 string\nEND-VENDOR Acme\n")
    loaded = site.load(
        "dictionaries: [own.dictionary]\n"
        "listen: {udp: ['127.0.0.1:0']}\nstore: sqlite:///a.db\nclients:\n"
        "  lab: {networks: [127.0.0.1], secret: 'of enough characters', reply: {Acme-Role: chief, Class: a}}\n"
    )

    assert said(loaded.clients[0].reply) == [("Acme-Role", b"\0\0\x7e\xd9\1\7chief"), ("Class", b"a")]
    assert loaded.dictionaries == (site.folder / "own.dictionary",)


def test_a_broken_dictionary_is_told_with_its_own_line(site: Site) -> None:
    """The fault is on the line that names the file, and says which line is wrong there, or in a file it includes."""
    site.put("own.dictionary", "# ours\n$INCLUDE more.dictionary\n")
    site.put("more.dictionary", "ATTRIBUTE My-Attribute 250 string\n\nATTRIBUTE My-Other 300 strnig\n")
    (fault,) = site.faults(minimal("dictionaries: [own.dictionary]"))

    assert (fault.line, fault.key) == (7, "dictionaries")
    assert fault.problem.startswith(f"cannot be read: {site.folder}/more.dictionary:3: ")
