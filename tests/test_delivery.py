"""What a checkout promises before any of our code runs: set-up, pins, service files, device catalogue.

It never reaches a registry and never installs anything: programs that would are replaced by scripts that write down how
they were called. No RFC speaks here; the judges are systemd's own tools and the packaging library.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from packaging.requirements import Requirement
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

ROOT = Path(__file__).resolve().parents[1]
UNIT = ROOT / "systemd" / "radiusd2fa.service"
STATION = ROOT / "systemd" / "radiusd2fa-station@.service"
SOCKET = ROOT / "systemd" / "radiusd2fa.socket"
MAX_EXPOSURE = 15
"""Tenths: what `systemd-analyze security` may say of the unit."""


def run(
    *command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command, cwd=cwd, env=env, input=typed, capture_output=True, text=True, timeout=60, check=False
    )


# --- pins ------------------------------------------------------------------------------------------------------------

PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[0-9][0-9a-z.]*)(?: ; (?P<marker>[^\\]+?))?(?: --hash=sha256:[0-9a-f]{64})+"
)


def pins_of(text: str) -> dict[str, str]:
    """Return name and version of each pin; AssertionError for a line that is more or less than version and hashes."""
    lines = [line for line in text.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
    found = {}
    for line in lines:
        pin = PIN.fullmatch(re.sub(" +", " ", line))
        assert pin, f"not a version with hashes: {line[:80]}"
        assert pin["name"] not in found
        found[pin["name"]] = pin["version"]
    return found


def pins(name: str) -> dict[str, str]:
    """Return the pins in a file of the checkout."""
    return pins_of((ROOT / name).read_text())


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-dev.txt", "constraints-nfc.txt"])
def test_each_pin_has_a_hash_and_no_address(name: str) -> None:
    """A constraints file holds versions, markers and hashes, and never says where a file comes from."""
    assert len(pins(name)) > (0 if "nfc" in name else 10)
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize(
    "line",
    [
        "pyrad==2.6.0",
        "pyrad>=2.6.0 --hash=sha256:" + "0" * 64,
        "pyrad==2.6.0 --hash=sha256:0000",
        "pyrad @ file:///tmp/pyrad.whl --hash=sha256:" + "0" * 64,
        "--extra-index-url file:///tmp",
    ],
)
def test_a_loose_pin_is_noticed(line: str) -> None:
    """The reader of the constraints files refuses whatever is not one version with whole hashes."""
    with pytest.raises(AssertionError):
        pins_of(line + "\n")


def test_pins_are_what_the_project_asks_for() -> None:
    """Everything in pyproject.toml is pinned within the range that it names, once, in the right file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    running, developing = pins("constraints.txt"), pins("constraints-dev.txt")
    asked = {
        "constraints.txt": (project["project"]["dependencies"], running),
        "constraints-dev.txt": (project["dependency-groups"]["dev"] + project["build-system"]["requires"], developing),
    }
    for name, (wanted, found) in asked.items():
        for text in wanted:
            requirement = Requirement(text)
            version = found.get(requirement.name.lower().replace("_", "-"))
            assert version, f"{requirement.name} is not in {name}; run: make lock"
            assert version in requirement.specifier, f"{requirement.name} {version} in {name} is not what was asked for"
    assert not running.keys() & developing.keys()


# --- set-up ----------------------------------------------------------------------------------------------------------


SHELL_TOOLS = "bash cat chmod cp dirname env grep id make mkdir mktemp rm sed sh tail timeout touch"


class Machine:
    """A copy of the set-up scripts, and a PATH that holds the plain tools of a shell and whatever a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.root, self.path, self.calls = folder / "checkout", folder / "bin", folder / "calls"
        shutil.copytree(ROOT / ".ci", self.root / ".ci")
        for name in ["pyproject.toml", "constraints.txt", "constraints-dev.txt", "Makefile"]:
            shutil.copy(ROOT / name, self.root)
        (self.root / "tests").mkdir()
        shutil.copy(ROOT / "tests" / "packages.txt", self.root / "tests")
        self.path.mkdir()
        for name in SHELL_TOOLS.split():
            tool = shutil.which(name)
            assert tool
            (self.path / name).symlink_to(tool)

    def program(self, name: str, script: str) -> None:
        """Put a shell script on the PATH that first writes down how it was called."""
        file = self.path / name
        file.unlink(missing_ok=True)
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.calls}\n{script}\n')
        file.chmod(0o755)

    def run(self, *command: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the copied checkout with nothing but that PATH."""
        guard = self.root / "policy-rc.d"
        env = {"PATH": str(self.path), "HOME": str(self.root), "POLICY_RC_D": str(guard)}
        return run(*command, cwd=self.root, env=env, typed=typed)

    def called(self) -> str:
        """Return how the programs were called, a line each."""
        return self.calls.read_text() if self.calls.exists() else ""


