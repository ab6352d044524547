"""The parameters of a table: in a file of its own, or in main.cf as ``NAME_parameter``.

In a file of its own nothing is expanded and quotes are data; in main.cf ``$name`` is expanded.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.lines import is_utf8, logical_lines, name_and_value, read_text
from mailroute.tables.postfix.macros import expand

# What Debian's main.cf refers to without setting it.
_DEFAULTS = {"queue_directory": "/var/spool/postfix", "data_directory": "/var/lib/postfix"}


def in_own_file(name: str) -> bool:
    """Whether ``name`` of ``type:name`` is a file, not a prefix of parameters in main.cf."""
    return name.startswith(("/", "."))


class Parameters:
    """Parameters by name.  Every complaint names the table and the parameter."""

    def __init__(self, place: str, values: Mapping[str, str], warnings: Collection[str]) -> None:
        """``place`` begins every complaint; ``warnings`` came up while reading."""
        self.place = place
        self.warnings = list(warnings)
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """The value, ``default`` where the parameter is not set at all."""
        return self._values.get(name, default)

    def required(self, name: str, default: str = "") -> str:
        """The value.  Raises ConfigurationError for an empty one."""
        value = self.text(name, default)
        if not value:
            raise self.complaint(name, "a value is required")
        return value

    def number(self, name: str, default: int) -> int:
        """The value as a number from 0 on.  Raises ConfigurationError for another."""
        value = self.text(name, str(default)).strip()
        if not value.removeprefix("+").isascii() or not value.removeprefix("+").isdigit():
            raise self.complaint(name, f"a whole number from 0 on is expected, not {value!r}")
        return int(value)

    def boolean(self, name: str, default: bool) -> bool:
        """The value as yes or no.  Raises ConfigurationError for another."""
        value = self.text(name, "yes" if default else "no").lower()
        if value not in ("yes", "no"):
            raise self.complaint(name, f"yes or no is expected, not {value!r}")
        return value == "yes"

    def complaint(self, name: str, text: str) -> ConfigurationError:
        """Word a fault of one parameter."""
        return ConfigurationError([f"{self.place}: {name}: {text}"])

    def warn_unknown(self, known: Collection[str]) -> None:
        """Add a warning for each parameter that Postfix would ignore silently."""
        for name in sorted(self._values.keys() - set(known)):
            near = get_close_matches(name, known, 1)
            hint = f"; do you mean {near[0]}?" if near else ""
            self.warnings.append(f"{self.place}: {name} is no parameter here: ignored{hint}")


def read_parameters(kind: str, name: str, config_directory: str) -> Parameters:
    """Read the parameters of ``kind:name``.  Raises ConfigurationError."""
    place = f"{kind}:{name}"
    if in_own_file(name):
        values, warnings = _read(os.path.abspath(name), place)
        return Parameters(place, values, warnings)
    main, warnings = _read(os.path.join(config_directory, "main.cf"), place)
    settings = {**_DEFAULTS, "config_directory": config_directory, **main}

    def value_of(wanted: str) -> str | None:
        if wanted not in settings:
            raise ValueError(f"${wanted} is not set in main.cf (built-in defaults are not known)")
        return settings[wanted]

    prefix = f"{name}_"
    values = {}
    for written, value in main.items():
        if written.startswith(prefix):
            try:
                values[written.removeprefix(prefix)] = expand(value, value_of)
            except ValueError as error:
                raise ConfigurationError([f"{place}: {written}: {error}"]) from None
    if not values:
        raise ConfigurationError([f"{place}: main.cf has no parameter that begins with {prefix}"])
    return Parameters(place, values, [])


def _read(path: str, place: str) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    warnings = []
    for line in logical_lines(read_text(path, place)):
        try:
            name, value = name_and_value(line.text)
            if not is_utf8(value):
                raise ValueError("the line is not UTF-8")
        except ValueError as error:
            raise ConfigurationError([f"{path}:{line.number}: {error}"]) from None
        if values.get(name, value) != value:
            warnings.append(f"{path}:{line.number}: {name} is set again: the last one counts")
        values[name] = value
    return values, warnings
