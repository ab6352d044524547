"""Several processes that serve one configuration: one supervisor, and a worker for each slot.

The supervisor holds the listening sockets and never touches a client's octets.  A worker is a
fresh process: it gets its sockets, the text of the configuration and one end of a link.
"""