WORKING_PYTHON = """
case "$*" in
    *"-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    *install*) echo "words of the installer"; test ! -e "$HOME/registry-is-down" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with a Python that can make environments and install into them."""
    machine = Machine(tmp_path)
    machine.program("python3", WORKING_PYTHON)
    return machine


def test_set_up_installs_wheels_with_checked_hashes_only(machine: Machine) -> None:
    """The first `make` makes .venv, installs the pins with hashes from wheels, then the project alone, and is quiet."""
    done = machine.run("make", ".venv/.ready")
    assert done.returncode == 0, done.stderr
    assert "words of the installer" not in done.stdout + done.stderr
    pinned, project = [line for line in machine.called().splitlines() if " install " in line]
    assert "--only-binary :all: --require-hashes -r constraints.txt -r constraints-dev.txt" in pinned
    assert "--no-deps --no-build-isolation --editable ." in project


def test_set_up_is_done_once(machine: Machine) -> None:
    """A second `make` installs nothing; a changed pin does it again, in the same environment."""
    machine.run("make", ".venv/.ready")
    machine.calls.unlink()
    assert machine.run("make", ".venv/.ready").returncode == 0
    assert machine.called() == ""
    ready = (machine.root / ".venv/.ready").stat().st_mtime
    os.utime(machine.root / "constraints.txt", (ready + 1, ready + 1))
    assert machine.run("make", ".venv/.ready").returncode == 0
    assert " install " in machine.called()
    assert "-m venv" not in machine.called()


def test_a_failed_installation_says_why(machine: Machine) -> None:
    """When the installer fails its own words are shown, `make` fails, and the next `make` tries again."""
    (machine.root / "registry-is-down").touch()
    failed = machine.run("make", ".venv/.ready")
    assert failed.returncode != 0
    assert "words of the installer" in failed.stderr
    (machine.root / "registry-is-down").unlink()
    assert machine.run("make", ".venv/.ready").returncode == 0


def test_an_interrupted_installation_is_begun_anew(machine: Machine) -> None:
    """What a killed installation left behind is thrown away, whatever state it was in."""
    machine.run("make", ".venv/.ready")
    (machine.root / ".venv/.ready").unlink()
    (machine.root / ".venv/.unfinished").touch()
    (machine.root / ".venv/half-a-package").touch()
    assert machine.run("make", ".venv/.ready").returncode == 0
    assert not (machine.root / ".venv/half-a-package").exists()
    assert not (machine.root / ".venv/.unfinished").exists()


def test_without_a_python_the_error_is_one_line(machine: Machine) -> None:
    """A machine with only an old Python gets one line that says what is missing."""
    machine.program("python3", "exit 1")
    done = machine.run(".ci/venv")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Python 3.11" in done.stderr


def test_without_any_way_to_an_environment_the_package_is_named(machine: Machine) -> None:
    """Where Debian's python3-venv and every substitute are missing, one line names it and nothing is left behind."""
    machine.program("python3", 'case "$*" in *version_info*|--version) ;; *) exit 1 ;; esac')
    done = machine.run(".ci/venv")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "python3-venv" in done.stderr
    assert not (machine.root / ".venv").exists()


@pytest.mark.parametrize(
    ("missing", "substitute"),
    [
        ('*"venv, ensurepip"*', "python3 -m virtualenv --quiet .venv"),
        ('*"venv, ensurepip"* | "-m virtualenv"*', "python3 -m venv --without-pip .venv"),
    ],
)
def test_without_ensurepip_another_way_is_taken(machine: Machine, missing: str, substitute: str) -> None:
    """Without python3-venv the environment is made by virtualenv, or filled by the pip of the system."""
    made = '*" .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;'
    machine.program("python3", f'case "$*" in {missing}) exit 1 ;; {made} esac')
    done = machine.run(".ci/venv")
    assert done.returncode == 0, done.stderr
    assert substitute in machine.called()
    assert "--require-hashes" in machine.called()


def test_present_packages_are_not_installed_again(machine: Machine) -> None:
    """When every package is there, the package manager is not even asked for news."""
    machine.program("dpkg-query", "echo 'install ok installed'")
    machine.program("apt-get", "")
    done = machine.run(".ci/packages")
    assert (done.returncode, done.stdout) == (0, "")
    assert "apt-get" not in machine.called()


