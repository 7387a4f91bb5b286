#!/usr/bin/env python3
"""One row of diffusers_table.py in its own process, which that script starts.

usage: diffusers_row.py TASK REQUEST.json ANSWER.json STARTED

TASK is a key of a row, `machine` (describes the machine) or `embeddings` (writes those of the prompt to a file). The answer is
{"result": ...}, {"failed": one sentence} or {"missing": a package}. STARTED is the monotonic clock at the start of the process.
"""
from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

import device as machine
import measuring
from diffusers_table import ROWS, Row, dtype_of
from measuring import Json

os.environ.setdefault("HF_HUB_OFFLINE", "1")          # no downloads, also when the folder is incomplete


def torch_dtype(name: str):
    import torch
    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[name]


def describe(request: Json) -> Json:
    import accelerate
    import diffusers
    import torch
    import transformers

    libraries = {"diffusers": diffusers.__version__, "PyTorch": torch.__version__, "transformers": transformers.__version__,
                 "accelerate": accelerate.__version__}
    kind = request["device"]
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cpu":
        return {"device_kind": kind, "device": machine.cpu_name(), "threads": torch.get_num_threads(),
                "memory_bytes": machine.cpu_memory_bytes(), "libraries": libraries}
    if not torch.cuda.is_available():
        raise RuntimeError("--device cuda: PyTorch finds no card that it can use")
    card = torch.cuda.get_device_properties(0)
    cudnn = torch.backends.cudnn.version() or 0          # 91900 is 9.19.0
    libraries |= {"CUDA": torch.version.cuda or "", "cuDNN": f"{cudnn // 10000}.{cudnn // 100 % 100}.{cudnn % 100}"}
    return {"device_kind": kind, "device": card.name, "threads": torch.get_num_threads(), "memory_bytes": card.total_memory,
            "libraries": libraries}


def tiny_autoencoder(request: Json, dtype):
    import torch
    from diffusers import AutoencoderTiny

    folder = Path(request["tiny_vae"] or Path(request["model"]) / "vae_tiny")
    if request["tiny_vae"] or folder.is_dir():
        return AutoencoderTiny.from_pretrained(folder, torch_dtype=dtype)
    torch.manual_seed(0)
    return AutoencoderTiny().to(dtype=dtype).eval()


def load(request: Json, dtype, **parts):
    """The pipeline in the CPU's memory. `parts` replace those of the folder; None leaves a part out."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    pipe = StableDiffusionXLPipeline.from_pretrained(request["model"], torch_dtype=dtype, use_safetensors=True, local_files_only=True,
                                                     add_watermarker=False, **parts)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def prepared(request: Json, row: Row, dtype):
    """The pipeline with the settings of the row, on its device."""
    import torch
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

    parts = {"text_encoder": None, "text_encoder_2": None} if row.embeds else {}
    if row.tiny:
        parts["vae"] = tiny_autoencoder(request, dtype)
    pipe = load(request, dtype, **parts)
    pipe.unet.set_attn_processor(AttnProcessor2_0() if row.sdpa else AttnProcessor())
    if row.slicing:
        pipe.vae.enable_slicing()
    if row.offload == "model":
        pipe.enable_model_cpu_offload(device=request["device"])
    elif row.offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=request["device"])
    else:
        pipe.to(request["device"])
    if row.compiled:
        pipe.unet = torch.compile(pipe.unet, mode=request["compile_mode"], fullgraph=True)
    return pipe


def noise(request: Json, pipe, images: int, dtype):
    """The noise of picture i: PyTorch's CPU generator with seed + i, float32 in every row. It is equal to tempera's."""
    import torch

    shape = (1, pipe.vae.config.latent_channels, request["height"] // pipe.vae_scale_factor, request["width"] // pipe.vae_scale_factor)
    each = [torch.randn(shape, generator=torch.Generator("cpu").manual_seed(request["seed"] + i)) for i in range(images)]
    return torch.cat(each).to(request["device"], dtype)


def write_embeddings(request: Json) -> Json:
    import torch

    dtype = torch_dtype(dtype_of(ROWS["prompt_embeds"], request["device"]))
    pipe = load(request, dtype, unet=None, vae=None).to(request["device"])
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    found = pipe.encode_prompt(prompt=request["prompt"], device=torch.device(request["device"]), num_images_per_prompt=1,
                               do_classifier_free_guidance=request["guidance_scale"] > 1)
    torch.save({name: value.cpu() for name, value in zip(names, found) if value is not None}, request["embeddings"])
    return {}


class CardMemory:
    """The peaks that PyTorch allocated and reserved, and the driver's figure: reserved memory and that of libraries."""

    def __init__(self) -> None:
        import torch
        self.torch = torch
        torch.cuda.init()
        torch.zeros(1, device="cuda")            # creates the context, so that its memory is not counted below
        self.before = self.used() - torch.cuda.memory_reserved()

    def used(self) -> int:
        free, total = self.torch.cuda.mem_get_info()
        return total - free

    def peaks(self) -> Json:
        cuda = self.torch.cuda
        beside = self.used() - cuda.memory_reserved() - self.before
        return {"measured_peak_bytes": cuda.max_memory_allocated(), "measured_by": "allocator",
                "reserved_peak_bytes": cuda.max_memory_reserved(), "driver_peak_bytes": cuda.max_memory_reserved() + max(0, beside)}


