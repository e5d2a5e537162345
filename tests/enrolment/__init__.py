"""Registrations of security keys, their makers' statements, and who vouches for them."""
