"""An LDAP directory as the first credential: OpenLDAP, Active Directory and their kin (RFC 4511, RFC 4513 5.1.3).

A password leaves only in a bind for one found entry, or for what the template makes of the name, and never an empty
one. It never follows a referral, never passes somebody who is called otherwise in the directory, and never passes
anybody without the id that the settings promise. How it is asked without being held up: radiusd2fa/directory.

Somebody unknown costs a search and a bind as everybody does, the bind being for nobody. What remains to be measured is
the directory's own time for hashing a password that is really there; ``reject_delay`` covers it.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import Task
from functools import partial
from ssl import SSLContext

from radiusd2fa.core.model import Account, PrimaryAnswer, Reason, Verdict
from radiusd2fa.directory import reasons
from radiusd2fa.directory.asking import Asking, Missing, Names, names_of
from radiusd2fa.directory.connection import Ask
from radiusd2fa.directory.dialling import tls_context
from radiusd2fa.directory.messages import Entry
from radiusd2fa.directory.saying import Seldom
from radiusd2fa.directory.server import Server
from radiusd2fa.directory.servers import Servers
from radiusd2fa.directory.trouble import DirectoryUnavailableError, UnfitError
from radiusd2fa.primary import Done, Question, Say
from radiusd2fa.settings import LdapSettings

_REFUSED = PrimaryAnswer(Verdict.REFUSED)
_UNAVAILABLE = PrimaryAnswer(Verdict.UNAVAILABLE)
_EMPTY = PrimaryAnswer(Verdict.REFUSED, reason=Reason.EMPTY_PASSWORD)
_WHY_MISSING = {
    Missing.NOBODY: Reason.ACCOUNT_UNKNOWN,
    Missing.OTHER: Reason.ACCOUNT_UNKNOWN,
    Missing.SEVERAL: Reason.ACCOUNT_AMBIGUOUS,
}


class Ldap:
    """Asks the servers of one directory."""

    def __init__(self, settings: LdapSettings, say: Say) -> None:
        self._settings = settings
        self._asking = Asking(settings)
        self._tls: SSLContext = tls_context(settings)
        self._say = Seldom(say)
        self._servers: Servers | None = None
        self._asked: dict[Task[PrimaryAnswer], Done] = {}
        self._closed = False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no loop turns yet: the first login connects
            return
        self._open(loop)

    def verify(self, question: Question, done: Done) -> None:
        """Ask the directory; ``done`` is called on the event loop's thread."""
        password = question.password
        if self._closed:
            done(_UNAVAILABLE)
        elif password == b"":
            done(_EMPTY)
        elif password is not None and b"\0" in password:  # what is behind it might be cut off somewhere
            done(_REFUSED)
        else:
            loop = asyncio.get_running_loop()
            task = loop.create_task(self._answer(question, self._open(loop)))
            self._asked[task] = done
            task.add_done_callback(self._finished)

    def close(self) -> None:
        """Let go of all connections; whoever waits for an answer gets UNAVAILABLE now."""
        self._closed = True
        asked, self._asked = self._asked, {}
        if self._servers is not None:
            self._servers.close()
        for task, done in asked.items():
            task.cancel()
            done(_UNAVAILABLE)

    def _open(self, loop: asyncio.AbstractEventLoop) -> Servers:
        if self._servers is None:
            self._servers = Servers(self._settings, self._tls, loop, self._say)
        return self._servers

    def _finished(self, task: Task[PrimaryAnswer]) -> None:
        error = None if task.cancelled() else task.exception()
        done = self._asked.pop(task, None)
        if done is None:  # closed, and answered then
            return
        if error is not None:
            task.get_loop().call_exception_handler({"message": "the LDAP backend has failed", "exception": error})
        done(_UNAVAILABLE if task.cancelled() or error is not None else task.result())

    # --- one login ---

    async def _answer(self, question: Question, servers: Servers) -> PrimaryAnswer:
        names = names_of(question.name)
        try:
            if question.password is not None:
                return await servers.run(partial(self._verify, names, question.password))
            if self._asking.looks_up:
                return await servers.run(partial(self._look_up, names))
        except DirectoryUnavailableError:
            return _UNAVAILABLE
        self._say("warning", "people are not looked up without their password: there is no search_user")
        return PrimaryAnswer(Verdict.PASSED)

    async def _look_up(self, names: Names, server: Server, deadline: float) -> PrimaryAnswer:
        ask = partial(server.search, deadline=deadline)
        found = await self._asking.find(ask, names)
        if isinstance(found, Missing):
            return _refused(_WHY_MISSING[found])
        return await self._pass(ask, found, names)

    async def _verify(self, names: Names, password: bytes, server: Server, deadline: float) -> PrimaryAnswer:
        if not self._asking.searches_first:
            return await server.with_binding(partial(self._bind_by_template, names, password), deadline)
        ask = partial(server.search, deadline=deadline)
        found = await self._asking.find(ask, names)
        name = self._asking.decoy if isinstance(found, Missing) else found.dn
        proof = await server.with_binding(lambda bound: self._asking.prove(bound, name, password), deadline)
        if isinstance(found, Missing):
            return _refused(_WHY_MISSING[found])
        return await self._pass(ask, found, names) if proof.passed else _refused(proof.reason)

    async def _bind_by_template(self, names: Names, password: bytes, ask: Ask) -> PrimaryAnswer:
        """Bind first; what is to be known is then asked as the person."""
        asking = self._asking
        name = asking.bind_name(names)
        proof = await asking.prove(ask, name or asking.decoy, password)
        if name is None:
            return _refused(Reason.ACCOUNT_UNKNOWN)
        if not proof.passed:
            return _refused(proof.reason)
        if not asking.finds:
            return self._pass_unseen()
        found = await asking.find(ask, names)
        if found is Missing.NOBODY:
            raise UnfitError("people may not read their own entry")
        if isinstance(found, Missing):
            return _refused(_WHY_MISSING[found])
        if not asking.is_same(found, proof.identity):  # two people, one of whom has proved the password
            return _refused(Reason.ACCOUNT_AMBIGUOUS)
        return await self._pass(ask, found, names)

    async def _pass(self, ask: Ask, entry: Entry, names: Names) -> PrimaryAnswer:
        """Pass somebody, unless the entry says otherwise."""
        reason = reasons.standing(entry, time.time())
        if reason is not None:
            return _refused(reason)
        groups = None if self._settings.groups == "none" else await self._asking.groups(ask, entry, names)
        account = Account(self._asking.id_of(entry), groups)
        return PrimaryAnswer(Verdict.PASSED, account=account)

    def _pass_unseen(self) -> PrimaryAnswer:
        if self._settings.id_attribute is not None:
            raise UnfitError(f"{self._settings.id_attribute} cannot be read without search_base")
        return PrimaryAnswer(Verdict.PASSED, account=Account())


def _refused(reason: Reason | None) -> PrimaryAnswer:
    return PrimaryAnswer(Verdict.REFUSED, reason=reason)


def open_backend(settings: LdapSettings, say: Say) -> Ldap:
    """Return the backend; its connections are made beside the logins.

    ValueError: a template or filter makes no sense. OSError, ssl.SSLError: a certificate's file cannot be used.
    """
    return Ldap(settings, say)
