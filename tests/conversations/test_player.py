"""The player itself: whatever goes otherwise than the transcript says is noticed, with file, line, expected and got.

It shows that the conversations can fail; nothing of the daemon is judged here.
The forms of replies are those of RFC 2865 4.2 to 4.4 and RFC 3579 3.2.
"""

from __future__ import annotations

from typing import Final

import pytest

from .conftest import Play
from .keychain import make_key
from .player import WentOtherwiseError
from .replies import form_fault
from .transcript import TranscriptError, parse

HEAD: Final = """\
# an example
client:  vpn flow=challenge
client:  gw flow=code-only
settings: throttle max_failures=2
user:    alice password=hunter2 token=F1 hotp
user:    bob token=F2 hotp
"""
QUESTION: Final = '> vpn alice password=hunter2  < challenge "Enter the code from your token: "'
OTHERWISE: Final = {
    "> gw alice code=HOTP  < reject": "expected: reject",
    "> gw alice code=wrong  < accept": "got:      reject",
    "> gw alice code=HOTP unsigned  < accept": "got:      silence",
    "> gw alice code=HOTP  < silence": "got:      accept",
    '> vpn alice password=hunter2  < challenge "Enter your code: "': 'expected: challenge "Enter your code: "',
    '> vpn alice password=  < challenge "Enter your password: "': "hidden",
    f"{QUESTION} hidden": "hidden",
    "> gw alice code=HOTP  < accept  ! reason=replayed": "access.accepted user=alice nas=gw reason=ok",
    "> gw alice code=HOTP  < accept  ! reason=ok serial=F2": "serial=F1",
    "> gw alice code=HOTP  < accept  ! access.rejected reason=ok": "access.accepted",
    "> gw alice code=HOTP  < accept  ! ok\n! ok": "nothing more was written",
    "> gw alice code=HOTP  < accept\n! nothing": "access.accepted",
    "> gw alice code=HOTP unsigned  < silence  ! dropped unknown_client": "no_message_authenticator",
    "> gw alice code=HOTP  < accept as A\n> gw alice code=HOTP  < same A": "against",
    "> gw alice code=HOTP  < accept as A\n> gw alice code=same  < like A": "got:      reject",
    "> gw alice code=wrong  < reject as A\n> gw alice code=wrong proxy-state=x  < like A": "against",
    "$ user disable nobody": "there is no user nobody",
    "$ user disable alice  < refused": "got:      done",
    "$ user frobnicate alice  < refused": "wrong usage",
    "$ token disable F1\n! token.enabled": "token.disabled",
}
KEY_HEAD: Final = """\
# an example
client:  ssh flow=challenge host_names=bastion
station: lobby-1 clients=ssh
user:    alice password=hunter2 key=K1
user:    bob
key:     K2 user=bob counter=7
> ssh alice password=hunter2  \
< challenge "Touch your key at lobby-1 (code *), then press Enter, or use your security key for ssh RK1-*: "
"""
KEY_OTHERWISE: Final = {
    "> ssh alice code=KEY(evil) state=last  < accept": "reason=wrong_key_response",
    "> ssh alice code=KEY(bastion) state=last  < reject": "got:      accept",
    "> ssh alice code=KEY(bastion) state=last  < accept  ! serial=K2": "serial=K1",
    '> ssh alice code= state=last  < challenge "Use your security key for ssh RK1-*: "': "Touch your key",
    '> ssh alice password=hunter2  < challenge "Touch your key at lobby-1 (code *), then press Enter, or use your '
    'security key for ssh RK1-*pin: "': "RK1-*: ",
    "@ lobby-1 shows nobody": "it shows alice",
    "@ lobby-1 shows alice!": "it shows alice",
    "@ lobby-1 touch K1  < too late": "got:      taken",
    "@ lobby-1 touch K2": "got:      nobody waits",
    "@ lobby-1 touch K1 as A\n@ lobby-1 bring A\n@ lobby-1 bring A": "got:      too late",
}
KEY_UNREADABLE: Final = {
    "@ lobby-1": "a line at a station is",
    "@ lobby-1 dances": "at a station: shows",
    "@ lobby-9 shows nobody": "there is no station lobby-9",
    "@ lobby-1 touch K9": "there is no key K9",
    "@ lobby-1 touch K1 gently": "gently: not one of",
    "@ lobby-1 bring A": "nothing was signed as A",
    "> ssh alice code=KEY(bastion,gently) state=last  < accept": "gently: not one of",
    "> ssh alice code=K9:KEY() state=last  < accept": "there is no key K9",
    "> ssh carol code=KEY() state=last  < accept": "say which",
    "> ssh alice code=KEY(,at=NOWHERE) state=last  < accept": "the prompt NOWHERE has no code",
    "key: K3 user=bob blue": "blue: not one of",
}
DIRECTORY_HEAD: Final = """\
# an example
client:    vpn flow=append Filter-Id="in"
directory: ldap
directory: corp
upstream:  old
person:    alice password=hunter2 in=ldap
rule:      all enrolment=off Class="staff" Class="more"
"""
DIRECTORY_OTHERWISE: Final = {
    "> vpn alice password=hunter2  < accept": 'got:      accept Filter-Id="in" Class="staff" Class="more"',
    '> vpn alice password=hunter2  < accept Filter-Id="in" Class="staff"': 'Class="more"',
    '> vpn alice password=hunter2  < accept Filter-Id="in" Class="more" Class="staff"': 'Class="staff" Class="more"',
    '> vpn alice password=hunter3  < reject Filter-Id="in"': "got:      reject",
    "> vpn alice password=hunter3  < reject  ! asked nobody": "asked ldap alice",
    "> vpn alice password=hunter3  < reject  ! asked corp alice": "asked ldap alice",
    "> vpn alice password=hunter3  < reject  ! asked ldap alice ldap alice": "asked ldap alice",
    '> vpn alice mschap  < reject  ! noted "something else"': "packet.mschap",
    '$ user list  < done "alice"': "nobody yet",
    "= ldap forgets alice\n> vpn alice password=hunter2  < accept": "account_unknown",
    "= ldap knows alice password=x\n> vpn alice password=hunter2  < accept": "got:      reject",
    "= ldap renames alice to bob\n> vpn alice password=hunter2  < accept": "got:      reject",
    "= ldap is away\n> vpn alice password=hunter2  < accept": "got:      silence",
    "= ldap is away\n= ldap is back\n> vpn alice password=hunter2  < reject": "got:      accept",
}
DIRECTORY_UNREADABLE: Final = {
    "= elsewhere forgets alice": "there is no directory and no upstream elsewhere",
    "= ldap is tired": "at an authority: knows NAME",
    "= ldap renames alice": "at an authority: knows NAME",
    "person: bob in=elsewhere": "there is no directory and no upstream elsewhere",
    "person: bob colour=red": "colour: not one of",
    "directory: hr colour=red": "colour: not one of",
    "upstream: new blind": "blind: not one of",
    '> vpn alice password=hunter2 Colour="red"  < accept': "Colour: no attribute that transcripts know",
}
UNREADABLE: Final = {
    "> gw": "a packet line is",
    "> gw alice code=HOTP": "a packet line is",
    "> elsewhere alice code=HOTP  < accept": "there is no client elsewhere",
    "> gw alice code=HOTP  < maybe": "a reply is",
    "> gw alice code=HOTP  < like A": "a reply is",
    "> gw alice colour=HOTP  < accept": "colour: not one of",
    "> gw alice bob code=HOTP  < accept": "say who logs in",
    "> gw alice code=TOTP  < accept": "F1 is a hotp fob",
    "> gw carol code=HOTP  < accept": "say which",
    "> gw alice code=F9:HOTP  < accept": "there is no fob F9",
    "> gw alice code=HOTP state=last  < accept": "there is no challenge last",
    "> gw alice code=HOTP  < accept  ! colour=red": "colour: no field of the audit",
    '> gw alice password="hunter2  < accept': "a quotation mark has no partner",
    "> gw alice code=HOTP  < accept  < accept": "a packet line is",
    "$ user list  < done  < done": "a command line is",
    "= soon": "time passes like this",
    "usr: alice": "usr: not one of",
    "% what": "a line begins with",
    "client: vpn2 colour=red": "colour: not one of",
}


