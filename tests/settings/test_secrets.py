"""Shared secrets: who may read the files they are in, how they are rotated, and that no message ever shows one.

The planted canary stands wherever a hurried hand could put a secret; it must not come back by any way.
RFC 2865 3 (the shared secret).
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiusd2fa.settings import SettingsError, load_settings

from .conftest import SECRET, Site, minimal

CANARY = "canary7Zq"
WITHOUT_SECRET = minimal().rpartition("    secret:")[0]
"""A minimal file whose client has no secret yet: that goes to line 6."""


# --- who may read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666])
def test_a_secret_in_a_file_open_to_others_is_refused(site: Site, mode: int) -> None:
    """Any right of group or others on a configuration with secrets is a fault on the line of each secret."""
    faults = site.faults(minimal(client=("secret_old: 'the one that was there before'",)), mode)

    assert [(fault.line, fault.key) for fault in faults] == [(6, "clients.lab.secret"), (7, "clients.lab.secret_old")]
    assert all("others than its owner can open" in fault.problem for fault in faults)
    assert all("chmod 600" in fault.remedy and "secret_file" in fault.remedy for fault in faults)


def test_a_file_without_secrets_may_be_read_by_all(site: Site) -> None:
    """With the secret in a file of its own, the configuration needs no protection."""
    site.put("lab.secret", SECRET)

    assert site.load(WITHOUT_SECRET + "    secret_file: lab.secret\n", mode=0o644).clients[0].secrets == (
        SECRET.encode(),
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
@pytest.mark.parametrize("key", ["secret_file", "secret_old_file"])
def test_a_secret_file_open_to_others_is_refused(site: Site, key: str, mode: int) -> None:
    """Any right of group or others on a file of a secret is a fault with its line."""
    site.put("lab.secret", CANARY, mode)
    inline = "" if key == "secret_file" else "    secret: 'a secret of enough characters'\n"
    (fault,) = site.faults(f"{WITHOUT_SECRET}    {key}: lab.secret\n{inline}")

    assert (fault.line, fault.key) == (6, f"clients.lab.{key}")
    assert (fault.problem, fault.remedy) == ("names a file that others than its owner can open", "run chmod 600 on it")


@pytest.mark.parametrize("section", ["", "vault: {key_file: vault.key}\n"])
def test_a_vault_key_open_to_others_is_refused(site: Site, section: str) -> None:
    """A key file that is there, written or by default, must be its owner's alone."""
    site.put("vault.key", "sealed", 0o640)
    (fault,) = site.faults(minimal() + section)

    assert (fault.line, fault.key) == (7 if section else 1, "vault.key_file")
    assert (fault.problem, fault.remedy) == (
        "names a key file that others than its owner can open",
        "run chmod 600 on it",
    )