def measure(key: str, request: Json, started: float) -> Json:
    import torch

    row, on_card = ROWS[key], request["device"] == "cuda"
    if not on_card and row.offload != "none":
        raise RuntimeError(f"diffusers' {row.offload} offload needs a card: on the CPU there is nothing to offload to")
    memory = CardMemory() if on_card else None
    card = machine.card() if on_card else None
    dtype = torch_dtype(dtype_of(row, request["device"]))
    images = 1 if row.one else request["images"]
    pipe = prepared(request, row, dtype)
    what = {"prompt": request["prompt"]}
    if row.embeds:
        what = {name: value.to(request["device"]) for name, value in torch.load(request["embeddings"], weights_only=True).items()}
    seconds: list[float] = []
    joules = None
    for run in range(request["runs"]):
        before = card.joules() if card and run > 0 else None
        start = time.perf_counter()
        pictures = pipe(**what, latents=noise(request, pipe, images, dtype), num_images_per_prompt=images,
                        num_inference_steps=request["steps"], guidance_scale=request["guidance_scale"], width=request["width"],
                        height=request["height"], output_type="pil").images        # in the CPU's memory, so all work is complete
        seconds.append(time.perf_counter() - start)
        if run == 0:
            first = time.monotonic() - started
        after = card.joules() if before is not None else None
        joules = after - before if after is not None else None
    for i, picture in enumerate(pictures):
        (Path(request["pictures"]) / f"{key}-{i}.rgb").write_bytes(picture.convert("RGB").tobytes())
    peaks = memory.peaks() if memory else {"measured_peak_bytes": machine.resident_peak_bytes(), "measured_by": "resident set"}
    return {"seconds": seconds, "first_picture_seconds": first, **peaks, "joules": joules}


def answer(task: str, request: Json, started: float) -> Json:
    try:
        import torch
        torch.set_grad_enabled(False)
        if request["threads"]:
            torch.set_num_threads(request["threads"])
        if task == "machine":
            return {"result": describe(request)}
        if task == "embeddings":
            return {"result": write_embeddings(request)}
        return {"result": measure(task, request, started)}
    except ModuleNotFoundError as error:
        return {"missing": error.name}
    except Exception as error:               # a failed row is a result too
        traceback.print_exc()
        return {"failed": measuring.sentence(f"{type(error).__name__}: {error}")}


def main() -> None:
    task, request_file, answer_file, started = sys.argv[1:]
    request = json.loads(Path(request_file).read_text())
    if request["diffusers"]:
        sys.path.insert(0, request["diffusers"])
    measuring.write_json(Path(answer_file), answer(task, request, float(started)))


if __name__ == "__main__":
    main()
