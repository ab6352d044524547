"""Very many texts by their keys."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.texts_by_key import TextsByKey


class TextsByKeyTests(SynchronousTestCase):
    """It is a dictionary, but for the time that single steps take."""

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=2))))
    def test_as_a_dictionary(self, entries: list[tuple[str, str]]) -> None:
        """Of a key's texts the last counts; what is not there is None."""
        texts = TextsByKey()
        for key, text in entries:
            texts.put(key, text)
        texts.seal()
        expected = dict(entries)
        self.assertEqual(dict(texts.items()), expected)
        self.assertEqual(len(texts), len(expected))
        for key, text in expected.items():
            self.assertEqual(texts.get(key), text)
        self.assertIsNone(texts.get("no such key"))

    def test_many_small_ones(self) -> None:
        """No single dictionary holds more than a small part of the entries."""
        texts = TextsByKey()
        for number in range(50_000):
            texts.put(f"user{number}@example.org", "east")
        self.assertEqual(len(texts), 50_000)
        self.assertLess(max(map(len, texts._shards)), 50_000 / 100)

    def test_equal_texts(self) -> None:
        """Equal texts are one in memory, however many keys have them."""
        texts = TextsByKey()
        for number in range(100):
            texts.put(str(number), "".join(["ea", "st"]))
        self.assertEqual(len({id(text) for _, text in texts.items()}), 1)

    def test_release(self) -> None:
        """All of the memory is given back; who has begun to list keeps what there was."""
        texts = TextsByKey()
        texts.put("a", "b")
        listed = texts.items()
        texts.release()
        self.assertEqual(len(texts), 0)
        self.assertEqual(list(listed), [("a", "b")])
