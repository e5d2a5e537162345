"""Tests of the emulated security key, with python-fido2, libfido2, OpenSSH and pcscd as judges."""
