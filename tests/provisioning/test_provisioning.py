"""docs/provisioning.md, played from top to bottom as an administrator follows it, and how closely it is looked at.

Every command is the real program behind the real sudo, at a real terminal, beside the real daemon and rsyslogd; only
systemd is the test's. The codes in the document are those of fobs that share no code with ours. RFC 4226 (HOTP).
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.clients.machines import needs, needs_namespaces
from tests.factors.yubikey import YubiKey

from .document import PATH, Command, chapters
from .host import GROUPS, PEOPLE, ROOT, host, needs_overlays
from .likeness import BEGAN, DIFFERS, Likeness, UnlikeError
from .player import Player, on_the_screen
from .screen import seen

NEEDED: Final = (
    needs_namespaces,
    needs_overlays,
    needs("ip", "iproute2"),
    needs("sudo", "sudo"),
    needs("rsyslogd", "rsyslog"),
)
FOBS: Final = {
    "SAMPLE-3001": hashlib.sha1(b"a made-up seed for SAMPLE-3001").hexdigest(),  # noqa: S324 - so the sample is made
    "H4100201": "7db0530d308ced25ee3f89319fa1b4c0b4001490",
    "H4100202": "29406e916511054749ae8db7577932df65f6db9b",
    "alice-hotp": "98397dd837b43a2b6c283ff4e352800005ef1644",
}
MOST_PRESSES: Final = 40
PUBLIC: Final = bytes.fromhex("00001a2b3c01")
"""ccccbldnercb, in octets."""


def commands() -> Iterator[Command]:
    """Everything that the document shows on a terminal."""
    yield from (step for chapter in chapters() for step in chapter.steps if isinstance(step, Command))


@pytest.mark.parametrize("page", [pytest.param(PATH, marks=NEEDED, id=PATH.name)])
def test_the_document_is_what_happens(tmp_path: Path, page: Path) -> None:
    """Files are written and commands given in their order; each line is on the screen, and no other."""
    with host() as server:
        player = Player(server, tmp_path)
        try:
            for chapter in chapters(page):
                for step in chapter.steps:
                    player.play(step)
        finally:
            player.end()


# --- how closely it is looked at -------------------------------------------------------------------------------------


YEAR: Final = timedelta(days=365)


def compared(shown: Sequence[str], happened: Sequence[str], later: timedelta = timedelta()) -> None:
    """Compare what the document shows with what happened, so much later."""
    Likeness(BEGAN + later, BEGAN + later).compare(on_the_screen(shown), happened)


def with_one_letter_changed(line: str) -> Iterator[str]:
    """Change each word of a line, if it is no date, time, serial or code that is another one each time."""
    for word in re.finditer(
        r"[^\s,:(]*[^\s\d,:()-][^\s,:()]*", DIFFERS.sub(lambda found: " " * len(found.group()), line)
    ):
        yield f"{line[: word.start()]}{'x' if line[word.start()] != 'x' else 'y'}{line[word.start() + 1 :]}"


@pytest.mark.parametrize("command", [one for one in commands() if one.shown], ids=lambda one: f"line {one.line}")
def test_every_line_counts(command: Command) -> None:
    """A line with another letter is another line; so is one less, or one more."""
    happened = on_the_screen(command.shown)
    compared(command.shown, happened)
    wrong = [[*happened, "one more"], *(happened[:at] + happened[at + 1 :] for at in range(len(happened)))]
    for at, line in enumerate(happened):
        wrong += [[*happened[:at], changed, *happened[at + 1 :]] for changed in with_one_letter_changed(line)]
    for screen in wrong:
        with pytest.raises(UnlikeError):
            compared(command.shown, screen)


@pytest.mark.parametrize(
    ("shown", "happened"),
    [
        ("until 2026-12-06", "until 2027-12-06"),
        ("since 2026-11-22 06:50:03", "since 2027-11-22 07:10:44"),
        ("Accepted: dora, 2 round trips, 28 ms", "Accepted: dora, 2 round trips, 1.3 s"),
        ("closed grant 1 (temporary G-5AVTFM6Q)", "closed grant 1 (temporary G-00000001)"),
        ("made 2026-11-22, good until 2037-12-31", "made 2027-11-22, good until 2037-12-31"),
    ],
)
def test_what_no_two_runs_have_in_common(shown: str, happened: str) -> None:
    """A year later the days have moved by a year; durations and what is made up are others."""
    compared([shown], [happened], YEAR)


@pytest.mark.parametrize(
    ("shown", "happened"),
    [
        ("until 2026-12-06", "until 2027-12-07"),
        ("since 2026-11-22 06:50:03", "since 2027-11-22 09:50:03"),
        ("since 2026-11-22 06:50:03", "since 2027-11-22 06:50"),
        ("round trips, 28 ms", "round trips, ms"),
        ("G-5AVTFM6Q and G-5AVTFM6Q", "G-00000001 and G-00000002"),
        ("G-5AVTFM6Q and G-5AVTFM6R", "G-00000001 and G-00000001"),
        ("98677-80249", "9867-80249"),
    ],
)
def test_what_is_no_likeness(shown: str, happened: str) -> None:
    """Another day, another hour, a serial that has become another one, a code of another length."""
    with pytest.raises(UnlikeError):
        compared([shown], [happened], YEAR)


def test_a_password_on_the_screen_is_a_fault() -> None:
    """What is typed as a password must not be seen."""
    with pytest.raises(UnlikeError):
        compared(["Password: «correct horse»"], ["Password: correct horse"])


def test_what_is_made_up_is_typed_as_it_happened() -> None:
    """A code is typed as this run has shown it, not as the document has it."""
    likeness = Likeness(BEGAN, BEGAN)
    likeness.compare(["  98677-80249"], ["  11111-22222"])
    assert likeness.typed("98677-80249 2026-11-22 411") == "11111-22222 2026-11-22 411"


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        ("took in 1 token\r\n", ["took in 1 token"]),
        ("reading 10 %\rreading 90 %\r\x1b[2K\x1b[?25hdone\r\n\r\n", ["done"]),
        ("reading\r\nmore\r\x1b[2K\x1b[1A\x1b[2Kdone", ["done"]),
        ("\x1b[31merror: \x1b[0mno", ["error: no"]),
    ],
)
def test_what_is_left_on_the_screen(output: str, lines: list[str]) -> None:
    """Bars that were drawn over are gone, and colours are none."""
    assert seen(output) == lines


def test_a_screen_knows_what_it_does_not_know() -> None:
    """An order that it would show wrongly is a fault, and not passed over."""
    with pytest.raises(AssertionError, match="knows no"):
        seen("\x1b[5;5Hsomewhere")


# --- what it says ----------------------------------------------------------------------------------------------------


@needs("oathtool", "oathtool")
def test_the_codes_are_those_of_the_fobs() -> None:
    """Each code of six digits is one that oathtool, another maker's fob, shows for a seed of the samples."""
    shown: set[str] = set()
    for seed in FOBS.values():
        listed = subprocess.run(
            ["oathtool", "--hotp", f"--window={MOST_PRESSES}", seed], capture_output=True, text=True, check=True
        )
        shown |= set(listed.stdout.split())
    typed = {code for one in commands() for line in one.shown for code in re.findall(r"«(?:\S+ )?(\d{6})»", line)}
    assert len(typed) > 10
    assert typed <= shown


def test_the_yubikey_is_software() -> None:
    """The one-time password is what the key of the sample log types first."""
    key = YubiKey(bytes.fromhex("95c429d7e58c0c35a9b433717b796e5f"), bytes.fromhex("674e9b5725aa"), PUBLIC)
    assert f"«{key.press().decode()}»" in PATH.read_text()


def test_everybody_at_a_prompt_is_told_of() -> None:
    """Who types is root or one of the four people whom the beginning of the document names."""
    beginning, _, _ = PATH.read_text().partition("## 1.")
    assert {command.who for command in commands()} == {ROOT, *PEOPLE}
    assert all(f"`{name}`" in beginning for name in (*PEOPLE, *GROUPS))
