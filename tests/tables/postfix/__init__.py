"""Tests of Postfix's tables."""
