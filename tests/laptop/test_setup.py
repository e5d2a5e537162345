"""`setup-ssh` and `doctor`: what they put into a person's own files, and what they find.

Shells that are installed judge the lines themselves. ssh(1) under SSH_ASKPASS; bash(1), zsh(1), fish(1).
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from radiusd2fa.emulators.softkey import SoftKey
from radiusd2fa.laptop.passing import NEXT, NEXT_REQUIRE
from radiusd2fa.laptop.shells import BEGIN, END, block, start_up_file, with_block, written
from tests.keys.conftest import Plug

from .laptop import Laptop, credential_at

PROGRAM = "/opt/a b/it's/radiusd2fa-key"
OTHER = "/usr/lib/ssh/x11 'ask' pass"
Environment = dict[str, str]

AS_READ: dict[str, Callable[[Path], list[str]]] = {
    "bash": lambda file: ["bash", "--norc", "-c", '. "$0"; env -0', str(file)],
    "zsh": lambda file: ["zsh", "-f", "-c", '. "$0"; env -0', str(file)],
    "fish": lambda file: ["fish", "--no-config", "-c", f"source {file}; env -0"],
}


def settings(shell: str, lines: str, folder: Path) -> Environment:
    """Return what the shell itself makes of the lines; what it read is under our names only."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = folder / "lines"
    file.write_text(lines)
    done = subprocess.run(
        AS_READ[shell](file), capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}, timeout=30
    )
    assert done.stderr == ""
    pairs = (line.partition("=") for line in done.stdout.split("\0"))
    return {name: value for name, _, value in pairs if "ASKPASS" in name}


# --- the lines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_reads_what_was_meant(shell: str, tmp_path: Path) -> None:
    """Blanks and quotation marks in paths come through, and the earlier askpass becomes the next."""
    lines = block(shell, PROGRAM, {"SSH_ASKPASS": OTHER, "SSH_ASKPASS_REQUIRE": "prefer"}, "")
    assert settings(shell, lines, tmp_path) == {
        "SSH_ASKPASS": PROGRAM,
        "SSH_ASKPASS_REQUIRE": "force",
        NEXT: OTHER,
        NEXT_REQUIRE: "prefer",
    }


OURS = {"SSH_ASKPASS": PROGRAM, "SSH_ASKPASS_REQUIRE": "force"}


@pytest.mark.parametrize(
    ("environment", "following"),
    [
        ({}, {}),
        ({"SSH_ASKPASS": ""}, {}),
        ({"SSH_ASKPASS": OTHER}, {NEXT: OTHER}),
        ({"SSH_ASKPASS": OTHER, "SSH_ASKPASS_REQUIRE": "force"}, {NEXT: OTHER, NEXT_REQUIRE: "force"}),
        ({"SSH_ASKPASS": OTHER, "SSH_ASKPASS_REQUIRE": "never"}, {}),
        (OURS, {}),
        (OURS | {NEXT: OTHER}, {NEXT: OTHER}),
        (OURS | {NEXT: OTHER, NEXT_REQUIRE: "prefer"}, {NEXT: OTHER, NEXT_REQUIRE: "prefer"}),
        ({"SSH_ASKPASS": "/old/place/radiusd2fa-key", NEXT: OTHER}, {NEXT: OTHER}),
        ({"SSH_ASKPASS": OTHER, NEXT: "/an/older/one"}, {NEXT: OTHER}),
    ],
)
def test_an_askpass_that_was_there_stays_as_the_next(environment: Environment, following: Environment) -> None:
    """We are never our own next, and one that was never to be asked is not asked by us either."""
    wanted = [*(OURS | following).items()]
    lines = block("fish", PROGRAM, environment, "").splitlines()
    assert lines[0] == BEGIN
    assert lines[-1] == END
    escaped = [f"set -gx {name} '" + value.replace("'", "\\'") + "'" for name, value in wanted]
    assert lines[1:-1] == escaped


