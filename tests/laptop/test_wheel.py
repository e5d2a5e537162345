"""The small wheel: it holds what the laptop needs, nothing of the daemon, and it runs by itself.

It is built and installed as `make` and pip do it, in an environment that has python-fido2 and nothing else of ours.
PEP 427 (wheels), PEP 405 (environments).
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from .laptop import ROOT

PARTS = ROOT / "radiusd2fa" / "laptop"
HEAVY = ("sqlalchemy", "pydantic", "typer", "rich", "structlog", "pyrad", "yaml", "alembic", "argon2")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=PARTS, check=True, capture_output=True, timeout=60)
    (found,) = folder.iterdir()
    return found


def _modules(folder: str) -> list[Path]:
    return list((PARTS.parent / folder).glob("*.py"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment into which the wheel was installed, beside python-fido2 alone."""
    if find_spec("pip") is None:
        pytest.skip("this environment was made without pip")
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", str(wheel)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (site,) = folder.glob("lib/python*/site-packages")
    here = Path(sysconfig.get_paths()["purelib"])
    for name in ("fido2", "cryptography", "cffi", "_cffi_backend"):
        for found in [*here.glob(name), *here.glob(f"{name}.*.so"), *here.glob(f"{name}-*.dist-info")]:
            (site / found.name).symlink_to(found)
    return folder / "bin"


def test_the_wheel_holds_the_laptops_part_and_nothing_else(wheel: Path) -> None:
    """Every module of `laptop` and `keys`, the five pure files below them, and the licence."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("radiusd2fa_key-")}
    modules = {f"radiusd2fa/{folder}/{file.name}" for folder in ("laptop", "keys") for file in _modules(folder)}
    pure = {
        f"radiusd2fa/core/{name}.py" for name in ("__init__", "invitation", "names", "record", "responder", "texts")
    }
    assert names == modules | pure | {"radiusd2fa/__init__.py", "radiusd2fa/py.typed", "radiusd2fa/LICENSE"}


def test_the_wheel_asks_for_what_the_daemon_asks_for() -> None:
    """Version, licence, Python, python-fido2, pyscard and the program's name are those of the large one."""
    small = tomllib.loads((PARTS / "pyproject.toml").read_text())
    large = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert small["tool"]["hatch"]["version"]["path"] == "../__init__.py"
    for name in ("license", "requires-python"):
        assert small["project"][name] == large["project"][name]
    assert small["project"]["optional-dependencies"] == {"nfc": large["project"]["optional-dependencies"]["nfc"]}
    assert small["project"]["dependencies"] == [one for one in large["project"]["dependencies"] if "fido2" in one]
    assert small["build-system"] == large["build-system"]
    assert small["project"]["scripts"] == {"radiusd2fa-key": "radiusd2fa.laptop.responder:main"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["list"], ["setup-ssh"], ["respond", "--help"]])
def test_the_installed_program_runs_by_itself(installed: Path, tmp_path: Path, words: list[str]) -> None:
    """Without the daemon's packages, from an empty home."""
    environment = {"HOME": str(tmp_path), "RADIUSD2FA_KEY_DEVICE": "none"}
    done = subprocess.run(
        [installed / "radiusd2fa-key", *words], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_module_of_the_wheel_can_be_imported_there(installed: Path, wheel: Path) -> None:
    """What the daemon needs is not there, and nothing of it is missed."""
    names = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")]
    modules = [name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in names]
    lines = [f"import {module}" for module in modules]
    lines += ["import importlib.util as find", f"assert not [name for name in {HEAVY!r} if find.find_spec(name)]"]
    done = subprocess.run(
        [installed / "python", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
