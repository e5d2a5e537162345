"""What the laptop's tests share with those of the keys: keys to plug in, and a look at what was left behind.

It makes nothing of its own. No RFC speaks here.
"""

from tests.keys.conftest import nothing_left_behind, plug

__all__ = ["nothing_left_behind", "plug"]
