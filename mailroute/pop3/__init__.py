"""POP3 (RFC 1939, RFC 2449, RFC 5034) up to the login.

``syntax``   commands, and the lines of a backend, as values
``replies``  every text that we say to a client
``server``   we are the server: greeting to login
``client``   we are the client: the login at the backend
"""
