"""Which packages are installed; everything else stands in ``pyproject.toml``.

``twisted.plugins`` is listed by hand: it is a folder without ``__init__.py`` that is laid into
Twisted's own package, where ``twistd`` looks for plugins.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mailroute", "mailroute.*"]), "twisted.plugins"],
    package_data={"mailroute": ["py.typed"]},
)
