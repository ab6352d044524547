"""Lookup tables: what a key leads to.

``contract``  Key, Row and the Table protocol: found, absent and failed are three answers
"""
