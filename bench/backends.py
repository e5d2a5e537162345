"""What other people's servers behind us cost: CPU of a login, and what one that hangs does to everybody else.

It compares runs of the same rate that follow each other in turn, on daemons that differ in nothing but their backend.
docs/performance.md says how; the promised figures are the project's own (RFC 4511 and RFC 2865 name none).
"""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import choice
import directory
import pace
import population
import report
import servers
from choice import Choice
from directory import Directory
from pace import Fobs, Stream, percentile
from servers import SECRET, Server, code_of, name_of

BEGIN: Final = "<!-- backends: begin (bench/run.py --backends writes what follows) -->"
END: Final = "<!-- backends: end -->"
PEOPLE: Final = 1_000
"""In a directory, or at an upstream; as many again are ours alone."""
LDAP_RATE: Final = 50.0
RATES: Final = (LDAP_RATE, 200.0)
"""Logins a second while CPU is counted."""
OTHERS_RATE: Final = 200.0
ROUNDS: Final = 3
WANTED_CPU: Final = 1_000.0
"""Microseconds that a directory may add to a login."""
WANTED_RATIO: Final = 2.0

_WARM_UP: Final = 1.0
_LONG: Final = 500.0
"""Milliseconds that nobody takes who has not waited for a time-out."""
_RECOVERY: Final = 12.0
"""Seconds after which a server that answers again has been asked again."""
_TOGETHER, _CODES = "127.0.0.4", "127.0.0.5"
"""Where people come from who type password and code, and where a code is all."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one backend costs."""

    backend: str
    rate: float
    us: tuple[float, ...]
    """CPU microseconds of the daemon for each login, in each round."""
    p50_ms: float
    p99_ms: float

    @property
    def median(self) -> float:
        """The middle one of the rounds."""
        return statistics.median(self.us)


