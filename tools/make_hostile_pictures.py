#!/usr/bin/env python3
"""Makes pictures for tests/hostile: small files that need much time or memory, and files that break one rule.

usage: make_hostile_pictures.py FOLDER

FOLDER/refused has files that must be an error. FOLDER/readable has pictures with hostile metadata, which must be read
without these. FOLDER/large has valid pictures of the largest size, for the measurement of memory. No file is random.
Needs only Python.
"""
import pathlib
import struct
import sys
import zlib

import picture_files as files
from picture_files import chunk, header, segment

MIB = 1 << 20


class Folder:
    def __init__(self, root, name):
        self.path = root / name
        self.path.mkdir(parents=True, exist_ok=True)
        self.count = 0

    def add(self, rule, data):
        self.count += 1
        ending = {b"\x89PNG": "png", b"RIFF": "webp"}.get(data[:4], "jpg")
        (self.path / f"{rule}-{self.count:03}.{ending}").write_bytes(data)


# ---- PNG

PICTURE = chunk(b"IDAT", zlib.compress(b"\0\x05"))
END = chunk(b"IEND")


def png_of(*chunks):
    return files.SIGNATURE + b"".join(chunks) + END


def small_png(*before):
    """One grey pixel, with these chunks before it."""
    return png_of(header(1, 1, 8, 0), *before, PICTURE)


def damaged(part):
    """A chunk with a wrong checksum."""
    return part[:-1] + bytes([part[-1] ^ 1])


def zeros(size):
    """`size` zeros, compressed."""
    return zlib.compress(bytes(size), 9)


def refused_pngs(out):
    for side in (0, 8193, 50_000, 1_000_001, 2**31 - 1, 2**31, 2**32 - 1):
        out.add("png-side", png_of(header(side, 1, 8, 0), PICTURE))
        out.add("png-side", png_of(header(1, side, 8, 0), PICTURE))
    for depth, colour in ((8, 0), (16, 2), (8, 4), (16, 6)):
        for interlace in (0, 1):
            out.add("png-more-pixels-than-data", png_of(header(8192, 8192, depth, colour, interlace), PICTURE))
    out.add("png-less-data-than-pixels", png_of(header(8192, 8192, 8, 0), chunk(b"IDAT", zeros(8 * MIB))))
    for depth, colour in ((0, 0), (3, 0), (32, 0), (4, 2), (16, 3), (1, 4), (8, 1), (8, 5), (2, 6), (8, 7), (8, 255)):
        out.add("png-colour-type", png_of(header(1, 1, depth, colour), PICTURE))
    for field in (10, 11, 12):  # compression, filter, interlace
        data = bytearray(struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        data[field] = 9
        out.add("png-method", png_of(chunk(b"IHDR", bytes(data)), PICTURE))
    for length in (100, 2**24, 2**31 - 1, 2**31, 2**32 - 1):
        out.add("png-chunk-length", files.SIGNATURE + header(1, 1, 8, 0) + struct.pack(">I", length) + b"tEXtk\0v" + END)
    out.add("png-no-header", png_of(PICTURE))
    out.add("png-no-picture", png_of(header(1, 1, 8, 0)))
    out.add("png-no-end", files.SIGNATURE + header(1, 1, 8, 0) + PICTURE)
    out.add("png-no-palette", png_of(header(1, 1, 8, 3), PICTURE))
    out.add("png-checksum", png_of(damaged(header(1, 1, 8, 0)), PICTURE))
    out.add("png-checksum", png_of(header(1, 1, 8, 0), damaged(PICTURE)))
    out.add("png-filter", png_of(header(1, 1, 8, 0), chunk(b"IDAT", zlib.compress(b"\x05\x05"))))
    out.add("png-no-deflate", png_of(header(1, 1, 8, 0), chunk(b"IDAT", b"not compressed")))
    out.add("png-frames", small_png(chunk(b"acTL", struct.pack(">II", 100_000, 0))))
    out.add("png-profile-bomb", small_png(chunk(b"iCCP", b"p\0\0" + zeros(100 * MIB))))


def readable_pngs(out):
    bomb = zeros(100 * MIB)
    out.add("png-ztxt-bomb", small_png(chunk(b"zTXt", b"k\0\0" + bomb)))
    out.add("png-itxt-bomb", small_png(chunk(b"iTXt", b"k\0\1\0\0\0" + bomb)))
    out.add("png-ztxt-bombs", small_png(*[chunk(b"zTXt", b"k\0\0" + zeros(MIB))] * 20_000))
    out.add("png-texts", small_png(*[chunk(b"tEXt", b"k\0v")] * 500_000))
    out.add("png-long-text", small_png(chunk(b"tEXt", b"k\0" + b"v" * 2 * MIB)))
    out.add("png-palette-bomb", small_png(chunk(b"sPLT", b"k\0\x08" + bytes(4 * MIB))))
    out.add("png-profile", small_png(chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(3 * MIB)))))
    out.add("png-profile", small_png(chunk(b"iCCP", b"p\0\0not compressed")))
    out.add("png-exif", small_png(chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * MIB)))
    out.add("png-chunks", small_png(*[chunk(b"vpAg", b"")] * 500_000))
    out.add("png-extra-data", png_of(header(1, 1, 8, 0), chunk(b"IDAT", zlib.compress(b"\0\x05" + bytes(100 * MIB)))))


