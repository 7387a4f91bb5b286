#!/usr/bin/env python3
"""Stage 4: the trained parts as one diffusers folder in float16, with the averaged weights.

usage: export.py OUT_DIR [--work WORK]      from WORK/autoencoder, WORK/tiny and WORK/diffusion
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

import bpe
import model
import stage

FILES = {"unet": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors",
         "vae_tiny": "diffusion_pytorch_model.safetensors", "text_encoder": "model.safetensors", "text_encoder_2": "model.safetensors"}
INDEX = {
    "_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.30.0", "feature_extractor": [None, None],
    "force_zeros_for_empty_prompt": True, "image_encoder": [None, None], "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def file_key(name: str, key: str) -> str:
    """The key in published SDXL files. They have CLIPTextModel's prefix, newer versions of transformers do not."""
    if name.startswith("text_encoder") and not key.startswith(("text_model.", "text_projection.")):
        return "text_model." + key
    return key


def read_part(folder: str | Path, name: str, part: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of an exported part, with the keys of `part`."""
    stored = load_file(Path(folder) / name / FILES[name])
    return {key: stored[file_key(name, key)].float() for key in part.state_dict()}


def write_part(folder: Path, name: str, part: torch.nn.Module) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    tensors = {file_key(name, k): v.detach().to("cpu", torch.float16).contiguous() for k, v in part.state_dict().items()}
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name}: {key} does not fit float16")
    save_file(tensors, folder / name / FILES[name], metadata={"format": "pt"})
    if name.startswith("text_encoder"):
        keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
                "hidden_act", "projection_dim", "bos_token_id", "eos_token_id", "pad_token_id", "layer_norm_eps", "attention_dropout",
                "initializer_factor", "initializer_range", "model_type")
        config = {k: getattr(part.config, k) for k in keys}
        write_json(folder / name / "config.json", {**config, "architectures": [type(part).__name__], "torch_dtype": "float16"})
    else:
        part.save_config(folder / name)


def averaged(state: dict[str, Any], parts: dict[str, torch.nn.Module]) -> None:
    """Loads the moving averages, which are stored in the order of the parts' parameters."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    for p, mean in zip((p for part in parts.values() for p in part.parameters()), state["average"], strict=True):
        p.data.copy_(mean)


def main() -> None:
    parser = stage.arguments(__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    stage.prepare(args)
    read = lambda name: torch.load(args.work / name / "checkpoint.pt", map_location="cpu", weights_only=True)  # noqa: E731
    for name, stage_name, part in (("vae", "autoencoder", model.vae()), ("vae_tiny", "tiny", model.tiny())):
        part.load_state_dict(read(stage_name)["final"])
        write_part(args.out, name, part)
    tokenizer = bpe.Tokenizer.load(args.work / "diffusion" / "tokenizer")
    first, second = model.text_encoders(tokenizer.size)
    parts = {"unet": model.unet(), "text_encoder": first, "text_encoder_2": second}
    averaged(read("diffusion"), parts)
    for name, part in parts.items():
        write_part(args.out, name, part)
    for name in ("tokenizer", "tokenizer_2"):
        tokenizer.save(args.out / name)
    write_json(
        args.out / "scheduler" / "scheduler_config.json",
        {"_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.30.0", **model.SCHEDULER},
    )
    write_json(args.out / "model_index.json", INDEX)
    write_json(args.out / "defaults.json", model.DEFAULTS)
    for name in ("autoencoder", "tiny", "diffusion"):
        kept = args.out / "training" / name
        kept.mkdir(parents=True, exist_ok=True)
        for file in ("settings.json", "curve.jsonl"):
            shutil.copy(args.work / name / file, kept / file)
    size = sum(f.stat().st_size for f in args.out.rglob("*") if f.is_file())
    print(f"{args.out}: {size} bytes, {size / 2 ** 20:.2f} MiB")


if __name__ == "__main__":
    main()
