"""What the command line says of a directory without a login: whether it answers, and who would be in which group.

The directory is slapd over TLS. No daemon runs. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.daemon.company import Company
from tests.directory import slapd as directory
from tests.directory.slapd import slapd

from .conftest import Shell

pytestmark = directory.needs_slapd

LOCAL: Final = "primary: {kind: local, memory_kib: 64, passes: 1}"
RULES: Final = '\nrules: [{name: few, when: {groups: ["VPN Users"]}}, {name: others}]\n'

NONE: Final = "none"

TROUBLES: Final = {
    "whose certificate nobody has signed": ({"ca_file": NONE}, "ca_file says whom to trust"),
    "whose base is not there": ({"base": '"dc=example,dc=com"'}, "is base right?"),
    "that does not know the searching account": ({"search_password": '"another one"'}, "searching account"),
    "that is not there": ({"servers": '["ldaps://localhost:9"]'}, "ldaps://localhost:9"),
}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A directory with alice, who is in a group."""
    with slapd(tmp_path_factory.mktemp("company") / "slapd") as server:
        yield Company(server)


def _site(shell: Shell, company: Company, **changed: str) -> Shell:
    section = company.backend(**changed)
    if changed.get("ca_file") == NONE:
        section = section.replace(f", ca_file: {NONE}", "")
    shell.change(LOCAL, f"primary: {section}{RULES}")
    return shell


@pytest.mark.parametrize(("changed", "cause"), TROUBLES.values(), ids=TROUBLES)
def test_check_says_why_a_directory_cannot_be_asked(
    shell: Shell, company: Company, changed: dict[str, str], cause: str
) -> None:
    """The file is in order and nobody could log in: the cause is said, with the key to look at."""
    _site(shell, company, **changed)
    said = shell.say("check")
    assert "ldap cannot be asked" in said.out
    assert cause in said.out
    assert "ldap answers" not in said.out
    told = shell.say("check", "--json").json()["directories"]["ldap"]
    assert cause in told


def test_check_says_that_a_directory_answers(shell: Shell, company: Company) -> None:
    """And nothing more: no name of a person is looked for."""
    _site(shell, company)
    assert "ldap answers" in shell.run("check")
    assert shell.say("check", "--json").json()["directories"] == {"ldap": None}


def test_a_login_is_explained_with_the_groups_of_today(shell: Shell, company: Company) -> None:
    """Of somebody who has never logged in the directory says the groups; the rule is the one that will decide."""
    _site(shell, company)
    alice = shell.say("check", "--client", "lab", "--user", "alice", "--json").json()
    assert (alice["rule"]["name"], alice["groups"], alice["groups_in_doubt"]) == ("few", ["vpn users"], None)
    said = shell.say("check", "--client", "lab", "--user", "nobody-here")
    assert "ldap knows nobody of that name" in said.out


def test_an_explanation_without_the_directory_says_so(shell: Shell, company: Company) -> None:
    """The groups are those that were seen last, or none, and that is said."""
    _site(shell, company, servers='["ldaps://localhost:9"]')
    said = shell.say("check", "--client", "lab", "--user", "alice")
    assert "not known, as last seen: ldap cannot be asked" in said.out