# ---- JPEG

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
QUANTISATION = segment(0xDB, b"\0" + b"\x01" * 64)


def huffman(kind, symbol):
    """A table with one code, of one bit."""
    return segment(0xC4, bytes([kind << 4, 1]) + bytes(15) + bytes([symbol]))


TABLES = QUANTISATION + huffman(0, 0) + huffman(1, 0)


def frame(width, height, components=((1, 1),), marker=0xC0, bits=8):
    """Components as sampling factors (horizontal, vertical)."""
    data = struct.pack(">BHHB", bits, height, width, len(components))
    return segment(marker, data + b"".join(bytes([i + 1, h << 4 | v, 0]) for i, (h, v) in enumerate(components)))


def scan(data, components=(1,), first=0, last=63):
    head = bytes([len(components)]) + b"".join(bytes([i, 0]) for i in components) + bytes([first, last, 0])
    return segment(0xDA, head) + data


def jpeg(*parts):
    return SOI + b"".join(parts) + EOI


def refused_jpegs(out):
    for side in (0, 8193, 50_000, 65_535):
        out.add("jpeg-side", jpeg(TABLES, frame(side, 8), scan(bytes(4))))
        out.add("jpeg-side", jpeg(TABLES, frame(8, side), scan(bytes(4))))
    for components in (((1, 1),), ((1, 1),) * 3, ((2, 2), (1, 1), (1, 1)), ((1, 1),) * 4):
        for marker in (0xC0, 0xC2):
            everything = tuple(range(1, len(components) + 1))
            last = 0 if marker == 0xC2 else 63
            head = TABLES + frame(8192, 8192, components, marker)
            out.add("jpeg-more-pixels-than-data", jpeg(head, scan(bytes(100), everything, 0, last)))
    out.add("jpeg-progressive-memory", jpeg(TABLES, frame(8192, 8192, ((1, 1),) * 3, 0xC2),
                                            scan(bytes(400_000), (1, 2, 3), 0, 0)))
    for count, side in ((65, 8), (10_000, 8), (10_000, 2000)):
        head = TABLES + frame(side, side, marker=0xC2) + scan(bytes(side * side // 512 + 1), last=0)
        out.add("jpeg-scans", jpeg(head, scan(bytes(8), first=1) * count))
    for count in (0, 2, 5, 255):
        out.add("jpeg-components", jpeg(TABLES, frame(8, 8, ((1, 1),) * count), scan(bytes(4))))
    for bits in (0, 2, 12, 16):
        out.add("jpeg-bits", jpeg(TABLES, frame(8, 8, bits=bits), scan(bytes(4))))
    for marker in (0xC3, 0xC5, 0xC7, 0xCB, 0xCF):
        out.add("jpeg-frame-kind", jpeg(TABLES, frame(8, 8, marker=marker), scan(bytes(4))))
    for sampling in ((0, 1), (1, 0), (5, 1), (15, 15)):
        out.add("jpeg-sampling", jpeg(TABLES, frame(8, 8, (sampling,)), scan(bytes(4))))
    good = TABLES + frame(8, 8)
    for length in (0, 1, 1000, 65_535):
        out.add("jpeg-segment-length", jpeg(good, b"\xff\xe1" + struct.pack(">H", length), scan(bytes(4))))
    out.add("jpeg-no-tables", jpeg(QUANTISATION, frame(8, 8), scan(bytes(4))))
    out.add("jpeg-no-tables", jpeg(huffman(0, 0), huffman(1, 0), frame(8, 8), scan(bytes(4))))
    out.add("jpeg-no-frame", jpeg(TABLES, scan(bytes(4))))
    out.add("jpeg-no-scan", jpeg(good))
    out.add("jpeg-two-frames", jpeg(good, frame(8, 8), scan(bytes(4))))
    out.add("jpeg-no-end", SOI + good + scan(bytes(4)))
    out.add("jpeg-bad-code", jpeg(good, scan(b"\xfe" * 100)))
    out.add("jpeg-unknown-component", jpeg(good, scan(bytes(4), (9,))))
    parts = [segment(0xE2, b"ICC_PROFILE\0" + bytes([i + 1, 80]) + bytes(65_000)) for i in range(80)]
    out.add("jpeg-profile-size", jpeg(*parts, good, scan(bytes(4))))


def readable_jpegs(out):
    good = TABLES + frame(8, 8) + scan(bytes(4))
    out.add("jpeg-comments", jpeg(segment(0xFE, b"") * 8_000_000, good))
    out.add("jpeg-fill-bytes", jpeg(b"\xff" * 8 * MIB, good))
    out.add("jpeg-bytes-between-segments", jpeg(b"\xff\0" * 4 * MIB, good))
    out.add("jpeg-xmp", jpeg(*[segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"tiff:Orientation" * 4000)] * 60, good))
    out.add("jpeg-exif", jpeg(*[segment(0xE1, b"Exif\0\0" * 10_000)] * 60, good))
    out.add("jpeg-exif", jpeg(segment(0xE1, b"Exif\0\0" + files.exif(300)), good))
    out.add("jpeg-profile-parts", jpeg(segment(0xE2, b"ICC_PROFILE\0\1\2xxxx") * 200_000, good))
    out.add("jpeg-profile", jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1" + b"\xff" * 60_000), good))
    for at, value in ((16, b"XYZ "), (16, b"CMYK"), (128, b"\xff\xff\xff\xff"), (136, b"\xff\xff\xff\xff")):
        profile = files.adobe_rgb()
        profile = profile[:at] + value + profile[at + 4:]
        out.add("jpeg-profile", jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1" + profile), good))
    grid = bytearray(files.cmyk_profile())
    grid[grid.index(b"mft1") + 10] = 255  # 255^4 points
    four = TABLES + frame(8, 8, ((1, 1),) * 4) + scan(bytes(8), (1, 2, 3, 4))
    out.add("jpeg-profile-grid", jpeg(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(grid)), four))


# ---- WebP

def riff(*chunks, size=None):
    data = b"WEBP"
    for kind, content in chunks:
        data += kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(data) if size is None else size) + data


def flat(width, height):
    """The lossless bitstream of one colour: every code has one symbol, so pixels need no bits."""
    code = "1" + "0" + "0" + "0"  # simple; one symbol, of one bit; 0
    bits = format(width - 1, "014b")[::-1] + format(height - 1, "014b")[::-1] + "0" + "000"
    bits += "0" + "0" + "0" + code * 5  # no transform, no colour cache, no groups of codes
    bits += "0" * (-len(bits) % 8)
    return b"\x2f" + bytes(int(bits[i:i + 8][::-1], 2) for i in range(0, len(bits), 8))


def extended(width, height, flags=0):
    return b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def animation(frames):
    one = bytes(6) + bytes(6) + bytes(3) + b"\0" + b"VP8L" + struct.pack("<I", len(flat(1, 1))) + flat(1, 1)
    one += bytes(len(one) % 2)
    content = (b"ANMF" + struct.pack("<I", len(one)) + one) * frames
    start = riff(extended(1, 1, 2), (b"ANIM", bytes(6)))
    return b"RIFF" + struct.pack("<I", len(start) - 8 + len(content)) + start[8:] + content


def refused_webps(out):
    for frames in (1, 2, 1000, 100_000):
        out.add("webp-frames", animation(frames))
    out.add("webp-frames-without-flag", animation(100_000).replace(b"VP8X\x0a\0\0\0\x02", b"VP8X\x0a\0\0\0\x00"))
    for width, height in ((8193, 1), (1, 8193), (16_384, 16_384)):
        out.add("webp-side", riff((b"VP8L", flat(width, height))))
    for width, height in ((1 << 24, 1), (1 << 24, 1 << 24), (8192, 8192), (2, 1)):
        out.add("webp-canvas", riff(extended(width, height), (b"VP8L", flat(1, 1))))
    for size in (0, 4, 2**31, 2**32 - 1):
        out.add("webp-length", riff((b"VP8L", flat(1, 1)), size=size))
    for length in (0, 1, 4, 5):
        out.add("webp-bitstream", riff((b"VP8L", flat(8192, 8192)[:length])))
    out.add("webp-bitstream", riff((b"VP8L", flat(8192, 8192)[:6] + b"\xff" * 100)))
    out.add("webp-bitstream", riff((b"VP8 ", b"\x10\x02\0\x9d\x01\x2a" + struct.pack("<HH", 8192, 8192) + b"\xff" * 100)))
    out.add("webp-no-picture", riff(extended(1, 1)))
    out.add("webp-no-picture", riff())
    profile = (b"ICCP", bytes(5 * MIB))
    out.add("webp-profile-size", riff(extended(1, 1, 0x20), profile, (b"VP8L", flat(1, 1))))


def readable_webps(out):
    pixel = (b"VP8L", flat(1, 1))
    out.add("webp-xmp", riff(extended(1, 1, 4), pixel, (b"XMP ", b"x" * 4 * MIB)))
    out.add("webp-exif", riff(extended(1, 1, 8), pixel, (b"EXIF", b"\xff" * 4 * MIB)))
    out.add("webp-profile", riff(extended(1, 1, 0x20), (b"ICCP", bytes(3 * MIB)), pixel))
    out.add("webp-chunks", riff(extended(1, 1), pixel, *[(b"abcd", b"")] * 100_000))


def large(out):
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(8192 * 3 + 1)) for _ in range(8192)) + rows.flush()
    out.add("png", png_of(header(8192, 8192, 8, 2), chunk(b"IDAT", data)))
    out.add("jpeg", jpeg(TABLES, frame(8192, 8192, ((1, 1),) * 3), scan(bytes(800_000), (1, 2, 3))))
    head = TABLES + frame(8192, 8192, ((2, 2), (1, 1), (1, 1)), 0xC2)
    out.add("jpeg-progressive", jpeg(head, scan(bytes(200_000), (1, 2, 3), 0, 0)))
    out.add("jpeg-orientation", jpeg(segment(0xE1, b"Exif\0\0" + files.exif(6)), TABLES, frame(8192, 8192),
                                     scan(bytes(270_000))))
    out.add("webp", riff((b"VP8L", flat(8192, 8192))))


def main():
    root = pathlib.Path(sys.argv[1])
    refused, readable, largest = Folder(root, "refused"), Folder(root, "readable"), Folder(root, "large")
    for rules in (refused_pngs, refused_jpegs, refused_webps):
        rules(refused)
    for rules in (readable_pngs, readable_jpegs, readable_webps):
        rules(readable)
    large(largest)


if __name__ == "__main__":
    main()
