"""radiusd2fa: a RADIUS server that puts a hardware token behind every login."""

__version__ = "0.2.0"
