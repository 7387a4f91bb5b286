#!/usr/bin/env python3
"""Stage 5: the quality of the exported model, measured with diffusers' StableDiffusionXLPipeline.

usage: evaluate.py MODEL_DIR --report OUT_DIR [--guidance 3] [--styles noto,fluent,flat]

For every name of a style, a picture is drawn with seed 0 and reduced to 32 x 32 (means of 8 x 8 blocks). The nearest picture
of that style has the smallest Euclidean distance of RGB values. Counted are the names whose own picture is the nearest, and
those whose own picture is among the 5 nearest. Writes report.json and the picture grids to OUT_DIR.
"""
from __future__ import annotations

import json
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import bpe
import captions
import model
import pictures
import stage
import train_autoencoder
import train_tiny

GRID = (Path(__file__).parent / "grid.txt").read_text().splitlines()
WORDS = ["red heart", "blue heart", "green heart", "purple heart", "yellow heart", "orange heart", "cat", "dog",
         "cat in noto style", "cat in fluent style", "cat in flat style", "dog in noto style", "dog in fluent style", "dog in flat style",
         "green apple", "red apple", "blue cat", "green dog", "purple apple", "pink elephant", "blue strawberry", "red car",
         "blue car", "green car", "purple octopus", "yellow rocket", "a rocket and a heart", "crown cat", "a small blue bird", "kitten",
         "love", "music"]


def draw(pipe, prompts: list[str], guidance: float, steps: int = 20, size: int = 256, seed: int = 0, batch: int = 128) -> torch.Tensor:
    """One picture for each prompt, all from the same noise: (N, 3, size, size) in [0, 1]."""
    found = []
    for i in range(0, len(prompts), batch):
        some = prompts[i: i + batch]
        generators = [torch.Generator().manual_seed(seed) for _ in some]
        found.append(pipe(prompt=some, generator=generators, guidance_scale=guidance, num_inference_steps=steps,
                          height=size, width=size, output_type="pt").images.float())
    return torch.cat(found)


