#!/usr/bin/env python3
"""The table of `tempera bench table` with diffusers: the same rows, conditions and JSON.

usage: diffusers_table.py --model DIR [--device cuda] [--output NAME.json]

DIR is a diffusers folder of fp16 safetensors, for example the output of `tempera synth DIR --preset sdxl-base`. Needs the Python
packages torch, diffusers, transformers and accelerate, and downloads nothing. Every row runs in its own process
(diffusers_row.py). So memory and first picture of a row do not depend on other rows.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import measuring
from measuring import Json

ENGINE = "diffusers"


@dataclass(frozen=True)
class Row:
    """The settings of a row in diffusers. The rows with offloading are not compiled, as in the report."""

    title: str
    half: bool = True                   # fp16 on a card, bf16 on the CPU
    sdpa: bool = True                   # AttnProcessor2_0, else AttnProcessor
    compiled: bool = False
    offload: str = "none"
    slicing: bool = False
    embeds: bool = False
    tiny: bool = False
    one: bool = False                   # one picture


ROWS = {
    "fp32": Row("fp32, default attention", half=False, sdpa=False),
    "fp16": Row("half precision", sdpa=False),
    "attention": Row("+ SDPA"),
    "compiled": Row("+ torch.compile", compiled=True),
    "model_offload": Row("SDPA + model offload", offload="model"),
    "sequential_offload": Row("SDPA + sequential offload", offload="sequential"),
    "vae_slicing": Row("SDPA + VAE slicing", slicing=True),
    "vae_slicing_sequential": Row("SDPA + VAE slicing + sequential offload", slicing=True, offload="sequential"),
    "prompt_embeds": Row("SDPA + precomputed embeddings", embeds=True),
    "tiny_vae": Row("SDPA + tiny autoencoder", tiny=True),
    "one_picture": Row("torch.compile, one picture", compiled=True, one=True),
}


def dtype_of(row: Row, device: str) -> str:
    return "fp32" if not row.half else "fp16" if device == "cuda" else "bf16"


def options_of(row: Row, device: str, compile_mode: str) -> str:
    """The calls of the row, as Python code."""
    calls = ["dtype=" + {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}[dtype_of(row, device)],
             "AttnProcessor2_0" if row.sdpa else "AttnProcessor"]
    calls += [f'torch.compile(unet, mode="{compile_mode}", fullgraph=True)'] * row.compiled
    calls += [f"enable_{row.offload}_cpu_offload()"] * (row.offload != "none")
    calls += ["vae.enable_slicing()"] * row.slicing
    calls += ["prompt_embeds=..."] * row.embeds
    calls += ["AutoencoderTiny"] * row.tiny
    calls += ["num_images_per_prompt=1"] * row.one
    return ", ".join(calls)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="diffusers folder, fp16 safetensors")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads of the CPU (default: PyTorch's own choice)")
    parser.add_argument("--tiny-vae", type=Path, metavar="DIR",
                        help="AutoencoderTiny of the row tiny_vae (default: vae_tiny in the model's folder, or else random weights)")
    parser.add_argument("--compile-mode", default="reduce-overhead", metavar="MODE",
                        help="mode of torch.compile (default: that of the report, %(default)s)")
    parser.add_argument("--diffusers", type=Path, metavar="SRC",
                        help="src/ folder of a diffusers checkout (default: the installed package)")
    parser.add_argument("--commit", default="", metavar="NAME", help="commit of diffusers, for the JSON (default: none)")
    parser.add_argument("--row-timeout", type=float, metavar="S", help="time limit of a row, in seconds (default: none)")
    measuring.add_conditions(parser)
    measuring.add_output(parser)
    return parser.parse_args()


class Processes:
    """Starts diffusers_row.py and reads its answer."""

    def __init__(self, args: argparse.Namespace, scratch: Path) -> None:
        self.scratch, self.timeout = scratch, args.row_timeout
        self.pictures = args.pictures or scratch / "pictures"
        self.pictures.mkdir(parents=True, exist_ok=True)
        text = lambda path: str(path.resolve()) if path else ""  # noqa: E731
        self.request = {
            "model": text(args.model), "tiny_vae": text(args.tiny_vae), "diffusers": text(args.diffusers), "device": args.device,
            "threads": args.threads, "compile_mode": args.compile_mode, "prompt": args.prompt, "width": args.width,
            "height": args.height, "images": args.images, "steps": args.steps, "guidance_scale": args.guidance_scale,
            "seed": args.seed, "runs": args.runs, "pictures": text(self.pictures), "embeddings": text(scratch / "embeddings.pt")}

    def ask(self, task: str) -> Json:
        """{"result"}, or {"failed"}: one sentence, or {"missing"}: a package."""
        request, answer, log = (self.scratch / name for name in ("request.json", "answer.json", "log.txt"))
        request.write_text(json.dumps(self.request))
        answer.unlink(missing_ok=True)
        command = [sys.executable, str(Path(__file__).with_name("diffusers_row.py")), task, str(request), str(answer)]
        with open(log, "wb") as file:
            try:
                status = subprocess.run([*command, repr(time.monotonic())], stdout=file, stderr=subprocess.STDOUT,
                                        timeout=self.timeout).returncode
            except subprocess.TimeoutExpired:
                return {"failed": f"it took longer than the {self.timeout:g} s that --row-timeout allows"}
        if answer.exists():
            return json.loads(answer.read_text())
        if status < 0:
            return {"failed": f"its process was ended by signal {-status}" + (" (no memory left?)" if status == -9 else "")}
        said = log.read_text(errors="replace").strip().splitlines()
        return {"failed": measuring.sentence(said[-1] if said else f"its process ended with status {status}")}


def machine_of(processes: Processes) -> Json:
    """The machine and the versions. Ends the program if packages are missing."""
    answer = processes.ask("machine")
    if "missing" in answer:
        print(f"diffusers_table: error: the Python package {answer['missing']} is missing: install torch, diffusers, transformers and "
              "accelerate, or name a diffusers source folder with --diffusers", file=sys.stderr)
        raise SystemExit(2)
    if "failed" in answer:
        print(f"diffusers_table: error: {answer['failed']}", file=sys.stderr)
        raise SystemExit(2)
    return answer["result"]


def measured(processes: Processes, key: str, device: str, args: argparse.Namespace) -> Json:
    row = ROWS[key]
    json_row: Json = {"row": key, "title": row.title, "options": options_of(row, device, args.compile_mode)}
    answer = processes.ask("embeddings") if row.embeds else {}
    if "failed" not in answer:
        answer = processes.ask(key)
    if "result" not in answer:
        return {**json_row, "failed": answer.get("failed") or f"the Python package {answer['missing']} is missing"}
    result = answer["result"]
    json_row |= {"dtype": dtype_of(row, device), "images": 1 if row.one else args.images, "steps": args.steps}
    json_row |= measuring.times(result.pop("seconds")) | result
    json_row["difference"] = measuring.difference_from_fp32(processes.pictures, key)
    return json_row


def main() -> int:
    args = arguments()
    keys = measuring.chosen_rows(args.rows)
    if not (args.model / "model_index.json").is_file():
        raise SystemExit(f"diffusers_table: error: {args.model}: no model_index.json there: give --model a diffusers folder")
    with tempfile.TemporaryDirectory(prefix="tempera-diffusers-") as scratch:
        processes = Processes(args, Path(scratch))
        machine = machine_of(processes)
        processes.request["device"] = device = machine.pop("device_kind")
        document = {"schema": measuring.TABLE_SCHEMA, "engine": ENGINE, "version": machine["libraries"].pop(ENGINE),
                    "commit": args.commit, "command": measuring.command_line(), "machine": machine,
                    "conditions": measuring.conditions_of(args), "rows": []}
        return measuring.run_table(document, keys, lambda key: measured(processes, key, device, args), args)


if __name__ == "__main__":
    sys.exit(main())
