"""Registering security keys: whose answer is this, and what kind of key gave it? Pure: facts in, outcome out."""
