"""What a PSKC file says of a token: numbers, dates and names, and what is refused of them.

RFC 6030 4.1 to 4.3; which tokens are left out is in ``test_pskc_policy``.
"""

from __future__ import annotations

import pytest

from radiusd2fa.factors.totp import step_at
from radiusd2fa.imports.seeds import STEPS_AHEAD, Seed
from tests.imports.pskc_files import (
    DIGITS,
    HOTP,
    NOW,
    SEED,
    base64_of,
    container,
    flaw,
    package,
    plain,
    read,
    seed,
    totp,
    unreadable,
)


def number(name: str, value: object) -> str:
    """Return a number in the clear."""
    return f"<{name}><PlainValue> {value}\n</PlainValue></{name}>"


@pytest.mark.parametrize(
    ("file", "line", "problem"),
    [
        (container(package("")), 8, "<Secret> has no value"),
        (container(package().replace(f"<Secret>{plain()}</Secret>", "")), 7, "no seed"),
        (container(package("\n<PlainValue>MTIz*DU2Nzg5MDEy</PlainValue>")), 9, "its seed is no base64"),
        (container(package("<PlainValue>A</PlainValue>")), 8, "its seed is no base64"),
        (container(package(f"<PlainValue>{SEED.hex()}</PlainValue>")), 8, "hexadecimal"),
        (container(package(plain(b"short"))), 3, "5 octets"),
        (container(package(plain(bytes(200)))), 3, "200 octets"),
        (container(package(parameters='<ResponseFormat Length="9" Encoding="DECIMAL"/>')), 3, "9 digits"),
        (container(package(parameters='<ResponseFormat Length="six" Encoding="DECIMAL"/>')), 5, "Length"),
        (container(package(parameters="")), 5, "how many digits"),
        (container(package(attributes='Id="1"')), 5, "hotp or totp"),
        (container(package(serial="two words")), 3, "serial"),
        (container(package(serial="", attributes=f'Algorithm="{HOTP}"')), 3, "serial"),
        (container(package(data=number("Counter", -1))), 3, "counter -1"),
        (container(package(data=number("Counter", 2**63 - 1))), 3, "counter"),
        (container(package(data=number("Counter", "AAAAAAAAACo="))), 9, "Counter is no whole number"),
        (container(package(data=number("Counter", "9" * 5_000))), 9, "Counter is no whole number"),
        (container(package(data=number("Counter", "١٢"))), 9, "Counter is no whole number"),
        (container(totp(number("TimeInterval", 0))), 3, "step of 0 seconds"),
        (container(totp(number("TimeInterval", 172800))), 3, "step of 172800 seconds"),
        (container(totp(number("TimeDrift", 101))), 7, "101 steps off"),
        (container(totp(number("TimeDrift", -101))), 7, "-101 steps off"),
        (container(totp(number("Time", step_at(NOW, 30) + STEPS_AHEAD + 1))), 7, "still to come"),
        (container(package(policy="<Policy><StartDate>01/02/2026</StartDate></Policy>")), 10, "StartDate is no date"),
        (container(package(device="<ExpiryDate>2026-02-30T00:00:00Z</ExpiryDate>")), 4, "ExpiryDate is no date"),
        (
            container(
                package(
                    device="<StartDate>2026-02-01T00:00:00Z</StartDate>",
                    policy="<Policy><ExpiryDate>2026-01-01T00:00:00Z</ExpiryDate></Policy>",
                )
            ),
            3,
            "ends before it begins",
        ),
        (container(package(data=number("Counter", 1) + "\n" + number("Counter", 2))), 11, "<Counter> stands twice"),
        (container(package(f"{plain()}\n{plain(bytes(20))}")), 9, "<PlainValue> stands twice"),
        (container(package(device="<SerialNo>S2</SerialNo>")), 4, "<SerialNo> stands twice"),
    ],
)
def test_what_is_wrong_with_a_token_is_said_with_its_line(file: bytes, line: int, problem: str) -> None:
    """Seeds, numbers and dates that cannot be, and elements of which two stand where one may."""
    entry = flaw(file)
    assert problem in entry.problem
    assert entry.line == line
    assert entry.remedy


def test_a_flaw_never_says_the_seed() -> None:
    """Neither a seed that is no base64, nor one that is too short, nor one in hex is repeated."""
    for secret in (
        "<PlainValue>c2VjcmV0*</PlainValue>",
        plain(b"secret"),
        f"<PlainValue>{b'secret7890'.hex()}</PlainValue>",
    ):
        shown = repr(flaw(container(package(secret))))
        for telling in ("c2Vjcm", "secret7890", "736563"):
            assert telling not in shown


def test_one_flaw_does_not_stop_the_others() -> None:
    """Each token is an entry of its own, in the order and with the line of the file."""
    entries = read(container(package(serial="A"), package("", serial="B"), package(serial="C")))
    assert [(type(entry).__name__, entry.line) for entry in entries] == [("Seed", 3), ("Flaw", 17), ("Seed", 21)]


def test_a_package_of_two_keys_is_two_entries() -> None:
    """The drafts allow a PIN beside the key that it protects."""
    pin = '<Key Id="2" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:pin"/>\n</KeyPackage>'
    entries = read(container(package().replace("</KeyPackage>", pin)))
    assert [type(entry).__name__ for entry in entries] == ["Seed", "LeftOut"]


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ((package(), "<EncryptionKey/>"), 12),
        ((package(), '<MACMethod Algorithm="x"/>'), 12),
        (("<EncryptionKey/>\n", "<EncryptionKey/>", package()), 4),
        (("<MACMethod/>\n", "<MACAlgorithm/>", package()), 4),
    ],
)
def test_keys_and_macs_stand_once_and_first(parts: tuple[str, ...], line: int) -> None:
    """What comes behind the tokens that it is for, or twice, is refused."""
    assert unreadable(container(*parts)).line == line


