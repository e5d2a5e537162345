"""The command line as a whole: help, the configuration file from anywhere, and no secret in any argument.

The tree of commands is walked, so that a new command is under test the moment it exists.
Answers to no RFC.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

import pytest
import typer.main

from radiusd2fa import __version__
from radiusd2fa.cli.app import _config_first, app

from .conftest import Shell, command


class Parameter(Protocol):
    """What is looked at of an option or argument."""

    name: str | None
    opts: list[str]
    envvar: object


class Command(Protocol):
    """What is looked at of a command."""

    help: str | None
    params: Sequence[Parameter]


def leaves(node: Command, *path: str) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command below this one that does something."""
    if hasattr(node, "commands"):
        for name, below in node.commands.items():
            yield from leaves(below, *path, name)
    else:
        yield path, node


ROOT: Final = cast("Command", typer.main.get_command(app))
COMMANDS: Final = {" ".join(path): node for path, node in leaves(ROOT)}
GROUPS: Final = ("", "user", "token", "key", "recovery", "grant", "breakglass", "report", "audit", "db")

PROMISED: Final = (
    "init serve check doctor login station fob softkey demo db-upgrade db-copy db-backup db-restore db-gap "
    "db-verify db-rotate-key "
    "user-add user-list user-show user-enable user-disable user-remove user-unlock user-password "
    "user-bind user-rename user-sync "
    "user-offboard "
    "token-add token-list token-show token-assign token-unassign token-enable token-disable token-revoke token-resync "
    "token-import token-history token-return token-restock token-lost token-label token-validity token-counter "
    "recovery-issue recovery-status recovery-revoke grant-temporary grant-skip grant-list grant-close "
    "breakglass-seal breakglass-request breakglass-approve breakglass-list breakglass-close "
    "report-coverage report-stale report-exceptions report-recovery report-inventory report-failures report-page "
    "audit-list audit-verify audit-rotate audit-key "
    "key-register key-invite key-accept key-list key-card key-test key-rename key-revoke key-stations"
)


def test_every_promised_command_is_there() -> None:
    """The nouns and verbs of the documentation, and no other."""
    assert {name.replace(" ", "-") for name in COMMANDS} == set(PROMISED.split())


SPENT_OR_HARMLESS: Final = {
    ("token resync", "code1"),
    ("token resync", "code2"),
    ("demo", "key"),  # which key, not what is in it
    ("db restore", "old_key"),  # where it is
    ("token import", "key_file"),  # where it is
    ("audit verify", "public_key"),  # where it is
    ("recovery issue", "count"),  # how many codes
    ("grant temporary", "count"),
    ("breakglass seal", "count"),
}
SECRET: Final = re.compile(r"secret|password|passwd|code|seed|pin\b|otp|credential|key", re.IGNORECASE)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_secret_is_ever_an_argument(name: str) -> None:
    """No option or argument that could hold a secret takes a value, but for two codes that are spent by being used."""
    for parameter in COMMANDS[name].params:
        takes_value = not getattr(parameter, "is_flag", False)
        names = [parameter.name or "", *parameter.opts]
        if takes_value and any(SECRET.search(one) for one in names):
            assert (name, parameter.name) in SPENT_OR_HARMLESS
        assert not parameter.envvar, "a secret could stand in the environment"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name.split()[-1] in {"list", "show"}])
def test_every_list_and_show_has_json(name: str) -> None:
    """What people read as a table, programs read as JSON."""
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str) -> None:
    """The help of every command begins with a sentence, and each of its options has a text of its own."""
    said = command(*name.split(), "--help")
    assert (said.code, said.err) == (0, "")
    sentence = (COMMANDS[name].help or "").strip().splitlines()[0]
    assert re.match(r"[A-Z][a-z]+ .{4,}[.:]", sentence)
    assert sentence.split(",")[0].split(":")[0] in " ".join(said.out.split())
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), parameter.name


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_lists_its_commands(group: str) -> None:
    """Help of a group names all that is below it."""
    said = command(*group.split(), "--help")
    below = [name.removeprefix(group).split()[0] for name in COMMANDS if name.startswith(group)]
    assert said.code == 0
    assert all(re.search(rf"\b{name}\b", said.out) for name in below)


WRONG: Final = (
    "--nonsense",
    "nonsense",
    "user nonsense",
    "user list --nonsense",
    "user add",
    "token resync H1 123456",
    "check --client",
)


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_usage_is_2(shell: Shell, arguments: str) -> None:
    """An unknown command or option, or a missing argument, ends with 2 and a word on standard error."""
    said = shell.say(*arguments.split())
    assert said.code == 2
    assert said.err
    assert not said.out


def test_the_version() -> None:
    """It is the package's."""
    assert command("--version").out == f"radiusd2fa {__version__}\n"


# --- the configuration file ------------------------------------------------------------------------------------------

