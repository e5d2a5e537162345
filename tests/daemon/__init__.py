"""The real daemon, as a process, under what the world does to it."""
