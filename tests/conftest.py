"""What any test may ask for, wherever it stands: a PostgreSQL of its own, and over which stores the tests run.

Nothing is started before a test asks for it. Answers to no RFC.
"""

from __future__ import annotations

import signal
from typing import Final

import pytest

from tests.postgresql import cluster as cluster
from tests.postgresql import fresh_database as fresh_database

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--store``."""
    parser.addoption(
        "--store",
        choices=[SQLITE, POSTGRESQL, "both"],
        help="over which store the tests run that can run over either; the usual choice is SQLite for all of them, "
        "and PostgreSQL too for those marked `both_stores`",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marks mean, and let Ctrl-C reach what is started: a shell that ran us behind `&` has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "both_stores: runs over SQLite and PostgreSQL, whatever --store says")
    config.addinivalue_line("markers", "sqlite_only: is about SQLite itself, or about what an older version has left")
    config.addinivalue_line("markers", "postgresql_only: is about PostgreSQL itself, whatever --store says")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for ``store_kind`` over the stores that were chosen."""
    if "store_kind" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("store")
    if metafunc.definition.get_closest_marker("sqlite_only") is not None:
        chosen = SQLITE
    elif metafunc.definition.get_closest_marker("postgresql_only") is not None:
        chosen = POSTGRESQL
    elif metafunc.definition.get_closest_marker("both_stores") is not None:
        chosen = "both"
    kinds = [SQLITE, POSTGRESQL] if chosen == "both" else [chosen or SQLITE]
    # also where it is SQLite alone: else pytest hands on the session's last site, of whichever store that was
    metafunc.parametrize("store_kind", kinds, scope="session")


@pytest.fixture(scope="session")
def store_kind() -> str:
    """``sqlite`` or ``postgresql``."""
    return SQLITE