@dataclass(frozen=True, slots=True)
class Hang:
    """One round of logins before, and while, one of two directories hangs."""

    others_quiet: float
    """p99 in milliseconds, here and in the next three."""
    others_hanging: float
    ldap_quiet: float
    ldap_hanging: float
    """Of those who did not wait."""
    waited: int
    """LDAP logins that the server had been asked about when it stopped: the other one was asked after a time-out."""
    logins: int
    longest: float
    silences: int


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was measured."""

    choices: tuple[Choice, ...]
    costs: tuple[Cost, ...]
    hangs: tuple[Hang, ...]
    seconds: float
    """Of each round."""
    load_average: float
    """Before the run."""


def measure(folder: Path, seconds: float) -> Found:
    """Measure everything; each round of each thing takes so many seconds."""
    if not directory.is_installed():
        raise servers.NotReadyError("no slapd (Debian's package `slapd`), so no directory to measure")
    load_average = os.getloadavg()[0]
    choices = tuple(choice.measure())
    return Found(choices, _costs(folder, seconds), _hangs(folder, seconds), seconds, load_average)


# --- CPU --------------------------------------------------------------------------------------------------------------


def _costs(folder: Path, seconds: float) -> tuple[Cost, ...]:
    with ExitStack() as opened:
        people = opened.enter_context(directory.directory(folder / "slapd", PEOPLE))
        kinds: dict[str, tuple[str, Callable[[int], str]]] = {
            "none": ("{kind: none}", _usual),
            "ldap": (_ldap(people), _usual),
        }
        if servers.freeradius_version() is not None:
            upstream = opened.enter_context(servers.freeradius(folder / "freeradius", PEOPLE))
            kinds["radius"] = (_radius(upstream), _first_code)
        ports = {kind: opened.enter_context(_daemon(folder / kind, kind, text)) for kind, (text, _) in kinds.items()}
        fobs = {kind: Fobs(0, PEOPLE) for kind in kinds}
        rounds: dict[tuple[float, str], list[tuple[float, Stream]]] = {}
        for kind in kinds:
            pace.run(ports[kind].port, [Stream(kind, _TOGETHER, RATES[-1], fobs[kind], kinds[kind][1])], _WARM_UP)
        for _, rate, kind in product(range(ROUNDS), RATES, kinds):
            stream = Stream(kind, _TOGETHER, rate, fobs[kind], kinds[kind][1])
            before = _cpu(ports[kind])
            pace.run(ports[kind].port, [stream], seconds, warm_up=0.0)
            us = (_cpu(ports[kind]) - before) / len(stream.latencies) * 1e6
            rounds.setdefault((rate, kind), []).append((us, stream))
            print(f"{us:7.0f} us CPU at {rate:3g}/s  {_both(stream)}", file=sys.stderr)
    return tuple(
        Cost(
            kind,
            rate,
            tuple(us for us, _ in found),
            statistics.median(stream.p(0.5) for _, stream in found),
            statistics.median(stream.p(0.99) for _, stream in found),
        )
        for (rate, kind), found in rounds.items()
    )


def _cpu(server: Server) -> float:
    """Seconds of CPU that all threads have had, by the scheduler's own account, which counts nanoseconds."""
    tasks = Path(f"/proc/{server.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


# --- one of two hangs -------------------------------------------------------------------------------------------------


def _hangs(folder: Path, seconds: float) -> tuple[Hang, ...]:
    with ExitStack() as opened:
        first, second = (
            opened.enter_context(directory.directory(folder / name, PEOPLE)) for name in ("first", "second")
        )
        server = opened.enter_context(_daemon(folder / "two", "ldap", _ldap(first, second)))
        fobs, others = Fobs(0, PEOPLE), Fobs(PEOPLE, 2 * PEOPLE)
        found = []
        for _ in range(ROUNDS):
            quiet = _both_kinds(fobs, others)
            pace.run(server.port, quiet, seconds)
            first.process.send_signal(signal.SIGSTOP)
            hanging = _both_kinds(fobs, others)
            pace.run(server.port, hanging, seconds, warm_up=0.0)
            first.process.send_signal(signal.SIGCONT)
            found.append(_hang(quiet, hanging))
            print(f"quiet:   {'; '.join(map(_both, quiet))}", file=sys.stderr)
            print(f"hanging: {'; '.join(map(_both, hanging))}", file=sys.stderr)
            pace.run(server.port, _both_kinds(fobs, others), _RECOVERY)
    return tuple(found)


def _both_kinds(fobs: Fobs, others: Fobs) -> list[Stream]:
    return [Stream("ldap", _TOGETHER, LDAP_RATE, fobs, _usual), Stream("others", _CODES, OTHERS_RATE, others)]


def _hang(quiet: list[Stream], hanging: list[Stream]) -> Hang:
    (ldap_quiet, others_quiet), (ldap_hanging, others_hanging) = quiet, hanging
    waited = [ms for ms in ldap_hanging.latencies if ms > _LONG]
    at_once = [ms for ms in ldap_hanging.latencies if ms <= _LONG]
    return Hang(
        others_quiet.p(0.99),
        others_hanging.p(0.99),
        ldap_quiet.p(0.99),
        percentile(at_once, 0.99),
        len(waited),
        len(ldap_hanging.latencies),
        max(waited, default=0.0),
        sum(stream.silences for stream in (*quiet, *hanging)),
    )


def _both(stream: Stream) -> str:
    return f"{stream.name} p50 {stream.p(0.5):.2f}, p99 {stream.p(0.99):.2f} ms, {stream.silences} silences"


# --- daemons ----------------------------------------------------------------------------------------------------------


@contextmanager
def _daemon(folder: Path, source: str, primary: str) -> Iterator[Server]:
    """Run a daemon whose first people come from its backend, and whose others are its own."""
    site = population.settle(folder, 2 * PEOPLE)
    with closing(sqlite3.connect(folder / "radiusd2fa.db")) as database, database:
        if source != "none":
            ids = [(source, directory.id_of(n) if source == "ldap" else None, name_of(n)) for n in range(PEOPLE)]
            database.executemany(
                "UPDATE users SET source = ?, directory_id = ?, password_hash = NULL WHERE name = ?", ids
            )
    path = folder / "backend.yaml"
    path.touch(mode=0o600)
    path.write_text(
        f"""listen: {{udp: ["127.0.0.1:0"]}}
store: "sqlite:///{folder}/radiusd2fa.db"
vault: {{key_file: vault.key}}
clients:
  together: {{networks: [{_TOGETHER}/32], secret: "{SECRET}", flow: append}}
  codes: {{networks: [{_CODES}/32], secret: "{SECRET}", flow: code-only}}
primary: {primary}
syslog: {{to: "unix:{site.syslog}"}}
log: {{format: json}}
"""
    )
    sink = servers.Sink(site.syslog)
    try:
        with servers.daemon(path, sink) as server:
            yield server
    finally:
        sink.close()


def _ldap(*directories: Directory) -> str:
    """Say where the directories are: search, then bind, as most sites do."""
    uris = ", ".join(f'"{one.uri}"' for one in directories)
    authorities = directories[0].authority.with_name("authorities.pem")
    authorities.write_text("".join(one.authority.read_text() for one in directories))
    search = f'search_user: "{directory.SEARCHER}", search_password: "{directory.SEARCHERS_PASSWORD}"'
    return f'{{kind: ldap, servers: [{uris}], ca_file: {authorities}, base: "{directory.BASE}", {search}}}'


def _radius(upstream: Server) -> str:
    server = f'{{address: "127.0.0.1:{upstream.port}", secret: "{SECRET}"}}'
    return f"{{kind: radius, servers: [{server}], message_authenticator: observe}}"


def _usual(_: int) -> str:
    return directory.PASSWORD


def _first_code(index: int) -> str:
    """What the generator's FreeRADIUS calls this person's password."""
    return code_of(index, 0)


# --- the page ---------------------------------------------------------------------------------------------------------


def page(found: Found) -> str:
    """Write everything as Markdown."""
    return "\n".join(
        (
            *report.machine(found.load_average),
            "",
            f"{ROUNDS} rounds of {found.seconds:g} s each; the medians count.\n",
            *report.table(("promised", "measured", ""), _promises(found)),
            "### CPU of a login\n",
            *report.table(
                (
                    "backend",
                    "logins/s",
                    "daemon CPU us/login",
                    "of it for the backend",
                    "in each round",
                    "p50 ms",
                    "p99 ms",
                ),
                _cost_rows(found),
            ),
            f"### One of two directories hangs, at {LDAP_RATE:g} LDAP logins a second and {OTHERS_RATE:g} others\n",
            *report.table(
                (
                    "round",
                    "others p99 ms",
                    "while it hangs",
                    "LDAP p99 ms",
                    "while it hangs, but for those who waited",
                    "waited, of",
                    "longest ms",
                    "silences",
                ),
                _hang_rows(found),
            ),
            f"### Choosing one of {choice.RULES} rules, at a site with {choice.CLIENTS:,} clients\n",
            *report.table(
                ("rules", "us a login", "dearest login us", "caller never seen before, us"), _choice_rows(found)
            ),
        )
    )


def _promises(found: Found) -> Iterable[tuple[str, ...]]:
    added = [cost.median - _usually(found, cost.rate) for cost in found.costs if cost.backend == "ldap"]
    yield (
        f"`ldap` adds at most {WANTED_CPU / 1000:g} ms of CPU to a login",
        "; ".join(f"{us / 1000:.2f} ms at {rate:g} a second" for us, rate in zip(added, RATES, strict=True)),
        report.verdict(max(added) <= WANTED_CPU, "too much"),
    )
    ratio = statistics.median(hang.others_hanging / hang.others_quiet for hang in found.hangs)
    yield (
        f"with one of two directories hanging, p99 of the others under {WANTED_RATIO:g} times the quiet figure",
        f"{ratio:.2f}",
        report.verdict(ratio < WANTED_RATIO, "too slow"),
    )
    named = next(one for one in found.choices if one.site == choice.TYPICAL)
    yield (
        f"a rule is chosen in under {choice.WANTED:g} us",
        f"{named.us:.1f} us where all rules name clients, {max(one.us for one in found.choices):.1f} us at worst",
        report.verdict(all(one.us < choice.WANTED for one in found.choices), "not for all rules"),
    )


def _cost_rows(found: Found) -> Iterable[tuple[str, ...]]:
    for cost in found.costs:
        each = ", ".join(f"{one:.0f}" for one in cost.us)
        yield (
            cost.backend,
            f"{cost.rate:g}",
            f"{cost.median:.0f}",
            f"{cost.median - _usually(found, cost.rate):.0f}",
            each,
            f"{cost.p50_ms:.2f}",
            f"{cost.p99_ms:.2f}",
        )


def _usually(found: Found, rate: float) -> float:
    """What the same login costs when nobody checks the password."""
    return next(cost.median for cost in found.costs if (cost.backend, cost.rate) == ("none", rate))


def _hang_rows(found: Found) -> Iterable[tuple[str, ...]]:
    for number, hang in enumerate(found.hangs, 1):
        yield (
            f"{number}",
            f"{hang.others_quiet:.2f}",
            f"{hang.others_hanging:.2f}",
            f"{hang.ldap_quiet:.2f}",
            f"{hang.ldap_hanging:.2f}",
            f"{hang.waited} of {hang.logins}",
            f"{hang.longest:.0f}",
            f"{hang.silences}",
        )


def _choice_rows(found: Found) -> Iterable[tuple[str, ...]]:
    for one in found.choices:
        yield (one.site, f"{one.us:.1f}", f"{one.worst_us:.0f}", f"{one.first_us:.0f}")
