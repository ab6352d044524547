"""Tests of the room pop3."""
