"""`radiusd2fa token import`, done: what comes in, what is said about it, and what lies about afterwards.

Tokens come out of the store as they went in, and the samples of every format that needs no key go through the command.
No seed is in what is printed or written. Answers to no RFC.
"""

from __future__ import annotations

import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.cli import import_report
from radiusd2fa.cli.import_report import Outcome
from radiusd2fa.imports.seeds import Flaw, LeftOut

from .conftest import SEED, Shell
from .seed_files import KEY, a_file, encrypted, private, row, seed_of

SAMPLES: Final = Path(__file__).parents[2] / "hardware" / "samples"


def serials(shell: Shell) -> list[str]:
    """All tokens in the store."""
    with shell.registry() as registry:
        return [token.serial for token in registry.tokens()]


def column(shell: Shell, name: str, serial: str) -> object:
    """What one column says of a token."""
    with shell.registry() as registry:
        return getattr(registry.token(serial), name)


# --- what comes in ---------------------------------------------------------------------------------------------------


def test_a_delivery_goes_to_the_stock(people: Shell, tmp_path: Path) -> None:
    """Each token with its seed and counter; a sentence says how many, and what to do with the file."""
    file = a_file(tmp_path, row("N1"), row("N2", counter=7))
    out = people.run("token", "import", str(file))
    assert "took in 2 tokens from seeds.csv, 2 into the stock\n" in out
    assert out.endswith(f"delete the seeds now that they are here: shred -u {file}\n")
    assert serials(people) == ["H1", "N1", "N2"]
    assert people.seed_of("N2").hex() == seed_of("N2")
    assert column(people, "moving_factor", "N2") == 7
    assert (column(people, "state", "N1"), column(people, "user", "N1")) == ("stock", None)


def test_tokens_of_people_who_are_here_become_theirs(people: Shell, tmp_path: Path) -> None:
    """Active, under the one spelling of their name."""
    out = people.run("token", "import", str(a_file(tmp_path, row("N1", user="ALICE"), row("N2"))))
    assert "took in 2 tokens from seeds.csv, 1 into the stock and 1 to 1 person\n" in out
    assert re.search(r"\bN1 +hotp +to alice\b", out)
    assert (column(people, "state", "N1"), column(people, "user", "N1")) == ("active", "alice")


def test_all_to_one_person(people: Shell, tmp_path: Path) -> None:
    """--user, for a file that names nobody, or somebody by another name."""
    people.run("token", "import", str(a_file(tmp_path, row("N1", user="al"), row("N2"))), "--user", "Alice")
    assert [column(people, "user", serial) for serial in ("N1", "N2")] == ["alice", "alice"]


def test_a_clock_token_of_somebody_has_used_its_codes(people: Shell, tmp_path: Path) -> None:
    """--user says that it was in use: the code that it shows now may have been used in the other system."""
    file = private(tmp_path / "seeds.csv", f"serial,kind,secret\nN1,totp,{seed_of('N1')}\n".encode())
    people.run("token", "import", str(file), "--user", "alice")
    factor = column(people, "moving_factor", "N1")
    assert isinstance(factor, int)
    assert factor > 50_000_000


def test_all_to_the_stock(people: Shell, tmp_path: Path) -> None:
    """--unassigned, whomever the file names, and whether or not they are here."""
    people.run(
        "token", "import", str(a_file(tmp_path, row("N1", user="alice"), row("N2", user="carol"))), "--unassigned"
    )
    assert [column(people, "user", serial) for serial in ("N1", "N2")] == [None, None]


def test_where_the_tokens_are(people: Shell, tmp_path: Path) -> None:
    """Batch, box, day of delivery and model, said beside the file; the audit's reason is the batch."""
    labels = ("--batch", "2026-11", "--box", "7", "--delivered", "2026-03-01", "--model", "Maker C100")
    people.run("token", "import", str(a_file(tmp_path, row("N1"))), *labels)
    assert [column(people, name, "N1") for name in ("batch", "box", "delivered", "model")] == [
        "2026-11",
        "7",
        1772323200.0,
        "Maker C100",
    ]
    assert [(e.name, e.serial, e.reason) for e in people.events()[-2:]] == [
        ("token.imported", "N1", "2026-11"),
        ("tokens.imported", "", "1 of 2026-11"),
    ]


def test_counters_that_have_gone_on_elsewhere(people: Shell, tmp_path: Path) -> None:
    """--skip-known takes a higher counter over and says so, in words, in JSON and on a dry run, which takes nothing."""
    people.run("token", "import", str(a_file(tmp_path, row("N1", counter=5), row("N2", counter=5))))
    again = str(a_file(tmp_path, row("N1", counter=9), row("N2", counter=3), row("N3")))
    dry = people.say("token", "import", again, "--skip-known", "--dry-run", "--json").json()
    assert [token["becomes"] for token in dry["tokens"]] == ["raised", "known", "stock"]
    assert column(people, "moving_factor", "N1") == 5
    assert "1 of them would be moved forward" in people.run("token", "import", again, "--skip-known", "--dry-run")
    out = people.run("token", "import", again, "--skip-known")
    assert "2 were here already; 1 of them was moved forward to the counter in the file\n" in out
    assert re.search(r"\bN1 +hotp +here already, moved forward\b", out)
    assert [column(people, "moving_factor", serial) for serial in ("N1", "N2")] == [9, 5]
    assert "nothing new in seeds.csv" in people.run("token", "import", again, "--skip-known")