PLACES: Final = (
    ("-c", "FILE", "user", "list", "--json"),
    ("user", "-c", "FILE", "list", "--json"),
    ("user", "list", "-c", "FILE", "--json"),
    ("user", "list", "--json", "-c", "FILE"),
    ("user", "list", "--json", "--config", "FILE"),
    ("--config", "FILE", "user", "list", "--json"),
    ("--config=FILE", "user", "list", "--json"),
    ("user", "list", "--config=FILE", "--json"),
    ("user", "list", "--json", "--config=FILE"),
)


@pytest.mark.parametrize("arguments", PLACES, ids=" ".join)
def test_the_configuration_file_may_stand_anywhere(people: Shell, arguments: tuple[str, ...]) -> None:
    """Before, between and after the words of a command, short and long, apart and with an equals sign."""
    said = command(*(argument.replace("FILE", str(people.config)) for argument in arguments))
    assert [user["name"] for user in said.json()] == ["alice"]


UNTOUCHED: Final[tuple[list[str], ...]] = (
    [],
    ["user", "list"],
    ["user", "list", "-c"],
    ["login", "--", "-c", "x"],
    ["login", "--", "--config=x"],
    ["check", "-client"],
)


@pytest.mark.parametrize("arguments", UNTOUCHED, ids=" ".join)
def test_what_is_no_configuration_file_stays_where_it_is(arguments: list[str]) -> None:
    """An option without its file, and everything behind two dashes, is left to the command."""
    assert _config_first(arguments) == arguments


def test_a_missing_configuration_is_2(tmp_path: Path) -> None:
    """Where there is no file, every command that needs one says so."""
    for name in ("user list", "token list", "check", "serve"):
        said = command(*name.split(), "-c", str(tmp_path / "nowhere.yaml"))
        assert said.code == 2
        assert str(tmp_path / "nowhere.yaml") in said.err
        assert "Traceback" not in said.err


def test_a_wrong_configuration_is_2_with_line_key_and_remedy(people: Shell) -> None:
    """Each fault is one line with file, line number and key; nothing is done."""
    people.change("flow: challenge", "flow: chalenge")
    people.change("message_authenticator: required", "message_authenticator: maybe")
    lines = people.wrong("user", "disable", "alice").splitlines()
    assert len(lines) == 2
    for line, key in zip(lines, ("flow", "message_authenticator"), strict=True):
        assert re.match(rf"error: {re.escape(str(people.config))}:\d+: .*{key}", line)
    people.change("chalenge", "challenge")
    people.change("maybe", "required")
    assert "disabled" not in people.run("user", "show", "alice")


BROKEN_SITES: Final = {
    "no vault key": lambda shell: (shell.folder / "vault.key").unlink(),
    "vault key open to others": lambda shell: (shell.folder / "vault.key").chmod(0o644),
    "vault key cut": lambda shell: (shell.folder / "vault.key").write_bytes(b"radiusd2fa"),
    "no database": lambda shell: (shell.folder / "radiusd2fa.db").unlink(),
    "no database in it": lambda shell: (shell.folder / "radiusd2fa.db").write_bytes(b"x" * 5000),
}


@pytest.mark.parametrize("fault", BROKEN_SITES)
@pytest.mark.parametrize("name", ["user list", "token list", "check"])
def test_a_broken_site_is_no_traceback(shell: Shell, fault: str, name: str) -> None:
    """A site without key or database, or with a wrong one, is an error with the file's name, and no command runs."""
    BROKEN_SITES[fault](shell)
    said = shell.say(*name.split())
    assert said.code in {1, 2}
    assert said.err.startswith("error: ")
    assert str(shell.folder) in said.err
    assert not said.out


def test_another_sites_key_is_refused(shell: Shell, tmp_path: Path) -> None:
    """With a key that does not belong to the database nothing is listed, and above all nothing is sealed."""
    command("init", "--dir", str(tmp_path / "other"))
    (shell.folder / "vault.key").write_bytes((tmp_path / "other" / "vault.key").read_bytes())
    for arguments in (("token", "add", "--kind", "hotp"), ("user", "list"), ("check",)):
        assert "restore the key file" in shell.wrong(*arguments)


def test_the_program_itself(people: Shell) -> None:
    """As a program of its own it gives the same answers and exit codes, also with the file at the end."""
    program = [sys.executable, "-m", "radiusd2fa.cli.app"]
    listed = subprocess.run([*program, "user", "list", "--json", "-c", people.config], capture_output=True, check=True)
    assert b'"alice"' in listed.stdout
    refused = subprocess.run([*program, "user", "show", "bob", "-c", people.config], capture_output=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr.startswith(b"error: there is no user bob")


def test_help_loads_nothing_heavy() -> None:
    """Whoever only asks what there is waits for no settings, no database and no cryptography."""
    heavy = {"pydantic", "sqlalchemy", "cryptography", "rich.console"}
    script = "import sys; import radiusd2fa.cli.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())
