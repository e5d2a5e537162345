"""What is read out of a prompt: the host above all, because a key signs it.

Every prompt that could be read in two ways is refused; RFC 4256 3.2 (prompts), sshconnect2.c of OpenSSH (the prefix).
"""

from __future__ import annotations

import pytest

from radiusd2fa.core.names import canonical_host
from radiusd2fa.core.responder import ResponderCode
from radiusd2fa.laptop.prompt import Asked, Unclear, read_prompt

from .laptop import CODE, HOST, prompt

OTHER = ResponderCode(b"\xee" * 16)


@pytest.mark.parametrize(
    "text",
    [
        f"Touch your key. {CODE}: ",
        f" (alice@{HOST}) {CODE}: ",
        f"alice@{HOST}'s password: {CODE}",
        f"(alice) {CODE}: ",
        f"(@{HOST}) {CODE}: ",
        f"(alice@{HOST}){CODE}: ",
        f"(alice@{HOST} {CODE}: ",
        f"((alice@{HOST}) {CODE}: ",
        f"(al)ice@{HOST}) {CODE}: ",
        f"(alice@) {CODE}: ",
        f"(alice@good.example.org) x@evil.example.org) {CODE}: ",
        f"(alice@good.example.org) @evil.example.org) {CODE}: ",
        f"(alice@good.example.org) Hello (alice@evil.example.org) {CODE}: ",
        f"(alice@{HOST}) {CODE} {OTHER}: ",
        f"(alice@{HOST}) {CODE} {CODE}: ",
        f"({CODE}@{HOST}) {CODE}: ",
        f"({CODE}@{HOST}) Touch your key: ",
        f"(alice@{HOST}) {str(CODE)[:-3]}: ",
        f"(alice@{HOST}) {CODE}-AAAAA: ",
        f"(alice@bad host) {CODE}: ",
        f"(alice@bad\x1b[2Jhost) {CODE}: ",
        f"(alice@[{HOST}]:2222) {CODE}: ",
        f"(alice@fe80::1%eth0) {CODE}: ",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    """Without one code, and one host that can only be ssh's own word, nothing is signed, and the reason is shown."""
    read = read_prompt(text)
    assert isinstance(read, Unclear)
    assert read.why.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        f"(alice@{HOST}) Password: ",
        f"alice@{HOST}'s password: ",
        "Enter passphrase for key '/home/alice/.ssh/id_ed25519': ",
        "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
        "",
    ],
)
def test_other_prompts_are_nobodys_business_here(text: str) -> None:
    """A prompt without our mark is not even looked at."""
    assert read_prompt(text) is None


@pytest.mark.parametrize(
    ("login", "host"),
    [("alice", HOST), ("alice@corp.example", HOST), (r"CORP\alice", "10.0.0.1"), ("a b", "2001:db8::1")],
)
def test_the_host_is_what_follows_the_last_at_sign(login: str, host: str) -> None:
    """Login name, host, text and code are taken from where ssh and the server have put them."""
    assert read_prompt(prompt(login=login, host=host)) == Asked(login, host, f"Touch your key. {CODE}: ", CODE)


def test_a_text_with_brackets_is_no_second_host() -> None:
    """A server may write brackets, at signs and small letters, as long as they make no second prefix."""
    read = read_prompt(prompt(f"Touch (once), or write to help@example.org. {str(CODE).lower()}: "))
    assert isinstance(read, Asked)
    assert read.code == CODE


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("Bastion.Example.ORG", "bastion.example.org"),
        ("bastion", "bastion"),
        ("bastion.example.org.", "bastion.example.org"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("::1", "::1"),
        ("a_b-c.example", "a_b-c.example"),
        ("bastion.example.org..", None),
        ("bastion..example.org", None),
        ("-bastion", None),
        (".", None),
        ("", None),
        ("a" * 64, None),
        (".".join(["a" * 60] * 5), None),
        ("bastion\n", None),
        ("bastion example", None),
        ("b\N{LATIN SMALL LETTER A WITH DIAERESIS}stion", None),
        ("\N{KELVIN SIGN}elvin.example", None),
        ("[bastion]:22", None),
        ("bastion:22", None),
        ("[::1]", None),
        ("fe80::1%eth0", None),
        ("bastion%eth0", None),
        ('bastion"', None),
    ],
)
def test_a_host_has_one_spelling(name: str, host: str | None) -> None:
    """Small letters, no dot at the end, IPv6 in its short form; ports, zones and odd signs are refused."""
    assert canonical_host(name) == host
