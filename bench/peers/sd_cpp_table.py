#!/usr/bin/env python3
"""The table of `tempera bench table` with stable-diffusion.cpp: the rows that it supports, the same conditions and JSON.

usage: sd_cpp_table.py --binary PATH/sd-cli --model XL.safetensors [--device cpu] [--output NAME.json]

--binary is a built `sd-cli` (older versions: `sd`). --model is a single .safetensors checkpoint with the original names, for
example the output of `tempera synth XL.safetensors --preset sdxl-base`; the program contains the vocabulary. Nothing is
downloaded.

The program answers one request per process, so every run is a process. Weights are loaded before the clock starts
(--eager-load). The program generates and decodes the pictures of a request one after another. Times are those that it logs.
"""
from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import device as machine
import measuring
from measuring import Json

ENGINE = "stable-diffusion.cpp"
BEGIN = re.compile(r"generate_image \d+x\d+|\btxt2img \d+x\d+")
END = re.compile(r"(?:generate_image|txt2img) completed in ([\d.]+)s")
STAGES = {"text": re.compile(r"get_learned_condition completed, taking ([\d.]+)"),
          "denoise": re.compile(r"latent images completed, taking ([\d.]+)"),
          "decode": re.compile(r"decode_first_stage completed, taking ([\d.]+)")}


@dataclass(frozen=True)
class Row:
    title: str
    options: tuple[str, ...] = ()            # {half} and {tiny} are filled in
    on_cpu: tuple[str, ...] | None = None    # the options on the CPU, if they are others
    one: bool = False
    lacks: str = ""                          # the missing feature, for the message
    lacks_on_cpu: str = ""


