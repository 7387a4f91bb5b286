#!/usr/bin/env python3
"""Measures tempera and another engine in turn on one machine, row by row, into one JSON file.

usage: compare.py --tempera PATH/tempera --peer diffusers --model DIR --device cuda --output NAME.json
       compare.py --tempera PATH/tempera --peer sd-cpp --binary PATH/sd-cli --model XL.safetensors \\
                  --tempera-options "--tokenizer DIR" --output NAME.json

Each row is measured with tempera, peer, tempera, peer ... (--rounds), so that other work of the machine affects both. The
median is that of all warm runs of all rounds. --add adds the rows of this call to the file. So a long table can be measured
in several calls, and a file can have several peers. Standard library only.
"""
from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import measuring
from measuring import Json

FOLDER = Path(__file__).resolve().parent
# All of measuring.KEYS and tempera's own.
TEMPERA_KEYS = (*measuring.KEYS[:-1], "automatic", "one_picture", "budget_2gib")
PEERS = {"diffusers": "diffusers_table.py", "sd-cpp": "sd_cpp_table.py"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tempera", type=Path, required=True, metavar="PATH", help="the built program")
    parser.add_argument("--peer", choices=tuple(PEERS), required=True)
    parser.add_argument("--binary", type=Path, metavar="PATH", help="with --peer sd-cpp: a built sd-cli")
    parser.add_argument("--model", type=Path, required=True, metavar="PATH", help="model of tempera: diffusers folder or .safetensors")
    parser.add_argument("--peer-model", type=Path, metavar="PATH", help="the same weights in the format of the peer (default: --model)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cpu", help="(default cpu)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads of both engines (default: their own choice)")
    parser.add_argument("--rounds", type=measuring.positive, default=2, metavar="N",
                        help="number of times that each row is measured with both engines (default 2)")
    parser.add_argument("--turns", choices=("rows", "tables"), default="rows",
                        help="change the engine after every row, or after all rows of the call (default rows)")
    parser.add_argument("--tempera-options", default="", metavar="OPTIONS", help="more options of tempera bench table, as one argument")
    parser.add_argument("--peer-options", default="", metavar="OPTIONS", help="more options of the peer's script, as one argument")
    measuring.add_conditions(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.json",
                        help="file for the JSON, written after every round of a row, or of all rows with --turns tables")
    parser.add_argument("--pictures", type=Path, metavar="DIR",
                        help="folder for the values of the pictures; with --add, rows are compared with the fp32 rows of earlier calls")
    parser.add_argument("--add", action="store_true", help="keep the other rows and engines of NAME.json")
    args = parser.parse_args()
    if args.peer == "sd-cpp" and args.binary is None:
        parser.error("--peer sd-cpp: name the program with --binary")
    return args


def condition_options(args: argparse.Namespace) -> list[str]:
    return ["--prompt", args.prompt, "--width", str(args.width), "--height", str(args.height), "--images", str(args.images), "--steps",
            str(args.steps), "--guidance-scale", f"{args.guidance_scale:g}", "--seed", str(args.seed), "--runs", str(args.runs),
            "--device", args.device, *(["--threads", str(args.threads)] if args.threads else [])]


class Engine:
    """One side of the comparison: its command, its rows, and its result for each row in every round."""

    def __init__(self, name: str, command: list[str], keys: list[str], pictures: Path) -> None:
        self.name, self.command, self.keys = name, command, keys
        self.keep = ["--pictures", str(pictures)]
        self.said: dict[str, list[Json]] = {}
        self.document: Json = {}

    def measure(self, rows: list[str]) -> None:
        rows = [key for key in rows if key in self.keys]
        if not rows:
            return
        done = subprocess.run([*self.command, "--rows", ",".join(rows), *self.keep, "--json"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, errors="replace")
        try:
            self.document = json.loads(done.stdout)
        except ValueError:
            said = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
            raise SystemExit(f"compare: error: {self.name}: {said[-1].strip()}") from None
        if "rows" not in self.document:
            raise SystemExit(f"compare: error: {self.name}: {self.document.get('error', {}).get('message', 'it answered without rows')}")
        for row in self.document["rows"]:
            self.said.setdefault(row["row"], []).append(row)
            print(f"{self.name:<12} {measuring.summary(row)}", flush=True)

    def result(self, shown: str) -> Json:
        """The document with the median over all rounds so far."""
        rows = [merged_rounds(self.said[key]) for key in self.keys if key in self.said]
        return {**self.document, "command": shown, "rows": rows}


def _medians(rounds: list[Json], name: str) -> float | None:
    values = [row[name] for row in rounds if row.get(name) is not None]
    return statistics.median(values) if values else None


def merged_rounds(rounds: list[Json]) -> Json:
    """One row of several rounds: the first cold run and all warm ones; peaks are the highest; one failure is a failure."""
    for row in rounds:
        if "failed" in row:
            return row
    last, counted = rounds[-1], [second for row in rounds for second in measuring.warm(row["seconds"])]
    seconds = rounds[0]["seconds"][:1] + counted if len(rounds[0]["seconds"]) > 1 else counted
    row = {**last, "rounds": len(rounds), "seconds": seconds, "median_seconds": statistics.median(counted),
           "spread_seconds": max(counted) - min(counted)}
    for name in ("first_picture_seconds", "joules"):
        if name in last:
            row[name] = _medians(rounds, name)
    for name in ("measured_peak_bytes", "reserved_peak_bytes", "driver_peak_bytes", "planned_peak_bytes"):
        if name in last:
            row[name] = max(r[name] for r in rounds)
    if last.get("ceiling_share") is not None:        # median time at the ceiling / median time
        row["ceiling_share"] = statistics.median(r["ceiling_share"] * r["median_seconds"] for r in rounds) / row["median_seconds"]
    return row


def _differing(old: Json, new: Json) -> str:
    """The reason why two documents of one engine cannot be one table; empty if they can."""
    for name in ("prompt", "width", "height", "images", "steps", "guidance_scale", "scheduler", "seed", "runs", "model"):
        if old["conditions"].get(name) != new["conditions"].get(name):
            return f"{name} {old['conditions'].get(name)} and {new['conditions'].get(name)}"
    if old["version"] != new["version"]:
        return f"version {old['version']} and {new['version']}"
    if old["machine"]["device"] != new["machine"]["device"]:
        return f"device {old['machine']['device']} and {new['machine']['device']}"
    return ""


def joined(old: Json, new: Json) -> Json:
    """The rows of one engine from two calls; the new one if both have it. Rows of another commit have a field for it."""
    if differs := _differing(old, new):
        raise SystemExit(f"compare: error: --add: {old['engine']} was measured with another {differs}: write another file")
    if old["commit"] != new["commit"]:
        old = {**old, "rows": [{"commit": old["commit"], **row} for row in old["rows"]]}
    rows = {row["row"]: row for row in [*old["rows"], *new["rows"]]}
    order = [*TEMPERA_KEYS, *(key for key in rows if key not in TEMPERA_KEYS)]
    return {**new, "rows": [rows[key] for key in order if key in rows]}


def merged(file: Json, documents: list[Json], command: str) -> Json:
    """The file with these documents in it. `file` is empty or the output of an earlier call."""
    runs = {document["engine"]: document for document in file.get("runs", [])}
    for document in documents:
        old = runs.get(document["engine"])
        runs[document["engine"]] = joined(old, document) if old else document
    commands = [*file.get("commands", [])]
    return {"schema": measuring.SCHEMA, "commands": commands if command in commands else [*commands, command], "runs": list(runs.values())}


def read_file(path: Path) -> Json:
    document = json.loads(path.read_text())
    if document.get("schema") != measuring.SCHEMA:
        raise SystemExit(f"compare: error: --add: {path} is not of schema {measuring.SCHEMA}")
    return document


def engines(args: argparse.Namespace, rows: list[str], pictures: Path) -> tuple[Engine, Engine]:
    ours = [str(args.tempera), "bench", "table", "--model", str(args.model), *condition_options(args), *shlex.split(args.tempera_options)]
    script = [sys.executable, str(FOLDER / PEERS[args.peer]), "--model", str(args.peer_model or args.model)]
    theirs = [
        *script,
        *(["--binary", str(args.binary)] if args.peer == "sd-cpp" else []),
        *condition_options(args),
        *shlex.split(args.peer_options),
    ]
    return (
        Engine("tempera", ours, [key for key in TEMPERA_KEYS if key in rows], pictures / "tempera"),
        Engine(args.peer, theirs, [key for key in measuring.KEYS if key in rows], pictures / "peer"),
    )


def main() -> int:
    args = arguments()
    rows = measuring.chosen_rows(args.rows, TEMPERA_KEYS)
    before = read_file(args.output) if args.add and args.output.exists() else {}
    if not args.tempera.is_file():
        raise SystemExit(f"compare: error: {args.tempera}: no such file: give --tempera the built program")
    with tempfile.TemporaryDirectory(prefix="tempera-compare-") as folder:
        pictures = (args.pictures or Path(folder)).resolve()
        for name in ("tempera", "peer"):
            (pictures / name).mkdir(parents=True, exist_ok=True)
        sides = engines(args, rows, pictures)
        programs = (["tempera"], ["python3", f"bench/peers/{PEERS[args.peer]}"])      # shown instead of the words that start the command
        shown = [measuring.shown_command([*program, *side.command[len(program):], "--rows", ",".join(side.keys)])
                 for program, side in zip(programs, sides)]
        for turn in [[key] for key in rows] if args.turns == "rows" else [rows]:
            for _ in range(args.rounds):
                for side in sides:
                    side.measure(turn)
                done = [side.result(text) for side, text in zip(sides, shown) if side.document]
                measuring.write_json(args.output, merged(before, done, measuring.command_line()))
    failed = any("failed" in row for side in sides for said in side.said.values() for row in said)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
