"""Tests of the software stand-ins, and of the two commands that put them into a terminal."""
