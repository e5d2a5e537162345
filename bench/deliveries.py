"""What a delivery of 100,000 tokens takes, and how long a login waits while it comes in: `bench/deliveries.py [COUNT]`.

The command runs as an administrator would run it, in a process of its own; beside it one login after the other is
committed, as the daemon does. It measures and changes nothing but a folder of its own. Promise P8 bounds the wait.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import population
import report
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.padding import PKCS7
from servers import name_of, seed_of

from radiusd2fa import vault
from radiusd2fa.core.model import AdvanceMovingFactor, Event
from radiusd2fa.imports.seeds import Seed
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.database import Committed
from radiusd2fa.store.engine import Store
from radiusd2fa.store.registry import Registry

BEGIN: Final = "<!-- deliveries: begin (bench/run.py --deliveries writes what follows) -->"
END: Final = "<!-- deliveries: end -->"
TOKENS: Final = 100_000
SIZES: Final = (1_000, 1_000_000)
"""Tokens that are in the store already: with a million each index grows in many places."""
SECONDS: Final = 30.0
MEGABYTES: Final = 300.0
LONGEST_WAIT: Final = 2.0

_KEY: Final = bytes(range(16))
_FIRST: Final = 10_000_000
"""The generator's number of the first new token: its seed is no other's."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of seed file."""

    name: str
    write: Callable[[Path, int], None]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """One delivery."""

    file: str
    tokens: int
    octets: int
    before: int
    """Tokens that were in the store, with their fingerprints."""
    seconds: float
    peak: float
    """MB, at its highest."""
    logins: int
    """Committed meanwhile."""
    usual_wait: float
    """Seconds that the median login took to be on the disk."""
    longest_wait: float


@dataclass(frozen=True, slots=True)
class Found:
    """All of them."""

    load_average: float
    taken: tuple[Taken, ...]


def measure(folder: Path, count: int = TOKENS, sizes: tuple[int, ...] = SIZES) -> Found:
    """Take in a delivery of each kind at a small site, and the first kind at a large one."""
    load_average = os.getloadavg()[0]
    folder.mkdir(exist_ok=True)
    jobs = [(KINDS[0], sizes[-1]), *((kind, sizes[0]) for kind in KINDS)]
    taken = []
    for number, (kind, before) in enumerate(jobs):
        taken.append(_take_in(folder / str(number), kind, count, before))
        print(f"{kind.name}: {taken[-1].seconds:.1f} s, {taken[-1].peak:.0f} MB", file=sys.stderr)
    return Found(load_average, tuple(reversed(taken)))


