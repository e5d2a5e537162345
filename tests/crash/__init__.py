"""Crash, power, clock and disk: what the real daemon does when everything around it fails.

Nothing here is mocked but the failure itself. docs/promises.md says which test proves what; no RFC speaks here.
"""
