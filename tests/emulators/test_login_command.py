"""`radiusd2fa login` as a person and as a script meet it: prompts, results, exit codes, and advice when nothing comes.

The server is scripted (responder.py); no test looks at how long anything takes.
RFC 2865 4 for the replies, RFC 2869 5.10 for prompts.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from radiusd2fa.cli import login as module
from radiusd2fa.cli.login import Target, UsageError, _advice, _parse_server
from radiusd2fa.emulators.nas import Answer, Nas

from .responder import SECRET, Reply, Responder, accept, challenge, reject
from .terminal import Terminal, app

HIDDEN = (76, struct.pack("!L", 0))


@pytest.fixture(autouse=True)
def wide_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No help text is wrapped, and no colour gets into what the tests read."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def _config(folder: Path, server: Responder | None = None, clients: str = "", listen: str = "") -> Path:
    host, port = server.server if server else ("127.0.0.1", 1812)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    path = folder / "radiusd2fa.yaml"
    path.write_text(
        f'listen: {{udp: ["{listen or address}"]}}\n'
        f"store: sqlite:///{folder}/radiusd2fa.db\n"
        "clients:\n" + (clients or f'  lab: {{networks: [127.0.0.1/32, "::1/128"], secret: "{SECRET.decode()}"}}\n')
    )
    path.chmod(0o600)
    return path


def _login(config: Path, *arguments: str, typed: str = "hunter2\n755224\n") -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["-c", str(config), "login", "--password-stdin", *arguments], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_password_and_code_let_the_person_in(tmp_path: Path, host: str) -> None:
    """With server and secret from the configuration file, two lines of input answer both prompts; exit code 0."""
    with Responder([challenge("Code: ", b"0x6162"), accept()], host=host) as server:
        code, out, err = _login(_config(tmp_path, server), "alice")
    assert (code, err) == (0, "")
    assert out.startswith("Accepted: alice, 2 round trips, ")
    assert [seen.password for seen in server.seen] == ["hunter2", "755224"]
    assert server.seen[1].packet[24] == [b"0x6162"]


def test_a_retry_is_one_more_question(tmp_path: Path) -> None:
    """A second challenge takes a third line, with the State of the second challenge."""
    script = [challenge("Code: ", b"one"), challenge("Next code: ", b"two"), accept()]
    with Responder(script) as server:
        code, out, _ = _login(_config(tmp_path, server), "alice", typed="pw\n1\n2\n")
    assert code == 0
    assert "3 round trips" in out
    assert [seen.password for seen in server.seen] == ["pw", "1", "2"]
    assert [seen.packet.get(24) for seen in server.seen] == [None, [b"one"], [b"two"]]


def test_a_refusal_shows_the_servers_words_and_where_to_look(tmp_path: Path) -> None:
    """A Reject ends with exit code 1, its Reply-Message without control characters, and the hint to the log."""
    with Responder([reject("Not \x1b[31mtoday")]) as server:
        code, out, err = _login(_config(tmp_path, server), "alice")
    assert code == 1
    assert out.startswith("Refused: alice, 1 round trip, ")
    assert "(Not \ufffd[31mtoday)" in out
    assert "daemon's log" in err


def test_a_closed_port_is_said_to_be_one(tmp_path: Path) -> None:
    """Where nothing listens the exit code is 1 and the remedy is to start the daemon."""
    with Responder() as server:
        config = _config(tmp_path, server)
    code, out, err = _login(config, "alice")
    assert code == 1
    assert out.startswith("No answer: alice")
    assert "Nothing listens on 127.0.0.1:" in err
    assert "radiusd2fa serve" in err


def test_silence_says_what_to_check(tmp_path: Path) -> None:
    """A silent server gives exit code 1 and three questions: running? address known? secret the same?"""
    with Responder(answers_status=False) as server:
        code, out, err = _login(_config(tmp_path, server), "--timeout", "0.1", "alice")
    assert code == 1
    assert out.startswith("No answer: alice, 0 round trips, ")
    assert "Is the daemon running" in err
    assert "our address 127.0.0.1 in the networks of client lab" in err
    assert "secret the same on both sides" in err
    assert len({seen.raw for seen in server.seen}) == 1
    assert len(server.seen) == 3


def test_a_server_that_is_alive_but_silent_is_told_from_a_dead_one() -> None:
    """When Status-Server is answered, the advice is to look at the server's own log."""
    with Responder() as server:
        target = Target(*server.server, secret=SECRET)
        with Nas(server.server, SECRET) as nas:
            advice = _advice(Answer("silence"), target, nas)
    assert "knows our secret" in advice[0]
    assert "log" in advice[1]


