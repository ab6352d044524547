"""Secrets: written in the file, or kept in another file, the environment or a credential."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from mailroute.config.document import Document, Surroundings
from mailroute.config.hidden import Secret
from mailroute.config.positions import KeyPath
from mailroute.config.values import readable_file

_FORMS = '{ file = "path" }, { env = "NAME" } or { credential = "name" }'
_LIMIT_OCTETS = 65536


def secret(raw: object, surroundings: Surroundings) -> Secret:
    """Read a secret from wherever the file says it is."""
    if isinstance(raw, str):
        value = raw
    elif isinstance(raw, dict) and len(raw) == 1 and next(iter(raw)) in _SOURCES:
        source, place = next(iter(raw.items()))
        if not isinstance(place, str) or not place:
            raise ValueError(f"the secret must be text or one of {_FORMS}")
        value = _SOURCES[source](place, surroundings)
    else:
        raise ValueError(f"the secret must be text or one of {_FORMS}")
    if not value or "\0" in value:
        raise ValueError("the secret must not be empty or contain NUL")
    return Secret(value)


def is_inline(raw: object) -> bool:
    """Whether the secret stands in the configuration file itself."""
    return isinstance(raw, str)


def warn_if_open(raw: object, path: KeyPath, document: Document) -> None:
    """Warn if the secret stands in the configuration file and everybody can read that."""
    if not is_inline(raw):
        return
    try:
        mode = os.stat(document.path).st_mode
    except OSError:
        return
    if mode & stat.S_IROTH:
        document.warn(
            path, f"everybody on this machine can read this password: chmod o-r {document.path}"
        )


def _from_file(place: str, surroundings: Surroundings) -> str:
    path = readable_file(place, surroundings)
    try:
        with open(path, "rb") as file:
            octets = file.read(_LIMIT_OCTETS + 1)
        value = octets.decode("utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        # The original error holds the file's content.
        raise ValueError(f"the secret in {path} is not UTF-8 text") from None
    if len(octets) > _LIMIT_OCTETS:
        raise ValueError(f"the secret in {path} is longer than {_LIMIT_OCTETS} octets")
    return value.removesuffix("\n").removesuffix("\r")


def _from_environment(place: str, surroundings: Surroundings) -> str:
    if place not in surroundings.environment:
        raise ValueError(f"there is no environment variable {place}")
    return surroundings.environment[place]


def _from_credential(place: str, surroundings: Surroundings) -> str:
    folder = surroundings.environment.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ValueError("$CREDENTIALS_DIRECTORY is not set: systemd passes no credentials")
    if "/" in place or place in (".", ".."):
        raise ValueError("the name of a credential has no slash")
    return _from_file(os.path.join(folder, place), surroundings)


_SOURCES: dict[str, Callable[[str, Surroundings], str]] = {
    "file": _from_file,
    "env": _from_environment,
    "credential": _from_credential,
}
