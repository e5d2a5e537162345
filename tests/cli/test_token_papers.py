"""`radiusd2fa token label`, `validity`, `counter`, and `add` of a Yubico OTP; and no command that lowers a counter.

What is typed wrongly changes nothing and repeats no key. RFC 4226 7.2: a code that was used stays used.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pytest

from radiusd2fa.cli.token import app

from .conftest import Shell
from .test_token import codes

KEY: Final = "00112233445566778899aabbccddeeff"
PRIVATE: Final = "0a0b0c0d0e0f"
YUBICO: Final = ("token", "add", "--user", "alice", "--kind", "yubico", "--secret-stdin")


def card(shell: Shell, serial: str = "H1") -> dict[str, Any]:
    """What is known of a token."""
    shown: dict[str, Any] = shell.say("token", "show", serial, "--json").json()
    return shown


# --- wrong usage ------------------------------------------------------------------------------------------------------

WRONG: Final = {
    "label of no token": ("label", "--box", "B1"),
    "label of nothing": ("label", "H1"),
    "a batch and nothing": ("label", "--batch", "2026-03"),
    "a box of two lines": ("label", "H1", "--box", "B1\nB2"),
    "a box of 65 characters": ("label", "H1", "--box", "B" * 65),
    "a delivery that is no day": ("label", "H1", "--delivered", "01.03.2026"),
    "a delivery on the 30th of February": ("label", "H1", "--delivered", "2026-02-30"),
    "no validity": ("validity", "H1"),
    "an end that is no day": ("validity", "H1", "--until", "tomorrow"),
    "a beginning that is never": ("validity", "H1", "--from", "never"),
    "no counter": ("counter", "H1"),
    "a negative counter": ("counter", "H1", "--to", "-1"),
    "a counter that no database holds": ("counter", "H1", "--to", str(2**63)),
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage_writes_nothing_down(people: Shell, words: tuple[str, ...]) -> None:
    """It ends with 2, says how to write it, and leaves token and audit as they were."""
    before = card(people), len(people.events())
    assert "error" in people.wrong("token", *words).lower()
    assert (card(people), len(people.events())) == before


BAD_YUBICO: Final = {
    "nothing": "",
    "the key alone": KEY,
    "no public id": f"{PRIVATE},{KEY}",
    "a public id in hex": f"0123456789ab,{PRIVATE},{KEY}",
    "a public id of odd length": f"vvv,{PRIVATE},{KEY}",
    "a public id of 34 letters": f"{'vv' * 17},{PRIVATE},{KEY}",
    "a short private id": f"vvvvvvcccccc,{PRIVATE[:-2]},{KEY}",
    "a key of 15 octets": f"vvvvvvcccccc,{PRIVATE},{KEY[:-2]}",
    "a key of 17 octets": f"vvvvvvcccccc,{PRIVATE},{KEY}00",
    "a key with another letter": f"vvvvvvcccccc,{PRIVATE},{KEY[:-1]}g",
    "a fourth part": f"vvvvvvcccccc,{PRIVATE},{KEY},{PRIVATE}",
}


@pytest.mark.parametrize("typed", BAD_YUBICO.values(), ids=BAD_YUBICO.keys())
def test_what_is_no_yubico_otp_is_not_echoed(people: Shell, typed: str) -> None:
    """Ids and key out of their bounds are refused, and no piece of them is in the error."""
    error = people.wrong(*YUBICO, typed=typed)
    assert KEY[:12] not in error
    assert PRIVATE[:6] not in error
    assert len(people.say("token", "list", "--json").json()) == 1


@pytest.mark.parametrize("option", [("--counter", "5"), ("--digits", "6"), ("--step", "30"), ("--algorithm", "sha1")])
def test_options_that_a_yubico_otp_has_not(people: Shell, option: tuple[str, ...]) -> None:
    """Nothing of it can be chosen; and without its key on standard input there is none."""
    assert option[0] in people.wrong(*YUBICO, *option, typed=f"vvvvvvcccccc,{PRIVATE},{KEY}")
    assert "--secret-stdin" in people.wrong("token", "add", "--kind", "yubico")


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [",", " ", ", ", ";", "\t"])
def test_a_yubico_otp(people: Shell, between: str) -> None:
    """Key, private id and public id are kept; it is known by its public id; nothing of it is shown."""
    out = people.run(*YUBICO, "--label", "blue", typed=between.join(("vvvvvvcccccc", PRIVATE, KEY)) + "\n")
    shown = card(people, "vvvvvvcccccc")
    assert people.seed_of("vvvvvvcccccc") == bytes.fromhex(KEY + PRIVATE + "ffffff000000")
    assert (shown["kind"], shown["digits"], shown["moving_factor"], shown["label"]) == ("yubico", 44, 0, "blue")
    told = out + people.run("token", "show", "vvvvvvcccccc") + repr(people.events())
    assert not {KEY, PRIVATE} & set(told.replace("'", " ").split())
    assert KEY not in told
    assert "never out of step" in people.refused("token", "resync", "vvvvvvcccccc", "123456", "123457")


def test_papers_of_a_new_token(people: Shell) -> None:
    """Whatever is said when a token is added is on its card."""
    said = ("--label", "blue", "--model", "feitian-c200", "--batch", "2026-03", "--box", "B1")
    people.run("token", "add", "--kind", "totp", "--serial", "S1", *said, "--delivered", "2026-03-01")
    shown = card(people, "S1")
    assert [shown[name] for name in ("label", "model", "batch", "box")] == list(said[1::2])
    assert datetime.fromtimestamp(shown["delivered"]).astimezone().date().isoformat() == "2026-03-01"


def test_labels_of_one_and_of_many(people: Shell) -> None:
    """By their serials, or all of a batch; an empty text takes away; what is not said stays."""
    for serial in ("S1", "S2", "S3"):
        people.run("token", "add", "--kind", "totp", "--serial", serial)
    people.run("token", "label", "S1", "S2", "--batch", "2026-03", "--box", "B1")
    assert "2 tokens" in people.run(
        "token", "label", "--batch", "2026-03", "--model", "c200", "--delivered", "2026-03-01"
    )
    people.run("token", "label", "S2", "--box", "")
    shown = [card(people, serial) for serial in ("S1", "S2", "S3")]
    assert [one["box"] for one in shown] == ["B1", "", ""]
    assert [one["model"] for one in shown] == ["c200", "c200", ""]
    assert "no token of batch 2026-04" in people.refused("token", "label", "--batch", "2026-04", "--box", "B1")
    assert "no token S9" in people.refused("token", "label", "S1", "S9", "--box", "B7")
    assert card(people, "S1")["box"] == "B1"


def test_days_are_whole_days_of_the_site(people: Shell) -> None:
    """From the first minute of the first to the last of the last, in the site's own zone."""
    people.change("primary:", "time_zone: Asia/Tokyo\nprimary:")
    people.run("token", "validity", "H1", "--from", "2026-03-01", "--until", "2026-03-31")
    begins, ends = (datetime.fromisoformat(day + "T00:00+09:00").timestamp() for day in ("2026-03-01", "2026-04-01"))
    assert (card(people)["valid_from"], card(people)["valid_until"]) == (begins, ends)
    assert "before it begins" in people.refused("token", "validity", "H1", "--until", "2026-02-28")
    people.run("token", "validity", "H1", "--until", "never")
    assert (card(people)["valid_from"], card(people)["valid_until"]) == (begins, None)


