"""Files of tools/make_hostile_files.py that are sound safetensors files, but no embeddings of words for SDXL."""
import json
import struct

WIDTHS = {"clip_l": 768, "clip_g": 1280, "text_encoders_0": 768, "text_encoders_1": 1280, "emb_params": 768,
          "string_to_param.*": 1280, "<cat>": 768}
BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U8": 1, "I8": 1, "BOOL": 1, "F8_E4M3": 1,
         "F8_E5M2": 1}
NOT_FINITE = {"F32": [0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001], "F16": [0x7C00, 0xFC00, 0x7E00, 0x7C01],
              "BF16": [0x7F80, 0xFF80, 0x7FC0, 0x7F81]}
OTHER_KINDS = ("lora_unet_x.lora_down.weight", "unet.x.lora_A.weight", "x.hada_w1_a", "x.lokr_w1", "x.dora_scale",
               "control_model.x", "controlnet_cond_embedding.x", "x.to_k_ip.weight", "model.diffusion_model.time_embed.0.weight",
               "input_blocks.0.0.weight", "time_embedding.linear_1.weight", "decoder.up.0.x", "encoder.down.0.x",
               "first_stage_model.decoder.up.0.x", "taesd_decoder.x", "decoder.layers.0.weight",
               "text_model.encoder.layers.0.x", "transformer.resblocks.0.x", "vision_model.x", "x.rdb1.conv1.x",
               "joint_blocks.0.x", "double_blocks.0.x")


def file_of(framed, tensors):
    """tensors: name -> (type, shape, bytes, or None for zeros)."""
    header, data = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        size = BYTES[dtype]
        for dim in shape:
            size *= dim
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + size]}
        data += bytes(size) if values is None else values
    return framed(json.dumps(header), data)


def embedding_rules(out, framed):
    def add_one(rule, name, dtype, shape, values=None):
        out.add(rule, file_of(framed, {name: (dtype, shape, values)}))

    out.add("no-tensors", framed("{}"))
    add_one("no-vectors", "string_to_token.*", "I64", ())
    for name, width in WIDTHS.items():
        for dims in ((width + 1,), (width - 1,), (1,), (0,), (2, 1024), (2, 2048), (2, 32), (2, 0), (width, 1)):
            add_one("width", name, "F16", dims)
        for dims in ((), (1, 1, width), (1, width, 1), (1,) * 5 + (width,)):
            add_one("rank", name, "F16", dims)
        for count in (0, 76, 77, 700):
            add_one("number-of-vectors", name, "F16", (count, width))
        for dtype in BYTES:
            if dtype not in NOT_FINITE:
                add_one("type", name, dtype, (2, width))
        for dtype, bits in NOT_FINITE.items():
            for i, value in enumerate(bits):
                values = bytearray(2 * width * BYTES[dtype])
                at = (0, width, 2 * width - 1, width - 1)[i] * BYTES[dtype]
                values[at:at + BYTES[dtype]] = struct.pack("<I" if dtype == "F32" else "<H", value)
                add_one("not-finite", name, dtype, (2, width), bytes(values))
    first, second = ("F16", (2, 768), None), ("F16", (2, 1280), None)
    for name in ("clip_l_out", "clip_g_out", "t5xxl", "x", "", "clip_h", "CLIP_L", "clip_l ", "string_to_param", "emb_params.x"):
        out.add("another-tensor", file_of(framed, {"clip_l": first, "clip_g": second, name: first}))
        out.add("another-tensor", file_of(framed, {name: first, "<cat>": second}))
    for one, other in (("clip_l", "text_encoders_0"), ("clip_l", "emb_params"), ("emb_params", "string_to_param.*")):
        out.add("two-tensors-for-one-encoder", file_of(framed, {one: first, other: first}))
    out.add("widths-exchanged", file_of(framed, {"clip_l": second, "clip_g": first}))
    for name in OTHER_KINDS:
        add_one("another-kind", name, "F16", (4, 4, 1, 1))
    for first_bytes in (b"PK\x03\x04", b"\x80\x02}q\x01.", b"\x80\x05\x95", b"GGUF\x03\0\0\0", b"<!DOCTYPE html>",
                        b"version https://git-lfs"):
        out.add("another-format", first_bytes + bytes(64))
