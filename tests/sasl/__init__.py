"""Tests of the room sasl."""
