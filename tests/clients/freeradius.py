"""FreeRADIUS as an upstream home server: another implementation that checks our requests and makes the replies.

It runs from a folder and on a port of the test's own, reads nothing of the host's configuration but the dictionaries
and modules that the package brings, and is ended by who has started it. unlang(5), radiusd.conf(5), freeradius(8).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.settings import UpstreamServer

PATH: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
FREERADIUS: Final = shutil.which("freeradius", path=PATH)
needs_freeradius: Final = pytest.mark.skipif(FREERADIUS is None, reason="needs Debian package freeradius")

SECRET: Final = b"upstream-secret-of-the-test"
PASSWORD: Final = "hunter2"
CODE: Final = "755224"
READY: Final = "Ready to process requests"
TRIES: Final = 5
"""How often a port is chosen: somebody else may take it before FreeRADIUS does."""

_CONFIGURATION: Final = """
name = freeradius
prefix = /usr
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/pid
max_request_time = 5
cleanup_delay = 0
max_requests = 65536
hostname_lookups = no
log {{
    destination = stdout
    auth = no
}}
security {{
    max_attributes = 200
    reject_delay = 0
    status_server = {status}
}}
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 1
    max_requests_per_server = 0
}}
modules {{
    always ok {{
        rcode = ok
    }}
    always reject {{
        rcode = reject
    }}
    always handled {{
        rcode = handled
    }}
}}
client localhost {{
    ipaddr = 127.0.0.1
    secret = {secret}
    require_message_authenticator = yes
    nas_type = other
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
{policy}
}}
"""

# silent@…: nothing is said; unsigned@…: the reply has no Message-Authenticator; challenge@…: a code is asked for
_POLICY: Final = f"""
    authorize {{
        if (&User-Name =~ /^silent/) {{
            update control {{
                &Response-Packet-Type := Do-Not-Respond
            }}
            handled
        }}
        if (&User-Name !~ /^unsigned/) {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
        }}
        if (&User-Name =~ /^challenge/) {{
            if (&State) {{
                if (&State == "state of the old system" && &User-Password == "{CODE}") {{
                    update control {{
                        &Auth-Type := Accept
                    }}
                }}
                else {{
                    reject
                }}
            }}
            elsif (&User-Password == "{PASSWORD}") {{
                update control {{
                    &Response-Packet-Type := Access-Challenge
                }}
                update reply {{
                    &State := "state of the old system"
                    &Reply-Message += "Code of your"
                    &Reply-Message += "old token:"
                    &Prompt := No-Echo
                }}
                handled
            }}
            else {{
                reject
            }}
        }}
        elsif (&User-Password == "{PASSWORD}") {{
            update control {{
                &Auth-Type := Accept
            }}
            update reply {{
                &Reply-Message := "welcome"
                &Class := "staff of %{{NAS-Identifier}} %{{Calling-Station-Id}}"
                &Cisco-AVPair := "shell:priv-lvl=15"
                &MS-MPPE-Send-Key := 0x00112233445566778899aabbccddeeff
                &Tunnel-Password := "a key"
            }}
        }}
        else {{
            reject
        }}
        Autz-Type Status-Server {{
            update reply {{
                &Message-Authenticator := 0x00
            }}
            ok
        }}
    }}
    authenticate {{
    }}
"""


@dataclass(frozen=True, slots=True)
class HomeServer:
    """A running FreeRADIUS."""

    upstream: UpstreamServer
    """As the settings of a backend name it, with the right secret."""
    process: subprocess.Popen[str]


@contextmanager
def home_server(folder: Path, *, status: bool = True) -> Iterator[HomeServer]:
    """Run FreeRADIUS until the end of the block; ``status`` lets it answer Status-Server."""
    assert FREERADIUS is not None
    (folder / "dictionary").write_text("")
    for _ in range(TRIES):
        port = _free_port()
        words = {
            "folder": folder,
            "port": port,
            "secret": SECRET.decode(),
            "status": "yes" if status else "no",
            "policy": _POLICY,
        }
        configuration = folder / "radiusd.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(_CONFIGURATION.format(**words))
        command = [FREERADIUS, "-f", "-l", "stdout", "-d", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        printed: list[str] = []
        try:
            for line in process.stdout:
                printed.append(line)
                if READY in line:
                    yield HomeServer(UpstreamServer("127.0.0.1", port, SECRET), process)
                    return
        finally:
            process.kill()
            process.communicate()
    pytest.fail(f"FreeRADIUS never was ready: {''.join(printed[-10:])}")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