def test_a_list_without_names(people: Shell, tmp_path: Path) -> None:
    """--columns says what they are, and other options what the list does not say."""
    file = private(tmp_path / "list.csv", f"7;N1;x;{seed_of('N1')}\n8;N2;y;{seed_of('N2')}\n".encode())
    how = (
        "--columns",
        "-,serial,-,secret",
        "--kind",
        "totp",
        "--digits",
        "8",
        "--step",
        "60",
        "--algorithm",
        "SHA-256",
    )
    people.run("token", "import", str(file), *how)
    assert [column(people, name, "N2") for name in ("kind", "digits", "step", "algorithm")] == ["totp", 8, 60, "sha256"]
    assert people.seed_of("N1").hex() == seed_of("N1")


@pytest.mark.parametrize("written", [KEY.hex(), KEY.hex().upper(), "AAECAwQFBgcICQoLDA0ODw=="])
def test_a_key_on_standard_input(people: Shell, tmp_path: Path, written: str) -> None:
    """In hex or base64."""
    people.run("token", "import", str(encrypted(tmp_path)), "--key-stdin", typed=f"{written}\n")
    assert "S1" in serials(people)


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode() + b"\n", b"AAECAwQFBgcICQoLDA0ODw==\n"])
def test_a_key_in_a_file(people: Shell, tmp_path: Path, content: bytes) -> None:
    """As octets, in hex or base64."""
    key = private(tmp_path / "key", content)
    people.run("token", "import", str(encrypted(tmp_path)), "--key-file", str(key))
    assert "S1" in serials(people)


def test_a_file_on_standard_input(people: Shell, tmp_path: Path) -> None:
    """Through a pipe, from whatever decrypts it; there is no file to delete."""
    out = people.run("token", "import", "-", typed=a_file(tmp_path, row("N1")).read_bytes())
    assert "took in 1 token from standard input, 1 into the stock\n" in out
    assert "shred" not in out
    assert "N1" in serials(people)


NEED_A_KEY: Final = ("privacyidea.pi", "linotp.tsv")


def open_samples() -> list[Path]:
    """Those that are seed files and open without a key."""
    return [
        path
        for path in sorted(SAMPLES.iterdir())
        if path.is_file()
        and path.suffix not in (".md", ".key", ".encKey")
        and path.name not in NEED_A_KEY
        and b"Encrypted" not in path.read_bytes()
    ]


@pytest.mark.parametrize("sample", open_samples(), ids=lambda path: path.name)
def test_every_sample_comes_in(shell: Shell, tmp_path: Path, sample: Path) -> None:
    """Recognised, without a fault; a second time all of it is known."""
    file = private(tmp_path / sample.name, sample.read_bytes())
    first = shell.say("token", "import", str(file), "--unassigned", "--json").json()
    assert first["taken"] == len(first["tokens"]) > 0
    assert serials(shell) == sorted(token["serial"] for token in first["tokens"])
    again = shell.say("token", "import", str(file), "--unassigned", "--skip-known", "--json").json()
    assert (again["taken"], {token["becomes"] for token in again["tokens"]}) == (0, {"known"})


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(people: Shell, tmp_path: Path) -> None:
    """And says what would be; nobody is told to delete the file yet."""
    before = people.events()
    out = people.run("token", "import", str(a_file(tmp_path, row("N1"))), "--dry-run")
    assert out.endswith("would take in 1 token from seeds.csv, 1 into the stock\n")
    assert (serials(people), people.events()) == (["H1"], before)


def test_a_mended_file_goes_on_where_it_was(people: Shell, tmp_path: Path) -> None:
    """--skip-known passes over what is here, and says so; given once more it has nothing to do."""
    file = a_file(tmp_path, row("N1"), row("H1", secret=SEED.hex()))
    people.refused("token", "import", str(file))
    out = people.run("token", "import", str(file), "--skip-known")
    assert "took in 1 token from seeds.csv, 1 into the stock; 1 was here already\n" in out
    assert re.search(r"\bH1 +hotp +here already\b", out)
    assert "nothing new in seeds.csv; 2 were here already\n" in people.run("token", "import", str(file), "--skip-known")


def test_a_long_list_is_shortened(people: Shell, tmp_path: Path) -> None:
    """How many more there are is said, and where all of them are."""
    count = import_report.SHOWN + 2
    out = people.run("token", "import", str(a_file(tmp_path, *(row(f"N{number:03}") for number in range(count)))))
    assert "... 2 more tokens: --json and --report FILE show all\n" in out
    assert f"N{count - 3:03}" in out
    assert f"N{count - 2:03}" not in out


