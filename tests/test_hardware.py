"""The catalogue of security keys and readers, and the files that give a service its rights to them.

The rules are judged by the programs that read them: udevadm with systemd's own fido_id, polkitd, systemd-analyze. Each
runs in a mount namespace over made-up devices and users, so that nothing of this machine is read or changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from radiusd2fa import hardware
from radiusd2fa.emulators.softkey import AAGUID
from radiusd2fa.settings.yaml_lines import read_yaml

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "hardware"
UDEV_RULES = FILES / "70-radiusd2fa-security-keys.rules"
POLKIT_RULES = FILES / "50-radiusd2fa-pcsc.rules"
SERVICE = 4711
"""Number of the service's user and group inside the namespaces."""


# --- the catalogue: what is refused ----------------------------------------------------------------------------------

KEYS = """
sources: {a: "https://example.org/a"}
keys:
  one: {name: One, maker: M, aaguids: [2fc0579f-8113-47ea-b116-bb5a8db9202a], source: [a], tested: false}
  two: {name: Two, maker: M, aaguids: [ee882879-721c-4913-9775-3dfcce97072a], source: [a], tested: true}
"""
READERS = """
sources: {a: "https://example.org/a"}
troubles:
  busy: {sign: It is busy, remedy: Wait, source: [a]}
readers:
  one: {name: One, maker: M, usb: "072f:2200", pcsc_name: ACS A, troubles: [busy], source: [a], tested: false}
  two: {name: Two, maker: M, pcsc_name: ACS A Two, apdu: short, message_octets: 271, source: [a], tested: false}
"""

WRONG_KEYS = [
    ("ee882879-721c-4913-9775-3dfcce97072a", "2fc0579f-8113-47ea-b116-bb5a8db9202a", "two: .* belongs to one already"),
    ("2fc0579f-", "2FC0579F-", "small letters"),
    ("2fc0579f-8113-47ea-b116-bb5a8db9202a", "2fc0579f", "is not a UUID"),
    ("2fc0579f-8113-47ea-b116-bb5a8db9202a", "2fc0579f811347eab116bb5a8db9202a", "small letters"),
    ("2fc0579f-8113-47ea-b116-bb5a8db9202a", "00000000-0000-0000-0000-000000000000", "not zero"),
    ("[2fc0579f-8113-47ea-b116-bb5a8db9202a]", "[]", "aaguids: must be a list"),
    ("[2fc0579f-8113-47ea-b116-bb5a8db9202a]", "2fc0579f-8113-47ea-b116-bb5a8db9202a", "aaguids: must be a list"),
    ("name: One, ", "", "one: name: is missing"),
    ("name: One", "name: ''", "one: name: must be a text"),
    ("name: One", "name: [One]", "one: name: must be a text"),
    ("name: One", "name: One, colour: grey", "one: colour: is not a key"),
    ("name: One", "name: One, transports: [usb, smoke]", "one: transports: smoke is unknown"),
    ("name: One", "name: One, transports: [usb, usb]", "none of them twice"),
    ("name: One", "name: One, fingerprint: perhaps", "one: fingerprint: must be true or false"),
    ("tested: false", "tested: no", "one: tested: must be true or false"),
    (", tested: false", "", "one: tested: is missing"),
    ("source: [a]", "source: [b]", "one: source: b is not in the list"),
    ("source: [a], tested: false", "tested: false", "one: source: is missing"),
    ("keys:", "fobs:", "fobs: is not a key"),
    ("  one: {name", "  one: [{name", "install the package again"),
]
WRONG_READERS = [
    ("072f:2200", "072F:2200", "one: usb: must be vendor and product"),
    ("072f:2200", "072f2200", "one: usb: must be vendor and product"),
    ("troubles: [busy]", "troubles: [idle]", "one: troubles: idle is unknown"),
    ("apdu: short", "apdu: long", "two: apdu: must be short or extended"),
    ("message_octets: 271", "message_octets: many", "two: message_octets: must be a number"),
    ("name: Two", "name: Two, shape: round", "two: shape: is not a key"),
    ("remedy: Wait, ", "", "busy: remedy: is missing"),
    ("pcsc_name: ACS A Two", "pcsc_name: ACS A Two, fido: maybe", "two: fido: must be true or false"),
]


