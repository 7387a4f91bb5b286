#!/usr/bin/env python3
"""Makes malformed files for tests/hostile: safetensors, GGUF, JSON configurations, shard indexes, adapters, embeddings of
words.

usage: make_hostile_files.py FOLDER

Each file breaks one rule of its format and is otherwise well formed. Its name begins with the rule. Rules are repeated
for types, shapes and places, and files are also cut at every place of interest. No file is random, so each run makes the
same ones. Every file must be refused.
"""
import json
import pathlib
import struct
import sys

from hostile_embeddings import embedding_rules

MODEL = pathlib.Path(__file__).resolve().parent.parent / "models" / "emoji-xl"


class Folder:
    """Files RULE-NUMBER.ENDING in one folder."""

    def __init__(self, root, name, ending):
        self.path = root / name
        self.path.mkdir(parents=True, exist_ok=True)
        self.ending, self.count = ending, 0

    def add(self, rule, data):
        self.count += 1
        data = data.encode() if isinstance(data, str) else data
        (self.path / f"{rule}-{self.count:04}.{self.ending}").write_bytes(data)


# ---- safetensors

BITS = {"F64": 64, "I64": 64, "F32": 32, "I32": 32, "F16": 16, "BF16": 16, "I16": 16, "U8": 8, "I8": 8, "BOOL": 8,
        "F8_E4M3": 8, "F8_E5M2": 8}


def framed(header, data=b"", length=None):
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="F32", shape=(2, 3), begin=0, end=None):
    size = BITS.get(dtype, 32) // 8
    for dim in shape:
        size *= dim
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, begin + size if end is None else end]}


def three(dtype):
    """Three tensors that follow each other, and the number of bytes of their data."""
    tensors, at = {}, 0
    for name, shape in (("a", (2, 3)), ("b", ()), ("c", (4, 1, 2))):
        tensors[name] = entry(dtype, shape, at)
        at = tensors[name]["data_offsets"][1]
    return tensors, at


