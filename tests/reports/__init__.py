"""The reports, each held against a plain recount."""
