"""IMAP (RFC 3501, RFC 9051) up to the login.

``syntax``   commands, and the lines of a backend, as values
``replies``  every text that we say to a client
``server``   we are the server: greeting to login
``client``   we are the client: the login at the backend
"""
