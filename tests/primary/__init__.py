"""Backends for the first credential."""
