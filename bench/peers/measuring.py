"""Code that all tables share: names of the rows, conditions, statistics of times and pictures, writing of JSON.

The document is that of `tempera bench table --json`; docs/MEASURING.md describes its fields. Standard library only.
"""
from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import re
import shlex
import statistics
import struct
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TABLE_SCHEMA, SCHEMA = "tempera-bench-table/1", "tempera-bench/1"
PROMPT = "a photo of an astronaut riding a horse on mars"
# The ten rows of the well-known report and one more, in the order of the table. tempera has more rows.
KEYS = ("fp32", "fp16", "attention", "compiled", "model_offload", "sequential_offload", "vae_slicing", "vae_slicing_sequential",
        "prompt_embeds", "tiny_vae", "one_picture")


def positive(text: str) -> int:
    """A positive whole number, for options."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}': give a number, 1 or more")
    return int(text)


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """The conditions, with the names and defaults of `tempera bench table`."""
    group = parser.add_argument_group("conditions")
    group.add_argument("--prompt", default=PROMPT, help="what the picture shows (default: %(default)s)")
    group.add_argument("--width", type=int, default=1024, metavar="N")
    group.add_argument("--height", type=int, default=1024, metavar="N")
    group.add_argument("--images", type=int, default=4, metavar="N", help="number of pictures (default 4)")
    group.add_argument("--steps", type=int, default=25, metavar="N", help="denoising steps (default 25)")
    group.add_argument("--guidance-scale", type=float, default=5.0, metavar="X", help="(default 5)")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="picture i has seed + i (default 0)")
    group.add_argument("--runs", type=positive, default=3, metavar="N", help="requests of each row; the first is cold (default 3)")
    group.add_argument("--rows", default="", metavar="A,B,C", help="only these rows (default: all)")


def add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", type=Path, metavar="NAME.json", help="file for the JSON, written after every row")
    group.add_argument("--json", action="store_true", help="the JSON on standard output")
    group.add_argument("--pictures", type=Path, metavar="DIR", help="folder for the pictures (ROW-i.rgb: values of height x width x 3)")


def chosen_rows(text: str, known: tuple[str, ...] = KEYS) -> list[str]:
    """The rows that --rows names, in the order of the table."""
    named = [key for key in text.split(",") if key]
    for key in named:
        if key not in known:
            raise SystemExit(
                f"{Path(sys.argv[0]).stem}: error: --rows names '{key}': give some of {', '.join(known)}, with commas between them"
            )
    return [key for key in known if not named or key in named]


def conditions_of(args: argparse.Namespace) -> Json:
    return {"model": Path(args.model).name, "prompt": args.prompt, "width": args.width, "height": args.height, "images": args.images,
            "steps": args.steps, "guidance_scale": args.guidance_scale, "scheduler": "euler", "seed": args.seed, "runs": args.runs}


def shown_command(words: list[str]) -> str:
    """A command for readers. Of absolute paths it has the last part only."""
    return re.sub(r"(?<![\w.~-])/(?:[^/\s'\"]+/)+", "", shlex.join(words))


def command_line() -> str:
    return shown_command(["python3", f"bench/peers/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def warm(seconds: list[float]) -> list[float]:
    """All runs but the first, which is cold; with one run, that one counts."""
    return seconds[1:] or seconds


def times(seconds: list[float]) -> Json:
    counted = warm(seconds)
    return {"seconds": seconds, "median_seconds": statistics.median(counted), "spread_seconds": max(counted) - min(counted)}


def difference(references: list[bytes], pictures: list[bytes]) -> Json | None:
    """The difference of pictures from those of the same seeds, in levels of 8 bits. Compares as many as both have."""
    counts: Counter[int] = Counter()
    for reference, picture in zip(references, pictures):
        if len(reference) != len(picture):
            return None
        counts.update(map(int.__sub__, reference, picture))
    total = sum(counts.values())
    if total == 0:
        return None
    squares = sum(level * level * count for level, count in counts.items()) / total
    return {"mean": sum(abs(level) * count for level, count in counts.items()) / total,
            "max": max(abs(level) for level in counts),
            "psnr": 20 * math.log10(255) - 10 * math.log10(squares) if squares > 0 else None}


def read_pictures(folder: Path, row: str) -> list[bytes]:
    """The pictures ROW-0.rgb, ROW-1.rgb ... of a folder, as many as there are."""
    files = itertools.takewhile(Path.exists, (folder / f"{row}-{i}.rgb" for i in itertools.count()))
    return [file.read_bytes() for file in files]


def difference_from_fp32(folder: Path, row: str) -> Json | None:
    """The difference from the pictures of fp32; None for fp32 itself and if fp32 was not run."""
    return None if row == "fp32" else difference(read_pictures(folder, "fp32"), read_pictures(folder, row))


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    a, b, c = abs(guess - left), abs(guess - above), abs(guess - corner)
    return left if a <= b and a <= c else above if b <= c else corner


def _unfiltered(kind: int, line: bytearray, above: bytes, width: int) -> None:
    """Reverses a PNG filter in place (ISO 15948, 9.2). `width`: bytes per pixel."""
    for i in range(len(line) if kind else 0):
        left = line[i - width] if i >= width else 0
        corner = above[i - width] if i >= width else 0
        if kind == 1:
            line[i] = (line[i] + left) & 255
        elif kind == 2:
            line[i] = (line[i] + above[i]) & 255
        elif kind == 3:
            line[i] = (line[i] + (left + above[i]) // 2) & 255
        else:
            line[i] = (line[i] + _paeth(left, above[i], corner)) & 255


def png_values(data: bytes) -> bytes:
    """The values of an 8-bit RGB or RGBA PNG, without alpha."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("not a PNG")
    at, packed, header = 8, b"", b""
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at: at + 8])
        body = data[at + 8: at + 8 + length]
        header = body if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        at += length + 12
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in (2, 6) or interlaced:
        raise ValueError(f"a PNG of {depth} bits and colour type {colour}: only 8 bits and types 2 and 6 are read")
    channels = 3 if colour == 2 else 4
    raw, stride = zlib.decompress(packed), width * channels
    above, lines = bytes(stride), []
    for y in range(height):
        start = y * (stride + 1)
        line = bytearray(raw[start + 1: start + 1 + stride])
        _unfiltered(raw[start], line, above, channels)
        above = bytes(line)
        lines.append(above)
    values = b"".join(lines)
    return values if channels == 3 else bytes(v for i, v in enumerate(values) if i % 4 != 3)


def sentence(text: str, most: int = 300) -> str:
    """The first line of a message that is not empty, for the field `failed`."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    first = lines[0] if lines else "it said nothing"
    return first if len(first) <= most else first[: most - 1] + "…"


def write_json(path: Path, document: Json) -> None:
    """Writes the file atomically: an interrupted call leaves no incomplete file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    os.replace(part, path)


def summary(row: Json) -> str:
    """One line of text for a row."""
    if "failed" in row:
        return f"{row['row']:<24} failed: {row['failed']}"
    peak = row["measured_peak_bytes"] / 2**30
    return f"{row['row']:<24} {row['median_seconds']:9.3f} s {peak:8.2f} GiB ({row['measured_by']})"


def run_table(document: Json, keys: list[str], measure, args: argparse.Namespace) -> int:
    """Fills `document` row by row with the result of `measure(key)`. The exit status is 1 if a row failed."""
    for key in keys:
        row = measure(key)
        document["rows"].append(row)
        print(summary(row), file=sys.stderr if args.json else sys.stdout, flush=True)
        if args.output:
            write_json(args.output, document)
    if args.json:
        json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
        print()
    return 1 if any("failed" in row for row in document["rows"]) else 0
