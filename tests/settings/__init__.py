"""Tests of the configuration file: what is refused, what is read, and what is never shown."""