def safetensors_rules(out):
    for length in range(8):
        out.add("shorter-than-its-length", b"\x02\0\0\0\0\0\0\0"[:length])
    for length in (25_000_001, 100_000_001, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        out.add("header-longer-than-the-limit", framed("{}", length=length))
    for length in (3, 4, 100, 24_999_999):
        out.add("header-longer-than-the-file", framed("{}", length=length))
    for text in ("", " {}", "[]", "null", "7", '"a"', "{}\n", "{}\t", "{}\0", "{} x", "{} {}", "{", "}", "{]", "{}}", "{,}",
                 "{'a':1}", "{a:1}", "\ufeff{}", "//\n{}", "{}//", '{"a"}', '{"a":}', '{"a":1,}', '{"a":01}', '{"a":NaN}',
                 '{"a":Infinity}', '{"a":1e999}', '{"a":"\n"}', '{"a":"\\x"}', '{"a":"\\ud800"}', '{"a":tru}'):
        out.add("no-json-object", framed(text))
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80"):
        out.add("not-utf8", framed(b'{"' + bad + b'":' + json.dumps(entry("U8", (1,))).encode() + b"}", b"1"))
    for depth in (65, 200, 10_000, 300_000):
        out.add("deep-nesting", framed('{"a":' + "[" * depth + "]" * depth + "}"))
    for count in (65_537, 300_000):
        out.add("long-array", framed('{"a":{"dtype":"U8","shape":[' + "1," * count + '1],"data_offsets":[0,1]}}', b"1"))
    out.add("many-members", framed('{"a":{' + ",".join(f'"{i}":0' for i in range(200_001)) + "}}"))
    part = "[" + ",".join(["0"] * 1000) + "]"
    out.add("many-values", framed('{"a":{' + ",".join(f'"{i}":{part}' for i in range(201)) + "}}"))
    body = json.dumps(entry("U8", (1,)))
    for text in (f'{{"a":{body},"a":{body}}}', f'{{"a":{body},"\\u0061":{body}}}', '{"__metadata__":{},"__metadata__":{}}',
                 '{"__metadata__":{"a":"1","a":"1"}}', f'{{"a":{body[:-1]},"dtype":"U8"}}}}', f'{{"a":{body[:-1]},"shape":[1]}}}}'):
        out.add("duplicate-key", framed(text, b"1"))
    for value in (1, None, "a", [], True, {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": {"b": "c"}}, {"a": True}):
        out.add("metadata-not-strings", framed(json.dumps({"__metadata__": value})))
    for value in (1, None, "a", [], True):
        out.add("tensor-not-an-object", framed(json.dumps({"a": value})))
    for key in ("dtype", "shape", "data_offsets"):
        for value in (None, 1, "a", {}, True) + (([],) if key != "shape" else ()):
            tensor = entry()
            tensor[key] = value
            out.add("wrong-type-of-" + key, framed(json.dumps({"a": tensor}), bytes(24)))
        tensor = entry()
        del tensor[key]
        out.add("without-" + key, framed(json.dumps({"a": tensor}), bytes(24)))
    for dtype in ("", "F17", "f32", "F32 ", "FLOAT", "F128", "U128", "I4", "Q4_K", "F32\0", "F" * 10_000):
        out.add("unknown-dtype", framed(json.dumps({"a": entry(dtype)}), bytes(24)))
    for dim in (-1, -2**63, 2**63, 2**64, 1.0, 1.5, "1", None, True, [1], {}):
        tensor = entry("U8", (1,))
        tensor["shape"] = [dim]
        out.add("dimension-not-a-number", framed(json.dumps({"a": tensor}), b"1"))
    for shape in ((2**62, 4), (2**32, 2**32), (2**31, 2**31, 4), (2**21,) * 3, (2**63 - 1, 2), (2**16,) * 4):
        for dtype in ("U8", "F16", "F64"):
            tensor = entry(dtype, (1,))
            tensor["shape"] = list(shape)
            out.add("product-overflows", framed(json.dumps({"a": tensor}), bytes(8)))
    for rank in (65, 1000, 1025, 60_000):
        out.add("too-many-dimensions", framed(json.dumps({"a": entry("U8", (1,) * rank)}), b"1"))
    for dtype, shape in (("F4", [1]), ("F4", [3, 5]), ("F6_E2M3", [1]), ("F6_E3M2", [2]), ("F6_E2M3", [3])):
        out.add("no-whole-bytes", framed(json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, 1]}}), b"1"))
    for dtype in BITS:
        tensors, size = three(dtype)
        for name in tensors:
            for change, rule in ((1, "range-longer-than-shape"), (-1, "range-shorter-than-shape")):
                changed = json.loads(json.dumps(tensors))
                changed[name]["data_offsets"][1] += change
                out.add(rule, framed(json.dumps(changed), bytes(size + max(change, 0))))
        out.add("truncated-data", framed(json.dumps(tensors), bytes(size - 1)))
        out.add("no-data", framed(json.dumps(tensors)))
        out.add("bytes-after-the-last-tensor", framed(json.dumps(tensors), bytes(size + 1)))
        shifted = json.loads(json.dumps(tensors))
        for tensor in shifted.values():
            tensor["data_offsets"] = [x + 1 for x in tensor["data_offsets"]]
        out.add("hole-before-the-first-tensor", framed(json.dumps(shifted), bytes(size + 1)))
        for value in shifted["c"], shifted["b"]:
            changed = json.loads(json.dumps(tensors))
            changed["c" if value is shifted["c"] else "b"] = value
            out.add("hole-or-overlap", framed(json.dumps(changed), bytes(size + 1)))
        same = json.loads(json.dumps(tensors))
        same["d"] = same["a"]
        out.add("overlap-of-equal-ranges", framed(json.dumps(same), bytes(size)))
    for offsets in ([0], [0, 1, 2], [1, 0], [-1, 0], [0.0, 1], ["0", "1"], [0, 2**64 - 1], [2**64 - 1, 2**64 - 1], [2**63, 2**63 + 1],
                    [0, 2**70], [None, 1]):
        tensor = entry("U8", (1,))
        tensor["data_offsets"] = offsets
        out.add("bad-offsets", framed(json.dumps({"a": tensor}), b"1"))
    many = {f"tensor.{i}": entry("U8", (1,), i) for i in range(20_000)}
    out.add("many-tensors-and-no-data", framed(json.dumps(many, separators=(",", ":"))))
    tensors, size = three("F16")
    whole = framed(json.dumps(tensors), bytes(size))
    for cut in range(8, len(whole)):
        out.add("cut", whole[:cut])


