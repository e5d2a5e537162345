"""How long the reports take over a big site, and how much memory: a sample is made, and the program is started on it.

Everything is written in bulk through the store's own schema and vault, with a fixed seed, into a folder of its own; no
test looks at the time. The promise: coverage and exceptions of 10,000 people in under 5 s, with the start of Python.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import report
from population import _fill

from radiusd2fa import vault
from radiusd2fa.core import sheets
from radiusd2fa.store import upgrade
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.schema import callers, events, grants, requests, tokens, users

BEGIN: Final = "<!-- reports: begin (bench/run.py --reports writes what follows) -->"
END: Final = "<!-- reports: end -->"
PEOPLE: Final = 10_000
TOKENS: Final = 15_000
EVENTS: Final = 200_000
ROUNDS: Final = 3
SECONDS: Final = 5.0
GROUPS: Final = ("staff", "netadmin", "sales", "contractors", "finance", "board")
MODELS: Final = (
    ("Feitian OTP c200", "totp"),
    ("OATH HOTP hardware token", "hotp"),
    ("Security key", "fido"),
    ("YubiKey", "yubico"),
)
REASONS: Final = ("wrong_code", "wrong_password", "wrong_password", "wrong_password", "locked", "no_token", "replayed")
A_DAY: Final = 86400.0
PAST: Final = 400
"""Days that the audit reaches back."""
REPORTS: Final = (
    ["coverage"],
    ["coverage", "--group", "netadmin"],
    ["exceptions"],
    ["exceptions", "--days", "365"],
    ["stale"],
    ["recovery"],
    ["inventory"],
    ["failures"],
)
CONFIGURATION: Final = """listen: {{udp: ["127.0.0.1:0"]}}
store: "sqlite:///{folder}/radiusd2fa.db"
vault: {{key_file: vault.key}}
syslog: off
clients:
  vpn: {{networks: [192.0.2.1], secret: "a secret of the bench"}}
  wiki: {{networks: [192.0.2.2], secret: "a secret of the bench"}}
