"""One connection to PostgreSQL on which whole groups of statements travel at once, and no call waits beyond its moment.

It never tries anything again: once an answer is missing, cut off or doubtful the connection is lost, and nothing is
known. PostgreSQL 34.5 (pipeline mode), 55.2.3 (extended query); results come in binary (pg_type.dat). No RFC speaks
here.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus, Format

from radiusd2fa.core.record import record
from radiusd2fa.store.dialects import STATEMENTS, Statement
from radiusd2fa.store.errors import StoreUnavailableError
from radiusd2fa.store.statements import Row

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

_BOOL, _OCTETS, _BIG, _INT, _TEXT, _VARCHAR, _FLOAT, _VOID = 16, 17, 20, 23, 25, 1043, 701, 2278
_AS_OCTETS: Final = frozenset({_OCTETS, _TEXT})
"""Types whose parameters travel with their length: a NUL in a text is an error, and cuts nothing off."""
_ITS_OWN_FAULT: Final = (b"22", b"23", b"P0")
"""Classes of SQLSTATE that accuse what was asked: data, integrity, what a trigger refuses (PostgreSQL, appendix A)."""
_GOOD: Final = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_double: Final = Struct("!d").unpack


class LostError(StoreUnavailableError):
    """The connection is of no use any more, and what was under way is not known."""


class RefusedError(Exception):
    """The server did not take one statement; the connection lives on, its transaction does not."""


@record
class Answer:
    """What one statement has come to."""

    count: int
    rows: list[Row]


Call = tuple[Statement, Row]


class Link:
    """An open connection on which everything is prepared."""

    def __init__(self, connection: psycopg.Connection[Any], until: float) -> None:
        """Take over a connection in autocommit; ``until`` on the monotonic clock."""
        self._connection = connection
        self._server: PGconn = connection.pgconn
        self._server.nonblocking = 1
        self._server.enter_pipeline_mode()
        self._server.notice_handler = self._noticed
        self._warning = ""
        self._readers: dict[bytes, tuple[tuple[int, Callable[[bytes], Any]], ...]] = {}
        self._poll = select.poll()
        self._socket = self._server.socket
        for statement in STATEMENTS:
            self._server.send_prepare(statement.name, statement.postgresql.encode(), statement.types)
        self._server.pipeline_sync()
        self._results(until)

    def run(self, calls: Sequence[Call], until: float) -> list[Answer]:
        """Send all, and return what each has come to.

        LostError when that is not known ``until`` then; RefusedError when the server did not take one of them, and so
        none of those after it.
        """
        try:
            packed = [(one.name, _packed(one, row), _formats(one)) for one, row in calls]
        except (TypeError, ValueError) as error:  # a parameter that cannot be one, and nothing is under way yet
            raise RefusedError(str(error)) from error
        self._warning = ""
        try:
            for name, parameters, formats in packed:
                self._server.send_query_prepared(name, parameters, formats, Format.BINARY)
            self._server.pipeline_sync()
            results = self._results(until)
        except psycopg.Error as error:
            raise LostError(_line(str(error))) from error
        if len(results) != len(calls):
            raise LostError("the server has left statements without an answer")
        return [self._answer(one, result) for (one, _), result in zip(calls, results, strict=True)]

    def commit(self, calls: Sequence[Call], end: Statement, until: float) -> None:
        """Send all with a COMMIT behind them; it is on the disk, wherever it has to be, when this returns."""
        self.run([*calls, (end, ())], until)
        if self._warning:  # as when an impatient operator has ended the wait for a standby: nobody else has it yet
            raise LostError(self._warning)
        if self._status != b"COMMIT":
            raise LostError("the server has rolled back what it was to commit")

    def close(self) -> None:
        """Let go of the connection; the server undoes what was not committed."""
        self._connection.close()

    # --- the wire -----------------------------------------------------------------------------------------------------

    def _results(self, until: float) -> list[PGresult]:
        """Send what is left to send, and take all results up to the end of the pipeline."""
        server = self._server
        while server.flush():
            self._wait(select.POLLIN | select.POLLOUT, until)
            server.consume_input()
        results: list[PGresult] = []
        refused: RefusedError | None = None
        was_end = True
        while True:
            while server.is_busy():
                self._wait(select.POLLIN, until)
                server.consume_input()
            result = server.get_result()
            if result is None:
                if was_end:
                    raise LostError(_line(server.get_error_message()) or "the server has gone away")
                was_end = True
                continue
            was_end = False
            status = result.status
            if status in _GOOD:
                results.append(result)
            elif status == ExecStatus.PIPELINE_SYNC:
                break
            elif status != ExecStatus.PIPELINE_ABORTED:
                refused = _refused(result)
        if refused is not None:
            raise refused
        if results:
            self._status = results[-1].command_status
        return results

    def _wait(self, events: int, until: float) -> None:
        self._poll.register(self._socket, events)
        left = until - time.monotonic()
        if left <= 0 or not self._poll.poll(left * 1000):
            raise LostError("the server does not answer in time")

    def _answer(self, statement: Statement, result: PGresult) -> Answer:
        if result.status == ExecStatus.COMMAND_OK:
            return Answer(result.command_tuples or 0, [])
        readers = self._readers.get(statement.name)
        if readers is None:
            readers = tuple((column, _READ[result.ftype(column)]) for column in range(result.nfields))
            self._readers[statement.name] = readers
        value = result.get_value
        rows = [
            tuple([None if (octets := value(row, at)) is None else read(octets) for at, read in readers])
            for row in range(result.ntuples)
        ]
        return Answer(result.ntuples, rows)

    def _noticed(self, notice: PGresult) -> None:
        if notice.error_field(DiagnosticField.SEVERITY_NONLOCALIZED) == b"WARNING":
            self._warning = _message(notice) or "the server has warned of something"


def _refused(result: PGresult) -> RefusedError:
    """Return whose fault an error is: raised at once when the server is to blame."""
    state = result.error_field(DiagnosticField.SQLSTATE) or b""
    text = f"{_message(result) or 'the server has gone away'} ({state.decode('ascii', 'replace') or 'no SQLSTATE'})"
    if state.startswith(_ITS_OWN_FAULT):
        return RefusedError(text)
    raise LostError(text)


def _message(result: PGresult) -> str:
    """The first line alone: what follows may show a row."""
    return _line((result.error_field(DiagnosticField.MESSAGE_PRIMARY) or b"").decode("utf-8", "replace"))


def _line(text: str) -> str:
    return text.partition("\n")[0]


# --- values ----------------------------------------------------------------------------------------------------------


def _integer(octets: bytes) -> int:
    return int.from_bytes(octets, "big", signed=True)


def _float(octets: bytes) -> float:
    value: float = _double(octets)[0]
    return value


def _truth(octets: bytes) -> bool:
    return octets == b"\1"


_READ: Final[dict[int, Callable[[bytes], Any]]] = {
    _BOOL: _truth,
    _OCTETS: bytes,
    _BIG: _integer,
    _INT: _integer,
    _TEXT: bytes.decode,
    _VARCHAR: bytes.decode,
    _FLOAT: _float,
    _VOID: len,
}
_WRITE: Final[dict[type, Callable[[Any], bytes | None]]] = {
    str: str.encode,
    int: lambda value: b"%d" % value,
    float: lambda value: repr(value).encode(),
    bool: lambda value: b"t" if value else b"f",
    bytes: bytes,
    type(None): lambda _: None,
}


def _packed(statement: Statement, row: Row) -> list[bytes | None]:
    try:
        packed = [_WRITE[type(value)](value) for value in row]
    except KeyError:
        packed = [_WRITE.get(type(value), _another)(value) for value in row]
    if len(packed) != len(statement.types):
        raise TypeError(f"{len(packed)} parameters for {len(statement.types)} places")
    return packed


def _another(value: object) -> bytes:
    """An enumeration of strings, as of kinds and reasons, is the string it is."""
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"no parameter: {type(value).__name__}")


_known_formats: Final[dict[bytes, list[Format]]] = {}


def _formats(statement: Statement) -> list[Format]:
    known = _known_formats.get(statement.name)
    if known is None:
        known = [Format.BINARY if one in _AS_OCTETS else Format.TEXT for one in statement.types]
        _known_formats[statement.name] = known
    return known
