"""mailroute: a routing proxy for IMAP, POP3, SMTP submission and ManageSieve.

It answers the client until the login, looks the account up in a table, connects to the
backend that holds the account, replays the login there and joins the two streams.

The rooms, lowest first; imports go down only (``tests/test_architecture.py`` holds the law):

0  ``errors`` ``credentials`` ``route`` ``events``   values that everybody may use
1  ``wire/``         lines, literals, quoted strings
2  ``sasl/``         the mechanisms, and the exchange that carries them
   ``offer``         what may be offered and therefore allowed on a channel
   ``dialogue``      the form of every protocol: bytes in, events out
3  ``imap/`` ``pop3/`` ``smtp/`` ``managesieve/``   each protocol, as a server and as a client
4  ``protocols``     the only list of protocols
5  ``names``         host names, resolved
   ``tables/``       lookup tables and the cache before them
   ``routing``       identity -> key -> row -> route
   ``session``       one login, from the first milestone to the joined stream
   ``journal``       what a session tells the log
   ``learning``      what all backends of a protocol offer
6  ``net/``          connections: peers, TLS, listeners, the connector, the splice
8  ``service`` ``tap`` ``cli/`` ``demo/``   putting it together; ``config/`` is read here alone
"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