def test_json_has_all_of_it(people: Shell, tmp_path: Path) -> None:
    """One document, with each token and what becomes of it, and nothing else on standard output."""
    file = a_file(tmp_path, row("N1", user="alice"), row("H1", secret=SEED.hex()), row("N2"))
    assert people.say("token", "import", str(file), "--skip-known", "--json").json() == {
        "file": "seeds.csv",
        "format": "own",
        "dry_run": False,
        "taken": 2,
        "faults": [],
        "left_out": [],
        "tokens": [
            {"line": 2, "serial": "N1", "kind": "hotp", "user": "alice", "becomes": "active"},
            {"line": 3, "serial": "H1", "kind": "hotp", "user": None, "becomes": "known"},
            {"line": 4, "serial": "N2", "kind": "hotp", "user": None, "becomes": "stock"},
        ],
    }


def test_json_of_a_refusal(people: Shell, tmp_path: Path) -> None:
    """Every fault with line and remedy; that nothing was taken in is on standard error, and in the exit code."""
    count = import_report.SHOWN + 2
    said = people.say(
        "token", "import", str(a_file(tmp_path, *(row(f"N{n}", user="carol") for n in range(count)))), "--json"
    )
    found = said.json()
    assert (said.code, found["taken"], len(found["faults"])) == (1, 0, count)
    assert set(found["faults"][0]) == {"line", "problem", "remedy", "serial"}
    assert said.err.startswith("error: nothing was taken in")


def test_a_report_file_has_all_of_it(people: Shell, tmp_path: Path) -> None:
    """In lines of text, readable by its owner alone, and without a seed."""
    report, count = tmp_path / "report", import_report.SHOWN + 2
    file = a_file(tmp_path, *(row(f"N{number}") for number in range(count)))
    people.run("token", "import", str(file), "--report", str(report))
    lines = report.read_text().splitlines()
    assert lines[0] == f"took in {count} tokens from seeds.csv, {count} into the stock"
    assert lines[-1] == f"line {count + 1}: N{count - 1} hotp to the stock"
    assert len(lines) == count + 1
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert not any(seed_of(f"N{number}")[:8] in report.read_text() for number in range(count))


def test_a_report_of_a_refusal(people: Shell, tmp_path: Path) -> None:
    """The faults stand first, and what the good lines would have become behind them."""
    report = tmp_path / "report"
    people.refused("token", "import", str(a_file(tmp_path, row("N1"), row("H1"))), "--report", str(report))
    lines = report.read_text().splitlines()
    assert lines[0].startswith("nothing was taken in")
    assert lines[1].startswith("fault: line 3: ")


def test_no_report_is_left_of_what_could_not_be_done(
    people: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the same command can be given again, once whoever holds the database has let go of it."""
    monkeypatch.setattr("radiusd2fa.store.connecting.PATIENCE", 0.01)
    report = tmp_path / "report"
    arguments = ("token", "import", str(a_file(tmp_path, row("N1"))), "--report", str(report))
    with closing(sqlite3.connect(people.folder / "radiusd2fa.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "try again" in people.refused(*arguments)
    assert not report.exists()
    people.run(*arguments)


def test_nothing_of_a_file_moves_the_cursor(people: Shell, tmp_path: Path) -> None:
    """Neither its name nor what a fault says of it: control characters are written out."""
    flaw = Flaw(3, "a column\x1b[2J", "mend\nit")
    outcome = Outcome(
        "seeds.csv", "own", [], [LeftOut(4, "a\rtoken", "no\u2028reason")], [flaw], frozenset(), frozenset(), 0, False
    )
    assert all(line.isprintable() for line in import_report.full_report(outcome))
    out = people.run("token", "import", str(a_file(tmp_path, row("N1"), name="seeds\x1b[2J.csv")), "--batch", "7")
    assert "took in 1 token from seeds\\x1b[2J.csv" in out
    assert "\x1b" not in out


def test_a_file_that_others_can_read_is_warned_of(people: Shell, tmp_path: Path) -> None:
    """Whoever has the seeds has the tokens; it is taken all the same, for the harm is done already."""
    file = a_file(tmp_path, row("N1"))
    file.chmod(0o644)
    said = people.say("token", "import", str(file))
    assert said.code == 0
    assert f"chmod 600 {file}" in said.err
    assert "N1" in serials(people)


def test_no_seed_is_printed(people: Shell, tmp_path: Path) -> None:
    """Neither as a table nor as JSON."""
    for number, option in enumerate(["--dry-run", "--json", "--skip-known"]):
        file = a_file(tmp_path, row(f"N{number}"), name=f"{number}.csv")
        said = people.say("token", "import", str(file), option)
        assert said.code == 0
        assert seed_of(f"N{number}")[:8] not in (said.out + said.err).lower()


def test_the_file_is_left_as_it_was(people: Shell, tmp_path: Path) -> None:
    """Deleting it is the administrator's to do."""
    file = a_file(tmp_path, row("N1"))
    before = file.read_bytes(), file.stat().st_mtime_ns
    people.run("token", "import", str(file))
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
