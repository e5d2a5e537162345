"""The client for directories: its pieces, and all of it against OpenLDAP's server and against servers that are sick."""
