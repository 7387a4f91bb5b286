#!/usr/bin/env python3
"""Writes a LoRA of random values over all attention layers of a model's UNet, for measurements.

usage: make_lora.py UNET.safetensors OUT.safetensors [RANK [SEED]]

UNET.safetensors has diffusers' names (`tempera synth` writes such files); only its header is read. The LoRA has kohya's
names, float16 values, and alpha = RANK. The default rank is 64.
"""
import json
import struct
import sys

import numpy as np


def shapes_of(path):
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    return {name: tensor["shape"] for name, tensor in header.items() if name != "__metadata__"}


def main():
    unet, out = sys.argv[1:3]
    rank = int(sys.argv[3]) if len(sys.argv) > 3 else 64
    random = np.random.default_rng(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    layers = {name[:-len(".weight")]: shape for name, shape in shapes_of(unet).items()
              if ".attn" in name and name.endswith(".weight") and len(shape) == 2}
    tensors = []
    for name, (rows, columns) in sorted(layers.items()):
        module = "lora_unet_" + name.replace(".", "_")
        tensors += [(f"{module}.alpha", [], 0), (f"{module}.lora_down.weight", [rank, columns], columns ** -0.5),
                    (f"{module}.lora_up.weight", [rows, rank], 0.02)]
    header, offset = {}, 0
    for name, shape, _ in tensors:
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(out, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, scale in tensors:
            values = random.standard_normal(shape, dtype=np.float32) * scale if shape else np.float32(rank)
            file.write(np.asarray(values, dtype=np.float16).tobytes())
    parameters = sum(rows * columns for rows, columns in layers.values())
    print(f"{len(layers)} layers with {parameters / 1e9:.2f} G parameters, {offset / 1e6:.0f} MB")


main()