# ---- GGUF

def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return u64(len(value)) + value


def gguf(keys=(), tensors=(), data=b"", version=3, counts=None, alignment=32, magic=b"GGUF"):
    counts = counts or (len(tensors), len(keys))
    head = magic + u32(version) + u64(counts[0]) + u64(counts[1]) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % alignment) + data


def tensor(name="t", dims=(4,), kind=0, offset=0, rank=None):
    return text(name) + u32(len(dims) if rank is None else rank) + b"".join(map(u64, dims)) + u32(kind) + u64(offset)


def key(name, kind, value):
    return text(name) + u32(kind) + value


GGUF_BLOCKS = {2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110), 12: (256, 144),
               13: (256, 176), 14: (256, 210)}
GGUF_PLAIN = {0: 4, 1: 2, 24: 1, 25: 2, 26: 4, 27: 8, 28: 8, 30: 2}
SHAPE = "comfy.gguf.orig_shape.t"


def gguf_rules(out):
    one, four = [tensor()], bytes(16)
    for magic in (b"", b"G", b"GGU", b"GGML", b"ggjt", b"FUGG"):
        out.add("magic", gguf(tensors=one, data=four, magic=magic))
    for version in (0, 1, 4, 5, 255, 2**16, 2**31, 2**32 - 1, 0x02000000, 0x03000000):
        out.add("version", gguf(tensors=one, data=four, version=version))
    for count in (2, 3, 1000, 2**31, 2**32, 2**61, 2**63, 2**64 - 1):
        out.add("more-tensors-than-bytes", gguf(tensors=one, data=four, counts=(count, 0)))
        out.add("more-keys-than-bytes", gguf(tensors=one, data=four, counts=(1, count)))
    for length in (65_536, 2**20, 2**31, 2**32, 2**63, 2**64 - 1):
        out.add("length-of-a-key", gguf([u64(length) + b"k" + u32(4) + u32(1)], one, four))
        out.add("length-of-a-name", gguf((), [u64(length) + tensor()[8:]], four))
        out.add("length-of-a-string", gguf([key("k", 8, u64(length) + b"abc")], one, four))
        out.add("length-of-the-architecture", gguf([key("general.architecture", 8, u64(length) + b"sdxl")], one, four))
    out.add("long-key", gguf([key("k" * 65_536, 4, u32(1))], one, four))
    out.add("long-name", gguf((), [tensor("t" * 65_536)], four))
    out.add("empty-key", gguf([key("", 4, u32(1))], one, four))
    out.add("empty-name", gguf((), [tensor("")], four))
    for kind in (13, 14, 99, 2**31, 2**32 - 1):
        out.add("unknown-type-of-value", gguf([key("k", kind, u64(0))], one, four))
        out.add("unknown-type-of-element", gguf([key("k", 9, u32(kind) + u64(1) + u64(0))], one, four))
    for value in range(2, 12):
        out.add("boolean", gguf([key("k", 7, bytes([value]))], one, four))
        out.add("boolean-in-an-array", gguf([key("k", 9, u32(7) + u64(3) + bytes([0, 1, value]))], one, four))
    for inner in range(13):
        out.add("array-of-arrays", gguf([key("k", 9, u32(9) + u64(1) + u32(inner) + u64(0))], one, four))
    for inner in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12):
        for count in (2**20, 2**32, 2**61, 2**62, 2**64 - 1):
            out.add("length-of-an-array", gguf([key("k", 9, u32(inner) + u64(count) + bytes(8))], one, four))
    scalars = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    for kind, size in scalars.items():
        out.add("duplicate-key", gguf([key("k", kind, bytes(size))] * 2, one, four))
        if kind != 4:
            out.add("type-of-the-alignment", gguf([key("general.alignment", kind, bytes(size))], one, four))
        out.add("type-of-the-architecture", gguf([key("general.architecture", kind, bytes(size))], one, four))
        out.add("type-of-the-shape", gguf([key(SHAPE, kind, bytes(size))], one, four))
        if kind != 5:
            out.add("type-of-the-dimensions", gguf([key(SHAPE, 9, u32(kind) + u64(1) + bytes(size))], one, four))
    out.add("type-of-the-dimensions", gguf([key(SHAPE, 9, u32(8) + u64(1) + text("4"))], one, four))
    out.add("type-of-the-alignment", gguf([key("general.alignment", 8, text("32"))], one, four))
    for alignment in (0, 3, 5, 12, 31, 33, 48, 2**31 + 1, 2**32 - 1):
        out.add("alignment", gguf([key("general.alignment", 4, u32(alignment))], one, four))
    for architecture in ("", " ", "flux", "sd1", "SDXL", "llama", "x" * 1000):
        if architecture:
            out.add("architecture", gguf([key("general.architecture", 8, text(architecture))], one, four))
    for dims in ((), (0,), (-1,), (5,), (2, 3), (2**31 - 1,) * 4, (4, 1, 1, 1, 1), (2, 0, 2)):
        value = u32(5) + u64(len(dims)) + struct.pack(f"<{len(dims)}i", *dims)
        out.add("original-shape", gguf([key(SHAPE, 9, value)], one, four))
    for rank in (0, 5, 6, 255, 2**31, 2**32 - 1):
        out.add("rank", gguf((), [tensor(dims=(1,) * min(rank, 6), rank=rank)], four))
    for place in range(4):
        for dim in (0, 2**63, 2**64 - 1):
            dims = [1, 1, 1, 1]
            dims[place] = dim
            out.add("dimension", gguf((), [tensor(dims=dims)], four))
    for dims in ((2**32, 2**32), (2**62, 4), (2**21,) * 3, (2**16,) * 4, (2**63 - 1, 2)):
        out.add("product-overflows", gguf((), [tensor(dims=dims)], four))
    out.add("size-overflows", gguf((), [tensor(dims=(2**62,), kind=28)], four))
    for kind in (4, 5, 9, 15, 16, 17, 18, 19, 20, 21, 22, 23, 29, 31, 34, 35, 39, 40, 41, 255, 2**32 - 1):
        out.add("type-of-a-tensor", gguf((), [tensor(dims=(256,), kind=kind)], bytes(1024)))
    for kind, (elements, size) in GGUF_BLOCKS.items():
        for row in (1, elements - 1, elements + 1):
            out.add("rows-without-whole-blocks", gguf((), [tensor(dims=(row, elements), kind=kind)], bytes(2 * size * elements)))
        out.add("truncated-data", gguf((), [tensor(dims=(elements, 2), kind=kind)], bytes(2 * size - 1)))
        out.add("overlap", gguf((), [tensor("a", (2 * elements,), kind), tensor("b", (elements,), kind)], bytes(2 * size)))
    for kind, size in GGUF_PLAIN.items():
        out.add("truncated-data", gguf((), [tensor(dims=(5, 3), kind=kind)], bytes(15 * size - 1)))
        out.add("no-data", gguf((), [tensor(dims=(5, 3), kind=kind)]))
        out.add("duplicate-name", gguf((), [tensor("t", (1,), kind), tensor("t", (1,), kind, 32)], bytes(64)))
        out.add("overlap", gguf((), [tensor("a", (40,), kind), tensor("b", (1,), kind, 32)], bytes(512)))
    for offset in (1, 4, 16, 31, 33, 64, 2**32, 2**63, 2**64 - 32, 2**64 - 1):
        out.add("offset", gguf((), [tensor(offset=offset)], four))
    big = key("general.alignment", 4, u32(2**20))
    out.add("data-begins-after-the-file", gguf([big], one, four))
    many = [tensor(f"t{i}", (1,), 24, i * 32) for i in range(20_000)]
    out.add("many-tensors-and-no-data", gguf((), many))
    out.add("many-keys", gguf([key(f"k{i}", 0, b"0") for i in range(20_000)], [tensor(rank=9)], four))
    shape = key(SHAPE, 9, u32(5) + u64(2) + u32(2) + u32(2))
    whole = gguf([key("general.architecture", 8, text("sdxl")), shape], one, four)
    for cut in range(len(whole)):
        out.add("cut", whole[:cut])


