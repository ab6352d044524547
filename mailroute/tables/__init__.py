"""Lookup tables: what a key leads to.

``contract``      Key, Row and the Table protocol: found, absent and failed are three answers
``string_table``  tables from text to texts (``[table.NAME]``), and one of them as the mapping
``static`` ``colon_file`` ``regexp`` ``chain`` ``identity`` ``dummy`` ``email_localpart``
``email_with_domain``
                  the kinds of such tables, one file each
``cached``        a table in front of a table: remembers, asks once, serves through outages
``file``          a text file, read whole
``sql``           makes the SQL table that a URL asks for: ``sqlite``, ``mysql``, ``postgres``

``sql_query``     statements in SQL that look up, list and change

``redis``         keys of a Redis server
``named``         all tables of the configuration, with one life
``mapping_store`` the mapping as something that can be changed, by statements (``mapping_sql``) or
                  in its file (``mapping_file``)

Below the file tables:

``colon_lines``   what stands in a file of ``key: value`` lines
``text_lines``    reads a file's lines in a thread (``aside``) while the reactor goes on
``texts_by_key``  a million keys and texts, in little memory
``rewriting``     changes a file whole or not at all

Below the SQL tables:

``sql_table``     what they share: settings, the way from a key to a row, messages
``sql_url``       the URL of a database
``sql_lexer``     cuts a query into tokens, by the rules of its engine
``placeholders``  turns ``$1``, ``?`` and ``:name`` into the driver's parameters
``keys``          the templates of the keys that are tried
``rows``          makes a Row of a driver's values
``sql_statements``  the statements of a table ``sql_query``, as written and as read
``sql_store``     a database that any statement is put to: ``sqlite_store``, ``mysql_store``,
                  ``postgres_store``; ``stores`` makes the one that a target asks for
``redis_pool`` ``redis_protocol`` ``redis_url``
                  connections to Redis
``kept_connections``
                  connections that wait for the next question, and may have died
``slots``         how many lookups use a database at once
``deadline``      waiting that ends in time
``blocking``      blocking drivers behind threads (SQLite, MySQL); ``crew``: the threads
``postgres_pool`` connections to PostgreSQL, without threads
``resolving``     addresses of database servers
"""
