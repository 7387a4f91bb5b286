#!/usr/bin/env python3
"""Writes the benchmarks' tables and pictures from bench/results/*.json into the documents. Standard library only.

usage: report.py [--check]

A place in a document is a pair of comments, bench:NAME.KIND and /bench:NAME.KIND. The text between them comes from
bench/results/NAME.json. KIND is `table`, `small` (fewer columns), `details` (spread, first picture, energy) or `plot`. A
result is a file of bench/peers/compare.py, `tempera bench table --json` or `tempera bench ops --json`. --check changes
nothing and fails if a document or a picture differs from the results.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import plots

Json = dict[str, Any]

DOCUMENTS = ("README.md", "docs/BENCHMARKS.md")
RESULTS, PICTURES = "bench/results", "docs/pictures"
PLACE = re.compile(
    r"(<!-- bench:(?P<name>[a-z0-9-]+)\.(?P<kind>[a-z]+) -->\n)(?P<body>.*?)(<!-- /bench:(?P=name)\.(?P=kind) -->)", re.DOTALL
)
ANY_MARK = re.compile(r"<!-- /?bench:")
GIB = 2**30
NONE, NOT_RUN = "–", "not run"
# Key, name in tables, name in pictures. Of the last rows, only one_picture is measured with every engine.
ROWS = (
    ("fp32", "fp32, default attention", "fp32"),
    ("fp16", "half precision", "half"),
    ("attention", "+ memory-efficient attention", "+ attention"),
    ("compiled", "+ compiled", "+ compiled"),
    ("model_offload", "model offload", "model offload"),
    ("sequential_offload", "sequential offload", "sequential offload"),
    ("vae_slicing", "VAE slicing", "VAE slicing"),
    ("vae_slicing_sequential", "VAE slicing + sequential offload", "slicing + sequential"),
    ("prompt_embeds", "precomputed embeddings", "embeddings"),
    ("tiny_vae", "tiny autoencoder", "tiny VAE"),
    ("automatic", "automatic", "automatic"),
    ("one_picture", "one picture", "one picture"),
    ("budget_2gib", "within 2 GiB, one picture", "2 GiB"),
)
TEMPERA_ONLY = ("automatic", "budget_2gib")


class Mistake(Exception):
    """An error of the user, as one sentence."""


def three(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    digits = 2 - math.floor(math.log10(abs(round(value, digits))))          # rounding may add a digit: 9.996 becomes 10.0
    return f"{round(value, digits):.{max(0, digits)}f}"


def percent(value: float) -> str:
    return f"{100 * value:.0f}%" if value >= 0.1 else f"{100 * value:.1f}%"


def row_of(run: Json | None, key: str) -> Json | None:
    return next((row for row in run["rows"] if row["row"] == key), None) if run else None


def worked(row: Json | None) -> bool:
    return row is not None and "failed" not in row


def cell(row: Json | None, text, own: bool) -> str:
    """The text of a cell; `own` if this engine has no such row."""
    if row is None:
        return NONE if own else NOT_RUN
    return "failed" if "failed" in row else text(row)


def ratio(ours: Json | None, theirs: Json | None, name: str) -> str:
    """Their value / our value; empty if the numbers of pictures differ."""
    if not worked(ours) or not worked(theirs) or ours["images"] != theirs["images"] or not ours[name]:
        return NONE
    return three(theirs[name] / ours[name])


def seconds(row: Json) -> str:
    return three(row["median_seconds"])


def peak(row: Json) -> str:
    return three(row["measured_peak_bytes"] / GIB)


def peak_and_reserved(row: Json) -> str:
    reserved = row.get("reserved_peak_bytes")
    return peak(row) + (f" ({three(reserved / GIB)})" if reserved is not None else "")


def planned(row: Json) -> str:
    return three(row["planned_peak_bytes"] / GIB) if row.get("planned_peak_bytes") is not None else NONE


def difference(row: Json) -> str:
    found = row.get("difference")
    if found is None:
        return NONE
    return f"{three(found['mean'])}, {found['psnr']:.1f} dB" if found["psnr"] is not None else "equal"


def markdown(header: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "".join(f"| {' | '.join(line)} |\n" for line in [header, *lines]).replace("\n", f"\n|{'|'.join(rule)}|\n", 1)


def keys_of(tempera: Json | None, peer: Json | None) -> list[tuple[str, str]]:
    """The ten rows of the report, also if they were not run, and the other rows that were run."""
    return [(key, name) for i, (key, name, _) in enumerate(ROWS) if i < 10 or row_of(tempera, key) or row_of(peer, key)]


def comparison(tempera: Json | None, peer: Json, small: bool) -> str:
    name = peer["engine"]
    header = ["", "tempera, s", f"{name}, s", "ratio", "tempera, GiB", f"{name}, GiB", "ratio"]
    header += [] if small else ["planned, GiB", "difference, tempera", f"difference, {name}"]
    lines, gib = [], peak if small else peak_and_reserved
    for key, title in keys_of(tempera, peer):
        ours, theirs, own = row_of(tempera, key), row_of(peer, key), key in TEMPERA_ONLY
        line = [title, cell(ours, seconds, False), cell(theirs, seconds, own), ratio(ours, theirs, "median_seconds"),
                cell(ours, gib, False), cell(theirs, gib, own), ratio(ours, theirs, "measured_peak_bytes")]
        line += [] if small else [cell(ours, planned, False), cell(ours, difference, False), cell(theirs, difference, own)]
        lines.append(line)
    return markdown(header, lines)


def alone(run: Json, small: bool) -> str:
    header = ["", "s", "GiB"] + ([] if small else ["planned, GiB", "difference"])
    lines = []
    for key, title in keys_of(run, None):
        row = row_of(run, key)
        cells = [seconds, peak] + ([] if small else [planned, difference])
        lines.append([title, *(cell(row, text, False) for text in cells)])
    return markdown(header, lines)


def number(row: Json, name: str) -> str:
    return three(row[name]) if row.get(name) is not None else NONE


def details(document: Json) -> str:
    """The columns that the comparison leaves out, engine by engine."""
    text = ""
    for run in document.get("runs", [document]):
        lines = []
        for key, title in keys_of(run, None):
            row = row_of(run, key)
            share = lambda r: percent(r["ceiling_share"]) if r.get("ceiling_share") is not None else NONE  # noqa: E731
            cells = [seconds, lambda r: number(r, "spread_seconds"), lambda r: number(r, "first_picture_seconds"), share,
                     lambda r: number(r, "joules")]
            lines.append([title, *(cell(row, one, False) for one in cells)])
        text += markdown([run["engine"], "median, s", "spread, s", "first picture, s", "of the ceiling", "joules"], lines) + "\n"
    return text + "The first picture counts from the start of the process; joules are of one warm run.\n"


def conditions_text(run: Json) -> str:
    c = run["conditions"]
    rounds = max((row.get("rounds", 1) for row in run["rows"]), default=1)
    pictures = "1 picture" if c["images"] == 1 else f"{c['images']} pictures"
    return (
        f"{pictures} of {c['width']} x {c['height']}, {c['steps']} {c['scheduler'].capitalize()} steps, guidance {c['guidance_scale']:g}, "
        f"seed {c['seed']}, {c['runs']} runs" + (f" in each of {rounds} rounds" if rounds > 1 else "")
    )


def engine_text(run: Json) -> str:
    machine = run["machine"]
    facts = [machine["device"]]
    if machine.get("threads") and "CPU" not in machine["device"]:
        facts.append(f"{machine['threads']} threads")
    facts += [f"{three(machine['memory_bytes'] / GIB)} GiB", *(f"{k} {v}" for k, v in machine.get("libraries", {}).items())]
    return f"{run['engine']} {run['version']}{commits(run)}, model `{run['conditions']['model']}`: {', '.join(facts)}".replace("  ", " ")


def commits(run: Json) -> str:
    """The commits in brackets, with the rows of earlier commits; empty if unknown."""
    earlier: dict[str, list[str]] = {}
    for row in run["rows"]:
        if row.get("commit", run["commit"]) != run["commit"]:
            earlier.setdefault(row["commit"], []).append(row["row"])
    said = [run["commit"], *(f"{', '.join(rows)}: {commit}" for commit, rows in earlier.items())]
    return f" ({'; '.join(word for word in said if word)})" if any(said) else ""


def measured_by(runs: list[Json]) -> str:
    words = {"driver": "what the driver counts", "resident set": "the process's resident set",
             "allocator": "what PyTorch's allocator gave to tensors (in brackets what it had reserved)"}
    found = []
    for run in runs:
        kinds = sorted({row["measured_by"] for row in run["rows"] if worked(row)})
        found += [f"{run['engine']}: {', '.join(words.get(kind, kind) for kind in kinds)}"] if kinds else []
    return "; ".join(found)


def notes(document: Json, runs: list[Json]) -> str:
    text = "".join(f"* {engine_text(run)}.\n" for run in runs) + f"* {conditions_text(runs[0])}; the median of the warm runs.\n"
    text += f"* Peaks of memory: {measured_by(runs)}.\n"
    if len(runs) > 1:
        text += "* Ratios are the other's figure over tempera's: above 1 where tempera is better.\n"
    text += "* Differences from the same engine's fp32 row: mean in levels of 8 bits, and PSNR.\n"
    titles = {key: title for key, title, _ in ROWS}
    for run in runs:
        for row in run["rows"]:
            if "failed" in row:
                text += f"* {run['engine']}, {titles.get(row['row'], row['row'])}: {row['failed'].rstrip('.')}.\n"
    commands = document.get("commands") or [run["command"] for run in runs]
    return text + "\n```\n" + "".join(f"{command}\n" for command in commands) + "```\n"


def runs_of(document: Json) -> tuple[Json | None, list[Json]]:
    """The run of tempera, and the runs of other engines."""
    runs = document.get("runs", [document])
    return next((run for run in runs if run["engine"] == "tempera"), None), [run for run in runs if run["engine"] != "tempera"]


def table(document: Json, small: bool) -> str:
    tempera, peers = runs_of(document)
    tables = [comparison(tempera, peer, small) for peer in peers] or [alone(tempera, small)]
    return "\n".join(tables) + ("" if small else "\n" + notes(document, [run for run in (tempera, *peers) if run]))


def scatter(document: Json) -> str:
    tempera, peers = runs_of(document)
    runs = [run for run in (tempera, *peers) if run]
    short = {key: name for key, _, name in ROWS}
    usual = runs[0]["conditions"]["images"]
    points = [plots.Point(i, short[row["row"]], row["measured_peak_bytes"] / GIB, row["median_seconds"], row["images"] != usual)
              for i, run in enumerate(runs) for row in run["rows"] if worked(row) and row["row"] in short]
    if not points:
        raise Mistake("no row succeeded, so there is no picture")
    device = next((run["machine"]["device"] for run in reversed(runs)), "")
    return plots.scatter(f"Latency against memory: {device}", conditions_text(runs[0]) + ". Lower left is better.",
                         [run["engine"] for run in runs], points, "one picture")


def parts_of(document: Json) -> list[Json]:
    """The programs that need at least 1% of the time of the request."""
    total = sum(part["steps_seconds"] * part["runs"] for part in document["parts"])
    return [part for part in document["parts"] if not part["once"] and part["steps_seconds"] * part["runs"] >= 0.01 * total]


def groups_of(part: Json) -> list[Json]:
    """The kernels that need at least 1% of the time of the part, the slowest first, and the other kernels as one."""
    groups = sorted(part["groups"], key=lambda group: -group["seconds"])
    large = [group for group in groups if group["seconds"] >= 0.01 * part["steps_seconds"]]
    rest = groups[len(large):]
    if rest:
        add = lambda name: sum(group[name] for group in rest)  # noqa: E731
        large.append(
            {
                "kernel": f"{len(rest)} others",
                "calls": add("calls"),
                "seconds": add("seconds"),
                "floor_seconds": add("floor_seconds"),
                "bound": "",
            }
        )
    return large


def ops_conditions(document: Json) -> str:
    ceilings = [f"{c['flops_per_second'] / 1e12:.3g} TFLOP/s ({c['dtype']})" for c in document["ceilings"]["arithmetic"]]
    memory = document["ceilings"]["memory"]["bytes_per_second"]
    pictures = "1 picture" if document["images"] == 1 else f"{document['images']} pictures"
    return (f"{Path(document['model']).name}, {pictures} of {document['width']} x {document['height']}; "
            f"ceilings, measured in the same process before the kernels: {', '.join(ceilings)}, {memory / 1e9:,.0f} GB/s")


def ops_table(document: Json, small: bool) -> str:
    text = ""
    for part in parts_of(document):
        lines = [[group["kernel"], str(group["calls"]), percent(group["seconds"] / part["steps_seconds"]),
                  percent(group["floor_seconds"] / group["seconds"]), group["bound"] or NONE] for group in groups_of(part)]
        lines.append(["all", str(part["steps"]), "100%", percent(part["floor_seconds"] / part["steps_seconds"]), NONE])
        lines = lines[-1:] if small else lines
        text += (
            markdown(
                [f"{part['component']}, {three(1e3 * part['steps_seconds'])} ms a run", "calls", "time", "of the ceiling", "bound"], lines
            )
            + "\n"
        )
    return text + ("" if small else f"{document['device']}; {ops_conditions(document)}.\n")


def ops_plot(document: Json) -> str:
    groups = []
    for part in parts_of(document):
        found = [plots.Bar(group["kernel"], group["floor_seconds"] / group["seconds"],
                           f"{percent(group['floor_seconds'] / group['seconds'])} of the ceiling, "
                           f"{percent(group['seconds'] / part['steps_seconds'])} of the time") for group in groups_of(part)]
        whole = percent(part["floor_seconds"] / part["steps_seconds"])
        groups.append((f"{part['component']}: {three(1e3 * part['steps_seconds'])} ms a run, {whole} of the ceilings", found))
    return plots.bars(
        f"How near to the ceilings: {document['device'].split(',')[0].removeprefix('CUDA: ')}", ops_conditions(document), groups
    )


def is_ops(document: Json) -> bool:
    return "parts" in document and "ceilings" in document


def picture_of(name: str, document: Json) -> str:
    try:
        return ops_plot(document) if is_ops(document) else scatter(document)
    except Mistake as mistake:
        raise Mistake(f"{RESULTS}/{name}.json: {mistake}") from None


def read_results(root: Path) -> dict[str, Json]:
    found = {}
    for path in sorted((root / RESULTS).glob("*.json")):
        try:
            document = json.loads(path.read_text())
        except ValueError as error:
            raise Mistake(f"{RESULTS}/{path.name} is no JSON: {error}") from None
        if not is_ops(document) and document.get("schema") not in ("tempera-bench/1", "tempera-bench-table/1"):
            raise Mistake(f"{RESULTS}/{path.name}: neither a table nor ops: its schema is {document.get('schema')!r}")
        found[path.stem] = document
    return found


def place_text(name: str, kind: str, results: dict[str, Json], document: Path, root: Path) -> str:
    kinds = {"table": lambda r: table(r, False), "small": lambda r: table(r, True), "details": details, "plot": None}
    ops_kinds = {"table": lambda r: ops_table(r, False), "small": lambda r: ops_table(r, True), "plot": None}
    found = results.get(name)
    usable = ops_kinds if found and is_ops(found) else kinds
    if kind not in usable:
        raise Mistake(f"{document.name}: bench:{name}.{kind}: there is no '{kind}', only {', '.join(usable)}")
    if found is None:
        return f"Not run: there is no `{RESULTS}/{name}.json`.\n"
    if kind == "plot":
        path = os.path.relpath(root / PICTURES / f"bench-{name}.svg", document.parent)
        return f"![{'share of the ceilings, kernel by kernel' if is_ops(found) else 'latency against memory'}: {name}]({path})\n"
    return usable[kind](found)


def rewritten(text: str, results: dict[str, Json], document: Path, root: Path) -> str:
    marks = len(ANY_MARK.findall(text))
    if marks != 2 * len(PLACE.findall(text)):
        raise Mistake(f"{document.name}: a bench comment has no partner: each bench:NAME.KIND needs its /bench:NAME.KIND")
    return PLACE.sub(lambda m: m[1] + place_text(m["name"], m["kind"], results, document, root) + m[5], text)


def wanted_files(root: Path) -> dict[Path, str | None]:
    """Every file that is made from the results, and its content; None for a picture that no document shows."""
    results = read_results(root)
    files: dict[Path, str | None] = {path: None for path in sorted((root / PICTURES).glob("bench-*.svg"))}
    for path in (root / name for name in DOCUMENTS):
        if not path.exists():
            continue
        text = path.read_text()
        for name in {place["name"] for place in PLACE.finditer(text) if place["kind"] == "plot"} & results.keys():
            files[root / PICTURES / f"bench-{name}.svg"] = picture_of(name, results[name])
        files[path] = rewritten(text, results, path, root)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a file differs from the results")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="the checkout (default: this one)")
    args = parser.parse_args()
    try:
        files = wanted_files(args.root)
    except Mistake as mistake:
        print(f"report: error: {mistake}", file=sys.stderr)
        return 2
    stale = [path for path, text in files.items() if (path.read_text() if path.exists() else None) != text]
    for path in stale:
        if args.check:
            print(f"report: {path.relative_to(args.root)} differs from {RESULTS}: run bench/report.py", file=sys.stderr)
        elif files[path] is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
            print(f"report: wrote {path.relative_to(args.root)}")
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
