"""What a rule lets in besides its factors: grants, emergency codes, tokens that people take; and what is said of it.

What is refused is in ``wrong_files.txt``. How such a login is decided is tested with core.login.
Answers to no RFC.
"""

from __future__ import annotations

import pytest

from radiusd2fa.core.rules import BreakGlass
from radiusd2fa.settings.rule_advice import about_emergencies

from .conftest import SECRET, Site

FIDO = "fido: {rp_id: auth.example.org}"
LOBBY = "stations: {lobby: {clients: [lab], reader: ACS}}"

CHOICES = {
    "grants: [temporary, skip]": ("grants", {"temporary", "skip"}),
    "grants: [skip]": ("grants", {"skip"}),
    "grants: [ temporary ]": ("grants", {"temporary"}),
    "grants: off": ("grants", set()),
    "flow: auto": ("grants", {"temporary", "skip"}),
    "break_glass: off": ("break_glass", BreakGlass.OFF),
    "break_glass: with_password": ("break_glass", BreakGlass.WITH_PASSWORD),
    "break_glass: alone": ("break_glass", BreakGlass.ALONE),
    "flow: challenge": ("break_glass", BreakGlass.OFF),
    "self_assign: yes": ("self_assign", True),
    "self_assign: no": ("self_assign", False),
    "self_assign: no, flow: code-only, primary: none": ("self_assign", False),
    "flow: append": ("self_assign", False),
    "self_assign: yes, factors: [yubico]": ("self_assign", True),
    "factors: [yubico, recovery]": ("factors", ("yubico", "recovery")),
}


@pytest.mark.parametrize(
    ("written", "key", "expected"), [(text, *rest) for text, rest in CHOICES.items()], ids=list(CHOICES)
)
def test_a_choice_of_a_rule(site: Site, written: str, key: str, expected: object) -> None:
    """Each choice becomes the value that it names; without one, grants count, and nothing else does."""
    (rule,) = site.with_sections(f"rules: [{{name: a, {written}}}]").rules.rules

    assert getattr(rule, key) == expected


def test_tokens_are_taken_where_some_rule_has_passwords_checked(site: Site) -> None:
    """Which backend counts for a rule that names none is known only at the login; then it is no fault of the file."""
    rules = "rules: [{name: a, when: {users: [x]}, primary: local}, {name: b, when: {groups: [y]}, self_assign: yes}]"

    assert site.with_sections("primary: {kind: none}", rules).rules.rules[1].self_assign


KEYS = "line 9: rule a: only security keys are wanted, but"
SAID = {
    "a key, or somebody's word": (
        (FIDO, LOBBY, "rules: [{name: a, factors: [fido], ceremonies: [station]}]"),
        (
            f"{KEYS} a temporary code from the helpdesk counts as well, and an administrator can let people skip them; "
            "write grants: off"
        ),
    ),
    "a key, or the helpdesk's code": (
        (FIDO, LOBBY, "rules: [{name: a, factors: [fido], ceremonies: [station], grants: [temporary]}]"),
        f"{KEYS} a temporary code from the helpdesk counts as well; write grants: off",
    ),
    "a key, or nothing": (
        (FIDO, LOBBY, "rules: [{name: a, factors: [fido], ceremonies: [station], grants: [skip]}]"),
        f"{KEYS} an administrator can let people skip them; write grants: off",
    ),
    "tokens where no password is asked for": (
        (
            f"  ssh: {{networks: [192.0.2.1], secret: '{SECRET}', flow: append}}",
            f"  gate: {{networks: [192.0.2.2], secret: '{SECRET}', flow: code-only}}",
            "rules: [{name: a, self_assign: yes}]",
        ),
        (
            "line 9: rule a: at ssh and gate nobody can take a token, because nothing is asked for after the password "
            "there; write flow: challenge or auto, or delete self_assign"
        ),
    ),
}


@pytest.mark.parametrize(("sections", "sentence"), SAID.values(), ids=list(SAID))
def test_what_goes_around_a_rule_is_said(site: Site, sections: tuple[str, ...], sentence: str) -> None:
    """At every start, with the line, the rule and what to write; once."""
    assert list(site.with_sections(*sections).warnings) == [sentence]


QUIET = {
    "keys and nothing else": (
        FIDO,
        LOBBY,
        "rules: [{name: a, factors: [fido], ceremonies: [station], grants: off}]",
    ),
    "keys beside fobs": (FIDO, LOBBY, "rules: [{name: a, factors: [fido, totp], ceremonies: [station]}]"),
    "tokens at a client that asks": ("rules: [{name: a, self_assign: yes}]",),
    "tokens at a rule that asks": (
        f"  ssh: {{networks: [192.0.2.1], secret: '{SECRET}', flow: append}}",
        "rules: [{name: a, flow: auto, self_assign: yes}]",
    ),
    "tokens at other clients": (
        f"  ssh: {{networks: [192.0.2.1], secret: '{SECRET}', flow: append}}",
        "rules: [{name: a, when: {clients: [lab]}, self_assign: yes}, {name: b}]",
    ),
    "emergencies": ("rules: [{name: a, break_glass: alone}]",),
}


@pytest.mark.parametrize("sections", QUIET.values(), ids=list(QUIET))
def test_what_was_chosen_is_left_alone(site: Site, sections: tuple[str, ...]) -> None:
    """A rule that lets nothing around its keys, and tokens taken where people are asked, are told nothing."""
    assert site.with_sections(*sections).warnings == ()


def test_an_emergency_code_that_needs_no_password_is_for_check_to_say(site: Site) -> None:
    """It is chosen with open eyes: not at every start, and only of the rule that says alone."""
    rules = "rules: [{name: a, when: {users: [x]}, break_glass: with_password}, {name: b, break_glass: alone}]"

    (said,) = about_emergencies(site.with_sections(rules).rules)
    assert said == (
        "line 7: rule b: an emergency code that two administrators have opened needs no password there; keep it to the "
        "few accounts and clients that must work while the directory is down"
    )
