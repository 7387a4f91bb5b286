"""Documents with the schemas of the benchmarks and invented figures, only for the tests in this folder."""
from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "bench/peers")]

GIB = 2**30


def row(key: str, seconds: float, gib: float, **more) -> dict:
    return {
        "row": key,
        "title": key,
        "options": "",
        "dtype": "fp16",
        "images": 4,
        "steps": 25,
        "seconds": [2 * seconds, seconds, seconds],
        "median_seconds": seconds,
        "spread_seconds": 0.0,
        "first_picture_seconds": 2 * seconds + 1,
        "measured_peak_bytes": int(gib * GIB),
        "measured_by": "driver",
        "joules": None,
        "difference": None,
        **more,
    }


def run(engine: str, rows: list[dict], **more) -> dict:
    return {"schema": "tempera-bench-table/1", "engine": engine, "version": "9.9", "commit": "c0ffee", "command": f"{engine} --made-up",
            "machine": {"device": "Made-up card", "threads": 3, "memory_bytes": 5 * GIB, "libraries": {"Library": "1.2"}},
            "conditions": {"model": "made-up", "prompt": "x", "width": 64, "height": 32, "images": 4, "steps": 25, "guidance_scale": 5,
                           "scheduler": "euler", "seed": 0, "runs": 3}, "rows": rows, **more}


def bench(*runs: dict) -> dict:
    return {"schema": "tempera-bench/1", "commands": ["compare --made-up"], "runs": list(runs)}


def group(kernel: str, seconds: float, floor: float) -> dict:
    return {"op": kernel.split("/")[0], "kernel": kernel, "calls": 2, "seconds": seconds, "floor_seconds": floor, "bound": "arithmetic"}


def ops(groups: list[dict]) -> dict:
    part = {"component": "unet", "once": False, "runs": 25, "steps": 7, "steps_seconds": sum(g["seconds"] for g in groups),
            "floor_seconds": sum(g["floor_seconds"] for g in groups), "groups": groups}
    return {"model": "made-up", "device": "Made-up card", "width": 64, "height": 32, "images": 1,
            "ceilings": {"arithmetic": [{"dtype": "f16", "flops_per_second": 1e12}], "memory": {"bytes_per_second": 1e9}},
            "parts": [part, {**part, "once": True}]}
