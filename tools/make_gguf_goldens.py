#!/usr/bin/env python3
"""Writes tests/data/gguf/blocks.safetensors: random blocks of every quantised type that src/weights/block_types.cpp
reads (NAME.blocks, bytes), and their values according to ggml itself (NAME.values, float32).

usage: make_gguf_goldens.py LIBGGML_BASE
LIBGGML_BASE: a libggml-base.so, such as the one in the npm package @node-llama-cpp/linux-x64 (made with 3.22.1).
"""
import ctypes
import json
import pathlib
import random
import struct
import sys

# Elements and bytes of a block, and where it has half-precision scales: random bytes there could be infinite.
TYPES = {"Q4_0": (32, 18, (0,)), "Q4_1": (32, 20, (0, 2)), "Q5_0": (32, 22, (0,)), "Q5_1": (32, 24, (0, 2)),
         "Q8_0": (32, 34, (0,)), "Q2_K": (256, 84, (80, 82)), "Q3_K": (256, 110, (108,)), "Q4_K": (256, 144, (0, 2)),
         "Q5_K": (256, 176, (0, 2)), "Q6_K": (256, 210, (208,))}
BLOCKS = 2


def main():
    library = ctypes.CDLL(sys.argv[1])
    random.seed(0)
    header, data = {}, b""

    def add(name, dtype, shape, raw):
        nonlocal data
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw

    for name, (elements, size, halves) in TYPES.items():
        blocks = bytearray(random.randbytes(BLOCKS * size))
        for block in range(BLOCKS):
            for at in halves:
                struct.pack_into("<e", blocks, block * size + at, random.uniform(-0.1, 0.1))
        values = (ctypes.c_float * (BLOCKS * elements))()
        dequantize = getattr(library, "dequantize_row_" + name.lower().replace("_k", "_K"))
        dequantize(ctypes.c_char_p(bytes(blocks)), values, ctypes.c_int64(BLOCKS * elements))
        add(name + ".blocks", "U8", [BLOCKS, size], bytes(blocks))
        add(name + ".values", "F32", [BLOCKS, elements], bytes(values))
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/data/gguf/blocks.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main()
