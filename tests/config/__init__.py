"""Tests of ``mailroute.config``."""