def test_missing_packages_are_named_to_those_who_may_not_install(machine: Machine) -> None:
    """Without root nothing is installed, nothing fails, and one line says what is missing."""
    machine.program("dpkg-query", "exit 1")
    machine.program("apt-get", "")
    machine.program("id", "echo 1000")
    done = machine.run(".ci/packages")
    assert done.returncode == 0
    assert "apt-get install freeradius-utils" in done.stdout
    assert "apt-get" not in machine.called()


def test_installing_starts_no_service_and_never_stops_the_tests(machine: Machine) -> None:
    """While packages are installed a guard forbids every service to start; a failure is told, and is no failure."""
    machine.program("dpkg-query", "exit 1")
    machine.program("id", "echo 0")
    machine.program("apt-get", f'"$POLICY_RC_D" rsyslog start; echo "guard: $?" >>{machine.calls}; exit 100')
    done = machine.run(".ci/packages")
    assert done.returncode == 0, done.stderr
    assert "not installed: pamtester" in done.stdout
    assert set(re.findall("guard: .*", machine.called())) == {"guard: 101"}
    assert not (machine.root / "policy-rc.d").exists()


def test_each_package_says_what_it_is_for() -> None:
    """Each line of the package list names one package and what needs it."""
    lines = [
        line for line in (ROOT / "tests/packages.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]+ +# .{20,}", line), line


def test_the_list_of_commands_is_what_make_says_first() -> None:
    """`make` alone changes nothing and lists the commands."""
    done = run("make", "--no-print-directory", "-C", ROOT, env={**os.environ, "MAKEFLAGS": ""})
    assert done.returncode == 0
    assert re.findall(r"^  make ([a-z]+) ", done.stdout, re.MULTILINE) == [
        "help", "demo", "test", "check", "bench", "soak", "wheel", "lock", "clean",
    ]  # fmt: skip


def test_continuous_integration_runs_check_and_test(machine: Machine) -> None:
    """.ci/run checks, then tests, waits for nobody, and fails when they do."""
    machine.program("make", 'cat; echo "$CI"; echo "3 passed"; exit 7')
    done = machine.run(".ci/run", typed="never read")
    assert machine.called() == "make --no-print-directory check test\n"
    assert (done.returncode, done.stdout) == (7, "true\n3 passed\n")


# --- the service -----------------------------------------------------------------------------------------------------


def tool_of_systemd(name: str) -> str:
    """Return the path of one of systemd's tools, or skip the test."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing; the Debian package systemd has it")
    return path


def exposure_is_small(unit: Path) -> bool:
    """Whether systemd finds the unit's sandbox tight enough."""
    tool = tool_of_systemd("systemd-analyze")
    return run(tool, "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager", unit).returncode == 0


def test_the_sandbox_is_tight(tmp_path: Path) -> None:
    """`systemd-analyze security` says 1.5 or less, and would not without the system call filter."""
    station = tmp_path / "radiusd2fa-station@lobby.service"  # systemd judges instances only
    shutil.copy(STATION, station)
    assert exposure_is_small(station)
    assert exposure_is_small(UNIT)
    loose = tmp_path / UNIT.name
    loose.write_text(re.sub("(?m)^SystemCallFilter=.*\n", "", UNIT.read_text()))
    assert not exposure_is_small(loose)


def complaints(tmp_path: Path, unit: str, name: str = UNIT.name) -> str:
    """Return what `systemd-analyze verify` says of a unit in a machine that has the program and the usual targets."""
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for target in ["basic", "multi-user", "network-online", "shutdown", "sockets", "sysinit", "time-sync"]:
        (units / f"{target}.target").write_text("[Unit]\nDescription=empty\n")
    for program in (tmp_path / "opt/radiusd2fa/bin/radiusd2fa", tmp_path / "bin/kill"):
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    (units / UNIT.name).write_text(UNIT.read_text())  # a socket's is looked at too
    (units / name).write_text(unit)
    done = run(tool_of_systemd("systemd-analyze"), "verify", "--man=no", f"--root={tmp_path}", name)
    return done.stdout + done.stderr


def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about the units."""
    assert complaints(tmp_path / "daemon", UNIT.read_text()) == ""
    assert complaints(tmp_path / "station", STATION.read_text(), "radiusd2fa-station@lobby.service") == ""
    assert complaints(tmp_path / "socket", SOCKET.read_text(), SOCKET.name) == ""


def test_the_socket_unit_binds_what_the_shipped_configuration_names() -> None:
    """Its addresses are those of `listen.udp`, in the same order and spelling."""
    lines = (ROOT / "config/radiusd2fa.yaml").read_text().splitlines()
    listen = next(line for line in lines if line.startswith("  udp:"))
    bound = re.findall("(?m)^ListenDatagram=(.*)$", SOCKET.read_text())
    assert bound == re.findall('"([^"]+)"', listen.partition("#")[0])


def test_a_misspelt_line_would_be_noticed(tmp_path: Path) -> None:
    """The test above hears of a setting that systemd would silently leave out."""
    assert "Unknown key" in complaints(tmp_path, UNIT.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))


def test_only_the_service_can_read_its_secrets(tmp_path: Path) -> None:
    """sysusers and tmpfiles make the user and hand each file to its owner, closed to everybody else."""
    sysusers, tmpfiles = tool_of_systemd("systemd-sysusers"), tool_of_systemd("systemd-tmpfiles")
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    configuration, state = tmp_path / "etc/radiusd2fa", tmp_path / "var/lib/radiusd2fa"
    for file in [configuration / "vault.key", configuration / "radiusd2fa.yaml", configuration / "vpn.secret"]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o644)
    assert run(sysusers, f"--root={tmp_path}", ROOT / "systemd/radiusd2fa.sysusers.conf").returncode == 0
    made = run(tmpfiles, "--create", f"--root={tmp_path}", ROOT / "systemd/radiusd2fa.tmpfiles.conf")
    assert made.returncode == 0, made.stderr
    name, _, uid, gid, *_, shell = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert (name, Path(shell).name) == ("radiusd2fa", "nologin")
    assert f"User={name}\n" in UNIT.read_text()
    found = {}
    for path in [configuration, *configuration.iterdir(), state]:
        status = path.stat()
        found[str(path.relative_to(tmp_path))] = (status.st_uid, status.st_gid, oct(stat.S_IMODE(status.st_mode)))
    service = (int(uid), int(gid))
    assert found == {
        "etc/radiusd2fa": (0, int(gid), "0o750"),
        "etc/radiusd2fa/vault.key": (0, 0, "0o600"),
        "etc/radiusd2fa/radiusd2fa.yaml": (*service, "0o600"),
        "etc/radiusd2fa/vpn.secret": (*service, "0o600"),
        "var/lib/radiusd2fa": (*service, "0o700"),
    }


# --- the catalogue of devices ----------------------------------------------------------------------------------------

Algorithm = Literal["sha1", "sha256", "sha512"]
Text = Annotated[str, Field(min_length=3)]


class Device(BaseModel):
    """One entry of hardware/devices.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Text
    maker: Text
    kinds: Annotated[list[Literal["hotp", "totp"]], Field(min_length=1)]
    digits: Annotated[list[Annotated[int, Field(ge=6, le=8)]], Field(min_length=1)] | None = None
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] | None = None
    steps: Annotated[list[Annotated[int, Field(ge=15, le=120)]], Field(min_length=1)] | None = None
    seed: Literal["pskc", "file", "program", "otpauth"]
    seed_bits: Annotated[int, Field(ge=80, le=512, multiple_of=8)] | None = None
    battery_years: Annotated[int, Field(ge=1, le=20)] | None = None
    source: Annotated[list[Text], Field(min_length=1)]
    tested: bool
    note: Text

    @model_validator(mode="after")
    def steps_belong_to_clocks(self) -> Device:
        """Refuse a step for a device that has only a counter."""
        if self.steps and "totp" not in self.kinds:
            raise ValueError("steps: a device without a clock has none")
        return self


