"""The decision: pure, no clock, no randomness, no files, no sockets."""
