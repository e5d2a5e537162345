"""The real sudo in front of the program, with the file that travels with it: who gets in, as whom, and with what.

Nothing of the machine is changed: the sudoers file is laid over the machine's in a mount namespace of the test's own.
The people are accounts that every Debian has. Answers to no RFC; sudoers(5).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from .conftest import Said, Shell

EXAMPLE: Final = Path(__file__).parents[2] / "config/examples/sudoers"
HELPDESK, OPERATOR, ADMIN, STRANGER = "man", "lp", "news", "uucp"
ROLES: Final = f"administrators: {{helpdesk: [{HELPDESK}], operator: [{OPERATOR}], admin: [{ADMIN}]}}\nprimary:"
_OVERLAY: Final = 'mount --bind "$1" /etc/sudoers; shift; exec "$@"'


def _in_a_namespace(*command: str) -> list[str]:
    return ["unshare", "--mount", "--propagation", "private", "sh", "-euc", *command]


def _why_not() -> str | None:
    for program, package in (("sudo", "sudo"), ("visudo", "sudo"), ("unshare", "util-linux")):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            return f"needs {program}: apt-get install {package}"
    if os.geteuid() != 0:
        return "needs root, for a mount namespace"
    allowed = subprocess.run(_in_a_namespace("true"), capture_output=True, check=False)
    return None if allowed.returncode == 0 else "the machine allows no mount namespace"


WHY_NOT: Final = _why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


def test_the_file_is_one() -> None:
    """visudo(8) takes it as it is."""
    judged = subprocess.run(
        ["/usr/sbin/visudo", "--check", "--strict", "--file", str(EXAMPLE)], capture_output=True, text=True, check=False
    )
    assert (judged.returncode, judged.stderr) == (0, "")


@dataclass(frozen=True, slots=True)
class Counter:
    """A site behind sudo. Its files belong to root, who stands for the service's account here."""

    shell: Shell
    program: Path
    sudoers: Path

    def say(self, person: str, *arguments: str) -> Said:
        """Let somebody give a command by sudo."""
        them = ["setpriv", f"--reuid={person}", f"--regid={person}", "--clear-groups"]
        sudo = ["sudo", "--non-interactive", "--user", "root", str(self.program), *arguments]
        done = subprocess.run(
            [*_in_a_namespace(_OVERLAY, "sh", str(self.sudoers)), *them, *sudo],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )
        return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def counter(people: Shell) -> Counter:
    """The example, with the test's people, account and program in the place of its own."""
    people.change("primary:", ROLES)
    program = people.folder / "radiusd2fa"
    python = f"{sys.executable} -m radiusd2fa.cli.app"
    program.write_text(f'#!/bin/sh\ncd {Path(__file__).parents[2]}\nexec {python} -c {people.config} "$@"\n')
    program.chmod(0o700)
    text = EXAMPLE.read_text().replace("/opt/radiusd2fa/bin/radiusd2fa", str(program)).replace("(radiusd2fa)", "(root)")
    for group, ours in (("service-desk", HELPDESK), ("token-desk", OPERATOR), ("security", ADMIN)):
        assert f"%{group} " in text
        text = text.replace(f"%{group} ", f"%{ours} ")
    sudoers = people.folder / "sudoers"
    sudoers.write_text(f"Defaults !authenticate\n{text}")
    sudoers.chmod(0o440)
    return Counter(people, program, sudoers)


def test_sudo_lets_nobody_choose_a_configuration(counter: Counter) -> None:
    """Wherever -c stands, and however it is written; nor may they begin a site, or be the daemon."""
    evil = counter.shell.folder / "evil.yaml"
    for words in (
        ("user", "list", "-c", str(evil)),
        ("user", "-c", str(evil), "list"),
        ("-c", str(evil), "user", "list"),
        ("user", "list", f"--config={evil}"),
        ("user", "list", f"-c{evil}"),
        ("init", "--dir", "/tmp/elsewhere"),  # noqa: S108 - nobody gets there
        ("serve",),
        ("--version",),
    ):
        said = counter.say(HELPDESK, *words)
        assert (said.code, said.out) == (1, ""), words
        assert "not allowed" in said.err or "password is required" in said.err, said


def test_who_is_in_no_group_is_refused_by_sudo(counter: Counter) -> None:
    """Before our program has begun."""
    said = counter.say(STRANGER, "user", "list")
    assert said.code == 1
    assert "radiusd2fa" not in said.out
    assert counter.shell.events()[-1].name != "administration.refused"


def test_each_is_known_by_name_and_kept_to_their_role(counter: Counter) -> None:
    """The person stands in the audit with what they did, and with what they were refused."""
    refused = counter.say(HELPDESK, "user", "remove", "alice", "--yes", "--reason", "x")
    assert refused.code == 1
    assert "man as root may not do this" in refused.err
    assert counter.say(HELPDESK, "user", "unlock", "alice", "--reason", "called").code == 0
    assert counter.say(OPERATOR, "token", "unassign", "H1").code == 0
    assert counter.say(ADMIN, "user", "disable", "alice").code == 0
    told = [(event.actor, event.name, event.reason) for event in counter.shell.events()[-4:]]
    assert told == [
        ("man as root", "administration.refused", "user remove"),
        ("man as root", "user.unlocked", "called"),
        ("lp as root", "token.unassigned", ""),
        ("news as root", "user.disabled", ""),
    ]