# ---- configurations

NUMBERS = {
    "unet": ("in_channels", "out_channels", "sample_size", "cross_attention_dim", "norm_num_groups", "addition_time_embed_dim",
             "projection_class_embeddings_input_dim", "layers_per_block"),
    "vae": ("in_channels", "out_channels", "latent_channels", "layers_per_block", "norm_num_groups", "sample_size"),
    "text_encoder": ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                     "max_position_embeddings", "eos_token_id"),
    "vae_tiny": ("in_channels", "out_channels", "latent_channels"),
    "scheduler": ("num_train_timesteps",),
}
REQUIRED = {
    "unet": ("addition_embed_type", "block_out_channels", "down_block_types", "up_block_types", "addition_time_embed_dim",
             "projection_class_embeddings_input_dim"),
    "vae": ("block_out_channels", "down_block_types", "up_block_types"),
    "text_encoder": ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    "vae_tiny": ("_class_name",),
    "scheduler": ("_class_name",),
}
LISTS = {
    "unet": ("block_out_channels", "down_block_types", "up_block_types"),
    "vae": ("block_out_channels", "down_block_types", "up_block_types"),
    "text_encoder": (),
    "vae_tiny": ("encoder_block_out_channels", "decoder_block_out_channels", "num_encoder_blocks", "num_decoder_blocks"),
    "scheduler": (),
}
FIXED = {
    "unet": ("addition_embed_type", "act_fn", "attention_type", "center_input_sample", "class_embeddings_concat",
             "conv_in_kernel", "conv_out_kernel", "downsample_padding", "dual_cross_attention", "mid_block_scale_factor",
             "only_cross_attention", "resnet_out_scale_factor", "resnet_skip_time_act", "resnet_time_scale_shift",
             "time_embedding_type", "mid_block_type", "class_embed_type", "encoder_hid_dim", "num_class_embeds"),
    "vae": ("_class_name", "act_fn", "shift_factor"),
    "text_encoder": ("model_type", "hidden_act"),
    "vae_tiny": ("_class_name", "act_fn", "upsample_fn", "upsampling_scaling_factor", "shift_factor"),
    "scheduler": ("_class_name", "beta_schedule", "prediction_type", "timestep_spacing", "interpolation_type"),
}


