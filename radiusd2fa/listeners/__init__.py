"""Where packets come in, one file per transport."""
