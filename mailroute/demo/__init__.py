"""A demo that needs nothing else: ``python -m mailroute.demo``.

Two sample mail servers (they are for the demo only), an SQLite table that says which account
lives on which, and mailroute in front of them, all in one process on loopback.

``message``       one stored message, as the IMAP server wants to see it
``mailbox``       the messages of an account: the IMAP and the POP3 view
``backend``       a sample server: who may log in there, and its three protocols
``certificate``   a self-signed certificate for localhost
``configuration`` the folder with table, certificate and configuration file
``instructions``  what to paste into a second terminal
"""
