#!/usr/bin/env python3
"""Makes tests/fuzz/seeds/{adapter,exif,gguf,jpeg,png,infotext,settings,tokenizer,webp}: small inputs with which the fuzzers of the same
names start. Some pictures are those of tests/data/pictures (make_picture_goldens.py).

Run from the repository root. Needs only Python.
"""

import json
import pathlib
import struct
import zlib

import picture_files

PICTURES = pathlib.Path("tests/data/pictures")
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


def pictures(*names):
    return {pathlib.Path(name).stem: (PICTURES / name).read_bytes() for name in names}


def exifs():
    comments = {"utf16": b"UNICODE\0" + "Steps: 20 ☕😀".encode("utf-16-be"), "ascii": b"ASCII\0\0\0text", "jis": b"JIS\0\0\0\0\0x"}
    seeds = {name: picture_files.exif(6, comment, ">") for name, comment in comments.items()}
    return {**seeds, "little": b"Exif\0\0" + picture_files.exif(3, b"UNICODE\0" + "ab".encode("utf-16-le"))}


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


def adapters():
    """Files of every family of names, as lines of adapter_fuzz."""
    def lines(module, parts):
        return [f"{module}{name} {dims} {value}".rstrip() for name, dims, value in parts]

    lora = [(".lora_down.weight", "2x8", ""), (".lora_up.weight", "8x2", ""), (".alpha", "", "1")]
    peft = [(".lora_A.weight", "2x8", ""), (".lora_B.weight", "8x2", ""), (".lora_magnitude_vector", "8", "")]
    q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
    text = "text_model.encoder.layers.0.self_attn"
    files = {
        "kohya": lines("lora_unet_mid_block_attentions_0_proj_in", [*lora, (".dora_scale", "8x1", "")])
        + lines("lora_te1_" + text.replace(".", "_") + "_q_proj", lora) + lines("lora_te2_text_projection", lora)
        + lines("lora_unet_conv_in", [(".lora_down.weight", "2x4x1x1", ""), (".lora_mid.weight", "2x2x3x3", ""),
                                      (".lora_up.weight", "8x2x1x1", "")]),
        "sgm": lines("lora_unet_middle_block_1_proj_in", lora) + lines("lora_unet_time_embed_0", lora),
        "both": lines("lora_unet_middle_block_1_proj_in", lora) + lines("lora_unet_mid_block_attentions_0_proj_in", lora),
        "old": lines(f"unet.{q}.processor.to_q_lora", [(".down.weight", "2x8", ""), (".up.weight", "8x2", "")])
        + lines(f"text_encoder.{text}.q_proj.lora_linear_layer", [(".down.weight", "2x8", ""), (".up.weight", "8x2", "")])
        + lines("unet.mid_block.attentions.0.proj_in.lora", [(".down.weight", "2x8", ""), (".up.weight", "8x2", "")]),
        "peft": ['={"unet.lora_alpha":4,"unet.use_rslora":true,"unet.alpha_pattern":{"proj_in":2,"^conv_in$":1}}']
        + lines("unet.mid_block.attentions.0.proj_in", peft) + lines(f"base_model.model.text_encoder.{text[11:]}.q_proj", peft[:2])
        + lines(f"unet.{q}.to_q", [(".lora_A.default.weight", "2x8", ""), (".lora_B.default.weight", "8x2", "")]),
        "lycoris": lines("lycoris_conv_in", [(f".hada_{part}", "8x4", "") for part in ("w1_a", "w1_b", "w2_a", "w2_b")]
                         + [(".hada_t1", "2x2x3x3", ""), (".hada_t2", "2x2x3x3", "")])
        + lines("lora_unet_mid_block_attentions_0_proj_in", [(".lokr_w1", "2x2", ""), (".lokr_w2_a", "4x2", ""), (".lokr_w2_b", "2x4", "")])
        + lines("lora_unet_time_embedding_linear_1", [(".a1.weight", "2x8", ""), (".a2.weight", "8x2", ""),
                                                      (".b1.weight", "2x8", ""), (".b2.weight", "8x2", "")])
        + lines("lora_te2_text_projection", [(".weight", "8x1", ""), (".on_input", "", "true")])
        + lines("lora_te1_" + text.replace(".", "_") + "_out_proj", [(".oft_blocks", "2x4x4", ""), (".diff_b", "8", "")]),
        "bundle": lines("bundle_emb.a.word", [(".clip_l", "2x8", ""), (".clip_g", "2x16", ""), (".string_to_param.*", "8", "")])
        + lines("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_norm1", [(".w_norm", "8", ""), (".b_norm", "8", "")]),
    }
    return {name: "\n".join(content).encode() for name, content in files.items()}


