"""Primary credentials, one file per backend, found by its name in the settings."""
