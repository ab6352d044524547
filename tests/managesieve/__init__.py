"""Tests of mailroute.managesieve."""