def comfyui_graph():
    def node(kind, **inputs):
        return {"class_type": kind, "inputs": inputs}
    return {"1": node("CheckpointLoaderSimple", ckpt_name="m"), "2": node("CLIPTextEncode", text=["8", 0], clip=["9", 0]),
            "3": node("EmptyLatentImage", width=64, height=32, batch_size=1),
            "4": node("KSampler", seed=1, steps=2, cfg=3, sampler_name="euler", scheduler="normal", denoise=1, model=["5", 0],
                      positive=["2", 0], negative=["2", 0], latent_image=["3", 0]),
            "5": node("LoraLoader", lora_name="l", strength_model=1, strength_clip=0.5, model=["1", 0]),
            "6": node("LatentUpscaleBy", scale_by=2, upscale_method="bicubic", samples=["4", 0]),
            "7": node("KSampler", seed=1, steps=2, denoise=0.5, model=["1", 0], latent_image=["6", 0]),
            "8": node("Text", value="a"), "9": node("CLIPSetLastLayer", stop_at_clip_layer=-3),
            "10": node("SaveImage", images=["11", 0]), "11": node("VAEDecode", samples=["7", 0])}


def comfyui_workflow():
    return {"nodes": [{"id": 1, "type": "KSampler", "widgets_values": [1, "fixed", 2, 3, "euler", "normal", 1],
                       "inputs": [{"name": "positive", "link": 1}, {"name": "latent_image", "link": 2}]},
                      {"id": 2, "type": "CLIPTextEncode", "widgets_values": ["a"]},
                      {"id": 3, "type": "EmptyLatentImage", "widgets_values": [64, 32, 1]}],
            "links": [[1, 2, 0, 1, 0, "CONDITIONING"], [2, 3, 0, 1, 1, "LATENT"]]}


def main():
    before, after = texts()
    palette = chunk(b"PLTE", bytes(range(12))) + chunk(b"tRNS", b"\x00\x80")
    infotext = {
        "web_ui": 'a cat, (best:1.2)\nsecond\nNegative prompt: bad: hands\nmore\nSteps: 20, Sampler: DPM++ 2M, Schedule type: '
                  'Karras, Size: 512x768, Lora hashes: "a: 12, b: \\"34\\"", Version: v1',
        "json": 'p\nSteps: 4, Sampler: euler_a, Hashes: {"model": "ab", "x, y": [1, 2]}, Civitai resources: [{"n":"]"}], RNG: CPU',
    }
    settings = {
        "a1111": "\0" + 'a <lora:x:0.5:1> (b:1.2)\nNegative prompt: c\nSteps: 20, Sampler: DPM++ 2M, Seed: 1, Size: 512x768, '
                 'Clip skip: 3, Model hash: 31e35c80fc, Model: m, Hires upscale: 2, Hires upscaler: Latent, ENSD: 1, '
                 'TI hashes: "t: 0123456789ab"',
        "tempera": "\0" + 'a\nSteps: 2, CFG scale: 3, Seed: 1, Size: 64x64, init_image: a.png, init_image hash: 00ff, '
                   'lora: "[\\"a, b:1\\"]", negative_prompt: "", timesteps: "9,3", Version: tempera 0.2.0',
        "fooocus": "\0" + json.dumps({"base_model": "m", "prompt": "a", "resolution": "(64, 32)", "loras": [["l", 0.5, "ab"]], "vae": "v"}),
        "comfyui": "\1" + json.dumps(comfyui_graph()),
        "comfyui_workflow": "\2" + json.dumps(comfyui_workflow()),
        "invokeai": "\3" + json.dumps({"positive_prompt": "a", "scheduler": "euler_k", "model": {"name": "m"}, "loras": [
            {"lora": {"model_name": "l"}, "weight": 1}]}),
    }
    seeds = {
        "settings": {name: text.encode() for name, text in settings.items()},
        "adapter": adapters(),
        "exif": exifs(),
        "gguf": ggufs(),
        "jpeg": pictures("420.jpg", "444-progressive.jpg", "cmyk.jpg", "ycck-progressive.jpg", "grey.jpg", "orientation6.jpg",
                         "profile-grey.jpg"),
        "png": {
            "rgb_texts": png(3, 5, 8, 2, rows(5, 9), before, after),
            "rgba": png(3, 5, 8, 6, rows(5, 12)),
            "grey16_alpha": png(3, 5, 16, 4, rows(5, 12)),
            "grey1": png(9, 5, 1, 0, rows(5, 2)),
            "palette2": png(3, 5, 2, 3, rows(5, 1), palette),
            "interlaced": png(2, 2, 8, 0, b"\0\1\0\2\0\3\4", interlace=1),
            "exif": png(1, 1, 8, 0, rows(1, 1), chunk(b"eXIf", picture_files.exif(2, b"ASCII\0\0\0text"))),
            **pictures("profile-grey.png"),
        },
        "infotext": {name: text.encode() for name, text in infotext.items()},
        "tokenizer": tokenizers(),
        "webp": pictures("lossless-alpha.webp", "lossy.webp", "lossy-alpha.webp", "orientation.webp"),
    }
    for folder, files in seeds.items():
        (SEEDS / folder).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (SEEDS / folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
