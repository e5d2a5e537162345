"""How the key ``store:`` names a file of SQLite, or a PostgreSQL server or several of them.

Nothing is opened and no name is resolved; a password in an address is refused, for it would be in every copy of the
file. PostgreSQL 34.1.1 (connection URIs) and 34.1.2 (parameters); no RFC speaks here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from radiusd2fa.settings.files import mode_of, open_to_others
from radiusd2fa.settings.words import Surroundings, a_text, closest, refused
from radiusd2fa.settings.yaml_lines import Word

_OTHER_NAMES: Final = ("postgres:", "postgres+", "postgresql+", "psql:", "pgsql:")
_WHERE: Final = re.compile(
    r"(?:(?P<user>[^@/:]*)(?P<password>:[^@/]*)?@)?(?P<hosts>[^@/]*)(?:/(?P<database>[^/]*))?", re.ASCII
)
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9%._-]*)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_WELL_WRITTEN: Final = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,;=:@/\[\]-]|%[0-9A-Fa-f]{2})*", re.ASCII)

_FILES: Final = ("passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl")
"""Relative ones begin beside the configuration."""
_NO_FILE: Final = {"sslrootcert": "system"}
_PARAMETERS: Final = (
    *_FILES,
    *("host", "port", "service", "target_session_attrs", "application_name"),
    *("sslmode", "sslnegotiation", "sslsni", "ssl_min_protocol_version", "channel_binding", "require_auth"),
    *("gssencmode", "krbsrvname", "requirepeer"),
)
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_OURS: Final = ("connect_timeout", "tcp_user_timeout", "keepalives", "client_encoding", "options")
_SECRETS: Final = ("password", "sslpassword", "oauth_client_secret")
_WRITABLE: Final = ("read-write", "primary")

_EXAMPLE: Final = "write postgresql://USER@HOST/DATABASE, with ?passfile=FILE where the server asks for a password"
_NO_PASSWORD: Final = (
    "put HOST:PORT:DATABASE:USER:PASSWORD into a file of its own, chmod 600, and write ?passfile=FILE here"
)


def a_store(word: Word, around: Surroundings) -> str:
    """Read where the store is, and make its paths absolute: sqlite:////FILE or postgresql://..."""
    url = a_text(word, around)
    if url.startswith("postgresql:"):
        return _servers(url, around)
    if url.startswith(_OTHER_NAMES):
        raise refused("names PostgreSQL in another program's way", _EXAMPLE)
    prefix, _, path = url.partition("sqlite:///")
    if prefix or not path or path.startswith(":") or path.endswith("/"):
        remedy = "write sqlite:///FILE (beside this file), sqlite:////DIRECTORY/FILE or postgresql://USER@HOST/DATABASE"
        raise refused("is neither the URL of an SQLite file nor that of a PostgreSQL server", remedy)
    absolute = _absolute(path, around)
    if "?" in absolute:
        raise refused("has a question mark in its path", "choose another name: nothing may follow the file")
    return f"sqlite:///{absolute}"


def _servers(url: str, around: Surroundings) -> str:
    """Read the address of a PostgreSQL database; where it names several servers, the one that writes is meant."""
    where, _, rest = url.removeprefix("postgresql:").removeprefix("//").partition("?")
    found = _WHERE.fullmatch(where)
    if not url.startswith("postgresql://") or found is None or not _WELL_WRITTEN.fullmatch(where):
        raise refused("is not the address of a PostgreSQL database", _EXAMPLE)
    if found["password"] is not None:
        raise refused("has a password in it", _NO_PASSWORD)
    for host in found["hosts"].split(","):
        port = _HOST.fullmatch(host)
        if port is None or not 1 <= int(port["port"] or 1) <= 65535:
            raise refused("names a host that can be none", "write HOST, HOST:PORT or [IPv6]:PORT, with commas between")
    parameters = dict(_parameters(rest, around))
    if not found["database"] and "service" not in parameters:
        raise refused("names no database", _EXAMPLE)
    if "," in found["hosts"] + parameters.get("host", ""):
        parameters.setdefault("target_session_attrs", "read-write")
    written = "&".join(f"{name}={quote(value, safe='/,')}" for name, value in parameters.items())
    return f"postgresql://{where}" + (f"?{written}" if written else "")


def _parameters(rest: str, around: Surroundings) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for one in rest.split("&") if rest else ():
        name, equals, written = one.partition("=")
        if name in _SECRETS:
            raise refused("has a password in it", _NO_PASSWORD)
        if name in _OURS:
            raise refused(f"has the parameter {name}", "delete it: radiusd2fa sets its own")
        if name not in _PARAMETERS:
            meant = closest(name, _PARAMETERS)
            hint = f"did you mean {meant}?" if meant else "known are " + ", ".join(_PARAMETERS)
            raise refused("has a parameter that is not known", hint)
        if not equals or not written or not _WELL_WRITTEN.fullmatch(written):
            raise refused(f"has the parameter {name} without a good value", f"write {name}=VALUE, with %20 for a space")
        if name in seen:
            raise refused(f"has the parameter {name} twice", "keep one of them")
        seen.add(name)
        yield name, _value(name, unquote(written), around)


def _value(name: str, value: str, around: Surroundings) -> str:
    """Check the value of a parameter as far as libpq would not do it when a login waits."""
    if not value.isprintable():
        raise refused(f"has a character in {name} that cannot be printed", "delete it")
    if name == "target_session_attrs" and value not in _WRITABLE:
        raise refused("is content with a server that cannot write", "write target_session_attrs=read-write")
    if name == "sslmode" and value not in _SSL_MODES:
        raise refused("has an sslmode that there is not", f"write one of {', '.join(_SSL_MODES)}")
    if name not in _FILES or value == _NO_FILE.get(name):
        return value
    path = _absolute(value, around)
    mode = mode_of(Path(path))
    if name == "passfile":
        if mode is None:
            raise refused("names a passfile that is not there, or cannot be seen", "write one line into it, chmod 600")
        if open_to_others(Path(path), mode, None):  # libpq passes over such a file, and asks for no credential's sake
            raise refused("names a passfile that others than its owner can open", "run chmod 600 on it")
    return path


def _absolute(path: str, around: Surroundings) -> str:
    return os.path.normpath(around.folder / path)
