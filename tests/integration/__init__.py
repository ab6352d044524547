"""Tests against real servers, each started privately by the tests on loopback."""