def test_the_next_is_kept_by_a_shell_that_knows_nothing_of_it() -> None:
    """From a bare environment, what the file says already about the next is kept."""
    text = with_block("", block("bash", PROGRAM, {"SSH_ASKPASS": OTHER, "SSH_ASKPASS_REQUIRE": "force"}, ""))
    assert block("bash", PROGRAM, {}, text) == text
    newer = block("bash", PROGRAM, {"SSH_ASKPASS": "/new"}, text)
    assert OTHER.split()[0] not in newer
    assert "/new" in newer


@pytest.mark.parametrize(
    "text", ["", "alias ll='ls -l'\n", "no line end", f"{END}\n", f"before\n{BEGIN}\nopen for ever"]
)
def test_the_rest_of_the_file_is_left_alone(text: str) -> None:
    """Our lines come at the end, once, and the second time nothing changes."""
    lines = block("bash", PROGRAM, {}, "")
    once = with_block(text, lines)
    assert once.startswith(text)
    assert once.endswith(lines)
    if END not in text and BEGIN not in text:
        assert with_block(once, lines) == once


def test_older_lines_are_replaced_where_they_stand() -> None:
    """What comes after them still comes after them."""
    text = f"before\n{BEGIN}\nexport SSH_ASKPASS=/old\n{END}\nafter\n"
    lines = block("bash", PROGRAM, {}, text)
    assert with_block(text, lines) == f"before\n{lines}after\n"


def test_a_file_keeps_its_mode_and_its_links(tmp_path: Path) -> None:
    """Start-up files that are linked from elsewhere, and not for everybody's eyes, stay so."""
    real, link = tmp_path / "dotfiles" / "bashrc", tmp_path / ".bashrc"
    real.parent.mkdir()
    real.write_bytes(b"caf\xe9\n")
    real.chmod(0o600)
    link.symlink_to(real)
    text = link.read_text(encoding="utf-8", errors="surrogateescape")
    assert written(link, text + "more\n")
    assert not written(link, text + "more\n")
    assert link.is_symlink()
    assert real.read_bytes() == b"caf\xe9\nmore\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert [file.name for file in real.parent.iterdir()] == ["bashrc"]


