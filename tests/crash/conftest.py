"""A site with a crowd in it, and a disk and a clock that obey the test.

Nothing here is asked for by a test that needs none of it. Answers to no RFC.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.daemon.conftest import daemon as daemon
from tests.daemon.conftest import site as site
from tests.daemon.site import Person, Site

from .crowd import Crowd, found
from .surroundings import library as library
from .surroundings import surroundings as surroundings

SEED: Final = 20_777


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, list[Person]]:
    """Such a site, made once; nobody has logged in there."""
    return found(tmp_path_factory.mktemp("founded") / "site")


@pytest.fixture
def crowd(founded: tuple[Site, list[Person]], tmp_path: Path) -> Crowd:
    """Eight people with fobs, by two doors, and a site of their own: a copy."""
    site, people = founded
    shutil.copytree(site.folder, tmp_path / "site")
    return Crowd.of(Site(tmp_path / "site"), people, SEED)
