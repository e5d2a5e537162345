"""Second factors, one file each: pure functions over core.model."""
