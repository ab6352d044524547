"""The console script ``mailroute``: what an administrator asks and tells besides serving.

``main`` is the list of the commands; each has a module of its own that is imported when it is
called.  ``running`` runs what waits, ``output`` prints for people or programs, ``statuses`` are
the exit statuses.
"""
