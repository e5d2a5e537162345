"""What can go wrong with a server: exceptions that never mean that a password is wrong.

None of them holds what somebody typed. RFC 4511 A.1 says what the codes are called.
"""

from __future__ import annotations

from radiusd2fa.directory.messages import Code, Result

_LONGEST_QUOTE = 200


class TroubleError(Exception):
    """This server cannot answer: ask the next one."""


class LostError(TroubleError):
    """The connection has ended or has made no sense."""


class SilentError(TroubleError):
    """The answer has not come in time, or not all of it."""


class UnfitError(TroubleError):
    """The answer is of no use: what the site, or the directory's administrator, has to look into."""


class UnwellError(TroubleError):
    """The server itself says that it cannot work now."""


class DirectoryUnavailableError(Exception):
    """No server can be asked now."""


def unfit(what: str, result: Result) -> UnfitError:
    """Return the trouble that an unexpected result is."""
    try:
        name = Code(result.code).name.lower()
    except ValueError:
        name = "result"
    # what a server writes is shown in the log, which makes controls visible; a page of it helps nobody
    hint = "; is base right?" if result.code == Code.NO_SUCH_OBJECT else ""
    return UnfitError(
        f"{what} is answered with {name} ({result.code}) {result.diagnostic[:_LONGEST_QUOTE]}".rstrip() + hint
    )