# --- counters ---------------------------------------------------------------------------------------------------------


def test_a_counter_goes_one_way(people: Shell) -> None:
    """Raised, and refused where it is not; what is no button has none."""
    people.run("token", "counter", "H1", "--to", "50", "--reason", "the old system")
    for to in ("0", "49", "50"):
        assert "never lowered" in people.refused("token", "counter", "H1", "--to", to)
    assert card(people)["moving_factor"] == 50
    people.add_token("T1", "--kind", "totp", seed=b"another seed of hers")
    assert "totp" in people.refused("token", "counter", "T1", "--to", "5")


WALK: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    # every command there is, as somebody would try to bring a used code back by it
    "add": (("add", "--kind", "hotp", "--serial", "H1", "--counter", "0"),),
    "import": (("import", "/nowhere"),),
    "list": (("list",),),
    "show": (("show", "H1"),),
    "history": (("history", "H1"),),
    "label": (("label", "H1", "--box", "0"),),
    "validity": (("validity", "H1", "--until", "never"),),
    "counter": (("counter", "H1", "--to", "0"), ("counter", "H1", "--to", "19"), ("counter", "T1", "--to", "0")),
    "resync": (("resync", "H1", *codes(3, 4)), ("resync", "H1", *codes(18, 19))),
    "disable": (("disable", "H1"), ("disable", "T1")),
    "enable": (("enable", "H1"), ("enable", "T1")),
    "unassign": (("unassign", "H1"),),
    "assign": (("assign", "H1", "--user", "alice"), ("assign", "H1", "--user", "bob", "--active")),
    "lost": (("lost", "H1"), ("lost", "T1")),
    "return": (("return", "H1"), ("return", "T1")),
    "restock": (("restock", "H1"), ("restock", "T1")),
    "revoke": (("revoke", "H1"), ("revoke", "T1")),
}


def test_no_command_lowers_a_counter(people: Shell) -> None:
    """Each command of `radiusd2fa token` is tried, and none brings a token back to where it was."""
    names = {one.name or (one.callback.__name__ if one.callback else "") for one in app.registered_commands}
    assert names == set(WALK)
    people.add_user("bob")
    people.add_token("T1", "--kind", "totp", seed=b"another seed of hers")
    people.run("token", "counter", "H1", "--to", "20")
    with people.registry() as registry:
        registry.resynchronise(registry.with_seed("T1"), 50_000_000, 2, 1.0)
    for commands in WALK.values():
        for words in commands:
            people.say("token", *words)
            after = {serial: card(people, serial)["moving_factor"] for serial in ("H1", "T1")}
            assert after == {"H1": 20, "T1": 50_000_000}, words
