"""Reading the URL of a Redis server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.redis_url import RedisTarget, parse_redis_url


class UrlTests(SynchronousTestCase):
    """Forms of the URL."""

    def test_forms(self) -> None:
        """Everything but the scheme may be left out."""
        for url, target in {
            "redis://": RedisTarget(),
            "redis://h": RedisTarget("h"),
            "redis://h:7000/3": RedisTarget("h", 7000, database=3),
            "redis://:p%40ss@h": RedisTarget("h", password="p@ss"),
            "redis://u:p@[::1]:1?db=2": RedisTarget("::1", 1, None, 2, "u", "p"),
            "rediss://h?ssl_ca_certs=/ca.pem": RedisTarget("h", tls=True, ca_file="/ca.pem"),
            "unix:///run/redis.sock": RedisTarget(socket="/run/redis.sock"),
            "unix://:p@/r%20s?db=1": RedisTarget(socket="/r s", database=1, password="p"),
        }.items():
            self.assertEqual(parse_redis_url(url, "t"), target, url)

    def test_places(self) -> None:
        """A place is shown without the password, and so is the target."""
        for url, place in {
            "redis://u:s3cret@h/1": "h:6379",
            "redis://[::1]": "[::1]:6379",
            "unix://:s3cret@/run/s": "/run/s",
        }.items():
            target = parse_redis_url(url, "t")
            self.assertEqual(target.place, place)
            self.assertNotIn("s3cret", repr(target))

    def test_refused(self) -> None:
        """What cannot be read is a complaint that names the key and not the password."""
        for url in (
            "http://u:s3cret@h",
            "s3cret",
            "redis://u:s3cret@h/x",
            "redis://u:s3cret@h:port",
            "redis://u:s3cret@h?timeout=1",
            "redis://h/1234567890",
            "redis://h?ssl_ca_certs=/x",
            "unix://s3cret",
            "redis://[::1",
        ):
            error = self.assertRaises(ConfigurationError, parse_redis_url, url, "table.x.url")
            self.assertTrue(str(error).startswith("table.x.url: "), str(error))
            self.assertNotIn("s3cret", f"{error}{error!r}")
