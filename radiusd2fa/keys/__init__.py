"""Security keys that are plugged in or held to a reader: finding them, and asking one to sign or to register."""
