"""The outcome as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.layout import SECTIONS
from benchmarks.plots import curve, section_plot
from benchmarks.results import Results, Sample

SVG = "{http://www.w3.org/2000/svg}"


def plot(**medians: tuple[float, ...]) -> ElementTree.Element:
    """IMAP logins of some peers, a value for each round."""
    samples = [
        Sample("login-imap", peer, number, {"cpu_us": value}, [])
        for peer, values in medians.items()
        for number, value in enumerate(values)
    ]
    text = section_plot(Results(samples=samples), SECTIONS[0])
    assert text is not None
    return ElementTree.fromstring(text)  # noqa: S314 (it is our own)


class PlotTests(SynchronousTestCase):
    """Bars."""

    def test_lengths(self) -> None:
        """A bar begins at zero and is as long as its median says."""
        bars = plot(nginx=(100.0,), mailroute=(50.0,)).findall(f"{SVG}rect")
        widths = [float(bar.attrib["width"]) for bar in bars]
        self.assertAlmostEqual(widths[0], 2 * widths[1], delta=0.2)
        self.assertEqual([bar.attrib["class"] for bar in bars], ["bar", "ours"])
        self.assertEqual(len({bar.attrib["x"] for bar in bars}), 1)

    def test_ranges(self) -> None:
        """The range goes from the lowest to the highest round; one round has none."""
        drawn = plot(nginx=(100.0, 200.0, 150.0), mailroute=(50.0,))
        lines = [it for it in drawn.findall(f"{SVG}line") if it.attrib["class"] == "range"]
        self.assertEqual(len(lines), 1)
        bar = drawn.findall(f"{SVG}rect")[0]
        zero, width = float(bar.attrib["x"]), float(bar.attrib["width"])
        self.assertAlmostEqual(float(lines[0].attrib["x1"]) - zero, width * 100 / 150, delta=0.2)
        self.assertAlmostEqual(float(lines[0].attrib["x2"]) - zero, width * 200 / 150, delta=0.2)

    def test_within_the_picture(self) -> None:
        """Nothing is drawn outside, whatever the figures."""
        drawn = plot(nginx=(1e-9,), mailroute=(1e9, 2e9), dovecot=(0.0,), perdition=(3.0,))
        width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
        for bar in drawn.findall(f"{SVG}rect"):
            self.assertLess(float(bar.attrib["x"]) + float(bar.attrib["width"]), width)
            self.assertLess(float(bar.attrib["y"]) + float(bar.attrib["height"]), height)

    def test_nothing(self) -> None:
        """No figures, no plot."""
        self.assertIsNone(section_plot(Results(), SECTIONS[0]))


class CurveTests(SynchronousTestCase):
    """A line over time."""

    def test_begins_at_zero(self) -> None:
        """The scale begins at zero: a small growth looks small."""
        drawn = ElementTree.fromstring(  # noqa: S314 (it is our own)
            curve("m", "MiB", [(0.0, 100.0), (60.0, 110.0)])
        )
        line = drawn.find(f"{SVG}polyline")
        assert line is not None
        (x1, y1), (x2, y2) = (map(float, it.split(",")) for it in line.attrib["points"].split())
        self.assertLess(x1, x2)
        self.assertLess((y1 - y2) / (250 - y2), 0.1)
