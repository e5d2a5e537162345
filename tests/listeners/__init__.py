"""Sockets on loopback."""