@pytest.mark.parametrize(
    ("read", "text", "right", "wrong", "why"),
    [(hardware.read_keys, KEYS, *row) for row in WRONG_KEYS]
    + [(hardware.read_readers, READERS, *row) for row in WRONG_READERS],
)
def test_a_wrong_entry_is_refused_by_name(
    tmp_path: Path, read: Callable[[Path], object], text: str, right: str, wrong: str, why: str
) -> None:
    """An entry with one thing wrong is refused with file, entry and key, and without it is not."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(text)
    read(path)
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(hardware.CatalogueError, match=why) as refused:
        read(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """Without the file the error says where it was looked for, and to install again."""
    with pytest.raises(hardware.CatalogueError, match=r"nothing\.yaml.*install the package again"):
        hardware.read_keys(tmp_path / "nothing.yaml")


# --- the catalogue: what is in it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["keys.yaml", "readers.yaml"])
def test_the_files_say_nothing_twice(name: str) -> None:
    """No key of a catalogue is written twice, and nothing in it is YAML that could surprise."""
    document = read_yaml((FILES / name).read_text())
    assert document.root is not None
    assert document.flaws == []


def test_each_fact_has_a_source_that_exists() -> None:
    """A source is an address or a file of this project, and no source is listed that nobody names."""
    models = {model.ident: model for model in hardware.key_models().values()}
    named = {source for model in models.values() for source in model.source}
    for reader in hardware.readers():
        named |= {*reader.source, *(source for trouble in reader.troubles for source in trouble.source)}
    for source in named:
        assert source.startswith("https://") or (ROOT / source).is_file(), source
    for name in ["keys.yaml", "readers.yaml"]:
        for address in re.findall(r'^  [a-z0-9.-]+: "(https://.*)"$', (FILES / name).read_text(), re.MULTILINE):
            assert address in named, address


def test_the_makers_that_people_buy_from_are_there() -> None:
    """Keys of the well-known makers can be told by name."""
    makers = {model.maker for model in hardware.key_models().values()}
    assert makers >= {"Yubico", "Nitrokey", "SoloKeys", "Token2", "Feitian", "Google", "Thales (SafeNet)"}
    assert makers >= {"Swissbit", "Kensington", "HID", "Identiv", "OneSpan", "ACS"}


def test_only_what_was_tried_is_called_tested() -> None:
    """Nothing of plastic is called tested."""
    assert {model.ident for model in hardware.key_models().values() if model.tested} == {"radiusd2fa-key"}
    assert {reader.ident for reader in hardware.readers() if reader.tested} == {"vpcd"}


def test_each_remedy_is_in_the_readme() -> None:
    """What the program would advise for a reader stands in README.md word for word, and each trouble has a reader."""
    readme = (FILES / "README.md").read_text()
    troubles = {trouble.ident: trouble for reader in hardware.readers() for trouble in reader.troubles}
    assert set(troubles) == {"kernel-nfc", "whole-256", "two-slots", "keyboard-mode"}
    for trouble in troubles.values():
        assert trouble.remedy in readme, trouble.ident


@pytest.mark.parametrize("text", ["00000000-0000-0000-0000-000000000000", "01020304-0506-0708-0102-030405060708"])
def test_a_key_without_a_known_model_has_no_name(text: str) -> None:
    """Zeros, which U2F-only keys have, and an unknown AAGUID give no model."""
    assert hardware.key_model(UUID(text)) is None


@pytest.mark.parametrize(
    ("text", "name", "transports"),
    [
        ("2fc0579f-8113-47ea-b116-bb5a8db9202a", "YubiKey 5 Series with NFC", ("usb", "nfc")),
        ("ec99db19-cd1f-4c06-a2a9-940f17a6a30b", "Nitrokey 3", ()),
        ("b113a455-cfb6-4c17-8cba-cd952feb7d48", "eToken FIDO NFC", ("nfc",)),
    ],
)
def test_a_model_is_found_by_its_aaguid(text: str, name: str, transports: tuple[str, ...]) -> None:
    """An AAGUID gives the model's name and how it speaks; where no source tells how, nothing."""
    model = hardware.key_model(UUID(text))
    assert model is not None
    assert (model.name, model.transports) == (name, transports)


def test_the_soft_key_says_that_it_is_none() -> None:
    """The AAGUID of the emulated key is in the catalogue, with the warning that it is no second factor."""
    model = hardware.key_model(UUID(bytes=AAGUID))
    assert model is not None
    assert model.name == "Soft key"
    assert "not a second factor" in model.note


