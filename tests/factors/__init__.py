"""HOTP and TOTP, judged by the RFCs and by other people's programs."""
