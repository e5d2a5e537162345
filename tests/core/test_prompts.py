"""Questions as a device shows them: in its length and with its ending, in every language of the site.

Measured: pam_radius shows the first Reply-Message only, so a question has one, of at most 253 octets (RFC 2865 5.18);
what is cut off at the end would be the very code that a key must be shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.ceremonies import as_shown
from radiusd2fa.core.model import Challenge, Known, Nas, User
from radiusd2fa.core.responder import find_code, match_code
from radiusd2fa.core.rules import MAX_PROMPT_LENGTH, MAX_PROMPT_OCTETS, ChallengeRules, Rules, Station

from .facts import KNOWS_IT, WRONG, opened, run
from .keyring import BASTION, RULE, RULES, VPN, WITH_BOTH, WITH_FOB, WITH_KEY, answered, begun, packet, pending

ENGLISH: Final = ChallengeRules()
GERMAN: Final = ChallengeRules(
    code_prompt="Code vom Token: ",
    next_code_prompt="Nächster Code: ",
    password_prompt="Kennwort bitte: ",
    code_way="Code vom Token eingeben",
    next_code_way="den nächsten Code eingeben",
    station_way="den Schlüssel an {places} berühren (Nummer {code}) und Enter",
    key_way="den Sicherheitsschlüssel für {nas} benutzen {code}",
    short_key_way="Schlüssel benutzen {code}",
    some_station="einer Station",
    between_stations=" oder ",
    between_ways=", oder ",
)
RUSSIAN: Final = ChallengeRules(
    code_prompt="Введите код: ",
    next_code_prompt="Следующий код: ",
    password_prompt="Введите ваш пароль: ",
    code_way="введите код вашего устройства",
    next_code_way="введите следующий код",
    station_way="коснитесь ключа: {places}, номер {code}, затем нажмите Enter",
    key_way="используйте ключ безопасности для {nas} {code}",
    short_key_way="или ключ {code}",
    some_station="станции",
    between_stations=" или ",
    between_ways=", ",
)
LANGUAGES: Final = {"English": ENGLISH, "German": GERMAN, "Russian": RUSSIAN}
ENDINGS: Final = (": ", "\n", "")
USERS: Final = {"a fob": WITH_FOB, "a key": WITH_KEY, "both": WITH_BOTH}


def spoken(language: ChallengeRules, *, by_rule: bool = True) -> Rules:
    """A site that speaks so, everywhere or under its one rule."""
    if by_rule:
        return replace(RULES, rules=(replace(RULE, challenge=language),))
    return replace(RULES, challenge=language)


def questions(user: User | None, nas: Nas, rules: Rules) -> list[Challenge]:
    """All questions of a login: for the password, for the code, and for the next one."""
    password = run(packet(b"", nas), Known(user=user), rules=rules).outcome
    first = run(packet(b"hunter2", nas), Known(user=user), KNOWS_IT, rules=rules).outcome
    again = answered(WRONG, pending(first), user, nas, rules)
    asked = [password, first, again]
    assert all(isinstance(one, Challenge) for one in asked)
    return [one for one in asked if isinstance(one, Challenge)]


def shortest(nas: Nas, language: ChallengeRules, user: User, question: Challenge) -> str:
    """What is said when nothing else fits, put together from the ways a second time."""
    ceremony = opened(question).ceremony
    if ceremony is None:
        return ""
    again = question.prompt.casefold().startswith(language.next_code_way.casefold())
    ways = [language.next_code_way if again else language.code_way] if user is WITH_BOTH else []
    if ceremony.station:
        ways.append(
            language.station_way.replace("{places}", language.some_station).replace(
                "{code}", match_code(ceremony.nonce)
            )
        )
    code = find_code(question.prompt)
    assert code is not None
    ways.append(language.short_key_way.replace("{code}", str(code)))
    return language.between_ways.join(ways) + ": "


@pytest.mark.parametrize("ending", ENDINGS, ids=["colon", "line feed", "nothing"])
@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES.keys())
@pytest.mark.parametrize("user", USERS.values(), ids=USERS.keys())
@pytest.mark.parametrize("length", [20, 60, 100, 120, 150, 180, MAX_PROMPT_LENGTH])
def test_a_question_fits_where_it_can(user: User, language: ChallengeRules, length: int, ending: str) -> None:
    """Neither its characters nor its octets are too many, unless the shortest way to say it has too many already."""
    for nas in (BASTION, VPN):
        device = replace(nas, prompt_length=length, prompt_ending=ending)
        for question in questions(user, device, spoken(language)):
            prompt = question.prompt
            if opened(question).ceremony is None:  # the site's own text, whose length the settings have checked
                continue
            least = shortest(device, language, user, question)
            if len(least) <= length and len(least.encode()) <= MAX_PROMPT_OCTETS:
                assert len(prompt) <= length
                assert len(prompt.encode()) <= MAX_PROMPT_OCTETS
            else:
                assert len(prompt) == len(least) - 2 + len(ending)


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES.keys())
@pytest.mark.parametrize("user", [WITH_KEY, WITH_BOTH], ids=["a key", "both"])
def test_what_the_key_needs_is_not_cut_off(user: User, language: ChallengeRules) -> None:
    """In the 253 octets that reach the person both codes are whole, in letters of two octets too."""
    stations = tuple(Station(f"station-{n}", frozenset({"bastion"})) for n in range(3))
    rules = replace(spoken(language), stations=stations)
    for question in questions(user, BASTION, rules)[1:]:
        shown = question.prompt.encode()[:MAX_PROMPT_OCTETS].decode(errors="ignore")
        code = find_code(shown)
        assert code is not None
        assert code.nonce == begun(question).nonce
        assert match_code(begun(question).nonce) in shown


@pytest.mark.parametrize("ending", ENDINGS, ids=["colon", "line feed", "nothing"])
@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES.keys())
@pytest.mark.parametrize("user", [*USERS.values(), None], ids=[*USERS.keys(), "nobody"])
def test_every_question_ends_as_the_device_wants_it(user: User | None, language: ChallengeRules, ending: str) -> None:
    """Once, and with nothing of the usual ending left before it."""
    device = replace(BASTION, prompt_ending=ending)
    asked = questions(user, device, spoken(language)) if user is not None else []
    asked.append(_asked_for_password(device, spoken(language)))
    for question in asked:
        assert question.prompt.endswith(ending)
        assert not question.prompt.removesuffix(ending).endswith((":", ": ", "\n", " "))


def _asked_for_password(nas: Nas, rules: Rules) -> Challenge:
    outcome = run(packet(b"", nas), Known(), rules=rules).outcome
    assert isinstance(outcome, Challenge)
    return outcome


@pytest.mark.parametrize("by_rule", [True, False], ids=["the rule", "the site"])
@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES.keys())
def test_every_question_is_in_the_language(language: ChallengeRules, by_rule: bool) -> None:
    """Of the rule or of the site: password, code and the next one; and no word of another language."""
    rules = spoken(language, by_rule=by_rule)
    password, code, again = (question.prompt for question in questions(WITH_FOB, BASTION, rules))
    assert (password, code, again) == (language.password_prompt, language.code_prompt, language.next_code_prompt)
    _, code, again = (question.prompt for question in questions(WITH_BOTH, BASTION, rules))
    assert code.casefold().startswith(language.code_way.casefold())
    assert again.casefold().startswith(language.next_code_way.casefold())
    if language is not ENGLISH:
        assert "key" not in code
        assert " or " not in code
        assert "station" not in code.replace("Station", "").replace("station-", "")


def test_a_question_begins_with_a_capital() -> None:
    """Whatever way comes first."""
    for user in (WITH_KEY, WITH_BOTH):
        for language in LANGUAGES.values():
            prompt = questions(user, BASTION, spoken(language))[1].prompt
            assert prompt[0] == prompt[0].upper()


@pytest.mark.parametrize(
    ("ending", "text", "shown"),
    [
        (": ", "Code: ", "Code: "),
        ("\n", "Code: ", "Code\n"),
        ("", "Code: ", "Code"),
        ("", "Time 12:30: ", "Time 12:30"),
        ("\n", "Code", "Code\n"),
        (": ", "Code", "Code"),
    ],
)
def test_only_the_usual_ending_is_replaced(ending: str, text: str, shown: str) -> None:
    """A colon within is left alone, and a text without the usual ending gets the device's."""
    assert as_shown(replace(VPN, prompt_ending=ending), text) == shown


def test_names_with_brackets_are_names() -> None:
    """A station or a client whose name looks like a placeholder is shown as it is."""
    device = replace(BASTION, name="{code}", host_names=("gate",))
    rules = replace(RULES, stations=(Station("{places}", frozenset({"{code}"})),))
    prompt = questions(WITH_KEY, device, rules)[1].prompt
    assert "at {places} (code " in prompt
    assert "for {code} RK" in prompt
