"""The Debian package's data agree with the rest of the sources."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailroute import __version__

ROOT = Path(__file__).parents[1]
DEBIAN = ROOT / "debian"
_PIN = re.compile(r"^([\w.-]+)==([\w.]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """The versions of a file of requirements; each requirement has to have a hash."""
    text = (DEBIAN / name).read_text(encoding="utf-8")
    found = {match[1]: match[2] for match in _PIN.finditer(text)}
    if len(found) != text.count("=="):
        raise ValueError(f"{name}: a requirement without a hash")
    return found


def numbers(version: str) -> list[int]:
    """A version as something that can be compared."""
    return [int(part) for part in version.split(".") if part.isdecimal()]


class PackageTests(SynchronousTestCase):
    """What ``make test-package`` would find out much later."""

    def test_pins(self) -> None:
        """Every library that we need is pinned, in a version that we allow, with its hashes."""
        with (ROOT / "pyproject.toml").open("rb") as file:
            project = tomllib.load(file)
        for wanted, name in (
            (project["project"]["dependencies"], "requirements.txt"),
            (project["build-system"]["requires"], "requirements-build.txt"),
        ):
            pinned = pins(name)
            for each in wanted:
                library, _, least = each.partition(">=")
                found = pinned.get(library.lower().replace("_", "-"))
                self.assertIsNotNone(found, f"{library} is not pinned: run debian/pin")
                self.assertGreaterEqual(numbers(found or ""), numbers(least), library)

    def test_version(self) -> None:
        """The newest entry of the changelog is for this version."""
        first = (DEBIAN / "changelog").read_text(encoding="utf-8").partition("\n")[0]
        self.assertTrue(first.startswith(f"mailroute ({__version__}-"), first)

    def test_no_registry(self) -> None:
        """Where libraries come from is the affair of whoever builds."""
        for path in (*DEBIAN.rglob("*"), *(ROOT / ".ci").iterdir()):
            generated = {"mailroute", "built", ".debhelper"} & set(path.relative_to(ROOT).parts)
            if path.is_file() and not generated:
                text = path.read_text(encoding="utf-8")
                found = re.findall(r"https?://(?!www\.debian\.org/doc/)\S+|index-url", text)
                self.assertEqual(found, [], path)

    def test_unit(self) -> None:
        """The unit's promises, each of which the service keeps."""
        unit = (DEBIAN / "mailroute.service").read_text(encoding="utf-8")
        for line in (
            "Type=notify",
            "User=mailroute",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE",
            "RestartPreventExitStatus=78",
            "LimitCORE=0",
            "ExecReload=/bin/kill -HUP $MAINPID",
        ):
            self.assertIn(f"\n{line}\n", unit)
        self.assertRegex(unit, r"\nWatchdogSec=\d+s\n")
        self.assertRegex(unit, r"\nLimitNOFILE=\d+\n")
