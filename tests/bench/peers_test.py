#!/usr/bin/env python3
"""bench/peers: times, pictures, joined rounds, and each script with stubs of the programs that it measures (stubs/)."""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

from made_up import GIB, ROOT, bench, row, run

import compare
import measuring

STUBS = Path(__file__).resolve().parent / "stubs"
SMALL = ["--width", "16", "--height", "8", "--images", "2", "--steps", "2", "--seed", "5"]


def png(lines: list[tuple[int, bytes]], channels: int) -> bytes:
    """Lines as (filter, bytes)."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + bytes(4)  # noqa: E731
    header = struct.pack(">IIBBBBB", len(lines[0][1]) // channels, len(lines), 8, 2 if channels == 3 else 6, 0, 0, 0)
    packed = zlib.compress(b"".join(bytes([kind]) + line for kind, line in lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed[:5]) + chunk(b"IDAT", packed[5:]) + chunk(b"IEND", b"")


class Measuring(unittest.TestCase):
    def test_the_first_run_is_cold(self):
        self.assertEqual(measuring.times([9.0, 2.0, 4.0]), {"seconds": [9.0, 2.0, 4.0], "median_seconds": 3.0, "spread_seconds": 2.0})
        self.assertEqual(measuring.times([9.0])["median_seconds"], 9.0)

    def test_difference(self):
        self.assertEqual(measuring.difference([b"\x01\x02"], [b"\x01\x02"]), {"mean": 0, "max": 0, "psnr": None})
        found = measuring.difference([b"\x00\x0a", b"\x05\x05"], [b"\x04\x0a", b"\x05\x05"])
        self.assertEqual((found["mean"], found["max"]), (1.0, 4))
        self.assertAlmostEqual(found["psnr"], 42.1102, places=3)        # 10 log10(255^2 / 4)
        self.assertIsNone(measuring.difference([], [b"\x01"]))
        self.assertIsNone(measuring.difference([b"\x01"], [b"\x01\x02"]))

    def test_png_filters(self):
        lines = [
            (1, bytes([1, 2, 3, 1, 1, 1])),
            (2, bytes([9, 0, 0, 0, 0, 255])),
            (3, bytes([5, 1, 1, 0, 0, 0])),
            (4, bytes([1, 1, 1, 2, 0, 0])),
            (0, bytes(6)),
        ]
        wanted = [1, 2, 3, 2, 3, 4, 10, 2, 3, 2, 3, 3, 10, 2, 2, 6, 2, 2, 11, 3, 3, 8, 3, 3, *[0] * 6]
        self.assertEqual(list(measuring.png_values(png(lines, 3))), wanted)

    def test_png_without_alpha(self):
        self.assertEqual(measuring.png_values(png([(0, b"abcdefgh")], 4)), b"abcefg")
        with self.assertRaises(ValueError):
            measuring.png_values(b"GIF89a")

    def test_rows_come_in_the_order_of_the_table(self):
        self.assertEqual(measuring.chosen_rows("compiled,fp32"), ["fp32", "compiled"])
        self.assertEqual(measuring.chosen_rows(""), list(measuring.KEYS))
        with self.assertRaisesRegex(SystemExit, "^peers_test: error: --rows names 'cake'"):
            measuring.chosen_rows("cake")

    def test_commands_without_one_machine_s_folders(self):
        shown = measuring.shown_command(["/a/b/tempera", "--model", "../c/xl", "--more", "--tokenizer /d/e/f --x 1/2", "-o", "/g"])
        self.assertEqual(shown, "tempera --model ../c/xl --more '--tokenizer f --x 1/2' -o /g")

    def test_failures_are_one_line(self):
        self.assertEqual(measuring.sentence("\n  Out of memory.\nStack:\n"), "Out of memory.")
        self.assertEqual(len(measuring.sentence("x" * 999)), 300)


class Rounds(unittest.TestCase):
    def test_medians_are_over_all_rounds(self):
        first = {
            **row("fp32", 0, 1),
            "seconds": [9, 2, 4],
            "median_seconds": 3,
            "first_picture_seconds": 10,
            "joules": 5,
            "ceiling_share": 0.5,
        }
        second = {
            **row("fp32", 0, 2),
            "seconds": [8, 3, 7],
            "median_seconds": 5,
            "first_picture_seconds": 14,
            "joules": None,
            "ceiling_share": 0.3,
        }
        merged = compare.merged_rounds([first, second])
        self.assertEqual(merged["seconds"], [9, 2, 4, 3, 7])
        self.assertEqual((merged["median_seconds"], merged["spread_seconds"], merged["rounds"]), (3.5, 5, 2))
        self.assertEqual((merged["first_picture_seconds"], merged["joules"], merged["measured_peak_bytes"]), (12, 5, 2 * GIB))
        self.assertAlmostEqual(merged["ceiling_share"], 1.5 / 3.5)

    def test_cold_runs_alone(self):
        rounds = [{**row("fp32", 0, 1), "seconds": [value], "median_seconds": value} for value in (3, 1, 2)]
        self.assertEqual(compare.merged_rounds(rounds)["seconds"], [3, 1, 2])
        self.assertEqual(compare.merged_rounds(rounds)["median_seconds"], 2)

    def test_one_failure_is_a_failure(self):
        failed = {"row": "fp32", "title": "", "options": "", "failed": "no memory"}
        self.assertEqual(compare.merged_rounds([row("fp32", 1, 1), failed]), failed)

    def test_add_keeps_other_rows_and_engines(self):
        before = bench(run("tempera", [row("fp32", 1, 1), row("tiny_vae", 1, 1)]), run("diffusers", [row("fp32", 3, 1)]))
        file = compare.merged(before, [run("tempera", [row("attention", 1, 1), row("fp32", 2, 1)])], "second")
        self.assertEqual([one["engine"] for one in file["runs"]], ["tempera", "diffusers"])
        self.assertEqual(
            [(r["row"], r["median_seconds"]) for r in file["runs"][0]["rows"]], [("fp32", 2), ("attention", 1), ("tiny_vae", 1)]
        )
        self.assertEqual(file["commands"], ["compare --made-up", "second"])
        self.assertEqual(compare.merged(file, [], "second")["commands"], ["compare --made-up", "second"])

    def test_rows_of_an_earlier_commit_say_so(self):
        old = run("tempera", [row("fp32", 1, 1), row("fp16", 1, 1)], commit="first")
        second = compare.joined(old, run("tempera", [row("fp16", 2, 1)], commit="second"))
        third = compare.joined(second, run("tempera", [row("attention", 3, 1)], commit="third"))
        self.assertEqual((second["commit"], third["commit"]), ("second", "third"))
        self.assertEqual([r.get("commit") for r in second["rows"]], ["first", None])
        self.assertEqual([r.get("commit") for r in third["rows"]], ["first", "second", None])

    def test_add_refuses_another_machine_version_or_request(self):
        old = run("tempera", [])
        for new, what in ((run("tempera", [], version="10"), "version 9.9 and 10"),
                          (run("tempera", [], machine={**old["machine"], "device": "another"}), "device Made-up card and another"),
                          (run("tempera", [], conditions={**old["conditions"], "steps": 50}), "steps 25 and 50")):
            with self.assertRaisesRegex(SystemExit, what):
                compare.joined(old, new)


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "model").mkdir()
        (self.folder / "model/model_index.json").write_text("{}")
        (self.folder / "xl.safetensors").write_bytes(b"")
        self.output, self.calls = self.folder / "out.json", self.folder / "calls"

    def start(self, script: str, *words, packages: Path = STUBS / "packages", calls: Path | None = None) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(packages), "CALLS": str(calls or self.calls), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([sys.executable, str(ROOT / "bench/peers" / script), *map(str, words)], env=environment, text=True,
                              capture_output=True)

    def rows(self) -> dict:
        self.document = json.loads(self.output.read_text())
        return {r["row"]: r for r in self.document["rows"]}

    def diffusers(self, *words, **more):
        return self.start(
            "diffusers_table.py", "--model", self.folder / "model", "--device", "cpu", *SMALL, "-o", self.output, *words, **more
        )

    def sd_cpp(self, *words):
        return self.start("sd_cpp_table.py", "--binary", STUBS / "sd-cli", "--model", self.folder / "xl.safetensors", *SMALL,
                          "-o", self.output, *words)

    def test_diffusers(self):
        done = self.diffusers("--json")
        self.assertEqual(done.returncode, 1, done.stderr)               # rows failed
        rows = self.rows()
        self.assertEqual(json.loads(done.stdout), self.document)
        self.assertEqual(list(rows), list(measuring.KEYS))
        self.assertEqual({key for key in rows if "failed" in rows[key]},
                         {"model_offload", "sequential_offload", "vae_slicing", "vae_slicing_sequential"})
        self.assertIn("needs a card", rows["model_offload"]["failed"])
        self.assertEqual(rows["vae_slicing"]["failed"], "ValueError: cut off")
        self.assertEqual((rows["fp32"]["dtype"], rows["fp32"]["difference"], len(rows["fp32"]["seconds"])), ("fp32", None, 3))
        self.assertEqual((rows["compiled"]["dtype"], rows["compiled"]["difference"]["max"]), ("bf16", 1))
        self.assertEqual((rows["one_picture"]["images"], rows["fp32"]["images"]), (1, 2))
        for key in ("fp32", "prompt_embeds", "tiny_vae"):
            self.assertGreater(rows[key]["first_picture_seconds"], rows[key]["seconds"][0])
            self.assertGreater(rows[key]["measured_peak_bytes"], 2**20)
        self.assertEqual(
            (self.document["engine"], self.document["version"], self.document["conditions"]["seed"]), ("diffusers", "made-up", 5)
        )

    def test_diffusers_without_its_packages(self):
        none = self.folder / "none"
        (none / "torch").mkdir(parents=True)
        (none / "torch/__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
        done = self.diffusers(packages=none)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, "^diffusers_table: error: the Python package torch is missing: install torch, diffusers.*\n$")

    def test_diffusers_row_timeout(self):
        slow = self.folder / "slow"
        (slow / "torch").mkdir(parents=True)
        (slow / "torch/__init__.py").write_text("import time\ntime.sleep(60)")
        done = self.diffusers("--row-timeout", "0.5", packages=slow)
        self.assertEqual(
            (done.returncode, done.stderr), (2, "diffusers_table: error: it took longer than the 0.5 s that --row-timeout allows\n")
        )

    def test_stable_diffusion_cpp(self):
        done = self.sd_cpp("--threads", "2")
        self.assertEqual(done.returncode, 1, done.stderr)
        rows = self.rows()
        self.assertEqual((self.document["version"], self.document["commit"]), ("made-up-1", "abc123"))
        self.assertEqual(rows["compiled"]["failed"], "stable-diffusion.cpp has no compiled mode")
        self.assertEqual(rows["sequential_offload"]["failed"], "stable-diffusion.cpp has no streaming of layers on the CPU")
        self.assertIn("--tiny-vae", rows["tiny_vae"]["failed"])
        self.assertEqual(rows["vae_slicing"]["failed"], "stable-diffusion.cpp: the tiles fell off")
        fp16 = rows["fp16"]
        self.assertEqual((fp16["seconds"], fp16["stages"]), ([2.25] * 3, {"text": 0.25, "denoise": 1.5, "decode": 0.5}))
        self.assertEqual((fp16["difference"]["mean"], fp16["difference"]["max"]), (3.0, 3))
        self.assertEqual(rows["model_offload"]["options"], "--type f16 --diffusion-fa --params-backend disk")
        calls = self.calls.read_text().splitlines()
        self.assertIn("--steps 2 --cfg-scale 5 --sampling-method euler --rng cpu -s 5 -b 2", calls[0])
        self.assertTrue(all(("--eager-load" in call) != ("disk" in call) for call in calls))

    def test_stable_diffusion_cpp_without_an_option(self):
        import sd_cpp_table
        program = argparse.Namespace(has=lambda option: option != "--diffusion-fa")
        options = ["--type", "f16", "--diffusion-fa"]
        self.assertEqual(sd_cpp_table.cannot(sd_cpp_table.ROWS["attention"], options, argparse.Namespace(device="cpu"), program),
                         "this stable-diffusion.cpp has no option --diffusion-fa")

    def compare(self, *words, **more):
        return self.start("compare.py", "--tempera", STUBS / "tempera", "--peer", "sd-cpp", "--binary", STUBS / "sd-cli", "--model",
                          self.folder / "xl.safetensors", *SMALL, "-o", self.output, "--runs", "1", *words, **more)

    def test_compare_takes_turns(self):
        done = self.compare("--rows", "fp32,attention,automatic", "--rounds", "2")
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = [call.split() for call in self.calls.read_text().splitlines()]
        self.assertEqual([call[0] for call in calls], ["tempera", "peer", "tempera", "peer"] * 2 + ["tempera"] * 2)
        self.assertEqual([call[call.index("--rows") + 1] for call in calls if call[0] == "tempera"],
                         ["fp32"] * 2 + ["attention"] * 2 + ["automatic"] * 2)
        file = json.loads(self.output.read_text())
        self.assertEqual(file["schema"], "tempera-bench/1")
        ours, theirs = file["runs"]
        self.assertEqual([r["row"] for r in ours["rows"]], ["fp32", "attention", "automatic"])
        self.assertEqual(
            [(r["row"], r["seconds"], r["rounds"]) for r in theirs["rows"]], [("fp32", [2.25] * 2, 2), ("attention", [2.25] * 2, 2)]
        )
        self.assertEqual(theirs["rows"][1]["difference"]["max"], 3)  # --pictures keeps the pictures of earlier calls
        self.assertIn("--rows fp32,attention,automatic", ours["command"])
        self.assertNotIn("--json", ours["command"])
        for command in (ours["command"], theirs["command"], *file["commands"]):
            self.assertNotIn(str(self.folder), command)
        self.assertTrue(ours["command"].startswith("tempera bench table --model xl.safetensors"), ours["command"])
        self.assertTrue(theirs["command"].startswith("python3 bench/peers/sd_cpp_table.py --model xl.safetensors"), theirs["command"])

    def test_compare_adds_and_says_where_a_row_failed(self):
        self.compare("--rows", "fp32")
        done = self.compare("--rows", "vae_slicing", "--add", "--rounds", "1")
        self.assertEqual(done.returncode, 1)
        file = json.loads(self.output.read_text())
        self.assertEqual([[r["row"] for r in one["rows"]] for one in file["runs"]], [["fp32", "vae_slicing"]] * 2)
        self.assertEqual(len(file["commands"]), 2)

    def test_none_cannot_be_counted(self):
        for done in (self.sd_cpp("--runs", "0"), self.compare("--rounds", "0"), self.diffusers("--runs", "few")):
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr, r"argument --(runs|rounds): '(0|few)': give a number, 1 or more\n$")

    def test_compare_ends_where_an_engine_does_not_start(self):
        done = self.compare("--rows", "fp32", calls=self.folder / "broken")
        self.assertEqual((done.returncode, done.stderr), (1, "compare: error: tempera: tempera: error: the model is not there\n"))


if __name__ == "__main__":
    unittest.main()
