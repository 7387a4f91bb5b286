#!/usr/bin/env python3
"""Makes tests/fuzz/seeds/{gguf,png,infotext,tokenizer}: small inputs with which the fuzzers of the same names start.

Run from the repository root. Needs only Python.
"""

import json
import pathlib
import struct
import zlib

SEEDS = pathlib.Path("tests/fuzz/seeds")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, before=b"", after=b"", interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    picture = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + picture + after + chunk(b"IEND", b"")


def rows(height, length):
    """`height` rows of `length` bytes, with different filters."""
    return b"".join(bytes([y % 5]) + bytes((x * 73 + y * 11) % 256 for x in range(length)) for y in range(height))


def texts():
    before = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tEXt", b"parameters\0caf\xe9\nSteps: 1")
    after = chunk(b"zTXt", b"z\0\0" + zlib.compress(b"text"))
    after += chunk(b"iTXt", b"i\0\1\0de\0i\0" + zlib.compress("☕".encode()))
    return before, after


def tokenizer_folder(*files, prompt):
    return b"\0" + b"\xff".join([*files, prompt])


def text(value):
    return struct.pack("<Q", len(value)) + value


def ggufs():
    """Files with every kind of value and of type: as stable-diffusion.cpp and as ComfyUI-GGUF write them."""
    def key(name, kind, value):
        return text(name) + struct.pack("<I", kind) + value

    def tensor(name, dims, kind, offset):
        return text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, offset)

    def file(version, keys, tensors, size):
        head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
        return head + bytes(-len(head) % 32) + bytes((i * 37) % 256 for i in range(size))

    scalars = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    keys = [key(b"k%d" % kind, kind, bytes(size)) for kind, size in scalars.items()]
    keys.append(key(b"list", 9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"")))
    shape = key(b"comfy.gguf.orig_shape.conv", 9, struct.pack("<IQ4i", 5, 4, 1, 64, 2, 2))
    comfy = [key(b"general.architecture", 8, text(b"sdxl")), key(b"general.alignment", 4, struct.pack("<I", 32)), shape]
    blocks = {2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110), 12: (256, 144),
              13: (256, 176), 14: (256, 210)}
    tensors, at = [], 0
    for kind, (elements, size) in blocks.items():
        tensors.append(tensor(b"t%d" % kind, [elements], kind, at))
        at += size + -size % 32
    return {
        "values": file(2, keys, [tensor(b"bias", [3], 0, 0)], 12),
        "shapes": file(3, comfy, [tensor(b"conv", [256], 12, 0), tensor(b"half", [3, 2], 1, 160)], 172),
        "types": file(3, [], tensors, at),
    }


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def tokenizers():
    vocabulary = {"a": 0, "b": 1, "a</w>": 2, "b</w>": 3, "ab</w>": 4, "<|startoftext|>": 5, "<|endoftext|>": 6, "!": 7}
    bos = {"content": "<|startoftext|>", "normalized": True, "single_word": False, "special": True}
    config = {"bos_token": bos, "pad_token": "!", "model_max_length": 8}
    roles = {"eos_token": "<|endoftext|>", "unk_token": "!"}
    added = {"id": 8, "content": "<x>", "single_word": True, "normalized": True, "special": False}
    model = {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": vocabulary, "merges": [["a", "b</w>"]]}
    decoder = {"added_tokens_decoder": {"8": {"content": "<x>"}}}
    return {
        "two_files": tokenizer_folder(b"", compact(vocabulary), b"#version: 0.2\na b</w>\n", compact(config), compact(roles),
                                      compact({"<x>": 8}), prompt=b"ab <x> b!"),
        "one_file": tokenizer_folder(compact({"added_tokens": [added], "model": model}), b"", b"", compact(decoder), b"",
                                     b"", prompt=b"Ab <X> b!"),
        "prompt": b"\1" + "A photo, it's <|endoftext|> naïve <cat-toy> sky 12 e\u0301 İ 日本 😀!!".encode(),
    }


def main():
    before, after = texts()
    palette = chunk(b"PLTE", bytes(range(12))) + chunk(b"tRNS", b"\x00\x80")
    infotext = {
        "web_ui": 'a cat, (best:1.2)\nsecond\nNegative prompt: bad: hands\nmore\nSteps: 20, Sampler: DPM++ 2M, Schedule type: '
                  'Karras, Size: 512x768, Lora hashes: "a: 12, b: \\"34\\"", Version: v1',
        "json": 'p\nSteps: 4, Sampler: euler_a, Hashes: {"model": "ab", "x, y": [1, 2]}, Civitai resources: [{"n":"]"}], RNG: CPU',
    }
    seeds = {
        "gguf": ggufs(),
        "png": {
            "rgb_texts": png(3, 5, 8, 2, rows(5, 9), before, after),
            "rgba": png(3, 5, 8, 6, rows(5, 12)),
            "grey16_alpha": png(3, 5, 16, 4, rows(5, 12)),
            "grey1": png(9, 5, 1, 0, rows(5, 2)),
            "palette2": png(3, 5, 2, 3, rows(5, 1), palette),
            "interlaced": png(2, 2, 8, 0, b"\0\1\0\2\0\3\4", interlace=1),
        },
        "infotext": {name: text.encode() for name, text in infotext.items()},
        "tokenizer": tokenizers(),
    }
    for folder, files in seeds.items():
        (SEEDS / folder).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (SEEDS / folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
