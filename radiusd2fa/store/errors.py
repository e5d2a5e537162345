"""What goes wrong with a store, by whose turn it is: somebody must do something, or it may pass by itself.

Nothing is looked at here. No RFC speaks here.
"""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used as it is. The text says what to do about it."""


class StoreUnavailableError(StoreError):
    """The store does not answer now; the same call may go through later."""