fido: {{rp_id: auth.example.org}}
primary: {{kind: local}}
rules:
  - {{name: admins, when: {{groups: [netadmin]}}, factors: [fido], grants: off}}
  - {{name: money, when: {{groups: [finance, board]}}, factors: [fido, totp], break_glass: with_password}}
  - {{name: outside, when: {{groups: [contractors]}}, factors: [totp, hotp, recovery],
     enrolment: {{grace_until: 2099-12-31}}}}
  - {{name: all, factors: [fido, yubico, totp, hotp, recovery]}}
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One report: the quickest of its rounds, and the most memory of any."""

    words: str
    seconds: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class Found:
    """All of them, over a site of that size."""

    load_average: float
    people: int
    tokens: int
    events: int
    made: tuple[Made, ...]


def measure(folder: Path, people: int = PEOPLE, held: int = TOKENS, happened: int = EVENTS) -> Found:
    """Make the sample in a new folder, and each report over it."""
    load_average = os.getloadavg()[0]
    config = settle(folder, people, held, happened)
    made = []
    for words in (*REPORTS, ["page", str(folder / "review.html"), "--force"]):
        runs = [measured("-c", str(config), "report", *words) for _ in range(ROUNDS)]
        shown = "page" if words[0] == "page" else " ".join(words)
        made.append(Made(shown, min(run[0] for run in runs), max(run[1] for run in runs) / 1024))
        print(f"report {shown}: {made[-1].seconds:.2f} s, {made[-1].megabytes:.0f} MB", file=sys.stderr)
    return Found(load_average, people, held, happened, tuple(made))


def name_of(number: int) -> str:
    """Return the name of a person of the sample."""
    return f"person{number:06}"


def settle(folder: Path, people: int, held: int, happened: int) -> Path:
    """Make the sample; return its configuration."""
    folder.mkdir(mode=0o700, parents=True)
    key = vault.create(folder / "vault.key")
    upgrade.create(SqliteFile(folder / "radiusd2fa.db"), key)
    chance, now = random.Random(8), time.time()
    connection = sqlite3.connect(folder / "radiusd2fa.db", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")  # for the sample alone
    connection.execute("BEGIN")
    _fill(connection, users, _people(chance, people, now))
    _fill(connection, tokens, _tokens(chance, key, people, held, now))
    _fill(connection, grants, _grants(chance, people, now))
    _fill(connection, requests, _requests(now))
    _fill(connection, callers, _callers(now))
    _fill(connection, events, _events(chance, people, happened, now))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    config = folder / "radiusd2fa.yaml"
    config.touch(mode=0o600)
    config.write_text(CONFIGURATION.format(folder=folder))
    return config


def _people(chance: random.Random, count: int, now: float) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {
            "name": name_of(number),
            "enabled": chance.random() > 0.03,
            "groups": "\n".join(sorted({"staff", chance.choice(GROUPS)})),
            "created": now - chance.uniform(1, 900) * A_DAY,
            "last_login": now - chance.uniform(0, 200) * A_DAY if chance.random() < 0.1 else None,
            "locked_until": now + 600 if chance.random() < 0.001 else 0.0,
            "skip_until": 0.0,
            "failures": 0,
        }


def _tokens(chance: random.Random, key: vault.Vault, people: int, count: int, now: float) -> Iterator[dict[str, Any]]:
    states = ("active",) * 12 + ("assigned", "disabled", "lost", "revoked", "stock", "stock", "stock", "returned")
    for number in range(1, count + 1):
        model, kind = chance.choice(MODELS)
        state, owner = chance.choice(states), 1 + chance.randrange(people)
        sheet = number % 15 == 0
        if sheet:
            kind, state, model = chance.choice(("recovery",) * 20 + ("temporary", "breakglass")), "active", ""
        owned = sheet or state not in ("stock", "returned")
        delivered = now - chance.uniform(30, 1600) * A_DAY
        used = owned and chance.random() < 0.85 and not sheet
        yield {
            "id": number,
            "serial": f"{kind[0].upper()}{number:07}",
            "user_id": owner if owned else None,
            "kind": kind,
            "sealed": key.seal(number, bytes(16 + 16 * 10 if sheet else 20)),
            "digits": 6,
            "algorithm": "sha1",
            "step": 30,
            "state": state,
            "created": delivered,
            "moving_factor": chance.randrange(1024) if sheet else chance.randrange(100_000),
            "valid_until": now - A_DAY if kind == "breakglass" else now + 200 * A_DAY if number % 50 == 0 else None,
            "last_used": now - chance.expovariate(1 / 40) * A_DAY if used else None,
            "model": model,
            "batch": "" if sheet else f"2026-{number % 12 + 1:02}",
            "box": "" if sheet else f"box {number % 40}",
            "delivered": None if sheet else delivered,
            "handed_by": "carol" if owned else "",
            "handed_at": delivered + A_DAY if owned else None,
            "activate_by": now + chance.uniform(-20, 30) * A_DAY if state == "assigned" else None,
        }


def _grants(chance: random.Random, people: int, now: float) -> Iterator[dict[str, Any]]:
    for number in range(400):
        created = now - chance.uniform(0, 60) * A_DAY
        yield {
            "user_id": number + 1,
            "user": name_of(chance.randrange(people)),
            "kind": chance.choice(("skip", "temporary", "temporary")),
            "reason": chance.choice(("token lost on the train, new one ordered", "left at home", "broken display")),
            "granted_by": chance.choice(("alice as root", "bob")),
            "created": created,
            "until": created + chance.uniform(0.3, 12) * A_DAY,
        }


def _requests(now: float) -> Iterator[dict[str, Any]]:
    yield {
        "user_id": 1,
        "user": name_of(0),
        "reason": "directory down",
        "requested_by": "1001 alice as root",
        "created": now - 3 * A_DAY,
        "expires": now - 3 * A_DAY + 900,
        "lasts": 3600.0,
        "approved_by": "1002 bob as root",
        "approved": now - 3 * A_DAY + 120,
    }


def _callers(now: float) -> Iterator[dict[str, Any]]:
    for number in range(5):
        yield {
            "nas": "vpn",
            "caller": f"198.51.100.{number}",
            "failures": 100,
            "window_ends": now + 300,
            "blocked_until": now + 60 * number,
        }


def _events(chance: random.Random, people: int, count: int, now: float) -> Iterator[dict[str, Any]]:
    nothing = {"login": "", "nas": "", "caller": "", "factor": "", "serial": "", "latency": 0.0, "actor": ""}
    for number in range(count):
        event = {
            **nothing,
            "time": now - PAST * A_DAY * (1 - number / count),
            "user": name_of(chance.randrange(people)),
        }
        kind = chance.random()
        if kind < 0.005:
            name = chance.choice(("user.unlocked", "token.enabled", "grant.temporary", "token.lost"))
            event |= {"name": name, "outcome": "done", "reason": "asked for at the desk", "actor": "carol"}
        else:
            event |= {
                "nas": chance.choice(("vpn", "vpn", "wiki")),
                "caller": f"198.51.100.{chance.randrange(256)}",
                "login": f"{number:016x}",
                "factor": chance.choice(("totp", "hotp", "fido")),
                "latency": 0.004,
            }
            if kind < 0.06:
                event |= {"name": "access.rejected", "outcome": "rejected", "reason": chance.choice(REASONS)}
            elif kind < 0.5:
                event |= {"name": "access.challenged", "outcome": "challenged", "reason": "code_wanted"}
            elif kind < 0.52:
                why = chance.choice(("grace", "skip_granted", "not_enrolled"))
                event |= {"name": "access.accepted", "outcome": "accepted", "reason": why, "factor": ""}
            elif kind < 0.53:
                kind_of_sheet = chance.choice(list(sheets.SHEETS))
                event |= {"name": "access.accepted", "outcome": "accepted", "reason": "ok", "factor": kind_of_sheet}
            else:
                event |= {"name": "access.accepted", "outcome": "accepted", "reason": "ok"}
        yield event


def measured(*arguments: str) -> tuple[float, int]:
    """Run the program; return the seconds it took and the most memory it had, in KiB."""
    began = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "-m", "radiusd2fa.cli.app", *arguments], stdout=subprocess.DEVNULL, stderr=None
    )
    _, status, used = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    assert program.returncode == 0, arguments
    return time.monotonic() - began, used.ru_maxrss


# --- the page --------------------------------------------------------------------------------------------------------


def page(found: Found) -> str:
    """Write everything as Markdown."""
    sample = f"{found.people:,} people, {found.tokens:,} tokens, {found.events:,} audit rows, rules by group"
    rows = ((f"`report {one.words}`", f"{one.seconds:.2f}", f"{one.megabytes:.0f}") for one in found.made)
    return "\n".join(
        (
            *report.machine(found.load_average),
            "",
            f"{sample}; the quickest of {ROUNDS}, and the highest peak.",
            "",
            *report.table(("promised", "measured", ""), _promises(found)),
            *report.table(("command", "seconds", "peak MB"), rows),
        )
    )


def _promises(found: Found) -> Iterator[tuple[str, ...]]:
    seconds = max(one.seconds for one in found.made if one.words in ("coverage", "exceptions"))
    promised = f"coverage and exceptions of {found.people:,} people in under {SECONDS:.0f} s"
    late = report.verdict(seconds < SECONDS, f"{seconds / SECONDS:.2f} times as much")
    yield promised, f"{seconds:.1f} s at most", late


def main() -> None:
    """Measure by itself, and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--people", type=int, default=PEOPLE)
    arguments.add_argument("--tokens", type=int, default=TOKENS)
    arguments.add_argument("--events", type=int, default=EVENTS)
    arguments.add_argument("--keep", type=Path, help="make the sample in this new folder and leave it there")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="radiusd2fa-bench-", dir="/var/tmp") as folder:
        print(page(measure(given.keep or Path(folder) / "site", given.people, given.tokens, given.events)))


if __name__ == "__main__":
    main()