def _take_in(folder: Path, kind: Kind, count: int, before: int) -> Taken:
    site = population.settle(folder, before)
    _mark(folder)
    file = folder / "seeds"
    file.touch(mode=0o600)
    kind.write(file, count)
    configuration = ("-c", str(site.configuration("none")))
    command = [sys.executable, "-m", "radiusd2fa.cli.app", *configuration, "token", "import", str(file), *kind.options]
    began = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write(_KEY.hex() + "\n")
        process.stdin.close()
        waits = list(_logins(folder, lambda: os.waitid(os.P_PID, process.pid, _ENDED_YET) is not None))
        _, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            assert process.stderr is not None
            raise SystemExit(f"bench: {kind.name}: {process.stderr.read().strip()}")
    return Taken(
        file=kind.name,
        tokens=count,
        octets=file.stat().st_size,
        before=before,
        seconds=took,
        peak=usage.ru_maxrss / 1024,
        logins=len(waits),
        usual_wait=sorted(waits)[len(waits) // 2],
        longest_wait=max(waits),
    )


def _mark(folder: Path) -> None:
    """Take in one token beforehand: the first delivery after an upgrade reads all seeds, and no later one does."""
    with Registry(SqliteFile(folder / "radiusd2fa.db"), vault.load(folder / "vault.key"), "bench") as registry:
        registry.take_in([Seed(1, "X", "hotp", seed_of(_FIRST - 1))], time.time(), source="bench")


_ENDED_YET: Final = os.WEXITED | os.WNOHANG | os.WNOWAIT


def _logins(folder: Path, ended: Callable[[], bool]) -> Iterator[float]:
    """Commit logins of one person until then; yield how long each took to be on the disk."""
    results: list[Committed] = []
    store = Store(SqliteFile(folder / "radiusd2fa.db"), vault.load(folder / "vault.key"), print)
    try:
        counter = 0
        while not ended():
            counter += 1
            effect = AdvanceMovingFactor(token_id=1, user_id=1, to=counter, drift=0, now=time.time())
            event = Event(time.time(), "access.accepted", "bench", "vpn", name_of(0))
            began = time.perf_counter()
            store.commit((effect,), event, results.append)
            store.flush()
            if results.pop() is not True:
                raise SystemExit("bench: a login was not committed while a delivery came in")
            yield time.perf_counter() - began
            time.sleep(0.002)
    finally:
        store.close()


# --- files -----------------------------------------------------------------------------------------------------------


def _write_list(path: Path, count: int) -> None:
    with path.open("w") as file:
        file.write("serial,kind,secret,digits\n")
        file.writelines(f"N{number:07},hotp,{seed_of(_FIRST + number).hex()},6\n" for number in range(count))


def _write_pskc(path: Path, count: int) -> None:
    def plain(number: int) -> str:
        return f"<PlainValue>{_base64(seed_of(_FIRST + number))}</PlainValue>"

    _write_container(path, count, "", plain)


def _write_encrypted_pskc(path: Path, count: int) -> None:
    mac_key = hashlib.sha1(_KEY).digest()  # noqa: S324 - twenty octets that are not the key
    head = (
        "<EncryptionKey><ds:KeyName>bench</ds:KeyName></EncryptionKey>"
        '<MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1">'
        f"<MACKey>{_cipher(_encrypted(mac_key))}</MACKey></MACMethod>"
    )

    def sealed(number: int) -> str:
        octets = _encrypted(seed_of(_FIRST + number))
        mac = _base64(hmac.digest(mac_key, octets, "sha1"))
        return f"<EncryptedValue>{_cipher(octets)}</EncryptedValue><ValueMAC>{mac}</ValueMAC>"

    _write_container(path, count, head, sealed)


def _write_container(path: Path, count: int, head: str, secret: Callable[[int], str]) -> None:
    with path.open("w") as file:
        file.write(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"'
            ' xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">\n'
            f"{head}\n"
        )
        file.writelines(_package(number, secret(number)) for number in range(count))
        file.write("</KeyContainer>\n")


def _package(number: int, secret: str) -> str:
    return f"""  <KeyPackage>
    <DeviceInfo>
      <Manufacturer>oath.MK</Manufacturer>
      <SerialNo>N{number:07}</SerialNo>
    </DeviceInfo>
    <Key Id="N{number:07}" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
      <AlgorithmParameters>
        <ResponseFormat Length="6" Encoding="DECIMAL"/>
      </AlgorithmParameters>
      <Data>
        <Secret>{secret}</Secret>
        <Counter><PlainValue>0</PlainValue></Counter>
      </Data>
    </Key>
  </KeyPackage>
"""


def _encrypted(value: bytes) -> bytes:
    padder = PKCS7(128).padder()
    vector = os.urandom(16)
    encryptor = Cipher(AES(_KEY), modes.CBC(vector)).encryptor()
    return vector + encryptor.update(padder.update(value) + padder.finalize()) + encryptor.finalize()


def _cipher(octets: bytes) -> str:
    return (
        '<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
        f"<xenc:CipherData><xenc:CipherValue>{_base64(octets)}</xenc:CipherValue></xenc:CipherData>"
    )


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


KINDS: Final = (
    Kind("encrypted PSKC", _write_encrypted_pskc, ("--key-stdin",)),
    Kind("PSKC", _write_pskc),
    Kind("CSV", _write_list),
)


# --- the page --------------------------------------------------------------------------------------------------------


def page(found: Found) -> str:
    """Write everything as Markdown."""
    sizes = ("file", "tokens", "MB", "in the store before")
    columns = (*sizes, "seconds", "peak MB", "logins meanwhile", "median ms", "longest ms")
    return "\n".join(
        (
            *report.machine(found.load_average),
            "",
            *report.table(("promised", "measured", ""), _promises(found)),
            *report.table(columns, map(_cells, found.taken)),
        )
    )


def _promises(found: Found) -> Iterator[tuple[str, ...]]:
    seconds = max(one.seconds for one in found.taken)
    peak = max(one.peak for one in found.taken)
    wait = max(one.longest_wait for one in found.taken)
    for promised, measured, ratio in (
        (f"all of it in under {SECONDS:.0f} s", f"{seconds:.1f} s at most", seconds / SECONDS),
        (f"in under {MEGABYTES:.0f} MB", f"{peak:.0f} MB at most", peak / MEGABYTES),
        (f"no login waits {LONGEST_WAIT:.0f} s", f"{wait * 1000:.0f} ms at most", wait / LONGEST_WAIT),
    ):
        yield promised, measured, report.verdict(ratio < 1, f"{ratio:.2f} times as much")


def _cells(one: Taken) -> tuple[str, ...]:
    return (
        one.file,
        f"{one.tokens:,}",
        f"{one.octets / 1e6:.0f}",
        f"{one.before:,}",
        f"{one.seconds:.1f}",
        f"{one.peak:.0f}",
        f"{one.logins:,}",
        f"{one.usual_wait * 1000:.1f}",
        f"{one.longest_wait * 1000:.0f}",
    )


def main() -> int:
    """Measure by itself, and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TOKENS
    with tempfile.TemporaryDirectory(prefix="radiusd2fa-bench-", dir="/var/tmp") as folder:
        print(page(measure(Path(folder), count)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
