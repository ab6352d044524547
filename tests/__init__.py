"""The tests mirror the package: ``mailroute/x/y.py`` is tested by ``tests/x/test_y.py``."""
