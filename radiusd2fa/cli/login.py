"""`radiusd2fa login`: one login from a terminal, asked for over RADIUS as a VPN gateway or an SSH bastion would.

It never looks into the store, and no password, code or shared secret stands in its arguments or its output.
The conversation is that of RFC 2865 2.1 (Access-Request, Access-Challenge, Access-Request …).
"""

from __future__ import annotations

import json
import socket
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from io import FileIO
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

if TYPE_CHECKING:  # loaded inside the command, so that `--help` stays quick
    from rich.console import Console

    from radiusd2fa.emulators.nas import Answer, Nas
    from radiusd2fa.settings import ClientSettings, Settings

DEFAULT_PORT: Final = 1812
MAX_USER_OCTETS: Final = 253
MAX_QUESTIONS: Final = 20
"""A server that asks for ever is left after so many questions."""

Ask = Callable[[str, bool], bytes | None]
"""Put a prompt to the person, hidden or not; the answer in octets, as it was typed, or None when there is none left."""


class UsageError(Exception):
    """The command cannot do what it was told; the text says what to tell it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask, and as whom."""

    host: str
    port: int
    secret: bytes = field(repr=False)
    client: str = ""
    signed_replies: bool = True

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Conversation:
    """How a login went: its last answer, every prompt before it, and the time spent waiting for the server."""

    answer: Answer
    prompts: tuple[str, ...]
    seconds: float

    @property
    def round_trips(self) -> int:
        """How many requests were answered."""
        return len(self.prompts) + (self.answer.kind in {"accept", "reject"})


def login(
    ctx: typer.Context,
    user: Annotated[str, typer.Argument(metavar="USER", help="Who logs in.", show_default=False)],
    client: Annotated[
        str | None, typer.Option(help="Act as this entry of `clients:`.", show_default="the one for our address")
    ] = None,
    server: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Whom to ask.", show_default="the first `listen` address")
    ] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Shared secret: the first line of standard input.")
    ] = False,
    calling_station_id: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Where the person comes from, as the NAS would tell.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Password and further answers: one line each of standard input.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds to wait for a reply; each request is sent three times.")
    ] = 3.0,
) -> None:
    """Log in over RADIUS, as a NAS does: asks for the password, shows the server's prompts, says how it ended.

    Exit code: 0 accepted, 1 refused or no answer, 2 wrong usage.
    """
    from rich.console import Console

    from radiusd2fa.emulators.nas import Nas

    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        _check_user(user)
        lines = typer.get_binary_stream("stdin")
        secret = _shared_secret(lines) if secret_stdin else None
        target = _find_target(ctx.obj, client, server, secret)
        ask = _ask_lines(lines) if password_stdin else _ask_terminal
        with Nas(
            (target.host, target.port),
            target.secret,
            calling_station_id=calling_station_id,
            timeout=timeout,
            enforce_ma=target.signed_replies,
        ) as nas:
            conversation = _converse(nas, user, ask)
            advice = _advice(conversation.answer, target, nas)
    except UsageError as fault:
        _complain(err, str(fault))
        raise typer.Exit(2) from None
    except OSError as fault:  # no such host, no route to it
        _complain(err, f"{server or 'the server'}: {fault.strerror or fault}")
        raise typer.Exit(1) from None
    if as_json:
        out.print_json(json.dumps(_as_json(user, target, conversation, advice)))
    else:
        _show(out, err, user, conversation, advice)
    raise typer.Exit(0 if conversation.answer.kind == "accept" else 1)


def _check_user(user: str) -> None:
    # RFC 2865 5.1 and 5: a User-Name of at least one octet, a value of at most 253.
    if not 0 < len(user.encode(errors="surrogateescape")) <= MAX_USER_OCTETS:
        raise UsageError(f"USER must have 1 to {MAX_USER_OCTETS} octets")


# --- whom to ask ---------------------------------------------------------------------------------------------------


