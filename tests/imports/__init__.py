"""Seed files of every format, as vendors and other systems write them, whole and damaged."""