def config_rules(out, kind):
    file = MODEL / kind / ("scheduler_config.json" if kind == "scheduler" else "config.json")
    config = json.loads(file.read_text())

    def changed(name, value):
        return json.dumps({**config, name: value})

    for name in NUMBERS[kind]:
        for value in (-1, 2**31, 2**63, 2**64, 1.5, "1", True, {}, []):
            out.add("number", changed(name, value))
    for name in REQUIRED[kind]:
        out.add("missing", json.dumps({k: v for k, v in config.items() if k != name}))
        out.add("null", changed(name, None))
    for name in LISTS[kind]:
        values = config[name]
        wrong = -1 if isinstance(values[0], int) else "Block"
        for value in ([], 1.5, "a", {}, values[:-1], values + values[:1], [wrong] + values[1:], [None] * len(values),
                      values * 40_000):
            out.add("list", changed(name, value))
    for name in FIXED[kind]:
        out.add("unsupported", changed(name, "another"))
    whole = json.dumps(config)
    for broken in ("", " ", "[]", "7", "null", '"a"', whole[:-1], whole + "}", whole + " x", "[" + whole + "]", whole.replace(",", ";", 1),
                   whole.replace('"', "'", 2), whole[:-1] + ',"a":1,"a":2}', whole[:-1] + ',"a":' + "[" * 100 + "]" * 100 + "}",
                   whole[:-1] + ',"a":[' + "0," * 100_000 + "0]}", whole[:-1] + ',"a":1e999}', "{" * 100_000):
        out.add("json", broken)
    out.add("not-utf8", whole.encode().replace(b'"_class', b'"\xff_class', 1) if b'"_class' in whole.encode() else b'{"\xff":1}')
    for cut in range(1, len(whole), 97):
        out.add("cut", whole[:cut])