# systemd lets a service user read a credential by an access list; the group bits then show the list's mask
@pytest.mark.parametrize(("mode", "refused"), [(0o400, False), (0o440, False), (0o444, True), (0o404, True)])
def test_a_credential_of_systemd_may_show_group_bits(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, mode: int, refused: bool
) -> None:
    """Files in the credentials folder are private with mode 0440, but never with rights for others."""
    credentials = Site(tmp_path_factory.mktemp("credentials"))
    secret = credentials.put("lab.secret", SECRET, mode)
    key = credentials.put("vault.key", "sealed", mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{credentials.folder}/")
    text = f"{WITHOUT_SECRET}    secret_file: {secret}\nvault: {{key_file: {key}}}\n"

    if refused:
        assert [fault.key for fault in site.faults(text)] == ["clients.lab.secret_file", "vault.key_file"]
    else:
        assert site.load(text).clients[0].secrets == (SECRET.encode(),)


# --- what is a secret ---------------------------------------------------------------------------------------

NO_SECRETS = {
    "nothing": ("", "is missing"),
    "empty": ("    secret: ''\n", "is empty"),
    "no value": ("    secret:\n", "has no value"),
    "octal digits": ("    secret: 012345\n", "is not in quotes"),
    "hexadecimal": ("    secret: 0x1f2e\n", "is not in quotes"),
    "no": ("    secret: no\n", "is not in quotes"),
    "a plain word": (f"    secret: {CANARY}\n", "is not in quotes"),
    "a comment in it": (f"    secret: {CANARY} #1\n", "is not in quotes"),
    "a block": (f"    secret: |\n      {CANARY}\n", "is not in quotes"),
    "a line feed": (f'    secret: "{CANARY}\\n"\n', "cannot be printed"),
    "a list": (f"    secret: ['{CANARY}']\n", "is a list"),
    "too long": (f"    secret: '{'x' * 1025}'\n", "is too long"),
}


@pytest.mark.parametrize(("lines", "problem"), NO_SECRETS.values(), ids=list(NO_SECRETS))
def test_what_is_no_secret_is_refused(site: Site, lines: str, problem: str) -> None:
    """A secret must stand in quotes and have something in it."""
    (fault,) = site.faults(WITHOUT_SECRET + lines)

    assert (fault.line, fault.key) == (6 if lines else 4, "clients.lab.secret")
    assert problem in fault.problem


NO_SECRET_FILES = {
    "empty": (b"", "empty"),
    "a line feed": (b"\n", "empty"),
    "two lines": (b"one\ntwo\n", "more than one line"),
    "an empty line after it": (b"one\n\n", "more than one line"),
    "too long": (b"x" * 1025, "too long"),
    "far too long": (b"x" * 4096, "larger than"),
}


@pytest.mark.parametrize(("content", "problem"), NO_SECRET_FILES.values(), ids=list(NO_SECRET_FILES))
def test_a_file_that_is_no_secret_is_refused(site: Site, content: bytes, problem: str) -> None:
    """A secret file holds one line, and that is not empty."""
    site.put("lab.secret", content)
    (fault,) = site.faults(WITHOUT_SECRET + "    secret_file: lab.secret\n")

    assert (fault.line, fault.key) == (6, "clients.lab.secret_file")
    assert problem in fault.problem


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo"])
def test_a_secret_file_that_cannot_be_read_is_refused(site: Site, kind: str) -> None:
    """What is not there or no regular file is a fault, at once."""
    if kind == "directory":
        (site.folder / "lab.secret").mkdir()
    elif kind == "fifo":
        os.mkfifo(site.folder / "lab.secret", 0o600)
    (fault,) = site.faults(WITHOUT_SECRET + "    secret_file: lab.secret\n")

    assert "cannot be read" in fault.problem


@pytest.mark.parametrize("old", ["", "_old"])
def test_a_secret_beside_its_file_is_refused(site: Site, old: str) -> None:
    """A secret is given in one way only."""
    site.put("s", SECRET)
    lines = "    secret: 'a secret of enough characters'\n" if old else ""
    (fault,) = site.faults(f"{WITHOUT_SECRET}{lines}    secret{old}: '{SECRET}'\n    secret{old}_file: s\n")

    assert (fault.key, fault.problem) == (f"clients.lab.secret{old}_file", f"stands beside secret{old}")


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_one_line_end_is_no_part_of_a_secret(site: Site, ending: bytes) -> None:
    """An editor's line end is dropped; spaces and odd octets are kept."""
    site.put("lab.secret", b" caf\xe9\t " + ending)

    (client,) = site.load(WITHOUT_SECRET + "    secret_file: lab.secret\n").clients
    assert client.secrets == (b" caf\xe9\t ",)


def test_the_old_secret_comes_after_the_new_one(site: Site) -> None:
    """While a secret is replaced both are valid, the present one first; equal ones are one."""
    site.put("old", "the one that was there before\n")

    (client,) = site.with_client("secret_old_file: old").clients
    assert client.secrets == (SECRET.encode(), b"the one that was there before")
    (client,) = site.with_client(f"secret_old: '{SECRET}'").clients
    assert client.secrets == (SECRET.encode(),)


# --- no message shows one -----------------------------------------------------------------------------------


def everything_said(site: Site, text: str) -> str:
    """Return all that a refusal, a warning, a repr or a traceback with its local variables would show."""
    try:
        loaded = site.load(text)
    except SettingsError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        # the frames of this test know the text; those of the program are what matters
        lines = [frame.locals for frame in told.stack if "radiusd2fa/settings" in frame.filename]
        assert lines
        return f"{error}{error!r}{error.faults!r}{error.__context__!r}{error.__cause__!r}{lines}"
    return f"{loaded!r}{loaded.warnings}"


HURRIED_HANDS = {
    "plain": f"    secret: {CANARY}\n",
    "quoted, not closed": f'    secret: "{CANARY}\n',
    "colon in it": f"    secret: {CANARY}: x\n",
    "at sign": f"    secret: @{CANARY}\n",
    "alias": f"    secret: *{CANARY}\n",
    "anchor": f"    secret: &{CANARY} 'x'\n",
    "tag": f"    secret: !{CANARY} 'x'\n",
    "backslash": f'    secret: "{CANARY}\\q"\n',
    "bell": f'    secret: "{CANARY}\\a"\n',
    "no space": f'    secret:"{CANARY}"\n',
    "no space, in braces": "",
    "no colon": f"    secret {CANARY}\n",
    "a list": f"    secret: [{CANARY}, {CANARY}]\n",
    "keys": f"    secret: {{{CANARY}: 1, {CANARY}: 2}}\n",
    "keys in the old one": f"    secret: 'x'\n    secret_old: {{{CANARY}: 1, {CANARY}: 2}}\n",
    "as a file": f"    secret_file: {CANARY}\n",
    "as a file, in quotes": f"    secret_file: '{CANARY}'\n",
    "beside a file": f"    secret_file: {CANARY}\n    secret: '{CANARY}'\n",
    "misspelt key": f"    sceret: '{CANARY}'\n",
    "as the flow": f"    secret: 'x'\n    flow: {CANARY}\n",
    "as the delay": f"    secret: 'x'\n    reject_delay: {CANARY}\n",
    "as the encoding": f"    secret: 'x'\n    password_encoding: {CANARY}\n",
    "twice": f"    secret: '{CANARY}'\n    secret: '{CANARY}'\n",
    "good": f"    secret: '{CANARY}'\n",
    "good, beside a fault": f"    secret: '{CANARY}'\n    secret_old: '{CANARY}2'\n    flow: x\n",
}


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("lines", HURRIED_HANDS.values(), ids=list(HURRIED_HANDS))
def test_no_message_shows_a_secret(site: Site, lines: str, mode: int) -> None:
    """However a secret is written, rightly or wrongly, nothing that is said afterwards contains it."""
    text = WITHOUT_SECRET + lines
    if not lines:
        text = WITHOUT_SECRET.partition("  lab:")[0] + f"  lab: {{networks: [127.0.0.1], secret:{CANARY}}}\n"
    site.put("radiusd2fa.yaml", text, mode)

    assert CANARY not in everything_said(site, text)


@pytest.mark.parametrize("form", ["{secret, CANARY}", "{secret:CANARY}", '{secret:"CANARY"}', "{networks: [CANARY]}"])
def test_no_message_shows_a_secret_that_became_a_key(site: Site, form: str) -> None:
    """In braces a forgotten colon or space makes a key of the secret; such keys are shown as a question mark."""
    text = minimal().partition("  lab:")[0] + f"  lab: {form.replace('CANARY', CANARY)}\n"

    assert CANARY not in everything_said(site, text)


VALUES = """
    listen.udp store vault.key_file clients clients.lab.networks rules rules.name syslog syslog.to hotp.look_ahead
    totp.widen_every log.level challenge.code_prompt challenge.lifetime primary.kind
    fido fido.rp_id fido.origin fido.attestation fido.attestation.aaguids fido.attestation.roots
    fido.attestation.metadata clients.lab.host_names stations stations.lobby.clients
    stations.lobby.usb stations.lobby.reader rules.ceremonies rules.user_verification rules.on_clone
    clients.lab.profile clients.lab.tags clients.lab.reply clients.lab.reply.Class clients.lab.prompt_ending
    primary primary.search_password backends backends.old backends.old.servers dictionaries time_zone networks
    networks.office languages languages.de languages.de.key_way rules.when.tags rules.when.groups rules.when.realms
    rules.when.networks rules.when.days rules.when.hours rules.when.attributes rules.when.attributes.NAS-Port-Type
    rules.primary rules.enrolment rules.enrolment.grace_until rules.enrolment.upstream rules.skip.networks
    rules.skip.until rules.reply rules.reply.Service-Type rules.language rules.hotp.look_ahead
"""


@pytest.mark.parametrize("path", VALUES.split())
def test_no_message_shows_a_value(site: Site, path: str) -> None:
    """A secret in the place of any other value is not repeated either, be it a word, a list or digits."""
    good = {"listen": "{udp: ['127.0.0.1:0']}", "store": "sqlite:///a.db"}
    good["clients"] = f"{{lab: {{networks: [127.0.0.1], secret: '{SECRET}'}}}}"
    section, *keys = path.split(".")
    for value in (CANARY, f"'{CANARY}\\'", f"[{CANARY}]", f'"{CANARY}\\e"', "918273645546372819"):
        wrong = value
        for key in reversed(keys):
            wrong = f"{{{key}: {wrong}, colour: red}}"
        sections = good | {section: f"[{wrong}]" if section == "rules" and keys else wrong, "colour": "red"}
        said = everything_said(site, "".join(f"{key}: {value}\n" for key, value in sections.items()))

        assert "is not a known key" in said or "never closed" in said or "backslash" in said
        assert CANARY not in said
        assert "918273645546372819" not in said


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text("\"'{}[]:,#&*!|>%@`\\ \t-?~0aé", max_size=6), after=st.text("\"'{}[]:,# \n\\", max_size=4))
def test_no_punctuation_around_a_secret_brings_it_out(site: Site, before: str, after: str) -> None:
    """Whatever stands around a secret, the answer is a Settings or a SettingsError without it."""
    assert CANARY not in everything_said(site, f"{WITHOUT_SECRET}    secret: {before}{CANARY}{after}\n")


def test_pydantics_own_error_is_not_dragged_along(site: Site) -> None:
    """The SettingsError has neither cause nor context, because pydantic's error quotes its input."""
    with pytest.raises(SettingsError) as refusal:
        site.load(minimal("log: {format: xml}"))

    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None


def test_the_fault_names_the_path_as_it_was_given(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path on the command line is a relative path in the message."""
    site.put("radiusd2fa.yaml", minimal("log: {format: xml}"))
    monkeypatch.chdir(site.folder)

    with pytest.raises(SettingsError, match=r"^radiusd2fa\.yaml:7: log\.format: "):
        load_settings(Path("radiusd2fa.yaml"))