def test_replies_with_another_secret_are_named_as_such() -> None:
    """When replies came and were thrown away, the advice is to compare the secrets."""
    with Responder([(Reply(2, sign_with=b"another secret!!"), reject())]) as server, Nas(server.server, SECRET) as nas:
        assert nas.ask("alice", "x").discarded == 1
        advice = _advice(Answer("silence", discarded=1), Target(*server.server, secret=SECRET), nas)
    assert "not signed with our shared secret" in advice[0]


def test_a_server_that_asks_for_ever_is_left(tmp_path: Path) -> None:
    """After twenty answers to twenty challenges the command gives up with exit code 1."""
    with Responder([challenge("More: ", b"s")] * 30) as server:
        code, out, _ = _login(_config(tmp_path, server), "alice", typed="x\n" * 30)
    assert code == 1
    assert out.startswith("Given up: alice, 21 round trips")
    assert len(server.seen) == 21


def test_json_has_everything_but_the_secrets(tmp_path: Path) -> None:
    """`--json` prints outcome, prompts, round trips and attributes, and no password, code, secret or State."""
    script = [
        challenge("Code: ", b"the-state"),
        accept((27, struct.pack("!L", 60)), (25, b"\x01\x02"), (18, b"Welcome"), (24, b"the-state")),
    ]
    with Responder(script) as server:
        code, out, err = _login(_config(tmp_path, server), "alice", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said.pop("seconds") > 0
    assert said == {
        "outcome": "accept",
        "user": "alice",
        "server": f"127.0.0.1:{server.server[1]}",
        "client": "lab",
        "round_trips": 2,
        "prompts": ["Code: "],
        "message": "Welcome",
        "attributes": {"Session-Timeout": [60], "Class": ["0102"]},
        "advice": [],
    }
    assert not [word for word in ("hunter2", "755224", SECRET.decode(), "the-state", b"the-state".hex()) if word in out]


def test_server_and_secret_need_no_configuration_file(tmp_path: Path) -> None:
    """With `--server` and `--secret-stdin` the first line is the shared secret, and no file is read."""
    with Responder([challenge("Code: ", b"s"), accept()]) as server:
        address = "{}:{}".format(*server.server)
        typed = f"{SECRET.decode()}\nhunter2\r\n755224\n"
        code, *_ = _login(tmp_path / "none.yaml", "--server", address, "--secret-stdin", "alice", typed=typed)
    assert code == 0
    assert [seen.password for seen in server.seen] == ["hunter2", "755224"]


def test_the_caller_is_passed_on(tmp_path: Path) -> None:
    """`--calling-station-id` reaches the server as the attribute of that name."""
    with Responder([accept()]) as server:
        _login(_config(tmp_path, server), "--calling-station-id", "192.0.2.7", "alice")
    assert server.seen[0].packet[31] == [b"192.0.2.7"]


def test_a_password_need_not_be_utf_8(tmp_path: Path) -> None:
    """The octets of a line reach the server as they are."""
    with Responder([reject()]) as server:
        CliRunner().invoke(
            app, ["-c", str(_config(tmp_path, server)), "login", "--password-stdin", "a"], input=b"\xe4\n"
        )
    assert server.seen[0].packet.PwDecrypt(server.seen[0].packet[2][0]) == ""
    packet = server.seen[0].packet
    assert packet[2] == [packet.PwCrypt(b"\xe4")]


CLIENTS = f"""
  wide: {{networks: [127.0.0.0/8], secret: "quite another secret"}}
  narrow: {{networks: [127.0.0.1/32], secret: "{SECRET.decode()}"}}
  quiet: {{networks: [192.0.2.1/32], secret: "{SECRET.decode()}", sign_replies: no}}
"""


def test_the_client_is_the_one_whose_network_is_narrowest(tmp_path: Path) -> None:
    """Without `--client` the secret is that of the longest prefix around our address, as the daemon chooses."""
    with Responder([accept()]) as server:
        code, out, _ = _login(_config(tmp_path, server, CLIENTS), "--json", "alice")
    assert code == 0
    assert json.loads(out)["client"] == "narrow"


@pytest.mark.parametrize(("client", "code"), [("quiet", 0), ("narrow", 1)])
def test_an_unsigned_reply_counts_only_for_a_client_that_gets_such(tmp_path: Path, client: str, code: int) -> None:
    """A reply without Message-Authenticator is an answer under `sign_replies: no`, and for no other client."""
    with Responder([Reply(2, sign=False), Reply(3)]) as server:
        config = _config(tmp_path, server, CLIENTS)
        assert _login(config, "--client", client, "--timeout", "0.3", "alice")[0] == code


def test_the_server_behind_a_wildcard_is_asked_on_loopback(tmp_path: Path) -> None:
    """A daemon that listens on 0.0.0.0 is asked at 127.0.0.1."""
    with Responder([accept()]) as server:
        config = _config(tmp_path, listen=f"0.0.0.0:{server.server[1]}")
        code, out, _ = _login(config, "--json", "alice")
    assert code == 0
    assert json.loads(out)["server"] == f"127.0.0.1:{server.server[1]}"


@pytest.mark.parametrize(
    ("arguments", "typed", "says"),
    [
        (["alice", "--client", "nobody"], "pw\n", "has no client nobody; it has wide, narrow, quiet"),
        (["alice", "--server", "127.0.0.1:x"], "pw\n", "--server must be HOST:PORT"),
        (["alice", "--server", "127.0.0.1:0"], "pw\n", "--server must be HOST:PORT"),
        (["alice"], "", "no line for the password"),
        (["alice", "--secret-stdin"], "", "must be the shared secret"),
        (["alice", "--secret-stdin"], "\npw\n", "must be the shared secret"),
        (["alice"], "x" * 129 + "\n", "at most 128 octets"),
        ([""], "pw\n", "USER must have 1 to 253 octets"),
        (["ü" * 127], "pw\n", "USER must have 1 to 253 octets"),
        (["alice", "--calling-station-id", "x" * 254], "pw\n", "too long"),
        (["alice", "--timeout", "0"], "pw\n", "--timeout"),
    ],
)
def test_wrong_usage_ends_with_two_and_says_how_to_do_it(
    tmp_path: Path, arguments: list[str], typed: str, says: str
) -> None:
    """What the command cannot do ends with exit code 2 and one message on standard error, and nothing is sent."""
    with Responder() as server:
        code, out, err = _login(_config(tmp_path, server, CLIENTS), *arguments, typed=typed)
    assert (code, out) == (2, "")
    assert says in err
    assert server.seen == []


def test_a_question_without_an_answer_lets_nobody_in(tmp_path: Path) -> None:
    """When input ends at the server's question, as after a wrong code, the exit code is 1 and the question shown."""
    with Responder([challenge("Code: ", b"s"), challenge("Next code: ", b"t")]) as server:
        code, out, err = _login(_config(tmp_path, server), "alice")
    assert code == 1
    assert out.startswith("Given up: alice, 2 round trips")
    assert "The server asked 'Next code:'" in err


def test_no_client_for_our_address_is_wrong_usage(tmp_path: Path) -> None:
    """Where no client's networks hold our address, the message names the address and the option that helps."""
    clients = '  far: {networks: [192.0.2.0/24], secret: "quite another secret"}\n'
    code, _, err = _login(_config(tmp_path, clients=clients), "alice")
    assert code == 2
    assert "our address 127.0.0.1" in err
    assert "--client NAME" in err


def test_a_wrong_configuration_file_is_named(tmp_path: Path) -> None:
    """Faults of the file come with file and line, and with the way to do without it."""
    path = tmp_path / "radiusd2fa.yaml"
    path.write_text("listen: nonsense\n")
    code, _, err = _login(path, "alice")
    assert code == 2
    assert f"{path}:1: listen" in err
    assert "--server HOST:PORT --secret-stdin" in err


def test_a_port_left_to_the_kernel_cannot_be_guessed(tmp_path: Path) -> None:
    """`listen` with port 0 needs `--server`."""
    code, _, err = _login(_config(tmp_path, listen="127.0.0.1:0"), "alice")
    assert code == 2
    assert "--server HOST:PORT" in err


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("127.0.0.1", ("127.0.0.1", 1812)),
        ("radius.example.org:1645", ("radius.example.org", 1645)),
        ("::1", ("::1", 1812)),
        ("[::1]", ("::1", 1812)),
        ("[2001:db8::1]:1645", ("2001:db8::1", 1645)),
    ],
)
def test_servers_can_be_written_in_these_ways(text: str, meant: tuple[str, int]) -> None:
    """Host alone, host and port, and IPv6 with or without brackets are understood."""
    assert _parse_server(text) == meant


