"""The way to a server: its address, a connection to it, and TLS, all before anything is said and all by one deadline.

No password leaves before the certificate was verified for the host of the URI: a stranger's server learns nothing. The
name service is asked on a thread of its own, one at a time for each server, because nothing can end a lookup.
RFC 4516 (LDAP URLs), RFC 4513 3 (TLS), RFC 9325 3.1.1 (TLS 1.2 and later).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from asyncio import AbstractEventLoop, Future
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from radiusd2fa.directory.connection import Connection, why
from radiusd2fa.directory.messages import START_TLS, Code
from radiusd2fa.directory.trouble import LostError, SilentError, unfit
from radiusd2fa.settings import LdapSettings

_PORTS: Final = {"ldap": 389, "ldaps": 636}
_FRESH: Final = 60.0
"""Seconds for which addresses are used again without asking for them."""

_Address = tuple[socket.AddressFamily, Any]
"""A family, and what connect(2) wants to know in that family."""


@dataclass(frozen=True, slots=True)
class Target:
    """One of the settings' servers."""

    uri: str
    host: str
    port: int
    path: str = ""
    """The socket of an ``ldapi://`` server."""
    tls_first: bool = False


def target(uri: str) -> Target:
    """Take a server's URI apart. ValueError: it is none."""
    parts = urlsplit(uri)
    if parts.scheme == "ldapi":
        return Target(uri, "", 0, unquote(parts.netloc) or "/var/run/slapd/ldapi")
    if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
        raise ValueError(f"{uri!r} is no server: write ldaps://HOST, ldap://HOST or ldap://HOST:PORT")
    return Target(uri, parts.hostname, parts.port or _PORTS[parts.scheme], tls_first=parts.scheme == "ldaps")


def tls_context(settings: LdapSettings) -> ssl.SSLContext:
    """Return what every TLS connection is held to. OSError, ssl.SSLError: a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(settings.ca_file)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.certificate_key)
    return context


class Dialler:
    """Makes connections to one server."""

    def __init__(self, to: Target, settings: LdapSettings, tls: ssl.SSLContext, loop: AbstractEventLoop) -> None:
        self.uri = to.uri
        self._to = to
        self._loop = loop
        self._start_tls = settings.start_tls and not to.tls_first and not to.path
        self._tls = tls if to.tls_first or self._start_tls else None
        self._known: list[_Address] = []
        self._asked_at = float("-inf")
        self._lookup: Future[list[_Address]] | None = None

    async def dial(self, deadline: float) -> Connection:
        """Connect, with TLS where the settings want it. TroubleError: why not."""
        try:
            async with asyncio.timeout_at(deadline):
                connected = await self._connect(await self._addresses(), deadline)
        except TimeoutError:
            raise SilentError("no connection in time") from None
        except OSError as error:
            raise LostError(f"no connection: {why(error)}") from None
        connection = Connection(self._loop, connected)
        if self._tls is not None:
            try:
                await self._secure(connection, self._tls, deadline)
            except BaseException:
                connection.close()
                raise
        return connection

    async def _secure(self, connection: Connection, context: ssl.SSLContext, deadline: float) -> None:
        if self._start_tls:
            reply = await connection.ask(START_TLS, deadline)
            if reply.result.code != Code.SUCCESS:
                raise unfit("StartTLS", reply.result)
        try:
            await connection.secure(context, self._to.host, deadline)
        except TimeoutError:
            raise SilentError("no TLS in time") from None
        except OSError as error:
            raise LostError(f"no TLS: {why(error)}") from None

    async def _connect(self, addresses: list[_Address], deadline: float) -> socket.socket:
        refused: OSError = OSError("the name has no address")
        for index, (family, address) in enumerate(addresses):
            fresh = socket.socket(family, socket.SOCK_STREAM)
            try:
                fresh.setblocking(False)
                if family != socket.AF_UNIX:
                    self._keep_alive(fresh)
                share = (deadline - self._loop.time()) / (len(addresses) - index)
                async with asyncio.timeout(share):
                    await self._loop.sock_connect(fresh, address)
                return fresh
            except OSError as error:  # TimeoutError is one: the next address has its share of the time
                fresh.close()
                refused = error
            except BaseException:
                fresh.close()
                raise
        raise refused

    def _keep_alive(self, fresh: socket.socket) -> None:
        # a connection that is forgotten by something between us is found out before a login meets it
        fresh.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            fresh.setsockopt(socket.IPPROTO_TCP, option, value)
        fresh.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # --- names ---

    async def _addresses(self) -> list[_Address]:
        if self._to.path:
            return [(socket.AF_UNIX, self._to.path)]
        try:
            family = socket.AF_INET6 if ipaddress.ip_address(self._to.host).version == 6 else socket.AF_INET
        except ValueError:
            return await self._resolved()
        return [(family, (self._to.host, self._to.port))]

    async def _resolved(self) -> list[_Address]:
        if self._loop.time() - self._asked_at < _FRESH:
            return self._known
        if self._lookup is None:
            self._lookup = self._loop.create_future()
            self._lookup.add_done_callback(self._remember)
            Thread(target=self._look_up, args=(self._lookup,), name="ldap-lookup", daemon=True).start()
        try:
            # whoever gives up waiting does not end the lookup: nothing can, and the next one shall not start another
            return await asyncio.shield(self._lookup)
        except OSError:
            if self._known:  # a name service that is down does not take the directory with it
                return self._known
            raise

    def _look_up(self, lookup: Future[list[_Address]]) -> None:
        found: list[_Address] | OSError
        try:
            answers = socket.getaddrinfo(self._to.host, self._to.port, type=socket.SOCK_STREAM)
            found = [(family, address) for family, _, _, _, address in answers]
        except OSError as error:
            found = error
        except UnicodeError:  # a label that is too long
            found = OSError("this can be no host's name")
        try:
            self._loop.call_soon_threadsafe(_settle, lookup, found)
        except RuntimeError:  # the loop has ended meanwhile
            return

    def _remember(self, lookup: Future[list[_Address]]) -> None:
        self._lookup = None
        if not lookup.cancelled() and lookup.exception() is None:
            self._known, self._asked_at = lookup.result(), self._loop.time()


def _settle(lookup: Future[list[_Address]], found: list[_Address] | OSError) -> None:
    if lookup.done():
        return
    if isinstance(found, OSError):
        lookup.set_exception(found)
    else:
        lookup.set_result(found)
