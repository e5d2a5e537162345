"""Programs of other people, talking to the real daemon."""
