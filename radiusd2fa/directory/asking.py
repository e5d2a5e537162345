"""What a login wants to know of a directory, as searches and binds: find the person, prove the password, find groups.

Every text from the settings is read once, at the start. Nothing here chooses a server or decides a login; a password
goes into a bind under one name and nowhere else. RFC 4513 5.1 (simple bind), RFC 4511 4.5 (search).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from radiusd2fa.core.model import Reason
from radiusd2fa.core.names import split_realm
from radiusd2fa.core.record import record
from radiusd2fa.directory import dn, filters, messages, person, reasons
from radiusd2fa.directory.connection import Ask
from radiusd2fa.directory.dialling import target
from radiusd2fa.directory.filters import Comparison
from radiusd2fa.directory.messages import Code, Entry, Scope
from radiusd2fa.directory.trouble import UnfitError, unfit
from radiusd2fa.settings import LdapSettings

_TYPED: Final = frozenset({"user", "name"})
_USER_PLACES: Final = frozenset({"user", "name", "realm"})
_GROUP_PLACES: Final = _USER_PLACES | {"dn"}
_DECOY: Final = "cn=radiusd2fa-nobody"
_NEVER_IN_A_BIND_NAME: Final = frozenset('\0\\/"[]:;|=,+*?<>#{}()&!~@ ')
"""What would make a userPrincipalName into another kind of name that Active Directory takes for a bind."""
_AT_ONCE: Final = 40
"""Groups whose own groups are asked for in one search."""
_NO_ATTRIBUTES: Final = ("1.1",)


@record
class Names:
    """Everything that can stand for a person in a template or a filter."""

    user: str
    """The whole canonical name."""
    texts: dict[str, str]
    octets: dict[str, bytes]


def names_of(user: str) -> Names:
    """Take a canonical name apart."""
    name, realm = split_realm(user)
    texts = {"user": user, "name": name, "realm": realm}
    return Names(user, texts, {place: text.encode() for place, text in texts.items()})


class Missing(Enum):
    """Why there is no entry."""

    NOBODY = "nobody"
    OTHER = "other"
    """The directory takes the name for somebody who is called otherwise."""
    SEVERAL = "several"


@record
class Proof:
    """What a bind has proved."""

    passed: bool
    reason: Reason | None = None
    identity: str = ""
    """Who the server says that is (RFC 4532); nothing where it cannot say."""


class Asking:
    """The questions to one directory. ValueError: a template or filter of the settings makes no sense."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._filter = filters.parse_filter(settings.search_filter, _USER_PLACES)
        self._seconds = max(1, round(settings.timeout))
        self._template = settings.bind_template
        self._template_is_dn = self._template is not None and dn.is_dn(self._template)
        self._compared = tuple(self._compared_attributes())
        wanted = {settings.id_attribute, *(one.attribute for one in self._compared), *reasons.STANDING}
        wanted |= {"memberOf"} if settings.groups == "member_of" else set()
        wanted |= {"sAMAccountName"} if self._template is not None else set()
        self._attributes = tuple(sorted(filter(None, wanted)))
        group_filter = filters.parse_filter(settings.group_filter, _GROUP_PLACES)
        nested = settings.groups == "nested"
        self._group_filter = filters.through_groups(group_filter, "dn") if nested else group_filter
        self._check()

    @property
    def searches_first(self) -> bool:
        """Whether people are found before they bind."""
        return self._template is None

    @property
    def finds(self) -> bool:
        """Whether entries can be found at all: below a base, or at the template's own place."""
        return self._settings.search_base is not None or self._template_is_dn

    @property
    def looks_up(self) -> bool:
        """Whether entries can be found without anybody's password."""
        return self.finds and (self.searches_first or self._settings.search_user is not None)

    # --- people ---

    async def find(self, ask: Ask, names: Names) -> Entry | Missing:
        """Find the one entry of that name."""
        if self._template_is_dn:
            base, scope, wanted = self.bind_name(names) or "", Scope.BASE, messages.ANYTHING
        else:
            base, scope, wanted = self._base, Scope.SUBTREE, self._filter.encode(names.octets)
        found = await self._entries(ask, base, wanted, scope)
        if not found:
            return Missing.NOBODY
        if len(found) > 1:
            return Missing.SEVERAL
        return found[0] if person.is_called(found[0], self._compared, names.octets) else Missing.OTHER

    async def find_by_id(self, ask: Ask, directory_id: str) -> Entry | Missing:
        """Find the one entry with that id, whatever it is called now. ValueError: that can be no id."""
        attribute = self._settings.id_attribute
        if attribute is None:
            raise ValueError("there are no ids: id_attribute is not set")
        wanted = filters.equality(attribute, person.id_octets(attribute, directory_id))
        found = await self._entries(ask, self._base, wanted, Scope.SUBTREE)
        if len(found) == 1:
            return found[0]
        return Missing.SEVERAL if found else Missing.NOBODY

    def name_of(self, entry: Entry) -> str | None:
        """Return what somebody has to type to be this entry."""
        return person.name_of(entry, self._compared)

    def id_of(self, entry: Entry) -> str | None:
        """Return the entry's id, which must be there when the settings name one."""
        return person.id_of(entry, self._settings.id_attribute)

    # --- passwords ---

    def bind_name(self, names: Names) -> str | None:
        """Return what the template makes of a name; None: nobody can be called that."""
        template = self._template or ""
        if self._template_is_dn:
            return dn.fill(template, names.texts, escaped=True)
        for place in dn.places(template):
            # the @ of user@realm is the one thing that may be in a name that binds
            text = names.texts[place].replace("@", "", 1) if place == "user" else names.texts[place]
            if not text or _NEVER_IN_A_BIND_NAME.intersection(text):
                return None
        name = dn.fill(template, names.texts, escaped=False)
        return name if "@" in name or "\\" in name else None

    @property
    def decoy(self) -> str:
        """The name of nobody, for a bind that makes an unknown person cost what a known one costs."""
        return f"{_DECOY},{self._settings.search_base}" if self._settings.search_base else _DECOY

    async def prove(self, ask: Ask, name: str, password: bytes) -> Proof:
        """Bind, and make sure that it is somebody who was bound."""
        result = (await ask(messages.bind(name, password))).result
        reason = reasons.bind_reason(result)
        if result.code in reasons.PERSONS_FAULT:
            return Proof(passed=False, reason=reason)
        if result.code != Code.SUCCESS:  # a referral too: somebody else would have to be asked, and with this password
            raise unfit("a bind", result)
        if reason is not None:  # right, but to be changed before anything else
            return Proof(passed=False, reason=reason)
        who = (await ask(messages.WHO_AM_I)).result
        if who.code != Code.SUCCESS:  # does not know RFC 4532; name and password were not empty (RFC 4513 5.1.3)
            return Proof(passed=True)
        # RFC 4532 2: "If ... the authorization identity is that of anonymous, the response field ... zero-length"
        identity = (who.value or b"").decode(errors="replace")
        if identity in {"", "dn:"}:
            raise UnfitError("a bind with a name and a password has left us anonymous")
        return Proof(passed=True, identity=identity)

    def is_same(self, entry: Entry, identity: str) -> bool:
        """Tell whether the entry that was found by a name is who has bound by that name."""
        if self.searches_first or self._template_is_dn:  # then the bind was with the very entry
            return True
        if identity.lower().startswith("dn:"):
            return dn.canonical(identity[3:]) == dn.canonical(entry.dn)
        if identity.lower().startswith("u:"):  # Active Directory: u:DOMAIN\account
            account = identity[2:].rpartition("\\")[2].casefold()
            return account == entry.text("sAMAccountName").casefold() != ""
        return False

    # --- groups ---

    async def groups(self, ask: Ask, entry: Entry, names: Names) -> tuple[str, ...]:
        """Return the canonical names of the groups that an entry is in."""
        match self._settings.groups:
            case "none":
                return ()
            case "member_of":
                found = person.member_of(entry)
                if (
                    self._settings.group_base is not None
                ):  # whoever may make a group elsewhere must not make an "admins"
                    found = [one for one in found if dn.is_below(one, self._settings.group_base)]
            case "search":
                found = await self._climb(ask, entry, names, self._settings.group_depth)
            case "nested":
                found = await self._climb(ask, entry, names, 1)
        return person.group_names(found, whole=self._settings.group_name == "dn")

    async def _climb(self, ask: Ask, entry: Entry, names: Names, depth: int) -> list[str]:
        seen: dict[str, str] = {}
        level = [entry.dn]
        for _ in range(depth):
            found = [one for some in _batches(level) for one in await self._holding(ask, some, names)]
            # a group that holds itself, by whatever way round, is new once only
            level = []
            for one in found:
                if (known_as := dn.canonical(one)) not in seen:
                    seen[known_as] = one
                    level.append(one)
            if len(seen) > person.MOST_GROUPS:
                raise UnfitError(f"somebody is in more than {person.MOST_GROUPS} groups")
            if not level:
                break
        return [*seen.values()]

    async def _holding(self, ask: Ask, members: Sequence[str], names: Names) -> list[str]:
        wanted = filters.any_of([self._group_filter.encode({**names.octets, "dn": one.encode()}) for one in members])
        base = self._settings.group_base or self._base
        most = person.MOST_GROUPS + 1
        reply = await ask(messages.search(base, wanted, _NO_ATTRIBUTES, most=most, seconds=self._seconds))
        if reply.result.code != Code.SUCCESS:
            raise unfit("the search for groups", reply.result)
        return [one.dn for one in reply.entries]

    # --- reading ---

    @property
    def _base(self) -> str:
        return self._settings.search_base or ""

    async def _entries(self, ask: Ask, base: str, wanted: bytes, scope: Scope) -> tuple[Entry, ...]:
        """Search for people: one, or the proof that there are several."""
        request = messages.search(base, wanted, self._attributes, most=2, seconds=self._seconds, scope=scope)
        reply = await ask(request)
        code = reply.result.code
        if code == Code.SIZE_LIMIT_EXCEEDED and len(reply.entries) > 1:
            return reply.entries
        if code == Code.NO_SUCH_OBJECT and scope is Scope.BASE:
            return ()
        if code != Code.SUCCESS:
            raise unfit("the search for a person", reply.result)
        return reply.entries

    def _compared_attributes(self) -> Iterator[Comparison]:
        if not self._template_is_dn:
            yield from filters.compared_with(self._filter, _TYPED)
            return
        # the entry's own name holds the person's, as (uid={name}) would
        own = (self._template or "").partition(",")[0]
        yield from filters.compared_with(filters.parse_filter(f"({own.strip()})", _USER_PLACES), _TYPED)

    def _check(self) -> None:
        if not self._settings.servers:
            raise ValueError("there are no servers")
        for uri in self._settings.servers:
            target(uri)
        if self._settings.search_user is not None and not self._settings.search_password:
            raise ValueError("search_password is missing: without one search_user would be nobody (RFC 4513 5.1.2)")
        if self.searches_first and self._settings.search_base is None:
            raise ValueError("search_base is missing: where are people searched for?")
        if not self._compared:
            raise ValueError("search_filter compares no attribute with {name} or {user}")
        if self._template is not None:
            stray = dn.places(self._template) - _USER_PLACES
            if stray or not dn.places(self._template) & _TYPED:
                raise ValueError("bind_template needs {name} or {user}, and knows {realm} besides")
        if self._settings.groups in {"search", "nested"} and not (
            self._settings.group_base or self._settings.search_base
        ):
            raise ValueError("group_base is missing: where are groups searched for?")


def _batches(level: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(level), _AT_ONCE):
        yield level[start : start + _AT_ONCE]
