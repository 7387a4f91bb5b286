#!/usr/bin/env python3
"""Draws the embedded model's test cases with diffusers in float32: the oracle of tests/emoji/diffusers_test.cpp.

usage: draw_with_diffusers.py --out DIR [--model models/emoji-xl] [--diffusers SRC] [--only NAME,...]

Writes cases.json and the pictures to DIR: NAME.png, or NAME.I.png if a case has several.
A case is a request: tempera's field names and their texts or numbers.
Needs PyTorch, transformers and diffusers, and a CUDA device: some cases use the noise of PyTorch's CUDA generator. TF32 is off.
"""
from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

Case = dict[str, Any]

# tempera's scheduler presets: diffusers' class and its configuration. The model has the noise levels and the prediction
# type.
LEADING: Case = {"timestep_spacing": "leading", "steps_offset": 1}
TRAILING: Case = {"timestep_spacing": "trailing", "steps_offset": 0}
SCHEDULERS: dict[str, tuple[str, Case]] = {
    "euler": ("EulerDiscreteScheduler", LEADING),
    "euler_trailing": ("EulerDiscreteScheduler", TRAILING),
    "euler_karras": ("EulerDiscreteScheduler", {**LEADING, "use_karras_sigmas": True}),
    "euler_vpred": ("EulerDiscreteScheduler", {**TRAILING, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}),
    "euler_a": ("EulerAncestralDiscreteScheduler", LEADING),
    "ddim": ("DDIMScheduler", {**LEADING, "clip_sample": False, "set_alpha_to_one": False}),
    "ddim_trailing": ("DDIMScheduler", {**TRAILING, "clip_sample": False, "set_alpha_to_one": False}),
    "ddpm": ("DDPMScheduler", {**LEADING, "clip_sample": False}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", LEADING),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {**LEADING, "use_karras_sigmas": True}),
    "dpmpp_2m_sde_karras": ("DPMSolverMultistepScheduler", {**LEADING, "use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_2s": ("DPMSolverSinglestepScheduler", {"lower_order_final": True}),
    "heun": ("HeunDiscreteScheduler", LEADING),
    "lms": ("LMSDiscreteScheduler", LEADING),
    "pndm": ("PNDMScheduler", {**LEADING, "skip_prk_steps": True, "set_alpha_to_one": False}),
    "unipc": ("UniPCMultistepScheduler", LEADING),
    "deis": ("DEISMultistepScheduler", LEADING),
    "kdpm2": ("KDPM2DiscreteScheduler", LEADING),
    "kdpm2_a": ("KDPM2AncestralDiscreteScheduler", LEADING),
    "lcm": ("LCMScheduler", {**LEADING, "steps_offset": 0, "clip_sample": False}),
    "tcd": ("TCDScheduler", {**LEADING, "steps_offset": 0, "clip_sample": False}),
}

SMALL: Case = {"prompt": "a red apple", "width": 64, "height": 64, "num_inference_steps": 8, "guidance_scale": 3.0, "seed": 1}
LARGE = {"apple": "a red apple", "cat": "cat", "dog": "dog in fluent style", "heart": "blue heart", "rocket": "a rocket in flat style",
         "guitar": "a guitar", "strawberry": "blue strawberry", "castle": "castle"}
OPTIONS: dict[str, Case] = {
    "no_guidance": {"guidance_scale": 1.0},
    "strong_guidance": {"guidance_scale": 7.5},
    "guidance_rescale": {"guidance_scale": 7.5, "guidance_rescale": 0.7},
    "clip_skip_1": {"clip_skip": 1},
    "original_size": {"original_size": "40x24"},
    "target_size": {"target_size": "128x96"},
    "crops_coords_top_left": {"crops_coords_top_left": "24,8"},
    "micro_conditioning": {"original_size": "96x128", "target_size": "64x80", "crops_coords_top_left": "8,16"},
    "negative_prompt": {"negative_prompt": "blue"},
    "empty_negative_prompt": {"negative_prompt": ""},
    "prompt_2": {"prompt_2": "flat style", "negative_prompt": "blue", "negative_prompt_2": "green"},
    "long_prompt": {"prompt": "a red apple, " * 40},
    "not_square": {"width": 72, "height": 40},
    "three_pictures": {"num_images_per_prompt": 3},
    "three_pictures_euler_a": {"num_images_per_prompt": 3, "scheduler": "euler_a", "guidance_scale": 1.0},
    "cuda_generator": {"rng": "cuda"},
    "cuda_generator_euler_a": {"rng": "cuda", "scheduler": "euler_a", "num_images_per_prompt": 2},
    "cuda_generator_dpmpp_2m_sde_karras": {"rng": "cuda", "scheduler": "dpmpp_2m_sde_karras", "width": 72, "height": 56},
}
PAIRS = ("original_size", "target_size", "crops_coords_top_left")


def all_cases(model: Path) -> dict[str, Case]:
    """Every case as a request: pictures of the model's own size, one of each sampler, one of each option."""
    large = {"seed": 1, **json.loads((model / "defaults.json").read_text())}
    cases = {name: {"prompt": prompt, **large} for name, prompt in LARGE.items()}
    cases |= {f"scheduler_{name}": {**SMALL, "scheduler": name} for name in SCHEDULERS}
    return cases | {name: {**SMALL, **options} for name, options in OPTIONS.items()}


def make_scheduler(diffusers: Any, model: Any, name: str) -> Any:
    cls_name, own = SCHEDULERS[name]
    cls = getattr(diffusers, cls_name)
    known = inspect.signature(cls.__init__).parameters
    of_model = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type", "rescale_betas_zero_snr")
    levels = {key: model[key] for key in of_model if key in model and key in known}
    return cls(**levels | own)


def draw(diffusers: Any, pipe: Any, model_scheduler: Any, case: Case) -> list[Any]:
    """The pictures of a case. Picture i has its own generator with seed + i."""
    import torch

    case = dict(case)
    name, device, seed = case.pop("scheduler", None), case.pop("rng", "cpu"), case.pop("seed")
    own = name is None
    scheduler = diffusers.EulerDiscreteScheduler.from_config(model_scheduler) if own else make_scheduler(diffusers, model_scheduler, name)
    pipe.register_modules(scheduler=scheduler)
    generators = [torch.Generator(device).manual_seed(seed + i) for i in range(case.get("num_images_per_prompt", 1))]
    # tempera has width before height and x before y, diffusers has the opposite order.
    pairs = {key: tuple(int(n) for n in reversed(re.split("[x,]", case.pop(key)))) for key in PAIRS if key in case}
    return pipe(generator=generators, **pairs, **case).images


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=root / "models/emoji-xl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--diffusers", type=Path, help="src/ folder of a diffusers checkout; without it, the installed package")
    parser.add_argument("--only", help="names of cases, separated by commas; cases.json still lists all")
    args = parser.parse_args()
    if args.diffusers:
        sys.path.insert(0, str(args.diffusers))
    import diffusers
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(args.model, torch_dtype=torch.float32, add_watermarker=False).to(device)
    pipe.set_progress_bar_config(disable=True)
    model_scheduler = dict(pipe.scheduler.config)
    args.out.mkdir(parents=True, exist_ok=True)
    cases = all_cases(args.model)
    chosen = args.only.split(",") if args.only else list(cases)
    for name in chosen:
        pictures = draw(diffusers, pipe, model_scheduler, cases[name])
        for i, picture in enumerate(pictures):
            picture.save(args.out / (f"{name}.png" if len(pictures) == 1 else f"{name}.{i}.png"), optimize=True)
    (args.out / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
    print(f"{args.out}: {len(chosen)} cases drawn on {device} by diffusers {diffusers.__version__}")


if __name__ == "__main__":
    main()