@pytest.mark.parametrize(
    ("head", "lines", "said"),
    [(HEAD, *case) for case in OTHERWISE.items()]
    + [(KEY_HEAD, *case) for case in KEY_OTHERWISE.items()]
    + [(DIRECTORY_HEAD, *case) for case in DIRECTORY_OTHERWISE.items()],
)
def test_what_goes_otherwise_is_noticed(head: str, lines: str, said: str, play: Play) -> None:
    """A difference ends the conversation with the place of its line, what was expected and what came."""
    [conversation] = parse("example.txt", head + lines)
    with pytest.raises(WentOtherwiseError) as error:
        play(conversation)
    text = str(error.value)
    assert text.startswith(f"example.txt:{(head + lines).count(chr(10)) + 1}: {lines.splitlines()[-1][:20]}")
    assert "  expected: " in text
    assert "  got: " in text
    assert said in text


@pytest.mark.parametrize(
    ("head", "line", "said"),
    [(HEAD, *case) for case in UNREADABLE.items()]
    + [(KEY_HEAD, *case) for case in KEY_UNREADABLE.items()]
    + [(DIRECTORY_HEAD, *case) for case in DIRECTORY_UNREADABLE.items()],
)
def test_what_cannot_be_read_is_refused(head: str, line: str, said: str, play: Play) -> None:
    """A line with an unknown word or a missing part is refused with its place, and never passes."""
    with pytest.raises(TranscriptError, match=rf"^example\.txt:{head.count(chr(10)) + 1}: ") as error:
        play(parse("example.txt", head + line)[0])
    assert said in str(error.value)


