#!/usr/bin/env python3
"""Writes two files of tests/data/gguf with the results of ggml itself.

blocks.safetensors: random blocks of every quantised type that src/weights/block_types.cpp reads (NAME.blocks, bytes),
and their values (NAME.values, float32).
encoded.safetensors: numbers (NAME.floats, float32), and their blocks (NAME.encoded, bytes), of every type that
src/weights/block_encoders.cpp writes.

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
ENCODED = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K")
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/data/gguf"


class Tensors:
    def __init__(self):
        self.header, self.data = {}, b""

    def add(self, name, dtype, shape, raw):
        begin = len(self.data)
        self.header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + len(raw)]}
        self.data += raw

    def write(self, name):
        text = json.dumps(self.header).encode()
        text += b" " * (-len(text) % 8)
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_bytes(struct.pack("<Q", len(text)) + text + self.data)


def function(library, prefix, name, suffix=""):
    return getattr(library, prefix + name.lower().replace("_k", "_K") + suffix)


def write_decoded(library):
    random.seed(0)
    tensors = Tensors()
    for name, (elements, size, halves) in TYPES.items():
        blocks = bytearray(random.randbytes(BLOCKS * size))
        for block in range(BLOCKS):
            for at in halves:
                struct.pack_into("<e", blocks, block * size + at, random.uniform(-0.1, 0.1))
        values = (ctypes.c_float * (BLOCKS * elements))()
        function(library, "dequantize_row_", name)(ctypes.c_char_p(bytes(blocks)), values,
                                                   ctypes.c_int64(BLOCKS * elements))
        tensors.add(name + ".blocks", "U8", [BLOCKS, size], bytes(blocks))
        tensors.add(name + ".values", "F32", [BLOCKS, elements], bytes(values))
    tensors.write("blocks.safetensors")


# The number of a block decides its values: normal as weights are, with a mean, mostly zeros, all zeros, one value.
def numbers(kind, count):
    if kind == 0:
        return [random.gauss(0, 0.02) for _ in range(count)]
    if kind == 1:
        return [random.gauss(1, 0.5) for _ in range(count)]
    if kind == 2:
        return [random.choice((0, 0, 0, random.gauss(0, 1))) for _ in range(count)]
    return [0.0 if kind == 3 else -0.25] * count


def write_encoded(library):
    random.seed(1)
    tensors = Tensors()
    for name in ENCODED:
        elements, size, _ = TYPES[name]
        floats = (ctypes.c_float * (5 * elements))(*[x for kind in range(5) for x in numbers(kind, elements)])
        blocks = ctypes.create_string_buffer(5 * size)
        function(library, "quantize_row_", name, "_ref")(floats, blocks, ctypes.c_int64(5 * elements))
        tensors.add(name + ".floats", "F32", [5, elements], bytes(floats))
        tensors.add(name + ".encoded", "U8", [5, size], bytes(blocks))
    tensors.write("encoded.safetensors")


def main():
    library = ctypes.CDLL(sys.argv[1])
    write_decoded(library)
    write_encoded(library)


if __name__ == "__main__":
    main()
