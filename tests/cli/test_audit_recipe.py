"""docs/audit.md promises that other tools verify the audit: here they do, as it is printed there, over real rows.

jq, sqlite3, sha256sum and openssl are the judges, and not a line of ours is asked. FIPS 180-4, RFC 8032, RFC 8785.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.core.model import Event
from radiusd2fa.store.administration import Administration

from .conftest import Shell

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "audit.md"
PACKAGES: Final = {"jq": "jq", "sqlite3": "sqlite3", "openssl": "openssl"}
LONG_AGO: Final = 1_600_000_000.123457
ROW: Final = Event(
    LONG_AGO, "access.accepted", "10619", "vpn", "alice", "192.0.2.1", "hotp", "H1", "accepted", "ok", 0.0015
)
NASTY: Final = 'müller "x", \\ \t \x01 \x1f € \U0001f511 \u2028 \' $(id) `id` %s  end'

for program, package in PACKAGES.items():
    if shutil.which(program) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)


def recipe(name: str) -> str:
    """One script of the page."""
    found = re.search(rf"<!-- recipe: {name} -->\n```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it as it stands there."""
    script = ["sh", "-c", recipe(name), name, *map(str, arguments)]
    return subprocess.run(script, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def told(people: Shell) -> Shell:
    """A site whose audit has old rows, with all that can stand in a text."""
    with people.registry() as registry:
        address, key = registry._address, registry._vault
    rows = [replace(ROW, user=f"{NASTY}{number}", time=LONG_AGO + number / 7) for number in range(20)]
    with Administration(address, key, "nobody", chain="vpn1") as desk:
        for first in range(0, 20, 5):
            with desk._transaction() as connection:
                desk._note_many(connection, rows[first : first + 5])
    return people


@pytest.fixture
def archive(told: Shell, tmp_path: Path) -> Path:
    """An archive of the older part of them, and the public key beside it."""
    (tmp_path / "key.pem").write_text(told.run("audit", "key"))
    told.run("audit", "rotate", "--before", "2020-12-31", "--to", str(tmp_path / "archive.jsonl"))
    return tmp_path / "archive.jsonl"


def test_jq_and_openssl_verify_an_archive(archive: Path) -> None:
    """Hash by hash and signature by signature, whatever stands in a name."""
    done = run("archive", archive, archive.with_name("key.pem"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "vpn1: whole"
    assert "Signature Verified Successfully" in done.stdout


CHANGES: Final = {
    "a name": ('"user":"m', '"user":"n'),
    "a time": ("1600000000.123457", "1600000000.123458"),
    "the last row": ('"sequence":20,"time"', '"sequence":21,"time"'),
    "the signature": ('"signature":"', '"signature":"AAAA'),
    "the anchor": ('"sequence":20,"hash"', '"sequence":19,"hash"'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_they_see_what_was_changed(archive: Path, change: str) -> None:
    """A recipe that finds everything whole would prove nothing."""
    old, new = CHANGES[change]
    text = archive.read_text(encoding="utf-8")
    assert old in text
    archive.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert run("archive", archive, archive.with_name("key.pem")).returncode != 0


def test_sqlite3_verifies_the_store(told: Shell, tmp_path: Path) -> None:
    """The chain ends with the hash that its end has, before a rotation and after it."""
    store = told.folder / "radiusd2fa.db"
    with told.registry() as registry, registry._looking() as connection:
        end = connection.exec_driver_sql("SELECT hash FROM chains WHERE name = 'vpn1'").scalar_one()
    whole = run("chain", store, "vpn1")
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, f"vpn1 ends with {end.hex()}\n", "")
    told.run("audit", "rotate", "--before", "2020-09-13", "--to", str(tmp_path / "nothing"))
    told.run("audit", "rotate", "--before", "2020-09-14", "--to", str(tmp_path / "all"))
    assert run("chain", store, "vpn1").stdout == whole.stdout
    subprocess.run(
        ["sqlite3", str(store), "DROP TRIGGER events_no_update; UPDATE events SET reason = 'x' WHERE sequence = 2"],
        check=True,
    )
    assert run("chain", store, _command_line(told)).returncode == 1


def _command_line(shell: Shell) -> str:
    with shell.registry() as registry, registry._looking() as connection:
        names = connection.exec_driver_sql("SELECT DISTINCT chain FROM events WHERE chain LIKE '%/administration'")
        return str(names.scalar_one())
