#!/usr/bin/env python3
"""The same prompts drawn by diffusers in float32, for the test that compares tempera's pictures with them.

usage: draw_with_diffusers.py --out DIR [--model models/emoji-xl] [--diffusers SRC]

DIR gets one PNG a prompt and prompts.json: seed, steps, guidance and what each file shows. Noise comes from PyTorch's CPU
generator, and TF32 is off, so that a GPU gives what a CPU would but for the last bits.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

PROMPTS = {"apple": "a red apple", "cat": "cat", "dog": "dog in fluent style", "heart": "blue heart", "rocket": "a rocket in flat style",
           "guitar": "a guitar", "strawberry": "blue strawberry", "castle": "castle"}
SEED = 1


def defaults(model: Path) -> dict[str, float]:
    """What the model says of requests that leave it out; without a word from it, diffusers' own numbers."""
    file = model / "defaults.json"
    said = json.loads(file.read_text()) if file.exists() else {}
    return {"num_inference_steps": said.get("num_inference_steps", 50), "guidance_scale": said.get("guidance_scale", 5.0)}


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=root / "models/emoji-xl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--diffusers", type=Path, help="src/ folder of a diffusers checkout; without it, the installed package")
    args = parser.parse_args()
    if args.diffusers:
        sys.path.insert(0, str(args.diffusers))
    import torch
    from diffusers import StableDiffusionXLPipeline

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipe = StableDiffusionXLPipeline.from_pretrained(args.model, torch_dtype=torch.float32, add_watermarker=False).to(device)
    pipe.set_progress_bar_config(disable=True)
    args.out.mkdir(parents=True, exist_ok=True)
    settings = defaults(args.model)
    for name, prompt in PROMPTS.items():
        generator = torch.Generator("cpu").manual_seed(SEED)
        picture = pipe(prompt=prompt, generator=generator, **settings).images[0]     # its size is the model's own
        picture.save(args.out / f"{name}.png", optimize=True)
    record = {"seed": SEED, **settings, "prompts": PROMPTS}
    (args.out / "prompts.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{args.out}: {len(PROMPTS)} pictures on {device}, {settings}")


if __name__ == "__main__":
    main()