CATALOGUE = TypeAdapter(dict[Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")], Device])


def test_the_catalogue_keeps_to_its_own_rules() -> None:
    """Each device has known kinds, 6 to 8 digits, steps of 15 to 120 seconds, known algorithms, and a source."""
    loaded = yaml.safe_load((ROOT / "hardware/devices.yaml").read_text())
    assert list(loaded) == ["devices"]
    devices = CATALOGUE.validate_python(loaded["devices"])
    for device in devices.values():
        for source in device.source:
            assert source.startswith("https://") or (ROOT / source).is_file(), source


GOOD = {
    "name": "Fob",
    "maker": "Fobs",
    "kinds": ["totp"],
    "seed": "pskc",
    "source": ["a page"],
    "tested": False,
    "note": "None.",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"digits": [4]},
        {"digits": ["6"]},
        {"steps": [10]},
        {"steps": [180]},
        {"kinds": ["hotp"], "steps": [30]},
        {"kinds": []},
        {"algorithms": ["md5"]},
        {"seed": "paper"},
        {"seed_bits": 64},
        {"source": []},
        {"colour": "grey"},
    ],
)
def test_the_catalogue_refuses_what_the_daemon_could_not_serve(wrong: dict[str, object]) -> None:
    """An entry with one value out of bounds is refused, and without it is not."""
    CATALOGUE.validate_python({"fob": GOOD})
    with pytest.raises(ValidationError):
        CATALOGUE.validate_python({"fob": {**GOOD, **wrong}})
