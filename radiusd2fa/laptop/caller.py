"""Which ssh has called us, and whether its prompts can be believed.

It never trusts a prompt for that: the version comes from the very program that runs as our parent. OpenSSH 8.5 is the
first that puts ``(user@host) `` before a server's prompt; with an older one a server could write those words itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

SINCE: Final = (8, 5)
OWN_PROGRAM: Final = Path("/proc/self/exe")
"""Is there where the system tells which program a process runs."""

_VERSION: Final = re.compile(r"OpenSSH_([0-9]{1,3})\.([0-9]{1,3})")
_PATIENCE: Final = 5.0

Version = tuple[int, int]


def program_of(process: int) -> str | None:
    """Return the path of the program that runs as this process; None where the system does not tell.

    On Linux it is a link that leads to the running program itself, even after an upgrade has replaced the file.
    """
    if OWN_PROGRAM.exists():
        return f"/proc/{process}/exe"
    try:
        shown = subprocess.run(  # noqa: S603 - a number is the only argument that varies
            ["ps", "-o", "comm=", "-p", str(process)],  # noqa: S607 - macOS and the BSDs have it in their PATH
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return shutil.which(shown.stdout.strip())


def is_ssh(process: int) -> bool:
    """Whether this process is an ssh client, by the name of its program."""
    program = program_of(process)
    if program is None:
        return False
    name = Path(os.path.realpath(program)).name.removesuffix(" (deleted)")
    return name == "ssh" or name.endswith(("-ssh", "ssh.openssh"))


def version_of(program: str) -> Version | None:
    """Return the version of an OpenSSH client; None for another program, and for one that does not answer."""
    try:
        said = subprocess.run(  # noqa: S603 - the program that called us, with one constant argument
            [program, "-V"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.match((said.stderr or said.stdout).decode("ascii", "replace"))
    return (int(found[1]), int(found[2])) if found else None


def why_not_believed(process: int) -> str | None:
    """Return why the prompts of this process are not to be signed for; None when they are."""
    program = program_of(process) if is_ssh(process) else None
    version = version_of(program) if program else None
    if version is None:
        return "it cannot be told which ssh is asking, and OpenSSH before 8.5 shows names that a server has made up"
    if version < SINCE:
        major, minor = version
        return f"this ssh is OpenSSH {major}.{minor}, and before 8.5 a server can make up the name of its host"
    return None