@pytest.mark.parametrize(
    "file",
    [
        container(package(policy="<UserId>alice</UserId>")),
        container(package(device="<UserId>alice</UserId>")),
        container(package(policy="<UserId>alice</UserId>").replace(HOTP, "x"), ""),
    ],
    ids=["of the key", "of the device", "kind said beside the file"],
)
def test_a_token_in_somebodys_hands_needs_its_counter(file: bytes) -> None:
    """Else every code that they have used before would count again, one after another."""
    found = flaw(file.replace(b' Algorithm="x"', b""), kind="hotp")
    assert "its counter is not said" in found.problem
    assert "0 if nobody has ever used it" in found.remedy


def test_whoever_says_whose_it_is_must_say_its_counter() -> None:
    """An owner who is said beside the file is one; nobody's token needs none, for it is new."""
    assert "without --user" in flaw(container(package()), user="alice").remedy
    assert seed(container(package(data=number("Counter", 0))), user="alice").moving_factor == 0
    assert seed(container(package())).moving_factor == 0


def test_all_that_a_hotp_token_may_say() -> None:
    """Counter, digits, hash, validity, name, model and holder come along."""
    file = container(
        package(
            data=number("Counter", 42),
            parameters='<Suite>HMAC-SHA256</Suite><ResponseFormat Length="8" Encoding="decimal"/>',
            key="<FriendlyName> Box\n 7 </FriendlyName>",
            device="<Manufacturer>oath.FT</Manufacturer><Model>c200</Model><UserId>UID=holder</UserId>"
            "<StartDate>2026-01-01T00:00:00Z</StartDate><ExpiryDate>2030-01-01T00:00:00+01:00</ExpiryDate>",
            policy="<UserId>UID=jsmith,DC=example</UserId><Policy><StartDate>2026-02-01T00:00:00Z</StartDate>"
            "<ExpiryDate>2031-01-01T00:00:00Z</ExpiryDate></Policy>",
        )
    )
    assert seed(file) == Seed(
        line=3,
        serial="S1",
        kind="hotp",
        secret=SEED,
        digits=8,
        algorithm="sha256",
        moving_factor=42,
        valid_from=1_769_904_000.0,
        valid_until=1_893_452_400.0,
        user="UID=jsmith,DC=example",
        label="Box 7",
        model="oath.FT c200",
    )


def test_the_serial_is_the_key_s_id_where_there_is_no_other() -> None:
    """A key without a device's serial is known by its Id."""
    assert seed(container(package(serial=""))).serial == "K1"


def test_a_token_by_time_has_used_all_codes_up_to_now() -> None:
    """Whoever used it before may have used the code of this minute, and of a clock that runs ahead the next ones."""
    drift, step = 3, 60
    token = seed(container(totp(number("Time", 0) + number("TimeInterval", step) + number("TimeDrift", drift))))
    assert (token.kind, token.step, token.drift) == ("totp", step, drift)
    assert token.moving_factor == step_at(NOW, step) + drift + STEPS_AHEAD


def test_the_time_that_a_file_says_can_only_raise_what_is_used() -> None:
    """A last step ahead of ours, still within reach, is the one from which codes count."""
    ahead = step_at(NOW, 30) + STEPS_AHEAD
    assert seed(container(totp(number("Time", ahead)))).moving_factor == ahead
    assert seed(container(totp(number("Time", 5)))).moving_factor == ahead


def test_a_step_is_thirty_seconds_where_nobody_says_so() -> None:
    """Gemalto's files leave it out; the administrator may say another one, but not against the file."""
    assert seed(container(totp())).step == 30
    assert seed(container(totp()), step=60).step == 60
    assert seed(container(totp(number("TimeInterval", 30))), step=60).step == 30


def test_what_the_file_does_not_say_may_be_said_beside_it() -> None:
    """Kind, digits and hash: of the administrator where the file is silent, and only there."""
    silent = container(package(attributes='Id="1"', parameters=""))
    token = seed(silent, kind="totp", digits=8, algorithm="sha512")
    assert (token.kind, token.digits, token.algorithm) == ("totp", 8, "sha512")
    spoken = container(package(parameters=f"<Suite>HMAC-SHA1</Suite>{DIGITS}"))
    token = seed(spoken, kind="totp", digits=8, algorithm="sha512")
    assert (token.kind, token.digits, token.algorithm) == ("hotp", 6, "sha1")


def test_a_seed_may_be_broken_over_lines() -> None:
    """Base64 with spaces and line breaks is the same seed."""
    text = base64_of(SEED)
    assert seed(container(package(f"<PlainValue>\n  {text[:9]}\n\t{text[9:]}\n</PlainValue>"))).secret == SEED


def test_names_are_one_printable_line() -> None:
    """What a file calls a token can forge no line of a report."""
    file = container(package(key=f"<FriendlyName>a&#x85;b&#x2028;c&#x202e;{'d' * 200}</FriendlyName>"))
    label = seed(file).label
    assert label.startswith("a b c")
    assert label.isprintable()
    assert len(label) == 80
