"""mailroute in one process, with a service manager that wants to know how it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from mailroute.config import model
from mailroute.config.reader import load
from mailroute.errors import ConfigurationError
from mailroute.service import MailrouteService


class AnnouncedService(MailrouteService):
    """Says when it is ready, reloading and stopping, as the supervisor of many does."""

    def __init__(self, configuration: model.Configuration, reactor: Any) -> None:
        """Raises ConfigurationError."""
        super().__init__(configuration, reactor)
        self.announce: Callable[[str], object] = lambda state: None
        """See Supervisor."""
        self.text: str | None = None
        """Of the configuration that is served, as it was read; None where that is not known."""

    def startService(self) -> None:
        """See MailrouteService."""
        super().startService()
        self.announce("ready")

    def reload(self) -> Deferred[None]:
        """See MailrouteService."""
        self.announce("reloading")
        self._tell_of_changes()
        return super().reload().addCallback(lambda _: self._announce_reloaded())

    def stopService(self) -> Deferred[None]:
        """See MailrouteService."""
        self.announce("stopping")
        return super().stopService()

    def _tell_of_changes(self) -> None:
        """Whoever has changed the configuration file may take "reloaded" for an answer."""
        try:
            text = load(self._configuration.path)
        except ConfigurationError:
            # Not for us any more, since rights were given up.
            return
        if self.text not in (None, text):
            self._log.warn(
                "reload: {path} has changed: with one worker it takes a restart to have it served",
                path=self._configuration.path,
            )

    def _announce_reloaded(self) -> None:
        # Files may take a while, and nobody comes back from stopping.
        if self.running:
            self.announce("ready")