def _find_target(config: Path, client: str | None, server: str | None, secret: bytes | None) -> Target:
    """The server and the shared secret: from the options, else from the configuration file."""
    if server is not None and secret is not None and client is None:
        host, port = _parse_server(server)
        return Target(host, port, secret)
    settings = _settings(config)
    host, port = _parse_server(server) if server is not None else _first_endpoint(settings)
    entry = _named(settings, client) if client is not None else _for_address(settings, _own_address(host, port))
    return Target(host, port, secret or entry.secrets[0], entry.nas.name, entry.sign_replies)


def _settings(config: Path) -> Settings:
    from radiusd2fa.settings import SettingsError, load_settings

    try:
        return load_settings(config)
    except SettingsError as faults:
        raise UsageError(f"{faults}\n(without a configuration file: --server HOST:PORT --secret-stdin)") from None


def _parse_server(text: str) -> tuple[str, int]:
    """`host`, `host:port`, `[::1]:port` or `::1`."""
    host, colon, port = text.rpartition(":")
    if not colon or ("[" not in text and ":" in host) or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 1 <= int(port) <= 65535:
        raise UsageError(f"--server must be HOST:PORT, such as 127.0.0.1:{DEFAULT_PORT} or [::1]:{DEFAULT_PORT}")
    return host, int(port)


def _first_endpoint(settings: Settings) -> tuple[str, int]:
    endpoint = settings.listen[0]
    if endpoint.port == 0:
        raise UsageError("`listen` leaves the port to the kernel: say which one with --server HOST:PORT")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host), endpoint.port  # noqa: S104


def _named(settings: Settings, name: str) -> ClientSettings:
    for entry in settings.clients:
        if entry.nas.name == name:
            return entry
    names = ", ".join(entry.nas.name for entry in settings.clients)
    raise UsageError(f"{settings.path} has no client {name}; it has {names}")


def _for_address(settings: Settings, address: str) -> ClientSettings:
    """The client that the daemon takes us for: the longest prefix, as there."""
    source = ip_address(address.partition("%")[0])
    fitting = [
        (network.prefixlen, entry) for entry in settings.clients for network in entry.networks if source in network
    ]
    if not fitting:
        raise UsageError(
            f"no client in {settings.path} has our address {address} in its networks: "
            "add it there, or say --client NAME for another client's secret"
        )
    return max(fitting, key=lambda pair: pair[0])[1]


def _own_address(host: str, port: int) -> str:
    """The address from which our packets to that server will come. Sends nothing."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


# --- the person ----------------------------------------------------------------------------------------------------


def _ask_lines(lines: BinaryIO) -> Ask:
    return lambda _prompt, _hidden: _line(lines)


def _shared_secret(lines: BinaryIO) -> bytes:
    if secret := _line(lines):
        return secret
    raise UsageError("the first line of standard input must be the shared secret")


def _line(lines: BinaryIO) -> bytes | None:
    line = lines.readline()
    return line.removesuffix(b"\n").removesuffix(b"\r") if line else None


def _ask_terminal(prompt: str, hidden: bool) -> bytes:
    """Ask on the terminal itself, whatever standard input and output are; in octets, because a password is no text."""
    with _terminal() as terminal:
        before = termios.tcgetattr(terminal)
        if hidden:
            quiet = [*before]
            quiet[3] = before[3] & ~termios.ECHO
            # Before the prompt, so that nothing typed after it can be seen.
            termios.tcsetattr(terminal, termios.TCSAFLUSH, quiet)
        try:
            shown = _plain(prompt) or "Answer: "
            terminal.write(f"{shown}{'' if shown[-1].isspace() else ' '}".encode())
            line = terminal.readline()
        finally:
            if hidden:
                termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
                terminal.write(b"\n")
    if not line:  # Ctrl-D
        raise typer.Abort
    return line.removesuffix(b"\n")


def _terminal() -> FileIO:
    try:
        return FileIO("/dev/tty", "r+")
    except OSError:
        raise UsageError("there is no terminal to ask on: use --password-stdin") from None


def _plain(text: str) -> str:
    """Text from the network or the command line, harmless for a terminal."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text.replace("\r\n", "\n"))


# --- the conversation ----------------------------------------------------------------------------------------------


