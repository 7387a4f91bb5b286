#!/usr/bin/env python3
"""The training curves of the shipped model as a picture: docs/pictures/training.svg. Standard library only.

usage: plot_curves.py [--training models/emoji-xl/training] [--out docs/pictures/training.svg]
"""
from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 300, 190, 46, 30, 34, 24
# folder, plotted value, title, whether the axis is logarithmic
PANELS = (("autoencoder", "psnr", "autoencoder: PSNR of training batches, dB", False),
          ("tiny", "psnr", "tiny autoencoder: PSNR of training batches, dB", False),
          ("diffusion", "loss", "diffusion: loss", True))


def read(file: Path, key: str) -> list[tuple[float, float]]:
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return [(r["step"], r[key]) for r in records if key in r]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that divide the range into about `count` parts."""
    rough = (high - low) / count
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def panel(points: list[tuple[float, float]], title: str, logarithmic: bool, left: float) -> list[str]:
    scale = math.log10 if logarithmic else (lambda v: v)
    values = [scale(y) for _, y in points]
    low, high = min(values), max(values)
    last = points[-1][0]
    x = lambda step: left + LEFT + (WIDTH - LEFT) * step / last  # noqa: E731
    y = lambda v: TOP + (HEIGHT - TOP - BOTTOM) * (high - v) / (high - low)  # noqa: E731
    out = [f'<text x="{left + LEFT}" y="{TOP - 14}" class="title">{title}</text>']
    marks = [m * 10.0 ** k for k in range(-6, 3) for m in (1, 2, 5)]
    marks = [v for v in marks if low <= math.log10(v) <= high] if logarithmic else ticks(low, high)
    for mark in marks:
        at = y(scale(mark))
        out.append(f'<path d="M{left + LEFT} {at:.1f}h{WIDTH - LEFT}" class="rule"/>'
                   f'<text x="{left + LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{mark:g}</text>')
    for mark in ticks(0, last, 3):
        out.append(f'<text x="{x(mark):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{mark:g}</text>')
    line = " ".join(f"{x(step):.1f},{y(scale(v)):.1f}" for step, v in points)
    out.append(f'<polyline points="{line}" class="line"/>')
    out.append(f'<text x="{left + LEFT + (WIDTH - LEFT) / 2}" y="{HEIGHT - 3}" text-anchor="middle">steps</text>')
    return out


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--training", type=Path, default=root / "models/emoji-xl/training")
    parser.add_argument("--out", type=Path, default=root / "docs/pictures/training.svg")
    args = parser.parse_args()
    total = len(PANELS) * (WIDTH + GAP)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {HEIGHT}" width="{total}" height="{HEIGHT}">',
           "<style>text{font:11px sans-serif;fill:#555}.title{font-size:12px;fill:#222}.rule{stroke:#ddd}"
           ".line{fill:none;stroke:#1f6feb;stroke-width:1.5}</style>", f'<rect width="{total}" height="{HEIGHT}" fill="#fff"/>']
    for i, (stage, key, title, logarithmic) in enumerate(PANELS):
        svg += panel(read(args.training / stage / "curve.jsonl", key), title, logarithmic, i * (WIDTH + GAP))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join([*svg, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
