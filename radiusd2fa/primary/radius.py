"""Another RADIUS server checks the password: NPS, FreeRADIUS, or the system that a site moves away from.

It asks one server after the other and says what the first answer means; a question that an upstream asks goes to the
person, and the answer back to that very server. An Access-Reject, silence and nonsense never let anybody in.
RFC 2865 4 and 5.24 (State).
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from functools import partial
from typing import Final

from radiusd2fa.core.model import Account, PrimaryAnswer, Reason, Relay, Verdict
from radiusd2fa.core.names import MAX_OCTETS, split_realm
from radiusd2fa.home_server import SAY_AGAIN, Exchange, HomeServer
from radiusd2fa.primary import Done, Question, Say
from radiusd2fa.radius.attributes import Attribute
from radiusd2fa.radius.packet import Code, Packet
from radiusd2fa.radius.upstream import Attributes, asked_about, is_hidden, is_sendable, passed_back, prompt_of
from radiusd2fa.settings import RadiusSettings

_UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)
_REFUSED: Final = PrimaryAnswer(Verdict.REFUSED)
_EMPTY: Final = PrimaryAnswer(Verdict.REFUSED, reason=Reason.EMPTY_PASSWORD)
_BAD_NAME: Final = PrimaryAnswer(Verdict.REFUSED, reason=Reason.BAD_NAME)
_NOT_ASKED: Final = PrimaryAnswer(Verdict.PASSED)

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What is wrong with us, and not with the server, when no socket can be had."""


class _Login:
    """One question on its way from server to server."""

    def __init__(self, question: Question, attributes: Attributes, servers: Sequence[HomeServer], done: Done) -> None:
        self.password = question.password or b""
        self.relay = question.relay
        self.attributes = attributes
        self.left = list(servers)
        """Those that were not asked yet, in order."""
        self.done = done
        self.exchange: Exchange | None = None


class UpstreamRadius:
    """Asks the servers one after the other until one has answered."""

    def __init__(self, settings: RadiusSettings, say: Say) -> None:
        self._settings = settings
        self._servers = [HomeServer(server, settings, say, self._none_serves) for server in settings.servers]
        self._logins: set[_Login] = set()
        self._say = say
        self._crowded_until = 0.0
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def verify(self, question: Question, done: Done) -> None:
        """Send an Access-Request, or answer at once what needs none. ``done`` is called on the loop's thread."""
        name = split_realm(question.name)[0] if self._settings.strip_realm else question.name
        password, relay = question.password, question.relay
        if self._closed:
            done(_UNAVAILABLE)
        elif not name or name != name.strip() or "\0" in name or len(name.encode()) > MAX_OCTETS:
            done(_BAD_NAME)
        elif password is None:
            done(_NOT_ASKED)  # RADIUS has no question for that
        elif not password and relay is None:
            done(_EMPTY)
        elif not is_sendable(password):
            done(_REFUSED)
        elif len(self._logins) >= self._settings.calls:
            self._say_crowded(f"{self._settings.calls} requests are in flight: no more logins until some are answered")
            done(_UNAVAILABLE)
        else:
            attributes = asked_about(name, question.attributes, self._settings.pass_on, self._settings.nas_identifier)
            if relay is not None:
                attributes.append((Attribute.STATE, relay.state))
            login = _Login(question, attributes, self._servers, done)
            self._logins.add(login)
            self._ask_next(login)

    def close(self) -> None:
        """Close every socket; who waits is answered UNAVAILABLE."""
        self._closed = True
        for server in self._servers:
            server.close()
        for login in tuple(self._logins):
            if login.exchange is not None:
                login.exchange.close()
            self._conclude(login, _UNAVAILABLE)

    def _none_serves(self) -> bool:
        return not any(server.serves for server in self._servers)

    def _ask_next(self, login: _Login) -> None:
        while login.left:
            server = login.left.pop(0)
            # the answer to a question goes to the server that has put it, however that stands, and to no other
            if server.name != login.relay.server if login.relay is not None else not server.may_be_asked:
                continue
            try:
                login.exchange = server.ask(login.attributes, login.password, partial(self._ended, login, server))
            except ValueError:
                server.say_of("a request would have passed 4096 octets: pass fewer attributes on")
                break
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._say_crowded(f"no socket for a request: {error.strerror}")
                    break
                server.failed()
            else:
                return
        self._conclude(login, _UNAVAILABLE)

    def _ended(self, login: _Login, server: HomeServer, reply: Packet | None) -> None:
        if reply is None:
            self._ask_next(login)
        else:
            self._conclude(login, self._judge(server, reply))

    def _judge(self, server: HomeServer, reply: Packet) -> PrimaryAnswer:
        if reply.code == Code.ACCESS_ACCEPT:
            back = passed_back(reply.attributes, self._settings.pass_back)
            return PrimaryAnswer(Verdict.PASSED, account=Account(), attributes=back)
        if reply.code != Code.ACCESS_CHALLENGE:
            return _REFUSED
        state = reply.first(Attribute.STATE)
        if not state:
            server.say_of("it has sent an Access-Challenge without State, which nobody can answer")
            return _UNAVAILABLE
        return PrimaryAnswer(
            Verdict.CHALLENGED, relay=Relay(prompt_of(reply), state, server.name, hidden=is_hidden(reply))
        )

    def _conclude(self, login: _Login, answer: PrimaryAnswer) -> None:
        self._logins.discard(login)
        login.done(answer)

    def _say_crowded(self, sentence: str) -> None:
        if self._loop.time() >= self._crowded_until:
            self._crowded_until = self._loop.time() + SAY_AGAIN
            self._say("error", f"{self._settings.name}: {sentence}")


def open_backend(settings: RadiusSettings, say: Say) -> UpstreamRadius:
    """Return the backend; it opens its sockets request by request."""
    return UpstreamRadius(settings, say)
