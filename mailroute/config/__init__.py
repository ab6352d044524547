"""The configuration file: read once, checked whole, dead after ``service`` has taken its values.

``model``      the frozen values that the rest of mailroute is built from
``reader``     ``read``: a Configuration, or every complaint at once
``schema``     what a key and a section are; how a table of them is read
``document``   the file being read: its lines, complaints and warnings
``positions``  the line of a dotted key, which ``tomllib`` does not tell
``values``     the types of values: each parses itself or says what it wants instead
``secrets``    values that may be kept elsewhere, and are shown nowhere
``server`` ``listeners`` ``destinations`` ``routes`` ``mapping`` ``tls`` ``capabilities``
               the sections: a table of keys, and the checks inside one section
``checks``     what sections demand of each other
"""
