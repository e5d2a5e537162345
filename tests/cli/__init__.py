"""The command line as administrators and scripts meet it."""
