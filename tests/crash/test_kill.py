"""SIGKILL under load: whatever was accepted stays used, and nobody is left behind with a fob that no longer fits.

The crowd keeps its own record of every answer that reached it. A process that is killed loses what it had not handed
to the kernel; power loss is test_power_loss.py's matter. RFC 4226 7.2: the counter is synchronised "only if" the code
was right, and never twice for one code.
"""

from __future__ import annotations

import time
from typing import Final

import pytest

from .crowd import Crowd

SEED: Final = 4226


@pytest.mark.parametrize(
    ("rounds", "seed"),
    [(12, SEED), *(pytest.param(125, SEED + number, marks=pytest.mark.soak) for number in range(1, 5))],
)
def test_a_killed_daemon_forgets_no_code(crowd: Crowd, rounds: int, seed: int) -> None:
    """Killed at a random moment under load, again and again: no code gets in twice, every next code gets in."""
    crowd.chance.seed(seed)
    cut_off = 0
    for _ in range(rounds):
        moment = crowd.chance.choice([0.0, crowd.chance.uniform(0, 0.003)])
        with crowd.site.serving() as daemon, crowd.facing(daemon):
            crowd.judge()
            crowd.press_on(crowd.chance.randrange(1, 100))
            end = time.monotonic() + moment
            while time.monotonic() < end:
                pass
            daemon.kill()
            crowd.hear_the_last()
            cut_off += crowd.waiting
    with crowd.site.serving() as daemon, crowd.facing(daemon):
        crowd.judge(everything=True)
    assert cut_off >= rounds, "the daemon was never killed at work: this test has shown nothing"
    assert crowd.thefts > rounds
