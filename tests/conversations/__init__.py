"""Conversations between clients and the daemon, written as transcripts and played against the real thing."""
