"""Reading a prompt of ssh: who asks, for whom, and which responder code stands in it.

It never guesses: a prompt that could be read in two ways is refused, for what is read here as the host is what the key
signs. OpenSSH puts ``(user@host) `` in front of every prompt that a server writes (sshconnect2.c, since 8.5); RFC 4256.
"""

from __future__ import annotations

from radiusd2fa.core.names import canonical_host
from radiusd2fa.core.record import record
from radiusd2fa.core.responder import PREFIX, ResponderCode, find_code


@record
class Asked:
    """A prompt with our code: ``login`` and ``host`` are the words of the person's own ssh, ``text`` the server's."""

    login: str
    host: str
    text: str
    code: ResponderCode


@record
class Unclear:
    """A prompt with something like our code, for which no key may sign. ``why`` is a sentence for the person."""

    why: str


def read_prompt(prompt: str) -> Asked | Unclear | None:
    """Return what a prompt asks of a key; None when nothing in it looks like our code."""
    if PREFIX not in prompt.upper():
        return None
    if not prompt.startswith("("):
        return Unclear("ssh has not put the host's name in front of this prompt, as OpenSSH does since 8.5")
    who, end, text = prompt[1:].partition(") ")
    login, at, name = who.rpartition("@")
    if not (login and at and end) or set(login) & set("()"):
        return Unclear("it cannot be seen which host asks")
    # `ssh 'alice@good.example) x@evil.example'` shows two prefixes, and the first is not ssh's.
    if ")" in text.partition("@")[2]:
        return Unclear("more than one host may be meant by this prompt")
    code = find_code(prompt)
    if code is None or find_code(text) is None:
        return Unclear("there is not exactly one readable code in this prompt")
    host = canonical_host(name)
    if host is None:
        return Unclear("the name of the host that asks holds characters that no name should")
    return Asked(login, host, text, code)
