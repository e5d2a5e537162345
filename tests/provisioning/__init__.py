"""docs/provisioning.md, played."""