@pytest.mark.parametrize("name", ["", "ACS", "Yubico YubiKey OTP+FIDO+CCID 00 00", "my ACS ACR122U PICC Interface"])
def test_an_unknown_reader_is_nobody(name: str) -> None:
    """A name that no known reader's name begins with gives no reader."""
    assert hardware.reader_named(name) is None


def test_a_reader_is_found_by_what_pcscd_calls_it() -> None:
    """The slot number and what else follows the name do not matter."""
    reader = hardware.reader_named("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 01 00")
    assert reader is not None
    assert [reader.name, *(trouble.ident for trouble in reader.troubles)] == ["ACR1252U", "two-slots"]


def test_the_longest_name_is_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one reader's name begins another's, the more exact one is meant, whatever their order."""
    path = tmp_path / "readers.yaml"
    path.write_text(READERS)
    found = hardware.read_readers(path)
    for order in (found, found[::-1]):
        monkeypatch.setattr(hardware, "readers", lambda order=order: order)
        assert [getattr(hardware.reader_named(name), "name", None) for name in ["ACS A 00 00", "ACS A Two 00 00"]] == [
            "One",
            "Two",
        ]


def test_a_reader_that_pcscd_does_not_list_is_found_by_its_usb_numbers() -> None:
    """The numbers of a seized ACR122U lead to the kernel's module; those of a mouse lead nowhere."""
    reader = hardware.reader_at(0x072F, 0x2200)
    assert reader is not None
    assert "modprobe -r pn533_usb" in reader.troubles[0].remedy
    assert hardware.reader_at(0x046D, 0xC077) is None


