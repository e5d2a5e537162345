"""`radiusd2fa fob` as a script and as a person meet it: one code, the button, the running clock, and how it ends.

The codes are those of RFC 4226 Appendix D; no test waits for a clock.
The screen is read from a pseudo-terminal, character by character as a terminal would get it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console
from typer.testing import CliRunner

from radiusd2fa.cli import fob as module
from radiusd2fa.emulators.softfob import FobError, SoftFob

from .terminal import Terminal, app

SEED: Final = b"12345678901234567890"


@pytest.fixture
def hotp(tmp_path: Path) -> Path:
    """A new HOTP fob beside the configuration file."""
    SoftFob("hotp", SEED, serial="SF-0001").save(tmp_path / "fob.json")
    return tmp_path / "fob.json"


def _fob(config: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["-c", str(config), "fob", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_once_prints_the_next_code_and_nothing_else(hotp: Path) -> None:
    """`fob --once` presses the fob beside the configuration file: one code on one line, the next one the next time."""
    config = hotp.parent / "radiusd2fa.yaml"
    assert _fob(config, "--once") == (0, "755224\n", "")
    assert _fob(config, "--once") == (0, "287082\n", "")
    assert SoftFob.load(hotp).counter == 2


def test_once_as_json_names_the_fob_and_the_counter_of_the_code(hotp: Path) -> None:
    """`--once --json` gives serial, kind, code, and the moving factor that the code belongs to."""
    code, out, _ = _fob(Path("none.yaml"), str(hotp), "--once", "--json")
    assert code == 0
    assert json.loads(out) == {"serial": "SF-0001", "kind": "hotp", "code": "755224", "counter": 0}


def test_once_from_a_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A TOTP fob's JSON says how long the code will still be shown."""
    SoftFob("totp", SEED, digits=8, serial="SF-0002").save(tmp_path / "totp.json")
    monkeypatch.setattr(time, "time", lambda: 59.0)
    code, out, _ = _fob(Path("none.yaml"), str(tmp_path / "totp.json"), "--once", "--json")
    assert code == 0
    assert json.loads(out) == {"serial": "SF-0002", "kind": "totp", "code": "94287082", "seconds_left": 1.0}


def test_a_missing_fob_is_wrong_usage(tmp_path: Path) -> None:
    """Without a file the exit code is 2, standard output stays empty, and the message says what a fob file holds."""
    code, out, err = _fob(tmp_path / "radiusd2fa.yaml", "--once")
    assert (code, out) == (2, "")
    assert "no such file; a fob is a JSON file" in err.replace("\n", " ")


def test_a_press_that_cannot_be_kept_shows_no_code(hotp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the counter cannot be written, the exit code is 1 and no code is printed."""

    def full(*_: object) -> str:
        raise FobError("fob.json: cannot be written: No space left on device")

    monkeypatch.setattr(SoftFob, "press", full)
    code, out, err = _fob(hotp, str(hotp), "--once")
    assert (code, out) == (1, "")
    assert "No space left" in err


@pytest.mark.parametrize(("arguments", "says"), [(["--json"], "goes with --once"), ([], "use --once")])
def test_what_needs_a_terminal_or_once_says_so(hotp: Path, arguments: list[str], says: str) -> None:
    """Without a terminal, and for `--json` without `--once`, the exit code is 2 and nothing is pressed."""
    code, out, err = _fob(hotp, str(hotp), *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert SoftFob.load(hotp).counter == 0


def test_enter_is_the_button(hotp: Path) -> None:
    """The fob is dark until Enter shows the first code; the next Enter shows the next, and q puts the fob away."""
    with Terminal("fob", str(hotp)) as terminal:
        dark = terminal.wait_for("not pressed yet")
        assert "SF-0001" in dark
        assert not terminal.echoes()
        assert SoftFob.load(hotp).counter == 0
        terminal.press("\n")
        terminal.wait_for("755224")
        assert SoftFob.load(hotp).counter == 1
        terminal.press("\x1bOQ\n")  # F2 is not q
        terminal.wait_for("287082")
        assert SoftFob.load(hotp).counter == 2
        terminal.press("q")
        assert terminal.end()[0] == 0
        assert terminal.is_as_before()


def test_a_clock_needs_no_button_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    """A TOTP fob shows its code at once, and Ctrl-C ends it with exit code 0 and the terminal as it was."""
    device = SoftFob("totp", SEED, step=3600, serial="SF-0002")
    device.save(tmp_path / "totp.json")
    device.clock_offset = 1800 - time.time() % 3600  # the middle of a step, far from either end
    device.save(tmp_path / "totp.json")
    with Terminal("fob", str(tmp_path / "totp.json")) as terminal:
        terminal.wait_for(device.code(time.time()))
        terminal.press("\x03")
        assert terminal.end()[0] == 0
        assert terminal.is_as_before()
        assert "Traceback" not in terminal.screen


def _seen(device: SoftFob, code: str, width: int, now: float = 0.0) -> str:
    console = Console(width=width, force_terminal=False, record=True, legacy_windows=False)
    with console.capture() as capture:
        console.print(module._picture(device, code, now, console))
    return capture.get()


@pytest.mark.parametrize("digits", [6, 7, 8])
@pytest.mark.parametrize("width", [20, 50, 80, 200])
@pytest.mark.parametrize("kind", ["hotp", "totp"])
def test_the_picture_fits_the_terminal(kind: str, width: int, digits: int) -> None:
    """No line is wider than the terminal, and the code can be read, whatever its length."""
    device = SoftFob(kind, SEED, digits=digits)  # type: ignore[arg-type]
    code = "12345678"[:digits]
    lines = _seen(device, code, width).splitlines()
    assert max(map(len, lines)) <= width
    assert any(code in line for line in lines)


def test_every_digit_has_a_shape_of_its_own() -> None:
    """The ten large digits are all different and all of one size."""
    shapes = {digit: module.SEGMENTS[digit] for digit in "0123456789"}
    assert len(set(shapes.values())) == 10
    assert {(len(shape), len(line)) for shape in shapes.values() for line in shape} == {(5, 3)}


def test_the_large_digits_read_as_the_code() -> None:
    """What stands five lines high is the code, digit by digit."""
    rows = module._big("90", "##")
    assert rows == [
        "######    ######",
        "##  ##    ##  ##",
        "######    ##  ##",
        "    ##    ##  ##",
        "######    ######",
    ]


def test_the_bar_shrinks_with_the_time_left() -> None:
    """The countdown says the seconds that are left and its bar gets shorter with them."""
    device = SoftFob("totp", SEED)
    early, late = _seen(device, device.code(2), 80, 2), _seen(device, device.code(2), 80, 22)
    assert "28 s" in early
    assert "8 s" in late
    assert early.count("━") > late.count("━") > 0