@pytest.mark.parametrize("text", ["", ":1812", "host:", "host:65536", "host:-1", "host:\u0661", "[::1]:x"])
def test_servers_cannot_be_written_in_these_ways(text: str) -> None:
    """A missing host, and a port that is none, are refused."""
    with pytest.raises(UsageError):
        _parse_server(text)


def test_without_a_terminal_the_way_for_scripts_is_named(tmp_path: Path) -> None:
    """A session without terminal and without `--password-stdin` ends with exit code 2 and names that option."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); from terminal import app; app(sys.argv[2:])"
    run = subprocess.run(
        [sys.executable, "-c", program, Path(__file__).parent, "-c", _config(tmp_path), "login", "alice"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert run.returncode == 2
    assert "--password-stdin" in run.stderr


@pytest.mark.parametrize("attached", [True, False])
def test_at_a_terminal_the_password_is_hidden_and_the_code_is_seen(tmp_path: Path, attached: bool) -> None:
    """Echo is off before "Password: " appears and on for the code; /dev/tty is asked wherever standard input leads."""
    with Responder([challenge("Code \x1b[31mnow:", b"s"), accept()]) as server:
        config = str(_config(tmp_path, server))
        with Terminal("-c", config, "login", "alice", attached=attached) as terminal:
            terminal.wait_for("Password: ")
            assert not terminal.echoes()
            terminal.press("hunter2\n")
            shown = terminal.wait_for("Code \ufffd[31mnow: ")
            assert "hunter2" not in shown
            assert terminal.echoes()
            terminal.press("755224\n")
            terminal.wait_for("755224")
            code, out, err = terminal.end()
            assert terminal.is_as_before()
            assert "Accepted" in terminal.screen if attached else out.startswith("Accepted: alice")
    assert (code, err) == (0, "")
    assert [seen.password for seen in server.seen] == ["hunter2", "755224"]


def test_prompt_zero_hides_the_code_too(tmp_path: Path) -> None:
    """A challenge with Prompt = 0 is answered without echo."""
    with (
        Responder([challenge("Code: ", b"s", HIDDEN), accept()]) as server,
        Terminal("-c", str(_config(tmp_path, server)), "login", "alice") as terminal,
    ):
        terminal.wait_for("Password: ")
        terminal.press("hunter2\n")
        terminal.wait_for("Code: ")
        assert not terminal.echoes()
        terminal.press("755224\n")
        assert terminal.end()[0] == 0
        assert "755224" not in terminal.screen
        assert terminal.is_as_before()
    assert server.seen[1].password == "755224"


def test_an_empty_password_and_an_empty_answer_can_be_given(tmp_path: Path) -> None:
    """Enter alone is an answer, for the password as for the challenge."""
    with (
        Responder([challenge("Touch your key, then press Enter: ", b"s"), accept()]) as server,
        Terminal("-c", str(_config(tmp_path, server)), "login", "alice") as terminal,
    ):
        terminal.wait_for("Password: ")
        terminal.press("\n")
        terminal.wait_for("press Enter: ")
        terminal.press("\n")
        assert terminal.end()[0] == 0
    assert [seen.password for seen in server.seen] == ["", ""]


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 1)])
def test_going_away_at_the_hidden_prompt_leaves_the_terminal_as_it_was(tmp_path: Path, key: str, code: int) -> None:
    """Ctrl-C and Ctrl-D at "Password: " end the command with echo on again, and nothing is sent."""
    with Responder() as server, Terminal("-c", str(_config(tmp_path, server)), "login", "alice") as terminal:
        terminal.wait_for("Password: ")
        terminal.press(key)
        assert terminal.end()[0] == code
        assert terminal.is_as_before()
    assert server.seen == []


def test_no_secret_fits_into_the_arguments() -> None:
    """The command has no option that takes a password, a code or a shared secret."""
    help_text = CliRunner().invoke(app, ["login", "--help"]).stdout
    assert "--password-stdin" in help_text
    for option in ("--password ", "--secret ", "--code "):
        assert option not in help_text


def test_loading_the_command_loads_nothing_heavy() -> None:
    """`radiusd2fa --help` does not pay for pyrad, pyotp, YAML or pydantic."""
    program = "import sys, radiusd2fa.cli.login, radiusd2fa.cli.fob; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert module.__name__ in loaded
    assert not loaded & {"pyrad", "pyotp", "yaml", "pydantic", "sqlalchemy"}
