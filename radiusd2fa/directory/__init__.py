"""A directory of people, asked over LDAPv3 (RFC 4511) by a client of our own that cannot be held up.

Nothing here decides a login, and no step of it waits without an end: a server that hangs, drips or rambles is given up
at a set time. Why this is not one of the bindings to libldap: docs/decisions/0013.
"""
