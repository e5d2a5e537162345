"""Seed files, one format a file: pure functions from octets to seeds, found by the format's name.

Each module offers NAME, TITLE, ``sniff(head) -> bool`` and ``read(file, how) -> Iterator[Entry]``. Nothing here opens a
file, asks for a key or touches the store; a fault says the line and never what the seed is.
"""