def test_a_serial_makes_one_key() -> None:
    """The same serial makes the same key, so that a failure can be repeated; another serial makes another."""
    one, again, other = make_key("K1", "alice", {}), make_key("K1", "alice", {}), make_key("K2", "alice", {})
    assert one.credential == again.credential
    assert one.credential != other.credential


def test_each_value_is_played() -> None:
    """A conversation with two `each:` lines is played for each pair of values, and its title says which."""
    conversations = parse("example.txt", "# t\neach: A = 1 2\neach: B = x y\n> gw alice{A} code={B}  < reject")
    assert [one.title for one in conversations] == ["t (1, x)", "t (1, y)", "t (2, x)", "t (2, y)"]
    assert "alice2 code=y" in conversations[3].steps[0].line.text


# --- the form of a reply ---------------------------------------------------------------------------------------------

SIGNATURE: Final = b"\x50\x12" + bytes(16)
STATE: Final = b"\x18\x22" + b"0123456789abcdef" * 2
MESSAGE: Final = b"\x12\x04a:"
CLASS: Final = b"\x19\x03a"
PROXY: Final = b"\x21\x03x\x21\x03y"
PROMPT: Final = b"\x4c\x06" + bytes(4)
ACCEPT, REJECT, CHALLENGE = 2, 3, 11

GOOD: Final = [
    (ACCEPT, SIGNATURE + PROXY),
    (REJECT, SIGNATURE + PROXY),
    (CHALLENGE, SIGNATURE + STATE + MESSAGE + PROXY),
    (CHALLENGE, SIGNATURE + STATE + MESSAGE + PROMPT + PROXY),
    (ACCEPT, SIGNATURE + CLASS + CLASS + PROXY),
]
BAD: Final = [
    (ACCEPT, PROXY),
    (ACCEPT, PROXY + SIGNATURE),
    (ACCEPT, SIGNATURE),
    (ACCEPT, SIGNATURE + b"\x21\x03y\x21\x03x"),
    (ACCEPT, SIGNATURE + PROXY + PROXY),
    (ACCEPT, SIGNATURE + STATE + PROXY),
    (ACCEPT, SIGNATURE + CLASS + STATE + PROXY),
    (ACCEPT, SIGNATURE + MESSAGE + PROXY),
    (ACCEPT, CLASS + SIGNATURE + PROXY),
    (REJECT, SIGNATURE + CLASS + PROXY),
    (CHALLENGE, SIGNATURE + STATE + MESSAGE + CLASS + PROXY),
    (REJECT, SIGNATURE + MESSAGE + PROXY),
    (REJECT, SIGNATURE + PROMPT + PROXY),
    (CHALLENGE, SIGNATURE + STATE + PROXY),
    (CHALLENGE, SIGNATURE + MESSAGE + PROXY),
    (CHALLENGE, SIGNATURE + STATE + STATE + MESSAGE + PROXY),
    (CHALLENGE, SIGNATURE + STATE + MESSAGE + MESSAGE + PROXY),
    (CHALLENGE, SIGNATURE + STATE + MESSAGE + PROMPT + PROMPT + PROXY),
    (CHALLENGE, SIGNATURE + STATE.upper() + MESSAGE + PROXY),
    (CHALLENGE, SIGNATURE + b"\x18\x03a" + MESSAGE + PROXY),
    (CHALLENGE, SIGNATURE + STATE + b"\x12\x02" + PROXY),
    (CHALLENGE, SIGNATURE + STATE + b"\x12\xcb" + b"a" * 201 + PROXY),
]


@pytest.mark.parametrize(("code", "attributes"), GOOD)
def test_a_reply_in_good_form_passes(code: int, attributes: bytes) -> None:
    """Message-Authenticator first, what the kind of reply needs, and the Proxy-State that was sent."""
    assert form_fault(bytes((code,)) + bytes(19) + attributes, [b"x", b"y"], signed=True) == ""


@pytest.mark.parametrize(("code", "attributes"), BAD)
def test_a_reply_in_bad_form_is_noticed(code: int, attributes: bytes) -> None:
    """One attribute too many, too few, in the wrong place or of the wrong form is a fault."""
    assert form_fault(bytes((code,)) + bytes(19) + attributes, [b"x", b"y"], signed=True)


def test_a_state_has_the_length_of_the_client() -> None:
    """A State of 22 characters is base64url, and is a fault where 32 are meant."""
    raw = bytes((CHALLENGE,)) + bytes(19) + SIGNATURE + b"\x18\x18" + b"AZaz09-_" * 2 + b"aaaaaa" + MESSAGE
    assert form_fault(raw, [], signed=True, state_length=22) == ""
    assert form_fault(raw, [], signed=True)
    assert form_fault(raw.replace(b"AZ", b"+/"), [], signed=True, state_length=22)


def test_a_signature_for_a_client_that_wants_none_is_noticed() -> None:
    """`sign_replies: no` means that no reply is signed."""
    raw = bytes((ACCEPT,)) + bytes(19)
    assert form_fault(raw, [], signed=False) == ""
    assert form_fault(raw + SIGNATURE, [], signed=False)