def test_a_missing_catalogue_is_said_with_its_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without its data says where it has looked, and what to do."""
    monkeypatch.setattr(hardware, "places", lambda name: [tmp_path / name])
    with pytest.raises(hardware.CatalogueError, match=f"none of {tmp_path}/hardware; install the package again"):
        hardware.folder.__wrapped__()


# --- the judges ------------------------------------------------------------------------------------------------------


def in_a_namespace(folder: Path, script: str, *needed: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root with mounts and processes of its own; skip the test where that is not to be had."""
    for program in ("unshare", *needed):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/polkit-1") is None:
            pytest.skip(f"{program} is missing; it is in the Debian packages util-linux, udev, polkitd and dbus-daemon")
    if os.geteuid() != 0:
        pytest.skip("only root may make the namespace")
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*own, "true"], capture_output=True, timeout=20, check=False).returncode != 0:
        pytest.skip("this machine lets root make no namespace")
    (folder / "script").write_text(f"set -eu\nmount --make-rprivate /\ncd {folder}\n{script}")
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "SYSTEMD_DEVICE_VERIFY_SYSFS": "0"}
    return subprocess.run(
        [*own, "sh", folder / "script"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


# --- udev ------------------------------------------------------------------------------------------------------------

FIDO = bytes.fromhex("06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0")
"""The report descriptor of CTAP 2.1, 11.2.8.2: usage page 0xF1D0, usage 1."""
KEYBOARD = bytes.fromhex("05010906a101050719e029e715002501750195088102c0")

UDEV_SCRIPT = """
interface=/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0
hid=$interface/{hid}
node=$hid/hidraw/hidraw7
mount -t tmpfs none /run
mount -t tmpfs none /sys
mkdir -p $node /sys/class/{subsystem} /sys/bus/usb /sys/bus/hid /sys/dev/char /run/udev
echo DEVTYPE=usb_device > $interface/../uevent
echo DEVTYPE=usb_interface > $interface/uevent
echo 03 > $interface/bInterfaceClass
echo {protocol} > $interface/bInterfaceProtocol
echo HID_NAME=made-up > $hid/uevent
cp descriptor $hid/report_descriptor
printf 'MAJOR=241\\nMINOR=7\\nDEVNAME=hidraw7\\n' > $node/uevent
ln -s /sys/bus/usb $interface/../subsystem
ln -s /sys/bus/usb $interface/subsystem
ln -s /sys/bus/hid $hid/subsystem
ln -s /sys/class/{subsystem} $node/subsystem
ln -s $node /sys/class/{subsystem}/hidraw7
ln -s $node /sys/dev/char/241:7
mount --bind group /etc/group
mount -t tmpfs none /etc/udev
mkdir /etc/udev/rules.d
cp *.rules /etc/udev/rules.d/
if [ {fido_id} = yes ]; then
    # udevadm test starts it without the number of an event, which it insists on; with a path it asks for none.
    cp /usr/lib/udev/fido_id real_fido_id
    mount --bind wrapper /usr/lib/udev/fido_id
else
    mount -t tmpfs none /usr/lib/udev
    [ /lib/udev -ef /usr/lib/udev ] || mount -t tmpfs none /lib/udev
fi
mount -t tmpfs none /dev
mknod -m 666 /dev/null c 1 3
mknod -m 600 /dev/hidraw7 c 241 7
udevadm test $node
stat -c 'NODE %g %a' /dev/hidraw7
"""


@dataclass(frozen=True)
class Node:
    """What udev has made of a device node."""

    group: int
    mode: str
    for_the_person: bool


SHUT = Node(0, "600", for_the_person=False)
OPEN = Node(SERVICE, "660", for_the_person=True)


def plug_in(
    folder: Path,
    hid: str,
    descriptor: bytes,
    *,
    protocol: str = "00",
    fido_id: bool = True,
    subsystem: str = "hidraw",
    also: str = "",
) -> Node:
    """Let the real udev see a device, and say who may open it then."""
    if fido_id and not Path("/usr/lib/udev/fido_id").exists():
        pytest.skip("fido_id is missing; the Debian package udev has it")
    shutil.copy(UDEV_RULES, folder)
    if also:
        (folder / "72-station-only.rules").write_text(also + "\n")
    (folder / "descriptor").write_bytes(descriptor)
    (folder / "group").write_text(Path("/etc/group").read_text() + f"radiusd2fa:x:{SERVICE}:\n")
    wrapper = folder / "wrapper"
    wrapper.write_text(f'#!/bin/sh\nSYSTEMD_DEVICE_VERIFY_SYSFS=0 exec {folder}/real_fido_id "/sys$DEVPATH"\n')
    wrapper.chmod(0o755)
    words = {"hid": hid, "protocol": protocol, "fido_id": "yes" if fido_id else "no", "subsystem": subsystem}
    script = UDEV_SCRIPT.format(**words)
    done = in_a_namespace(folder, script, "udevadm")
    assert done.returncode == 0, done.stderr[-2000:]
    ours = [line for line in done.stderr.splitlines() if re.match(r"/\S*radiusd2fa\S*:\d+ ", line)]
    assert ours == [], "udev complains of a line"
    group, mode = re.findall(r"^NODE (\d+) (\d+)$", done.stdout, re.MULTILINE)[0]
    tags = "".join(re.findall(r"^CURRENT_TAGS=(.*)$", done.stdout, re.MULTILINE))
    return Node(int(group), mode, ":uaccess:" in tags)


@pytest.mark.parametrize(
    ("hid", "descriptor", "protocol", "fido_id"),
    [
        pytest.param("0003:046D:C31C.0001", KEYBOARD, "01", True, id="keyboard"),
        pytest.param("0003:1050:0407.0001", KEYBOARD, "01", True, id="keyboard-of-a-yubikey"),
        pytest.param("0003:1050:0407.0001", b"", "00", True, id="no-descriptor"),
        pytest.param("0003:1050:0407.0001", KEYBOARD, "01", False, id="keyboard-of-a-yubikey-old-udev"),
        pytest.param("0003:1050:0405.0001", FIDO, "00", False, id="yubikey-without-fido-old-udev"),
        pytest.param("0003:AAAA:BBBB.0001", FIDO, "00", False, id="unknown-maker-old-udev"),
        pytest.param("0005:1050:0407.0001", FIDO, "00", False, id="not-usb-old-udev"),
    ],
)
def test_what_is_no_security_key_stays_shut(
    tmp_path: Path, hid: str, descriptor: bytes, protocol: str, *, fido_id: bool
) -> None:
    """A keyboard, also the one in a key, and with an old udev a product that is not listed: root's alone."""
    assert plug_in(tmp_path, hid, descriptor, protocol=protocol, fido_id=fido_id) == SHUT


def test_what_a_key_types_stays_shut(tmp_path: Path) -> None:
    """Of a listed key on an old udev only the hidraw node is opened, no other device that hangs on the interface."""
    assert plug_in(tmp_path, "0003:1050:0407.0001", FIDO, fido_id=False, subsystem="input") == SHUT


@pytest.mark.parametrize("hid", ["0003:1050:0407.0001", "0003:AAAA:BBBB.0001"])
def test_a_security_key_is_the_services_and_the_persons(tmp_path: Path, hid: str) -> None:
    """The FIDO interface of anybody's key is open to the service's group and to the person at the screen."""
    assert plug_in(tmp_path, hid, FIDO) == OPEN


@pytest.mark.parametrize(
    "hid",
    [
        *("1050:0113", "1050:0116", "1050:0120", "1050:0402", "1050:0407", "1050:0410"),
        *("18D1:5026", "096E:0858", "096E:085B", "20A0:42B2", "0483:A2CA", "32A3:3201"),
    ],
)
def test_an_old_udev_knows_the_listed_keys(tmp_path: Path, hid: str) -> None:
    """Without fido_id the listed products are opened all the same."""
    assert plug_in(tmp_path, f"0003:{hid}.0001", FIDO, fido_id=False) == OPEN


def test_a_station_can_keep_its_key_to_itself(tmp_path: Path) -> None:
    """The line in README.md takes the key from the person at the screen, and leaves it to the service."""
    line = 'SUBSYSTEM=="hidraw", ENV{ID_FIDO_TOKEN}=="1", TAG-="uaccess"'
    assert line in (FILES / "README.md").read_text()
    assert plug_in(tmp_path, "0003:1050:0407.0001", FIDO, also=line) == Node(SERVICE, "660", for_the_person=False)


# --- polkit ----------------------------------------------------------------------------------------------------------

ACTIONS = ["org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card", "org.example.other"]
POLICY = (
    '<?xml version="1.0"?><!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN" '
    '"http://www.freedesktop.org/standards/PolicyKit/1.0/policyconfig.dtd"><policyconfig>'
    + "".join(
        f'<action id="{action}"><description>x</description><message>x</message><defaults><allow_any>no</allow_any>'
        "<allow_inactive>no</allow_inactive><allow_active>yes</allow_active></defaults></action>"
        for action in ACTIONS
    )
    + "</policyconfig>"
)
POLKIT_SCRIPT = """
mount -t tmpfs none /run
mkdir /run/dbus
mount -t tmpfs -o mode=755 none /etc/polkit-1
mkdir -m 755 /etc/polkit-1/rules.d
mount -t tmpfs -o mode=755 none /usr/share/polkit-1/rules.d
mount -t tmpfs -o mode=755 none /usr/share/polkit-1/actions
cp actions.policy /usr/share/polkit-1/actions/
install -m 644 rules /etc/polkit-1/rules.d/50-radiusd2fa-pcsc.rules
mount --bind passwd /etc/passwd
dbus-daemon --system --fork --nopidfile
mkfifo -m 666 /run/ready
for user in 4711 65534; do
    setpriv --reuid $user --clear-groups sh -c 'echo > /run/ready; exec sleep 20' &
    read -r line < /run/ready
    for action in {actions}; do
        code=0
        pkcheck --action-id $action --process $! || code=$?
        echo ANSWER $user $action $code
    done
done
"""


def polkit_lets_in(folder: Path, rules: str) -> set[tuple[int, str]]:
    """Ask the real polkitd which of two users may do what, where nothing but these rules speaks for either."""
    (folder / "rules").write_text(rules)
    (folder / "actions.policy").write_text(POLICY)
    (folder / "passwd").write_text(
        Path("/etc/passwd").read_text() + f"radiusd2fa:x:{SERVICE}:{SERVICE}::/:/bin/false\n"
    )
    folder.chmod(0o755)
    done = in_a_namespace(
        folder, POLKIT_SCRIPT.format(actions=" ".join(ACTIONS)), "polkitd", "pkcheck", "dbus-daemon", "setpriv"
    )
    answers = re.findall(r"^ANSWER (\d+) (\S+) (\d+)$", done.stdout, re.MULTILINE)
    assert len(answers) == 2 * len(ACTIONS), done.stderr[-2000:]
    assert {code for _, _, code in answers} <= {"0", "1"}, done.stderr[-2000:]
    return {(int(user), action) for user, action, code in answers if code == "0"}


def test_nobody_reaches_pcscd_without_the_rule(tmp_path: Path) -> None:
    """With pcsc-lite's own default, a service is refused: the rule is needed, and a broken one would be noticed."""
    assert polkit_lets_in(tmp_path, "polkit.addRule(function (") == set()


def test_the_service_alone_reaches_pcscd_and_cards(tmp_path: Path) -> None:
    """polkitd says yes to the service's user for pcsc-lite's two actions, and to nobody for anything else."""
    assert polkit_lets_in(tmp_path, POLKIT_RULES.read_text()) == {(SERVICE, ACTIONS[0]), (SERVICE, ACTIONS[1])}
