#!/usr/bin/env python3
"""What tempera does within a budget of memory, as the table in docs/MEMORY.md: `tempera plan` asked for each. Needs neither a
card nor a model.

usage: budgets.py --tempera PATH/tempera [--check]
"""
from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parent.parent / "docs/MEMORY.md"
PLACE = re.compile(r"(<!-- budgets -->\n).*?(<!-- /budgets -->)", re.DOTALL)
BUDGETS = ("8GiB", "7GiB", "6.2GiB", "4GiB", "3GiB", "2GiB", "1GiB", "600MiB", "400MiB", "300MiB", "200MiB")
REQUEST = "plan --preset sdxl-base --device cuda --dtype fp16 --images 4 --width 1024 --height 1024 --guidance-scale 5".split()
GIB = 2**30


def row(tempera: Path, budget: str) -> str:
    done = subprocess.run([tempera, *REQUEST, "--memory-budget", budget, "--json"], stdout=subprocess.PIPE, text=True)
    plan = json.loads(done.stdout)
    if "error" in plan:
        raise SystemExit(f"budgets: error: {plan['error']['message']}")
    copied = next(stage["copied"] for stage in plan["stages"] if stage["name"] == "unet")
    return f"| {budget} | {plan['residency']} | {plan['peak_bytes'] / GIB:.2f} GiB | {f'{copied / GIB:.2f} GiB' if copied else ''} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tempera", type=Path, required=True, metavar="PATH", help="the built program")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where the document says something else")
    args = parser.parse_args()
    table = "\n".join(["| budget | choice | peak | copied by each run of the UNet |", "|---|---|---|---|",
                       *(row(args.tempera.resolve(), budget) for budget in BUDGETS)])
    text = DOCUMENT.read_text()
    wanted, places = PLACE.subn(lambda place: f"{place[1]}{table}\n{place[2]}", text)
    if places != 1:
        raise SystemExit(f"budgets: error: {DOCUMENT.name} has {places} places for the table: one was expected")
    if wanted == text:
        return 0
    if args.check:
        print(f"budgets: error: {DOCUMENT.name} is not what plans say: run bench/budgets.py", file=sys.stderr)
        return 1
    DOCUMENT.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
