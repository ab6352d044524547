"""Tests of the room imap."""
