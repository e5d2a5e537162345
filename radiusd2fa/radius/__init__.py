"""The RADIUS wire: bytes to values and back, nothing else."""