@pytest.mark.parametrize(
    ("shell", "platform", "environment", "place"),
    [
        ("bash", "linux", {}, "/home/alice/.bashrc"),
        ("bash", "darwin", {}, "/home/alice/.bash_profile"),
        ("zsh", "darwin", {}, "/home/alice/.zshrc"),
        ("zsh", "linux", {"ZDOTDIR": "/z"}, "/z/.zshrc"),
        ("fish", "linux", {}, "/home/alice/.config/fish/conf.d/radiusd2fa-key.fish"),
        ("fish", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/fish/conf.d/radiusd2fa-key.fish"),
    ],
)
def test_each_shell_has_its_file(shell: str, platform: str, environment: Environment, place: str) -> None:
    """The one that interactive shells read."""
    assert start_up_file(shell, {"HOME": "/home/alice"} | environment, platform) == Path(place)


def test_setup_shows_first_and_writes_when_told(tmp_path: Path) -> None:
    """Without --write nothing is touched; with it the file holds what was shown, and a second time nothing changes."""
    laptop = Laptop(tmp_path, None)
    with laptop.run("setup-ssh", terminal=False, SHELL="/bin/zsh") as running:
        code, shown, err = running.end()
    assert code == 0
    assert f"export SSH_ASKPASS={laptop.program}\n" in shown
    assert ".zshrc" in err
    assert not (tmp_path / ".zshrc").exists()
    (tmp_path / ".zshrc").write_text("bindkey -v\n")
    for word in ("Written to", "Already in"):
        with laptop.run("setup-ssh", "--write", terminal=False, SHELL="/bin/zsh") as running:
            code, out, err = running.end()
        assert (code, out) == (0, "")
        assert word in err
        assert (tmp_path / ".zshrc").read_text() == f"bindkey -v\n{shown}"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """One sentence, exit code 1."""
    laptop = Laptop(tmp_path, None)
    (tmp_path / "taken").write_text("")
    with laptop.run(
        "setup-ssh", "--write", "--shell", "zsh", terminal=False, ZDOTDIR=str(tmp_path / "taken")
    ) as running:
        code, out, err = running.end()
    assert (code, out) == (1, "")
    assert ".zshrc: cannot be written" in err
    assert "Traceback" not in err


# --- doctor ----------------------------------------------------------------------------------------------------------


def findings(laptop: Laptop, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code, and what was found by what it is about."""
    with laptop.run("doctor", "--json", by_ssh=False, terminal=False, **environment) as running:
        code, out, err = running.end()
    assert err == ""
    return code, {one["about"]: one for one in json.loads(out)}


def test_a_laptop_without_anything_is_told_what_to_do(tmp_path: Path) -> None:
    """Each fault has a remedy; no NFC reader is no fault."""
    laptop = Laptop(tmp_path, None)
    (tmp_path / "empty").mkdir()
    code, found = findings(laptop, RADIUSD2FA_KEY_DEVICE="/dev/none-such", PATH=str(tmp_path / "empty"))
    assert code == 1
    faults = {about for about, one in found.items() if one["state"] == "fault"}
    assert faults == {"key", "ssh", "SSH_ASKPASS", "cards"}
    assert all(found[about]["remedy"] for about in faults)
    assert found["NFC"]["state"] in {"note", "good"}


def test_a_laptop_that_is_ready_has_no_fault(tmp_path: Path, plug: Plug) -> None:
    """The same for people, in lines."""
    laptop = Laptop(tmp_path, None)
    ssh = laptop.write_program(tmp_path / "bin" / "ssh", "import sys; sys.stderr.write('OpenSSH_9.2p1')\n")
    key = plug(SoftKey.make())
    laptop.has(key, credential_at(key)[1])
    ready = {
        "SSH_ASKPASS": str(laptop.program),
        "SSH_ASKPASS_REQUIRE": "force",
        "PATH": f"{ssh.parent}:{os.environ['PATH']}",
    }
    code, found = findings(laptop, **ready)
    assert code == 0
    assert {one["state"] for one in found.values()} <= {"good", "note"}
    assert found["ssh"]["text"] == f"OpenSSH 9.2 ({ssh})"
    with laptop.run("doctor", by_ssh=False, terminal=False, **ready) as running:
        code, out, _ = running.end()
    assert code == 0
    assert "good  cards: 1 (alice at auth.example.org)\n" in out


@pytest.mark.parametrize(
    ("setting", "about", "why"),
    [
        ({"SSH_ASKPASS": "/usr/bin/ksshaskpass"}, "SSH_ASKPASS", "does not name"),
        ({"SSH_ASKPASS": "/none/radiusd2fa-key"}, "SSH_ASKPASS", "cannot be started"),
        ({"SSH_ASKPASS": "here"}, "SSH_ASKPASS_REQUIRE", "is not force"),
        ({"SSH_ASKPASS": "here", "SSH_ASKPASS_REQUIRE": "prefer"}, "SSH_ASKPASS_REQUIRE", "is not force"),
        ({"RADIUSD2FA_KEY_DEVICE": "/etc/hosts"}, "key", "is no device"),
    ],
)
def test_a_setting_that_does_not_work_is_found(tmp_path: Path, setting: Environment, about: str, why: str) -> None:
    """Each has its own sentence."""
    laptop = Laptop(tmp_path, None)
    here = {name: str(laptop.program) if value == "here" else value for name, value in setting.items()}
    code, found = findings(laptop, **here)
    assert code == 1
    assert found[about]["state"] == "fault"
    assert why in found[about]["text"]


def test_an_old_ssh_and_a_broken_list_are_found(tmp_path: Path) -> None:
    """The ssh that is too old to be believed is told before a login fails."""
    laptop = Laptop(tmp_path, None)
    ssh = laptop.write_program(tmp_path / "bin" / "ssh", "import sys; sys.stderr.write('OpenSSH_8.4p1')\n")
    laptop.has(None)
    (tmp_path / "config" / "radiusd2fa" / "keys.json").write_text("[]")
    _, found = findings(laptop, PATH=f"{ssh.parent}:{os.environ['PATH']}")
    assert found["ssh"]["state"] == "fault"
    assert "8.5 or newer" in found["ssh"]["remedy"]
    assert "keys.json" in found["cards"]["text"]
