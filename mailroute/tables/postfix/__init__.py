"""Postfix's lookup tables, by the rules of Postfix, so that an existing table works unchanged.

``opening``     makes the table that ``type:name`` asks for
``query``       what ``postmap -q`` and ``postmap -s`` answer

``sql_map``     the tables ``sqlite:``, ``mysql:`` and ``pgsql:``: from a key to the answer
``template``    ``%s %u %d ...``: what a key or a value gives, and which keys are not asked for
``literals``    turns the quoted expansions of a query into parameters of the driver
``domains``     the list that says which domains are asked for
``sqlite``, ``mysql``, ``pgsql``   how each engine is asked
``hosts``       the hosts of a parameter file
``failover``    which of several servers is asked, and which next

``entries``, ``regexp``, ``combined``   the tables without a database
``posix``       turns a POSIX expression into one of RE2

``parameters``  a parameter file, or the parameters of a table in main.cf
``macros``      ``$name`` and its relatives
``lines``       logical lines of Postfix's files
``braces``      lists whose items may stand in braces
"""
