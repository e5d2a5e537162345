"""A PAM service of the test's own, and pamtester as the program in front of it.

The service is a file under a name that nobody else has, made and removed here. pamtester(1), pam.conf(5).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

PAMTESTER: Final = shutil.which("pamtester")
SERVICES: Final = Path("/etc/pam.d")
_PATIENCE: Final = 20


def needs_module(name: str, package: str) -> list[pytest.MarkDecorator]:
    """Mark tests that need a PAM module, pamtester, and root to make a service."""
    folders = (Path("/lib/security"), *Path("/lib").glob("*/security"), *Path("/usr/lib").glob("*/security"))
    is_there = any((folder / name).exists() for folder in folders)
    return [
        pytest.mark.skipif(not is_there, reason=f"needs Debian package {package}"),
        pytest.mark.skipif(PAMTESTER is None, reason="needs Debian package pamtester"),
        pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a PAM service is a file in /etc/pam.d"),
    ]


@contextlib.contextmanager
def service(line: str) -> Iterator[str]:
    """Yield the name of a service that asks this one module."""
    name = f"radiusd2fa-test-{os.getpid()}-{secrets.token_hex(4)}"
    file = SERVICES / name
    with file.open("x") as made:
        made.write(f"auth required {line}\n")
    try:
        yield name
    finally:
        file.unlink()


def lets_in(service_name: str, user: str, code: str) -> bool:
    """Log in with that code; pamtester ends with 0 when the module has let the user in."""
    assert PAMTESTER is not None
    command = [PAMTESTER, service_name, user, "authenticate"]
    return subprocess.run(command, input=f"{code}\n", capture_output=True, text=True, timeout=_PATIENCE).returncode == 0
