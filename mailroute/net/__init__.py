"""Connections: the only floor that touches transports.

``peer``       a connection and the dialogue it carries
``client_peer`` ``backend_peer``  its two kinds
``transport``  what is needed of a transport and of time, as types
``allowance``  the time that one side has left to speak
``tls``        contexts for both legs; what makes a backend's certificate right
``listener``   accepted connections become sessions
``sockets``    bound sockets, before privileges are dropped
``connector``  from a route to a backend that has answered
``splice``     two joined connections, by the engine that fits them
``pump`` ``kernel``  the engines: through our memory, or inside the kernel
"""
