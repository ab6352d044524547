"""SASL (RFC 4422): mechanisms as small values, and the exchange that carries them.

``mechanism``  the contract: how far a mechanism must be followed to know the account
``plain`` ``login`` ``xoauth2`` ``oauthbearer`` ``scram`` ``external``  one mechanism each
``tokens``     whom a bearer token is for
``substitution``  other credentials for the backend than those of the client
``exchange``   base64, "*", "=" and the bounds, for both sides of every protocol
``registry``   name -> mechanism
"""
