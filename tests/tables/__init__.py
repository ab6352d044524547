"""Tests of the lookup tables."""
