"""Tests of the wire layer: the tables of refusals first, then the judges from outside."""
