"""Submission (RFC 5321, RFC 6409) up to the login.

``syntax``   commands of a client and replies of a backend, as values
``replies``  every text that we say to a client
``server``   we are the server: greeting to AUTH
``client``   we are the client: the login at the backend
"""