# ---- shard indexes

SHARD = "m-00001-of-00001.safetensors"


def index_rules(out):
    def index(weight_map):
        return json.dumps({"metadata": {"total_size": 4}, "weight_map": weight_map})

    shard = framed(json.dumps({"a": entry("U8", (1,)), "b": entry("U8", (1,), 1)}), b"12")
    (out.path / SHARD).write_bytes(shard)
    (out.path / "twin.safetensors").write_bytes(shard)
    (out.path / "damaged.safetensors").write_bytes(shard[:-1])
    for value in ("", "[]", "{}", "null", '{"weight_map":null}', '{"weight_map":[]}', '{"weight_map":"a"}', '{"weight_map":1}', "{", "{]"):
        out.add("no-weight-map", value)
    names = ["", ".", "..", "/", "/etc/passwd", "../m.safetensors", "./m.safetensors", "a/b.safetensors", "a\\b.safetensors",
             ".safetensors", ".m.safetensors", "m.bin", "m.ckpt", "m.safetensors.index.json", "m.SAFETENSORS", "m.safetensors ",
             "m.safetensors/", "m\0.safetensors", "m.safetensors\0", "/m.safetensors", "~/m.safetensors", "C:\\m.safetensors",
             "..\\m.safetensors", "file:///m.safetensors", "https://x/m.safetensors", "\u2215m", "m.gguf", "x" * 5000, "m.safetensors?x"]
    for name in names:
        for tensors in (["a"], ["a", "b"], ["b", "z"], ["a" * 1000]):
            out.add("name-of-a-shard", index({**{t: SHARD for t in ("c", "d")}, **{t: name for t in tensors}}))
    for value in (None, 1, 1.5, True, [], [SHARD], {}, {"file": SHARD}):
        for tensors in (["a"], ["a", "b"], ["z"]):
            out.add("shard-not-a-name", index({t: value for t in tensors}))
    for missing in ("none.safetensors", "m-00002-of-00002.safetensors", "x" * 255 + ".safetensors", "x" * 300 + ".safetensors",
                    "\u00e9.safetensors", "damaged.safetensors"):
        for tensors in (["a"], ["a", "b"]):
            out.add("shard-missing-or-damaged", index({t: missing for t in tensors}))
    for tensors in (["c"], ["a", "c"], ["a", "b", "c"], [""], ["A"], ["a "], ["a\0"], ["__metadata__"]):
        out.add("tensor-not-in-its-shard", index({t: SHARD for t in tensors}))
    out.add("tensor-in-two-shards", index({"a": SHARD, "b": "twin.safetensors"}))
    out.add("tensor-in-two-shards", index({"a": "twin.safetensors", "b": SHARD}))
    for text_ in ('{"weight_map":{"a":"%s","a":"%s"}}', '{"weight_map":{"a":"%s","\\u0061":"%s"}}',
                  '{"weight_map":{"a":"%s"},"weight_map":{"b":"%s"}}'):
        out.add("duplicate-key", text_ % (SHARD, SHARD))
    for depth in (9, 100, 100_000):
        out.add("deep-nesting", '{"weight_map":' + '{"a":' * depth + "1" + "}" * depth + "}")
    out.add("many-values", '{"weight_map":{' + ",".join(f'"{i}":0' for i in range(100_000)) + "}}")
    out.add("long-array", '{"weight_map":{"a":[' + "0," * 100_000 + "0]}}")
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82"):
        out.add("not-utf8", b'{"weight_map":{"' + bad + b'":"' + SHARD.encode() + b'"}}')
        out.add("not-utf8", b'{"weight_map":{"a":"' + bad + b'.safetensors"}}')
    whole = index({"a": SHARD, "b": SHARD})
    for cut in range(len(whole)):
        out.add("cut", whole[:cut])


