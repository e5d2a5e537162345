"""What the hot side of the store needs of a database, whichever it is: look, ask, write a group, and say when it fails.

An interface and the nouns that cross it; nothing is opened here. A database never says that something is written which
a power failure could take back. No RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from radiusd2fa.core.model import Effect, Event, Known
from radiusd2fa.core.record import record
from radiusd2fa.store.chains import Chain
from radiusd2fa.store.checkpoints import Signatory
from radiusd2fa.store.dialects import Statement
from radiusd2fa.store.errors import StoreUnavailableError
from radiusd2fa.store.statements import CHECKPOINT, SAVE_CHAIN, Row, Step
from radiusd2fa.vault import Vault

Looked = Known | StoreUnavailableError
"""What is known; or an error: nothing is, and there is nothing to answer."""

Committed = bool | StoreUnavailableError
"""True: committed. False: a guard did not hold, nothing was changed. An error: nothing is known, answer nothing."""


@record
class Look:
    """One login that waits to be looked up."""

    name: str
    state: str | None
    nas: str
    caller: str
    now: float
    done: Callable[[Looked], None]


@record
class Found:
    """The rows that one look has found."""

    user: Sequence[Row]
    challenge: Row | None
    block: Row | None


@record
class Commit:
    """One login that waits to be written."""

    effects: Sequence[Effect]
    event: Event
    done: Callable[[Committed], None]


class Ledger:
    """The end of this process's chain of audit rows, and what is written with it to close a group."""

    def __init__(self, name: str, vault: Vault, signatory: Signatory) -> None:
        self.name: Final = name
        self._vault = vault
        self._signatory = signatory

    def open(self, end: Row | None) -> Chain:
        """Begin with what LOAD_CHAIN has found in the open transaction."""
        return Chain(self.name, end)

    def closing(self, chain: Chain, now: float, *, anyway: bool = False) -> tuple[list[Step], Callable[[], None]]:
        """Return the last statements of a group, and what to call once they are committed."""
        steps = [Step(SAVE_CHAIN, chain.end(self._vault))]
        signed = self._signatory.due(chain, now, anyway=anyway)
        if signed is None:
            return steps, _nothing
        steps.append(Step(CHECKPOINT, signed.row()))
        return steps, lambda: self._signatory.committed(signed)


def _nothing() -> None:
    """No checkpoint was due."""


class Database(Protocol):
    """One connection to one database, opened anew whenever it has to be. Everything is called from one thread."""

    patience: float
    """Seconds that a call may take before it is an error."""
    largest_group: int
    """How many logins one transaction takes."""
    troubles: tuple[type[Exception], ...]
    """What is raised when the database works for nobody. Anything else is the fault of what was asked of it."""

    def look(self, looks: Sequence[Look]) -> list[Found]:
        """Find the rows of all, as of one moment."""

    def one(self, statement: Statement, parameters: Row) -> Row | None:
        """Return the first row that is found; of the same moment, where something was looked up since `end_reading`."""

    def end_reading(self) -> None:
        """Let the next look see what has changed."""

    def write(self, group: Sequence[Commit], chores: Sequence[Step], ledger: Ledger, now: float) -> list[Committed]:
        """Write all logins of a group in one durable transaction, in their order; say of each whether its guards held.

        ``chores`` go before them. Without a login, a checkpoint of the chain's end is written if there is news.
        """

    def note(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Write what does not matter, unless somebody would have to wait for it."""

    def prove(self) -> None:
        """Write something that means nothing, durably."""

    def failed(self, error: Exception) -> None:
        """Throw away, after an error, what may be broken."""

    def close(self) -> None:
        """Let go of everything; what was not committed is undone."""