def _converse(nas: Nas, user: str, ask: Ask) -> Conversation:
    prompts: list[str] = []
    seconds = 0.0
    typed, state = ask("Password: ", True), None
    if typed is None:
        raise UsageError("standard input has no line for the password; an empty password is an empty line")
    while True:
        began = time.perf_counter()
        try:
            answer = nas.ask(user, typed, state)
        except ValueError as fault:
            raise UsageError(str(fault)) from None
        seconds += time.perf_counter() - began
        if answer.kind == "challenge":
            prompts.append(answer.prompt)
            typed, state = ask(answer.prompt, answer.hidden) if len(prompts) <= MAX_QUESTIONS else None, answer.state
        if answer.kind != "challenge" or typed is None:
            return Conversation(answer, tuple(prompts), seconds)


def _advice(answer: Answer, target: Target, nas: Nas) -> tuple[str, ...]:
    """What to look at when it did not go well: a RADIUS server says little, and to strangers nothing."""
    if answer.kind == "accept":
        return ()
    if answer.kind == "challenge":
        return (f"The server asked {_plain(answer.prompt).strip()!r}, and there was no answer left to give.",)
    if answer.kind == "reject":
        return ("The reason is in the daemon's log; a RADIUS server does not tell it to those it refuses.",)
    if answer.refused:
        return (f"Nothing listens on {target}: start the daemon with `radiusd2fa serve`, or say --server HOST:PORT.",)
    if answer.discarded:
        return (
            f"A reply came, but it was not signed with our shared secret: compare the secret on {target} with ours.",
        )
    if _is_there(target):
        return (
            f"{target} is there and knows our secret, but says nothing about this login.",
            "Its store or its password backend may be out of reach: look into its log.",
        )
    client = f"client {target.client}" if target.client else "a client"
    return (
        f"Is the daemon running on {target}?",
        f"Is our address {nas.address} in the networks of {client} there, and in no narrower one of another client?",
        "Is the shared secret the same on both sides? To a wrong one a server says nothing.",
    )


def _is_there(target: Target) -> bool:
    from radiusd2fa.emulators.nas import Nas

    with Nas(
        (target.host, target.port), target.secret, timeout=1.0, retries=0, enforce_ma=target.signed_replies
    ) as nas:
        return nas.status()


# --- the result ----------------------------------------------------------------------------------------------------

OUTCOMES: Final = {
    "accept": ("Accepted", "bold green"),
    "reject": ("Refused", "bold red"),
    "challenge": ("Given up", "bold red"),
    "silence": ("No answer", "bold yellow"),
}


def _complain(err: Console, text: str) -> None:
    from rich.text import Text

    err.print(Text.assemble(("error: ", "red"), _plain(text)), soft_wrap=True)


def _show(out: Console, err: Console, user: str, conversation: Conversation, advice: tuple[str, ...]) -> None:
    from rich.text import Text

    answer = conversation.answer
    word, style = OUTCOMES[answer.kind]
    trips = "1 round trip" if conversation.round_trips == 1 else f"{conversation.round_trips} round trips"
    line = Text.assemble((word, style), f": {_plain(user)}, {trips}, {_duration(conversation.seconds)}")
    if answer.prompt and answer.kind != "challenge":
        line.append(f" ({_plain(answer.prompt).strip()})")
    out.print(line, soft_wrap=True)
    for sentence in advice:
        err.print(Text(f"  {sentence}", style="dim" if answer.kind == "reject" else ""), soft_wrap=True)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _as_json(user: str, target: Target, conversation: Conversation, advice: tuple[str, ...]) -> dict[str, object]:
    answer = conversation.answer
    unsaid = {"Message-Authenticator", "State", "Proxy-State", "Reply-Message"}
    return {
        "outcome": answer.kind,
        "user": user,
        "server": str(target),
        "client": target.client or None,
        "round_trips": conversation.round_trips,
        "seconds": round(conversation.seconds, 6),
        "prompts": list(conversation.prompts),
        "message": answer.prompt,
        "attributes": {
            name: [value.hex() if isinstance(value, bytes) else value for value in values]
            for name, values in answer.attributes.items()
            if name not in unsaid
        },
        "advice": list(advice),
    }
