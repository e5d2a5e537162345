"""`radiusd2fa-key`, the program on the user's laptop: it answers ssh with a security key, and does the rest by hand."""
