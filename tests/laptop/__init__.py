"""Tests of the program on the laptop."""
