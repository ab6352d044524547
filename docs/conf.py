"""How Sphinx builds the documentation and the man pages: ``make docs``.

``docs/generate.py`` has to run before: it writes the reference of the configuration and of the
commands from the program itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

project = "mailroute"
author = "mailroute contributors"
copyright = "mailroute contributors"
_package = Path(__file__).parent.parent / "mailroute" / "__init__.py"
release = version = re.findall(r'__version__ = "(.+)"', _package.read_text())[0]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "reference/generated"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"description": "A proxy that routes IMAP, POP3, submission and ManageSieve"}
html_show_sourcelink = False

man_pages = [
    ("reference/commands", "mailroute", "ask and tell mailroute", [author], 1),
    ("reference/configuration", "mailroute.toml", "mailroute's configuration", [author], 5),
    ("reference/service", "twistd-mailroute", "the service", [author], 8),
    ("tables", "mailroute-tables", "tables in which mailroute looks", [author], 5),
    ("postfix-tables", "mailroute-postfix-tables", "Postfix's tables", [author], 5),
]

# What stands behind ``` in our examples and is no language that Pygments knows.
PLAIN = (
    *("file", "sqlite", "redis", "lookup", "places", "output", "log"),
    *("dovecot", "postfix", "haproxy", "keepalived"),
)


def setup(app: Any) -> None:
    """Sphinx calls this."""
    for name in PLAIN:
        app.add_lexer(name, TextLexer)
