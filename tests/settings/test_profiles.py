"""What is said about makes of devices: every profile is whole, honest about its source, and within our bounds.

Answers to RFC 2865 5.18 (Reply-Message), 5.24 (State) and 5.44 (attributes of an Access-Accept).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pytest

from radiusd2fa.core.model import Flow
from radiusd2fa.core.rules import MAX_PROMPT_LENGTH
from radiusd2fa.radius.packet import HEADER_LENGTH, MAX_LENGTH
from radiusd2fa.settings.profiles import (
    DOCUMENTED,
    MEASURED,
    PROFILES,
    REMEMBERED,
    Profile,
    mschap_advice,
    mschap_remedy,
)

NAMES: Final = [
    "pam_radius",
    "ocserv",
    "openvpn",
    "strongswan",
    "fortigate",
    "paloalto",
    "asa",
    "ios",
    "junos",
    "mikrotik",
    "opnsense",
    "pfsense",
    "netscaler",
    "f5",
    "checkpoint",
]
RUN_BY_US: Final = {"pam_radius", "ocserv", "openvpn", "strongswan"}
ASKS_NOTHING: Final = {Flow.APPEND, Flow.PREPEND}


def every() -> Iterable[Profile]:
    """All profiles."""
    return PROFILES.values()


def test_which_there_are() -> None:
    """Each is found by the name that it bears itself."""
    assert list(PROFILES) == NAMES
    assert all(profile.name == name for name, profile in PROFILES.items())
    assert len({profile.product for profile in every()}) == len(NAMES)


def test_they_cannot_be_changed() -> None:
    """A profile is a fact, not a setting."""
    with pytest.raises(TypeError):
        PROFILES["own"] = PROFILES["ios"]  # type: ignore[index]


@pytest.mark.parametrize("profile", every(), ids=NAMES)
def test_every_note_says_where_it_comes_from(profile: Profile) -> None:
    """Nobody takes for tried what was read or remembered; of what we cannot run nothing claims to be measured."""
    assert profile.notes
    assert all(note.endswith((MEASURED, DOCUMENTED, REMEMBERED)) for note in profile.notes)
    assert profile.run_by_us == (profile.name in RUN_BY_US)


@pytest.mark.parametrize("profile", every(), ids=NAMES)
def test_a_refusal_comes_in_time(profile: Profile) -> None:
    """A device that has asked again before the refusal leaves would hear of it too late, or twice."""
    assert 0 <= profile.reject_delay < profile.timeout
    assert profile.tries >= 1


@pytest.mark.parametrize("profile", every(), ids=NAMES)
def test_bounds(profile: Profile) -> None:
    """A profile allows nothing that the program could not do."""
    assert 1 <= profile.prompt_length <= MAX_PROMPT_LENGTH
    assert HEADER_LENGTH < profile.max_reply <= MAX_LENGTH
    assert profile.ports
    assert all(0 < port < 65536 for port in profile.ports)


@pytest.mark.parametrize("profile", every(), ids=NAMES)
def test_signatures_are_given_up_only_where_it_is_known(profile: Profile) -> None:
    """A profile that accepts unsigned requests has a note that says that the device cannot sign."""
    if profile.message_authenticator == "observe":
        assert any("signs no request" in note for note in profile.notes)


@pytest.mark.parametrize("profile", every(), ids=NAMES)
def test_no_profile_makes_two_people_one(profile: Profile) -> None:
    """Whether alice and alice@realm are the same is for the site to say."""
    assert not profile.strip_realm


def test_who_is_asked_nothing() -> None:
    """The makes that show no question get password and code in one field."""
    assert {profile.name for profile in every() if profile.flow in ASKS_NOTHING} == {
        "openvpn",
        "strongswan",
        "mikrotik",
        "opnsense",
        "pfsense",
    }
    assert all(profile.flow in {Flow.CHALLENGE, *ASKS_NOTHING} for profile in every())


def test_what_was_measured() -> None:
    """The numbers that logins were seen to depend on."""
    pam_radius, ocserv = PROFILES["pam_radius"], PROFILES["ocserv"]
    assert 901 <= pam_radius.max_reply < 1109
    assert (pam_radius.timeout, pam_radius.tries) == (3.0, 1)
    assert pam_radius.prompt_attribute
    assert (ocserv.timeout, ocserv.tries, ocserv.prompt_ending) == (10.0, 4, "")
    assert {profile.name for profile in every() if profile.message_authenticator == "observe"} == {
        "pam_radius",
        "ocserv",
        "openvpn",
        "opnsense",
        "pfsense",
    }
    assert PROFILES["mikrotik"].reject_delay == 0
    assert PROFILES["asa"].ports == (1645,)
    assert PROFILES["ios"].reply == (("Service-Type", "NAS-Prompt-User"),)


@pytest.mark.parametrize("profile", [*every(), None], ids=[*NAMES, "unknown make"])
def test_advice_about_mschap(profile: Profile | None) -> None:
    """One line that says who, why, and what to set on just that device."""
    advice = mschap_advice("vpn", profile)
    assert advice.startswith("client vpn: it asks with MS-CHAP")
    assert "no one-time code" in advice
    assert "let it send PAP" in advice
    assert advice.endswith(mschap_remedy(profile))
    assert advice.isprintable()
    if profile is not None:
        assert profile.mschap_hint in advice
        assert (
            "PAP" in profile.mschap_hint or "pap" in profile.mschap_hint or profile.name in {"asa", "junos", "mikrotik"}
        )


@pytest.mark.parametrize("profile", every(), ids=NAMES)
def test_the_texts_are_plain(profile: Profile) -> None:
    """They go to terminals and into logs: printable ASCII in one line each."""
    assert all(text.isascii() and text.isprintable() for text in (*profile.notes, profile.product, profile.mschap_hint))