# ---- adapters: sound safetensors files whose tensors are no adapter of SDXL

# The parts of each formula, and those that are optional or alone.
FORMULAS = {
    "lora": {"lora_down.weight": (2, 4), "lora_up.weight": (8, 2), "alpha": ()},
    "locon": {"lora_down.weight": (2, 4, 1, 1), "lora_mid.weight": (2, 2, 3, 3), "lora_up.weight": (8, 2, 1, 1)},
    "dora": {"lora_down.weight": (2, 4), "lora_up.weight": (8, 2), "dora_scale": (8, 1)},
    "loha": {"hada_w1_a": (8, 2), "hada_w1_b": (2, 4), "hada_w2_a": (8, 2), "hada_w2_b": (2, 4)},
    "loha-tucker": {"hada_w1_a": (2, 8), "hada_w1_b": (2, 4), "hada_w2_a": (2, 8), "hada_w2_b": (2, 4), "hada_t1": (2, 2, 3, 3),
                    "hada_t2": (2, 2, 3, 3)},
    "lokr": {"lokr_w1": (2, 2), "lokr_w2_a": (4, 2), "lokr_w2_b": (2, 2)},
    "lokr-factors": {"lokr_w1_a": (2, 1), "lokr_w1_b": (1, 2), "lokr_w2": (4, 2)},
    "glora": {"a1.weight": (2, 4), "a2.weight": (4, 2), "b1.weight": (2, 4), "b2.weight": (8, 2)},
    "ia3": {"weight": (8, 1), "on_input": (1,)},
    "oft": {"oft_blocks": (2, 4, 4)},
    "full": {"diff": (8, 4)},
}
OPTIONAL = {"alpha", "dora_scale", "lora_mid.weight", "oft_blocks", "diff"}
MODULES = ("lora_unet_conv_in", "lora_unet_middle_block_1_proj_in", "unet.time_embedding.linear_1",
           "lora_te1_text_model_encoder_layers_0_mlp_fc1",
           "text_encoder_2.text_projection")


def adapter(tensors, metadata=None, kind="F32"):
    """A file. tensors: name -> shape, or (type, shape), or (type, shape, bytes)."""
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, tensor in tensors.items():
        if not tensor or isinstance(tensor[0], int):
            tensor = (kind, tensor)
        dtype, shape = tensor[:2]
        header[name] = entry(dtype, shape, len(data))
        data += tensor[2] if len(tensor) > 2 else bytes(header[name]["data_offsets"][1] - len(data))
    return framed(json.dumps(header), data)


