"""The recipes of docs/nas, taken apart: what a test plays is what people read, to the letter, but for the secrets.

Addresses, ports and paths stay as they are written: each test has a network (network.py) and machines (machines.py) in
which they are true. No block of a recipe that is played is left out. docs/nas/README.md says how a block is marked.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from tests.daemon.site import USUAL_CLIENTS, Daemon, Site

from .machines import Machine
from .network import GATEWAY, ONE_HOP, SERVER, network

FOLDER: Final = Path(__file__).parents[2] / "docs" / "nas"
NOT_RUN: Final = "**Not run by us.**"
"""Stands in each recipe that no test plays."""

OURS: Final = "/etc/radiusd2fa/radiusd2fa.yaml"
COMMANDS: Final = "commands"

SECRET: Final = "put-the-shared-secret-here"
GATEWAYS_SECRET: Final = "put-the-secret-of-the-gateways-here"
"""Between a proxy and the gateways in front of it."""
REPLACED: Final[Mapping[str, str]] = MappingProxyType(
    {SECRET: secrets.token_urlsafe(24), GATEWAYS_SECRET: secrets.token_urlsafe(24)}
)
"""All that is written differently in a test, and what stands there instead."""

NAME: Final = "vpn.example.org"
"""What people call the gateway."""

_BLOCK: Final = re.compile(
    r"<!-- (?:file: (?P<file>\S+?)(?:, instead of: (?P<instead>.+?))?|(?P<commands>commands)) -->\n"
    r"```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_MARK: Final = re.compile(r"^<!--", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """What a recipe says to write into one file, or to run."""

    file: str
    """Absolute on the gateway; relative on a person's own machine; or COMMANDS."""
    text: str
    instead: str | None = None
    """The line of the distribution's file that this takes the place of; None: it is the whole file."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One page, by the name of its file."""

    name: str
    page: str
    blocks: tuple[Block, ...]

    @classmethod
    def read(cls, name: str) -> Recipe:
        """Take a page apart; a mark without its block is an error of the page."""
        page = (FOLDER / f"{name}.md").read_text()
        found = list(_BLOCK.finditer(page))
        assert len(found) == len(_MARK.findall(page)), f"{name}: a mark without a block right below it"
        blocks = (Block(match["file"] or COMMANDS, match["text"], match["instead"]) for match in found)
        return cls(name, page, tuple(blocks))

    @property
    def is_run(self) -> bool:
        """Whether the page claims that a test plays it."""
        return NOT_RUN not in self.page

    @property
    def ours(self) -> str:
        """What it adds to our own configuration."""
        (block,) = (block for block in self.blocks if block.file == OURS)
        return block.text

    @property
    def clients(self) -> dict[str, dict[str, Any]]:
        """The clients that it describes to us."""
        sections = yaml.safe_load(self.ours)
        assert set(sections) <= {"clients", "rules"}, f"{self.name}: {set(sections)}"
        clients: dict[str, dict[str, Any]] = sections["clients"]
        return clients

    @property
    def theirs(self) -> tuple[Block, ...]:
        """The files of the other side, on the gateway and on a person's machine."""
        return tuple(block for block in self.blocks if block.file not in {OURS, COMMANDS})

    @property
    def commands(self) -> str:
        """What is to be run on the gateway when its files are in place."""
        return "".join(block.text for block in self.blocks if block.file == COMMANDS)

    def replaced(self) -> tuple[str, ...]:
        """The placeholders that occur in the files of the other side."""
        return tuple(word for word in REPLACED if any(word in block.text for block in self.theirs))

    def write_secrets(self, folder: Path) -> None:
        """Write the files that our side reads its shared secrets from."""
        for client in self.clients.values():
            file = folder / client["secret_file"]
            file.touch(mode=0o600)
            file.write_text(f"{REPLACED[SECRET]}\n")

    def lay_over(self, etc: Path, home: Path, more: Mapping[str, str] = MappingProxyType({})) -> None:
        """Write the files of the other side: those of /etc beside copies of their neighbours, the others into ``home``.

        ``more`` is replaced as well as the secrets. What is not there to be replaced is an error.
        """
        for block in self.theirs:
            text = block.text
            for word in (*self.replaced(), *more):
                text = text.replace(word, {**REPLACED, **more}[word])
            file = Path(block.file)
            if not file.is_absolute():
                (home / file).write_text(text)
                continue
            laid = etc / file.relative_to("/etc")
            _beside_neighbours(etc, laid.relative_to(etc).parts[0])
            if block.instead is not None:
                lines = laid.read_text().splitlines()
                assert lines.count(block.instead) == 1, f"{self.name}: {block.file} has no line {block.instead!r}"
                text = "\n".join(text.rstrip("\n") if line == block.instead else line for line in lines) + "\n"
            laid.parent.mkdir(parents=True, exist_ok=True)
            laid.write_text(text)
        for word in (SECRET, *more):
            assert any(word in block.text for block in self.theirs), f"{self.name}: {word!r} does not occur"


