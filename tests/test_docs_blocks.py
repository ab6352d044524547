"""Every command and configuration of the documentation has a test that carries it out."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.transcripts import read_blocks
from tests.test_docs import ROOT, documents

PICTURE = "no command and no configuration"
CONFIGURATIONS = "tests.test_docs"
PROGRAMS = "tests.integration.test_docs_programs"
TABLES = "tests.test_docs_tables"
POSTFIX = "tests.integration.test_postfix_maps"
COMMANDS = "tests.integration.test_docs_cli"
GUIDES = "tests.integration.test_docs_guides"
TUTORIAL = "tests.integration.test_tutorial"

TESTED_BY = {
    "README.md": {
        "text": PICTURE,
        "demo": "tests.integration.test_demo",
        "sh": "tests.integration.test_readme",
        "toml": CONFIGURATIONS,
    },
    "docs/tutorial.md": dict.fromkeys(("console", "sh", "file", "toml", "output"), TUTORIAL),
    "docs/cli.md": dict.fromkeys(("file", "sqlite", "console"), COMMANDS),
    "docs/tables.md": {
        **dict.fromkeys(("toml", "file", "sqlite", "lookup", "places"), TABLES),
        "redis": "tests.integration.test_tables_redis",
    },
    "docs/postfix-tables.md": {
        **dict.fromkeys(("ini", "sql", "console", "file"), POSTFIX),
        "toml": CONFIGURATIONS,
    },
    "docs/workers.md": {"toml": CONFIGURATIONS},
    "docs/performance.md": {},
    "docs/guides/databases.md": {"toml": CONFIGURATIONS, "sql": CONFIGURATIONS},
    "docs/guides/backends.md": {"toml": CONFIGURATIONS, "dovecot": PROGRAMS, "postfix": PROGRAMS},
    "docs/guides/scaling.md": {
        "toml": CONFIGURATIONS,
        **dict.fromkeys(("ini", "haproxy", "keepalived"), PROGRAMS),
    },
    "docs/guides/security.md": {"toml": CONFIGURATIONS, "ini": PROGRAMS},
    "docs/guides/authentication.md": {"toml": CONFIGURATIONS},
    "docs/guides/nginx.md": {"toml": GUIDES},
    "docs/guides/perdition.md": {"toml": GUIDES},
    "docs/guides/dovecot.md": {"toml": GUIDES},
    "docs/guides/stalwart.md": {"toml": GUIDES},
    "docs/reference/service.md": {"text": PICTURE, "toml": CONFIGURATIONS, "ini": PROGRAMS},
    "docs/reference/log.md": {"log": "tests.test_docs_log", "ini": PROGRAMS},
}
"""Document, kind of a block, and the module that carries out or reads every block of the kind."""


class BlockTests(SynchronousTestCase):
    """The table above and the documents agree."""

    def test_every_block(self) -> None:
        """Each block is of a kind that is tested, and each kind of the table is there."""
        for path in documents():
            name = str(path.relative_to(ROOT))
            kinds = {block.kind for block in read_blocks(path)}
            self.assertEqual(kinds, set(TESTED_BY.get(name, {})), name)

    def test_every_fence(self) -> None:
        """No block is written so that no test sees it."""
        for path in documents():
            text = path.read_text(encoding="utf-8")
            directives = len(re.findall(r"^```\{", text, re.MULTILINE))
            fences = len(re.findall(r"^ *(?:```|~~~)", text, re.MULTILINE))
            self.assertEqual(fences, 2 * (len(read_blocks(path)) + directives), path.name)

    def test_every_test(self) -> None:
        """The modules are there, and know the kind or the document."""
        for name, kinds in TESTED_BY.items():
            for kind, module in kinds.items():
                if module != PICTURE:
                    path = import_module(module).__file__
                    assert path is not None
                    text = Path(path).read_text(encoding="utf-8")
                    about = f'"{kind}"' in text or Path(name).stem in text
                    self.assertTrue(about, f"{module} does nothing with {kind} of {name}")