def adapter_rules(out):
    def under(module, parts):
        return {f"{module}.{name}": shape for name, shape in parts.items()}

    for module in MODULES:
        for formula, parts in FORMULAS.items():
            for part, shape in parts.items():
                if part not in OPTIONAL:
                    rest = {name: size for name, size in parts.items() if name != part}
                    out.add(f"{formula}-without-a-partner", adapter(under(module, rest)))
                name = f"{module}.{part}"
                for wrong in ((0,) * max(len(shape), 1), (1,) * 6, () if len(shape) > 1 else (3,) * 6):
                    out.add(f"{formula}-shape", adapter({**under(module, parts), name: wrong}))
                if part != "on_input":
                    out.add(f"{formula}-type", adapter({**under(module, parts), name: ("I16", shape)}))
        lora = under(module, FORMULAS["lora"])
        numbers = {"F32": (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff"),
                   "F16": (b"\0\x7e", b"\0\x7c"), "BF16": (b"\xc0\x7f", b"\x80\x7f")}
        for kind, values in numbers.items():
            for value in values:
                for part in ("alpha", "scale"):
                    out.add("number-not-finite", adapter({**lora, f"{module}.{part}": (kind, (), value)}))
        shapes = {"on_input": (1,), "oft_diag": (2, 2, 2)}
        for other in ("diff", "hada_w1_a", "lokr_w1", "oft_diag", "a1.weight", "on_input"):
            out.add("two-formulas", adapter({**lora, f"{module}.{other}": shapes.get(other, (2, 2))}))
        out.add("part-twice", adapter({**lora, f"{module}.lora_A.weight": (2, 4)}))
        out.add("part-twice", adapter({**lora, f"{module}.lora.up.weight": (8, 2)}))
        out.add("part-twice", adapter({**lora, f"base_model.model.{module}.alpha": ()}))
        out.add("whole-and-factors", adapter(under(module, {**FORMULAS["lokr"], "lokr_w1_a": (2, 1), "lokr_w1_b": (1, 2)})))
        for config in ("", "[]", "{", '{"unet.lora_alpha":"8"}', '{"unet.lora_alpha":1e999}', '{"unet.use_rslora":1}', "[" * 100_000,
                       '{"unet.alpha_pattern":[8]}', '{"unet.alpha_pattern":{"(.*)*x":8}}', '{"unet.alpha_pattern":{"a":null}}'):
            out.add("configuration-of-peft", adapter(lora, {"lora_adapter_metadata": config}))
    for ending in ("clip_l", "clip_g", "string_to_param.*"):
        for shape in ((), (0,), (0, 768), (2, 0), (1, 1, 768)):
            out.add("embedding-of-a-bundle", adapter({f"bundle_emb.word.{ending}": shape}))
    out.add("no-tensors", adapter({}))
    for name, shape in (("clip_l", (1, 768)), ("emb_params", (1, 768)), ("conv_in.weight", (8, 4, 3, 3)), ("x.alpha", ()), ("", (1,)),
                        ("lora_unet_nowhere.lora_down.weight", (2, 4)), ("lora_unet_conv_in.alpha", ()),
                        ("lora_unet_conv_in.unknown", (2, 4)),
                        ("bundle_emb.clip_l", (1, 768)), ("bundle_emb..unknown", (1, 768)), ("lora_te3_x.lora_down.weight", (2, 4))):
        out.add("nothing-of-the-model", adapter({name: shape}))
    out.add("nothing-of-the-model", adapter({f"lora_unet_{i}.lora_down.weight": (1, 1) for i in range(20_000)}))
    out.add("nothing-of-the-model", adapter({"." * 100_000 + "alpha": (), "a." * 100_000 + "lora_down.weight": (2, 2)}))


def main():
    root = pathlib.Path(sys.argv[1])
    kinds = {"safetensors": ("safetensors", safetensors_rules), "gguf": ("gguf", gguf_rules), "index": ("json", index_rules),
             "adapter": ("safetensors", adapter_rules),
             "embedding": ("safetensors", lambda out: embedding_rules(out, framed))}
    for name, (ending, rules) in kinds.items():
        folder = Folder(root, name, ending)
        rules(folder)
        print(f"{folder.count} files of {name}")
    count = 0
    for kind in NUMBERS:
        folder = Folder(root, "config/" + kind, "json")
        config_rules(folder, kind)
        count += folder.count
    print(f"{count} files of config")


if __name__ == "__main__":
    main()
