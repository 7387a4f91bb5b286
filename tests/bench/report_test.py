#!/usr/bin/env python3
"""bench/report.py and bench/plots.py: tables, marked places, pictures, --check. All figures are invented."""
import contextlib
import io
import itertools
import json
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path
from unittest import mock

from made_up import GIB, bench, group, ops, row, run

import plots
import report


def cells(text: str, title: str) -> list[str]:
    """The cells after the title, of the first line with this title."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {title} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


class Numbers(unittest.TestCase):
    def test_three_significant_digits(self):
        given = {
            0: "0",
            0.012345: "0.0123",
            0.9996: "1.00",
            1: "1.00",
            9.996: "10.0",
            12.34: "12.3",
            99.96: "100",
            123.4: "123",
            1234: "1230",
        }
        self.assertEqual({value: report.three(value) for value in given}, given)

    def test_percent(self):
        self.assertEqual([report.percent(value) for value in (0.0123, 0.456, 1.2)], ["1.2%", "46%", "120%"])


class Tables(unittest.TestCase):
    def setUp(self):
        ours = run("tempera", [row("fp32", 10, 8, planned_peak_bytes=8 * GIB),
                               row("compiled", 2, 4, difference={"mean": 0.5, "max": 3, "psnr": 46.04}, planned_peak_bytes=3 * GIB),
                               row("tiny_vae", 2, 4, difference={"mean": 0, "max": 0, "psnr": None}),
                               row("automatic", 1, 2), row("one_picture", 1, 2, images=1)])
        theirs = run("diffusers", [row("fp32", 25, 12, reserved_peak_bytes=16 * GIB), row("one_picture", 3, 4),
                                   {"row": "compiled", "title": "", "options": "", "failed": "the compiler fell over."}])
        self.document = bench(ours, theirs)
        self.text = report.table(self.document, small=False)

    def test_ratios_are_theirs_over_ours(self):
        self.assertEqual(
            cells(self.text, "fp32, default attention"), ["10.0", "25.0", "2.50", "8.00", "12.0 (16.0)", "1.50", "8.00", "–", "–"]
        )

    def test_a_failed_row_says_why(self):
        self.assertEqual(cells(self.text, "+ compiled"), ["2.00", "failed", "–", "4.00", "failed", "–", "3.00", "0.500, 46.0 dB", "failed"])
        self.assertIn("* diffusers, + compiled: the compiler fell over.\n", self.text)

    def test_rows_not_run_and_rows_there_are_not(self):
        self.assertEqual(cells(self.text, "half precision"), ["not run", "not run", "–", "not run", "not run", "–", *["not run"] * 3])
        self.assertEqual(cells(self.text, "automatic")[:3], ["1.00", "–", "–"])
        self.assertNotIn("2 GiB, one picture", self.text)

    def test_other_numbers_of_pictures_have_no_ratio(self):
        self.assertEqual(cells(self.text, "one picture")[:3], ["1.00", "3.00", "–"])

    def test_equal_pictures(self):
        self.assertEqual(cells(self.text, "tiny autoencoder")[7], "equal")

    def test_notes_name_machine_versions_and_commands(self):
        for part in (
            "tempera 9.9 (c0ffee), model `made-up`: Made-up card, 3 threads, 5.00 GiB, Library 1.2",
            "4 pictures of 64 x 32, 25 Euler steps",
            "```\ncompare --made-up\n```",
        ):
            self.assertIn(part, self.text)

    def test_rows_of_earlier_commits_are_named(self):
        made = run(
            "tempera", [row("fp32", 1, 1, commit="older"), row("fp16", 1, 1, commit="c0ffee"), row("attention", 1, 1, commit="older")]
        )
        self.assertEqual(report.commits(made), " (c0ffee; fp32, attention: older)")
        self.assertEqual(report.commits(run("tempera", [row("fp32", 1, 1)], commit="")), "")

    def test_small_has_the_table_alone(self):
        small = report.table(self.document, small=True)
        self.assertEqual(cells(small, "fp32, default attention"), ["10.0", "25.0", "2.50", "8.00", "12.0", "1.50"])
        self.assertNotIn("```", small)

    def test_details(self):
        self.document["runs"][0]["rows"][0] |= {"ceiling_share": 0.5, "joules": 1234.5}
        text = report.details(self.document)
        self.assertEqual(cells(text, "fp32, default attention"), ["10.0", "0", "21.0", "50%", "1230"])
        theirs = text[text.index("| diffusers |"):]
        self.assertEqual(cells(theirs, "fp32, default attention"), ["25.0", "0", "51.0", "–", "–"])
        self.assertEqual(cells(theirs, "+ compiled"), ["failed"] * 5)

    def test_two_peers_have_two_tables(self):
        self.document["runs"].append(run("stable-diffusion.cpp", [row("fp32", 40, 9)]))
        self.assertIn("stable-diffusion.cpp, s", report.table(self.document, small=True).split("\n\n")[1])

    def test_one_engine_alone(self):
        self.assertEqual(cells(report.table(self.document["runs"][0], small=True), "automatic"), ["1.00", "2.00"])


class Pictures(unittest.TestCase):
    KEYS = [key for key, _, _ in report.ROWS]

    def crowded(self) -> dict:
        """Three engines whose points are close together."""
        return bench(*(run(engine, [row(key, base + 0.02 * i, 7 + 0.15 * ((i * k) % 5), images=1 if key == "one_picture" else 4)
                                    for i, key in enumerate(self.KEYS)])
                       for k, (engine, base) in enumerate((("tempera", 3), ("diffusers", 3.2), ("stable-diffusion.cpp", 3.5)), 1)))

    def test_svg_is_xml_and_the_same_each_time(self):
        for document in (self.crowded(), ops([group("conv2d/a<b", 0.9, 0.5), group("add/c", 0.1, 0.3), group("x/y", 0.001, 0.001)])):
            text = report.picture_of("x", document)
            self.assertEqual(xml.fromstring(text).tag, "{http://www.w3.org/2000/svg}svg")
            self.assertEqual(text, report.picture_of("x", json.loads(json.dumps(document))))

    def test_every_row_is_a_mark_and_is_named(self):
        root = xml.fromstring(report.picture_of("x", self.crowded()))
        svg = "{http://www.w3.org/2000/svg}"
        marks = [e for e in root.iter() if e.get("class", "").startswith("e") and e.tag != f"{svg}text"]
        self.assertEqual(len(marks), 3 * len(self.KEYS) + 4)            # and four in the legend
        words = " ".join(e.text for e in root.iter(f"{svg}text"))
        for _, _, name in report.ROWS:
            self.assertGreaterEqual(words.count(name), 3)

    def test_labels_lie_on_nothing(self):
        points = [plots.Point(i % 2, f"label {i}", 0, 0, False, 300 + 14 * (i % 4), 200 + 15 * (i // 4)) for i in range(12)]
        labels, area = plots.labels_of(points), plots.Box(60, 70, 840, 500)
        plots.place(labels, points, area)
        for a, b in itertools.combinations(labels, 2):
            self.assertEqual(a.box.overlap(b.box), 0, (a.lines, b.lines))
        for label in labels:
            self.assertEqual(label.box.outside(area), 0)
            for point in points:
                self.assertEqual(label.box.overlap(plots.Box(point.x - 4, point.y - 4, point.x + 4, point.y + 4)), 0)

    def test_points_together_share_a_label(self):
        points = [plots.Point(e, n, 0, 0, False, 100 + dx, 100) for e, n, dx in ((0, "a", 0), (0, "b", 3), (1, "c", 3), (0, "d", 60))]
        self.assertEqual(sorted(label.lines for label in plots.labels_of(points)), [["a, b"], ["c"], ["d"]])

    def test_axes_are_logarithmic_where_the_spread_asks_for_it(self):
        self.assertTrue(plots.Axis.of([1, 20], 0, 100).logarithmic)
        straight = plots.Axis.of([10, 20], 0, 100)
        self.assertFalse(straight.logarithmic)
        self.assertEqual(straight.at(0), 0)
        close = plots.Axis.of([10, 12], 0, 130)
        self.assertEqual([round(close.at(value)) for value in (10, 12)], [15, 115])
        self.assertEqual(close.ticks(), [10, 10.5, 11, 11.5, 12])

    def test_ops(self):
        text = report.ops_table(ops([group("conv2d/a", 0.9, 0.45), group("add/b", 0.1, 0.05)]), small=False)
        self.assertEqual(cells(text, "conv2d/a"), ["2", "90%", "50%", "arithmetic"])
        self.assertEqual(text.count("unet"), 1)                         # programs that run once per request are left out


class Places(unittest.TestCase):
    BEFORE = "Words.\n<!-- bench:h.table -->\nold\n<!-- /bench:h.table -->\nMore.\n<!-- bench:h.plot -->\n<!-- /bench:h.plot -->\n"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "docs/pictures").mkdir(parents=True)
        (self.root / "bench/results").mkdir(parents=True)
        self.document, self.result = self.root / "docs/BENCHMARKS.md", self.root / "bench/results/h.json"
        self.picture = self.root / "docs/pictures/bench-h.svg"
        self.document.write_text(self.BEFORE)
        self.result.write_text(json.dumps(bench(run("tempera", [row("fp32", 3, 4)]))))

    def report(self, *arguments: str) -> int:
        self.said = io.StringIO()
        with mock.patch.object(sys, "argv", ["report.py", "--root", str(self.root), *arguments]), contextlib.redirect_stderr(self.said), \
                contextlib.redirect_stdout(io.StringIO()):
            return report.main()

    def test_places_are_rewritten_and_the_rest_is_not(self):
        self.assertEqual(self.report(), 0)
        text = self.document.read_text()
        self.assertTrue(text.startswith("Words.\n<!-- bench:h.table -->\n|  | s | GiB |"), text[:80])
        self.assertIn("<!-- /bench:h.table -->\nMore.\n<!-- bench:h.plot -->\n![latency against memory: h](pictures/bench-h.svg)\n", text)
        self.assertNotIn("old", text)
        self.assertEqual(self.report("--check"), 0)

    def test_check_finds_what_is_stale_and_changes_nothing(self):
        self.assertEqual(self.report("--check"), 1)
        self.assertIn("docs/BENCHMARKS.md", self.said.getvalue())
        self.assertEqual(self.document.read_text(), self.BEFORE)
        self.assertFalse(self.picture.exists())
        self.report()
        self.result.write_text(self.result.read_text().replace("9.9", "9.8"))
        self.assertEqual(self.report("--check"), 1)
        self.report()
        self.picture.write_text("<svg/>")
        self.assertEqual(self.report("--check"), 1)
        self.assertIn("bench-h.svg", self.said.getvalue())

    def test_without_a_result_the_place_says_so_and_its_picture_goes(self):
        self.report()
        self.result.unlink()
        self.assertEqual(self.report("--check"), 1)
        self.assertEqual(self.report(), 0)
        self.assertIn("Not run: there is no `bench/results/h.json`.", self.document.read_text())
        self.assertFalse(self.picture.exists())

    def test_a_picture_that_no_document_shows_is_not_drawn(self):
        self.report()
        self.document.write_text(self.BEFORE.replace("bench:h.plot", "bench:h.small"))
        self.assertEqual(self.report(), 0)
        self.assertFalse(self.picture.exists())

    def test_mistakes_are_one_sentence(self):
        for text, said in (
            ("<!-- bench:h.table -->\n", "has no partner"),
            ("<!-- bench:h.cake -->\n<!-- /bench:h.cake -->\n", "there is no 'cake'"),
            ("<!-- bench:h.table -->\n<!-- /bench:h.plot -->\n", "has no partner"),
        ):
            self.document.write_text(text)
            self.assertEqual(self.report(), 2)
            self.assertIn(said, self.said.getvalue())
        self.document.write_text("")
        for text, said in (("{", "is no JSON"), ('{"schema": "cake/1"}', "neither a table nor ops")):
            self.result.write_text(text)
            self.assertEqual(self.report(), 2)
            self.assertIn(said, self.said.getvalue())


if __name__ == "__main__":
    unittest.main()
