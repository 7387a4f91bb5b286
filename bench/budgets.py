#!/usr/bin/env python3
"""Writes the tables of memory budgets in docs/MEMORY.md: the output of `tempera plan` for each budget, which needs neither
a card nor a model, and the measured runs of bench/results.

usage: budgets.py --tempera PATH/tempera [--check]

The runs are rows of `tempera bench table --rows within:8GiB,...`. If the plan of a run differs from today's plan, it is in
brackets after the measured figure.
"""
from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/MEMORY.md"
MIB = 2**20
NONE = "–"


@dataclass
class Table:
    name: str                 # of its place in the document: <!-- budgets:NAME -->
    request: str              # for `tempera plan`
    budgets: tuple[str, ...]
    results: Path             # the output of `tempera bench table --output`; may be missing
    everywhere: bool          # whether the plan is the same on every machine; --check skips other tables

    @property
    def place(self) -> re.Pattern[str]:
        return re.compile(rf"(<!-- budgets:{self.name} -->\n).*?(<!-- /budgets:{self.name} -->)", re.DOTALL)


TABLES = (
    Table(
        "cuda",
        "--preset sdxl-base --device cuda --dtype fp16 --images 4 --width 1024 --height 1024 --guidance-scale 5",
        ("8GiB", "7GiB", "6.2GiB", "6GiB", "4GiB", "3GiB", "2GiB", "1GiB", "600MiB", "400MiB", "250MiB"),
        ROOT / "bench/results/budgets/h100.json",
        True,
    ),
    Table(
        "cpu",
        "--preset sdxl-base --device cpu --dtype bf16 --images 1 --width 1024 --height 1024 --guidance-scale 5",
        ("8GiB", "6GiB", "4GiB", "2GiB", "1GiB", "512MiB", "250MiB"),
        ROOT / "bench/results/budgets/cpu.json",
        False,
    ),
)


def plan_of(tempera: Path, table: Table, budget: str) -> Json:
    try:
        done = subprocess.run(
            [tempera, "plan", *table.request.split(), "--memory-budget", budget, "--json"], stdout=subprocess.PIPE, text=True
        )
        plan = json.loads(done.stdout)
    except OSError as error:
        raise SystemExit(f"budgets: error: {tempera}: {error.strerror}: give --tempera the built program") from None
    except ValueError:
        raise SystemExit(f"budgets: error: {tempera} gave no plan: give --tempera the built program") from None
    if "error" in plan:
        raise SystemExit(f"budgets: error: {plan['error']['message']}")
    return plan


def line(plan: Json, budget: str, measured: Json | None) -> str:
    copied = next(stage["copied"] for stage in plan["stages"] if stage["name"] == "unet")
    run = [NONE] * 3
    if measured:
        stages, then = measured["stages"], measured["planned_peak_bytes"]
        planned_then = f" ({then / MIB:,.0f})" if then != plan["peak_bytes"] else ""
        run = [
            f"{measured['measured_peak_bytes'] / MIB:,.0f}{planned_then}",
            f"{stages['denoise'] / measured['steps']:.3f}",
            f"{stages['decode']:.2f}",
        ]
    cells = [budget, plan["residency"], f"{copied / MIB:,.0f}" if copied else "", f"{plan['peak_bytes'] / MIB:,.0f}", *run]
    return f"| {' | '.join(cells)} |"


def text_of(tempera: Path, table: Table) -> str:
    rows = json.loads(table.results.read_text())["rows"] if table.results.exists() else []
    measured = {row["row"].removeprefix("within:"): row for row in rows if "failed" not in row}
    head = ["budget", "choice", "copied by each run of the UNet, MiB", "planned, MiB", "measured, MiB", "s a step", "decoding, s"]
    return "\n".join([f"| {' | '.join(head)} |", "|---|---|---:|---:|---:|---:|---:|",
                      *(line(plan_of(tempera, table, budget), budget, measured.get(budget)) for budget in table.budgets)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tempera", type=Path, required=True, metavar="PATH", help="the built program")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the document differs")
    args = parser.parse_args()
    text = wanted = DOCUMENT.read_text()
    for table in TABLES:
        if args.check and not table.everywhere:
            continue
        new = text_of(args.tempera.resolve(), table)
        wanted, places = table.place.subn(lambda place: f"{place[1]}{new}\n{place[2]}", wanted)
        if places != 1:
            raise SystemExit(f"budgets: error: {DOCUMENT.name} has {places} places for the table '{table.name}': one was expected")
    if wanted == text:
        return 0
    if args.check:
        print(f"budgets: error: {DOCUMENT.name} differs from the plans: run bench/budgets.py", file=sys.stderr)
        return 1
    DOCUMENT.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