def _beside_neighbours(etc: Path, name: str) -> None:
    """Copy /etc/NAME with its owners, as the distribution has left it, unless that was done for another file."""
    if not (etc / name).exists():
        subprocess.run(["cp", "--archive", f"/etc/{name}", str(etc / name)], check=True)


# --- playing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    """A recipe that is being played: our daemon, and the machine of the gateway before anything runs there."""

    recipe: Recipe
    site: Site
    daemon: Daemon
    machine: Machine
    home: Path
    """Where the files of a person's own machine are."""

    def outcomes(self, since: int) -> list[tuple[str, str]]:
        """What the audit says of this recipe's clients since it had so many rows."""
        rows = [row for row in self.site.audit()[since:] if row["nas"] in self.recipe.clients]
        return [(row["outcome"], row["reason"]) for row in rows]

    def so_far(self) -> int:
        """How many rows the audit has."""
        return len(self.site.audit())


@contextlib.contextmanager
def played(
    folder: Path, name: str, *, users: Sequence[str] = (), comes_from: Mapping[str, str] = ONE_HOP
) -> Iterator[Scene]:
    """Serve our side of a recipe and lay out the other one, in a network of their own."""
    recipe = Recipe.read(name)
    assert recipe.is_run
    with network(comes_from):
        ours = folder / "site"
        ours.mkdir(mode=0o700)
        recipe.write_secrets(ours)
        clients = {client: json.dumps(entry) for client, entry in recipe.clients.items()}
        site = Site.make(ours, USUAL_CLIENTS | clients, (f"{SERVER}:1812",))
        machine, home = gateway(folder / "gateway", recipe, users)
        with site.serving() as daemon:
            yield Scene(recipe, site, daemon, machine, home)


def gateway(
    folder: Path, recipe: Recipe, users: Sequence[str] = (), more: Mapping[str, str] = MappingProxyType({})
) -> tuple[Machine, Path]:
    """Lay out a machine as the recipe has it, and run the recipe's commands; also return the person's folder."""
    home = folder / "home"
    home.mkdir(parents=True)
    machine = Machine.make(folder, users=users)
    with (machine.etc / "hosts").open("a") as hosts:
        hosts.write(f"{GATEWAY} {NAME}\n")
    recipe.lay_over(machine.etc, home, more)
    if recipe.commands:
        subprocess.run(machine.command("sh", "-euc", recipe.commands), check=True, capture_output=True)
    return machine, home


def certify(key: Path, certificate: Path, *copies: Path) -> None:
    """Make a certificate for the gateway that is its own authority; ``copies`` are further files that hold it."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    uses = ["-addext", "keyUsage=digitalSignature,keyCertSign", "-addext", "extendedKeyUsage=serverAuth"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *uses, *files], check=True, capture_output=True)
    for copy in copies:
        shutil.copyfile(certificate, copy)
