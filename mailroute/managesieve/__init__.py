"""ManageSieve (RFC 5804) up to the login.

``syntax``   commands, and the replies of a backend, as values
``replies``  every text that we say to a client
``server``   we are the server: greeting to login
``client``   we are the client: the login at the backend
"""
