"""Bytes and their grammar, shared by every line protocol.

``framing``  the receive buffer: bounded lines and announced octets, in linear time
``strings``  quoted strings, literals and astrings as IMAP and ManageSieve write them
"""