def reduced(images: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(images, images.shape[-1] // 32).flatten(1)


def names_found(
    pipe, images: torch.Tensor, things: list[captions.Thing], style: str, form: str, guidance: float, limit: int | None
) -> dict[str, object]:
    """How often a name's own picture is the nearest of its style, and among the 5 nearest."""
    own = [i for i, t in enumerate(things) if t.style == style]
    glyphs = torch.cat([reduced(images[own[i: i + 256]].float() / 255) for i in range(0, len(own), 256)])
    asked = own[:: max(1, len(own) // limit)] if limit else own
    y = draw(pipe, [form.format(name=things[i].name, style=style) for i in asked], guidance)
    d = torch.cdist(reduced(y), glyphs, compute_mode="donot_use_mm_for_euclid_dist")
    at = torch.tensor([own.index(i) for i in asked], device=d.device)
    rank = (d < d[torch.arange(len(d), device=d.device), at][:, None]).sum(1)
    missed = [things[asked[i]].name for i in (rank >= 5).nonzero().flatten().tolist()]
    return {"style": style, "prompt": form, "guidance": guidance, "names": len(asked), "nearest": (rank == 0).float().mean().item(),
            "among_5": (rank < 5).float().mean().item(), "missed": missed}


def save_grid(images: torch.Tensor, columns: int, cell: int, path: Path) -> None:
    if images.shape[-1] != cell:
        images = F.interpolate(images, (cell, cell), mode="area")
    pixels = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    rows = [np.concatenate(list(pixels[i: i + columns]), 1) for i in range(0, len(pixels) // columns * columns, columns)]
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


def check_tokenizers(pipe, folder: Path, things: list[captions.Thing]) -> None:
    """Checks that our encoder gives the ids of transformers' tokenizer, and our text encoding the states of the pipeline."""
    ours = bpe.Tokenizer.load(folder / "tokenizer")
    rng = random.Random(1)
    texts = [captions.caption(t, rng) for t in rng.sample(things, min(500, len(things)))] + ["", "Crème brûlée!", "it's 2024", "x" * 300]
    for tokenizer in (pipe.tokenizer, pipe.tokenizer_2):
        theirs = tokenizer(texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True).input_ids
        for text, ids in zip(texts, theirs):
            if ours.encode(text) != list(ids):
                raise SystemExit(f"tokenizers differ on {text!r}: {ours.encode(text)[:20]} and {list(ids)[:20]}")
    states, _, pooled, _ = pipe.encode_prompt(texts[:8], device=pipe.device, num_images_per_prompt=1, do_classifier_free_guidance=False)
    ids = torch.tensor([ours.encode(t) for t in texts[:8]], device=pipe.device)
    mine, mine_pooled = model.encode_text(pipe.text_encoder, pipe.text_encoder_2, ids)
    apart = max((mine - states).abs().max().item(), (mine_pooled - pooled).abs().max().item())
    print(f"{len(texts)} texts have the same ids; text states differ by {apart:.2g} at most", flush=True)
    if apart > 1e-2:
        raise SystemExit("the text encoders differ from the pipeline's")


def main() -> None:
    parser = stage.arguments(__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--guidance", default="3", help="one or several, separated by commas: all are measured with the noto names")
    parser.add_argument("--styles", default="noto,fluent,flat")
    parser.add_argument("--limit", type=int, help="number of names of a style (about), instead of all")
    args = parser.parse_args()
    device = stage.prepare(args)
    from diffusers import AutoencoderTiny, StableDiffusionXLPipeline

    torch.set_grad_enabled(False)
    args.report.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    images, things, _ = pictures.load(args.data, device)
    pipe = StableDiffusionXLPipeline.from_pretrained(args.model, torch_dtype=torch.float32, add_watermarker=False).to(device)
    pipe.set_progress_bar_config(disable=True)
    for part in (pipe.unet, pipe.vae):
        part.to(memory_format=torch.channels_last)
    tiny = (
        AutoencoderTiny.from_pretrained(args.model / "vae_tiny", torch_dtype=torch.float32).to(device).to(memory_format=torch.channels_last)
    )
    check_tokenizers(pipe, args.model, things)

    report: dict[str, object] = {"cost": model.counts(pipe.text_encoder.config.vocab_size, device)}
    print(json.dumps(report["cost"], indent=1), flush=True)
    each, overall = train_autoencoder.quality(pipe.vae, images)
    tiny_each, tiny_overall, tiny_both = train_tiny.quality(pipe.vae, tiny, images)
    report["autoencoder"] = {"psnr_mean": each, "psnr_of_mean_error": overall}
    report["tiny"] = {"psnr_mean": tiny_each, "psnr_of_mean_error": tiny_overall, "psnr_mean_tiny_encoder": tiny_both}
    print(json.dumps({k: report[k] for k in ("autoencoder", "tiny")}), f"{time.monotonic() - start:.0f} s", flush=True)

    guidances = [float(g) for g in args.guidance.split(",")]
    save_grid(draw(pipe, GRID, guidances[0]), 8, 112, args.report / "grid.png")
    save_grid(draw(pipe, WORDS, guidances[0]), 8, 112, args.report / "words.png")
    for size in (128, 384):
        save_grid(draw(pipe, GRID[:16], guidances[0], size=size, batch=16), 8, 112, args.report / f"size{size}.png")
    report["names"] = rows = []

    def ask(style: str, form: str, guidance: float, **swap) -> None:
        row = names_found(pipe, images, things, style, form, guidance, args.limit) | swap
        rows.append(row)
        print(json.dumps({k: v for k, v in row.items() if k != "missed"}), f"{time.monotonic() - start:.0f} s", flush=True)
        (args.report / "report.json").write_text(json.dumps(report, indent=1) + "\n")

    for style in args.styles.split(","):
        ask(style, "{name} in {style} style", guidances[0])
    ask("noto", "{name}", guidances[0])
    for guidance in guidances[1:]:
        ask("noto", "{name} in {style} style", guidance)
    pipe.vae = tiny
    ask("noto", "{name} in {style} style", guidances[0], decoder="tiny")
    save_grid(draw(pipe, GRID, guidances[0]), 8, 112, args.report / "grid_tiny.png")


if __name__ == "__main__":
    main()