_HALF = ("--type", "{half}", "--diffusion-fa")
_STREAMED = (*_HALF, "--offload-to-cpu", "--max-vram", "2", "--stream-layers")
_NO_STREAMS = "streaming of layers on the CPU"
ROWS = {
    "fp32": Row("f32, default attention", ("--type", "f32")),
    "fp16": Row("half precision", ("--type", "{half}")),
    "attention": Row("+ flash attention", _HALF),
    "compiled": Row("+ compiled", lacks="compiled mode"),
    "model_offload": Row("flash attention + offload", (*_HALF, "--offload-to-cpu"), on_cpu=(*_HALF, "--params-backend", "disk")),
    "sequential_offload": Row("flash attention + streamed layers", _STREAMED, lacks_on_cpu=_NO_STREAMS),
    "vae_slicing": Row("flash attention + VAE tiling", (*_HALF, "--vae-tiling")),
    "vae_slicing_sequential": Row("flash attention + VAE tiling + streamed layers", (*_STREAMED, "--vae-tiling"), lacks_on_cpu=_NO_STREAMS),
    "prompt_embeds": Row("flash attention + precomputed embeddings", lacks="option for embeddings computed before"),
    "tiny_vae": Row("flash attention + tiny autoencoder", (*_HALF, "--taesd", "{tiny}")),
    "one_picture": Row("flash attention, one picture", _HALF, one=True),
}
# The names in the program's --help.
_TYPES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, required=True, metavar="PATH", help="a built sd-cli")
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="single .safetensors checkpoint")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cpu",
                        help="cuda needs a binary that is built with CUDA (default cpu)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="(default: the program's choice, physical cores)")
    parser.add_argument("--half", choices=("f16", "bf16"), default="f16", help="type of the rows in half precision (default f16)")
    parser.add_argument("--tiny-vae", type=Path, metavar="FILE",
                        help="TAESDXL as .safetensors, for the row tiny_vae (default: that row fails)")
    parser.add_argument("--more", default="", metavar="OPTIONS", help="more options of sd-cli for every row, as one argument")
    measuring.add_conditions(parser)
    measuring.add_output(parser)
    return parser.parse_args()


class Program:
    """The binary: its features, and one run of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.path, self.args = args.binary.resolve(), args
        self.help = self._said("--help")
        found = re.search(r"version\s+(\S+?),?\s+commit\s+(\S+)", self._said("--version"))
        self.version, self.commit = found.groups() if found else ("", "")

    def _said(self, option: str) -> str:
        return subprocess.run([self.path, option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              stdin=subprocess.DEVNULL).stdout

    def has(self, option: str) -> bool:
        return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", self.help) is not None

    def command(self, options: list[str], images: int, folder: Path) -> list[str]:
        a = self.args
        words = [str(self.path), "-m", str(a.model), "-p", a.prompt, "-W", str(a.width), "-H", str(a.height), "--steps", str(a.steps),
                 "--cfg-scale", f"{a.guidance_scale:g}", "--sampling-method", "euler", "--rng", "cpu", "-s", str(a.seed),
                 "-b", str(images), "-o", str(folder / "%03d.png")]
        words += ["-t", str(a.threads)] if a.threads else []
        words += ["--eager-load"] if self.has("--eager-load") and "disk" not in options else []
        words += ["--backend", "cpu"] if a.device == "cpu" and self.has("--backend") else []
        return words + options + shlex.split(a.more)

    def run(self, options: list[str], images: int, folder: Path, card: machine.Card | None) -> Json:
        """{"seconds", "first", "peak", "joules", "stages"} or {"failed"}."""
        for file in folder.glob("*.png"):
            file.unlink()
        watch = machine.PeakOfCard(card) if card else None
        said: Json = {"stages": {}, "joules": None}
        last, energy = "", None
        started = time.monotonic()
        process = subprocess.Popen(self.command(options, images, folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, text=True, errors="replace")
        for line in process.stdout:                     # \r of its progress bar also ends a line
            if not line.strip():
                continue
            last = line.strip() if "error" in line.lower() or not last else last
            if BEGIN.search(line) and card:
                energy = card.joules()
            for stage, pattern in STAGES.items():
                if found := pattern.search(line):
                    said["stages"][stage] = float(found[1])
            if found := END.search(line):
                said["seconds"], said["first"] = float(found[1]), time.monotonic() - started
                if energy is not None:
                    said["joules"] = card.joules() - energy
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said["peak"] = watch.stop() if watch else usage.ru_maxrss * 1024
        if process.returncode != 0 or "seconds" not in said:
            last = re.sub(r"^\[ERROR\s*\]\s*\S+\s+-\s+", "", last)           # without the position in the source code
            return {"failed": measuring.sentence(f"{ENGINE}: {last or f'it ended with status {process.returncode}'}")}
        return said


def options_of(row: Row, args: argparse.Namespace) -> list[str]:
    words = row.on_cpu if args.device == "cpu" and row.on_cpu is not None else row.options
    return [word.format(half=args.half, tiny=args.tiny_vae) for word in words]


def cannot(row: Row, options: list[str], args: argparse.Namespace, program: Program) -> str:
    """The reason why the row cannot run; empty if it can."""
    lacks = row.lacks or (row.lacks_on_cpu if args.device == "cpu" else "")
    if lacks:
        return f"{ENGINE} has no {lacks}"
    if "{tiny}" in row.options and args.tiny_vae is None:
        return "no tiny autoencoder was given: name one with --tiny-vae FILE"
    missing = [word for word in options if word.startswith("--") and not program.has(word)]
    return f"this {ENGINE} has no option {missing[0]}" if missing else ""


def measured(program: Program, key: str, args: argparse.Namespace, scratch: Path, card: machine.Card | None) -> Json:
    row = ROWS[key]
    options = options_of(row, args)
    shown = " ".join(Path(word).name if word == str(args.tiny_vae) else word for word in options)
    json_row: Json = {"row": key, "title": row.title, "options": " ".join(filter(None, (shown, args.more)))}
    if failed := cannot(row, options, args, program):
        return {**json_row, "failed": failed}
    images = 1 if row.one else args.images
    runs: list[Json] = []
    for _ in range(args.runs):
        runs.append(program.run(options, images, scratch, card))
        if "failed" in runs[-1]:
            return {**json_row, "failed": runs[-1]["failed"]}
    pictures = args.pictures or scratch
    pictures.mkdir(parents=True, exist_ok=True)
    for i, file in enumerate(sorted(scratch.glob("*.png"))):
        (pictures / f"{key}-{i}.rgb").write_bytes(measuring.png_values(file.read_bytes()))
    json_row |= {"dtype": _TYPES[options[options.index("--type") + 1]], "images": images, "steps": args.steps}
    json_row |= measuring.times([run["seconds"] for run in runs])
    return json_row | {"stages": runs[-1]["stages"], "first_picture_seconds": runs[0]["first"],
                       "measured_peak_bytes": max(run["peak"] for run in runs), "measured_by": "driver" if card else "resident set",
                       "joules": runs[-1]["joules"] if len(runs) > 1 else None,
                       "difference": measuring.difference_from_fp32(pictures, key)}


def main() -> int:
    args = arguments()
    keys = measuring.chosen_rows(args.rows)
    for path, what in ((args.binary, "--binary a built sd-cli"), (args.model, "--model a .safetensors checkpoint")):
        if not path.is_file():
            raise SystemExit(f"sd_cpp_table: error: {path}: no such file: give {what}")
    if not os.access(args.binary, os.X_OK):
        raise SystemExit(f"sd_cpp_table: error: {args.binary} may not be run: give --binary a built sd-cli")
    card = machine.card() if args.device == "cuda" else None
    if args.device == "cuda" and card is None:
        raise SystemExit("sd_cpp_table: error: --device cuda: the driver's libnvidia-ml.so.1 does not answer, so memory cannot be measured")
    program = Program(args)
    document = {"schema": measuring.TABLE_SCHEMA, "engine": ENGINE, "version": program.version, "commit": program.commit,
                "command": measuring.command_line(),
                "machine": {"device": card.name() if card else machine.cpu_name(), "threads": args.threads or None,
                            "memory_bytes": card.memory()[0] if card else machine.cpu_memory_bytes(), "libraries": {}},
                "conditions": measuring.conditions_of(args), "rows": []}
    with tempfile.TemporaryDirectory(prefix="tempera-sd-cpp-") as scratch:
        return measuring.run_table(document, keys, lambda key: measured(program, key, args, Path(scratch), card), args)


if __name__ == "__main__":
    sys.exit(main())
