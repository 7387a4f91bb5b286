"""Parts of picture files that Pillow cannot write: PNG of every colour type and depth, with interlace; JPEG segments; ICC
profiles. For make_picture_goldens.py and make_hostile_pictures.py. Needs only Python.
"""
import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width, height, depth, colour, interlace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def packed_row(samples, depth):
    if depth == 16:
        return struct.pack(f">{len(samples)}H", *samples)
    bits = "".join(format(sample, f"0{depth}b") for sample in samples)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def filtered(rows, pixel_bytes):
    """The rows with PNG's five filters in turn."""
    data, above = b"", None
    for number, row in enumerate(rows):
        kind = number % 5
        above = above if above is not None else bytes(len(row))
        data += bytes([kind])
        for i, value in enumerate(row):
            left = row[i - pixel_bytes] if i >= pixel_bytes else 0
            corner = above[i - pixel_bytes] if i >= pixel_bytes else 0
            estimate = left + above[i] - corner
            nearest = min((left, above[i], corner), key=lambda near: abs(estimate - near))
            data += bytes([(value - (0, left, above[i], (left + above[i]) // 2, nearest)[kind]) % 256])
        above = row
    return data


def png(samples, depth, colour, interlace=0, before=b"", after=b""):
    """`samples`: rows of pixels, each a tuple of samples."""
    height, width = len(samples), len(samples[0])
    pixel_bytes = max(1, CHANNELS[colour] * depth // 8)
    data = b""
    for x0, y0, dx, dy in ADAM7 if interlace else ((0, 0, 1, 1),):
        rows = [packed_row([s for pixel in row[x0::dx] for s in pixel], depth) for row in samples[y0::dy] if row[x0::dx]]
        data += filtered(rows, pixel_bytes)
    picture = chunk(b"IDAT", zlib.compress(data, 9))
    return SIGNATURE + header(width, height, depth, colour, interlace) + before + picture + after + chunk(b"IEND")


def segment(marker, data):
    """A segment of a JPEG file."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(jpeg, segments, drop=()):
    """The JPEG with more segments after its first marker, and without those of the markers in `drop`."""
    out, at = jpeg[:2] + segments, 2
    while jpeg[at + 1] != 0xDA:
        length = struct.unpack(">H", jpeg[at + 2:at + 4])[0] + 2
        if jpeg[at + 1] not in drop:
            out += jpeg[at:at + length]
        at += length
    return out + jpeg[at:]


def exif(orientation=None, comment=None, order="<"):
    """A TIFF structure with the orientation, and with a user comment (bytes with its character set) in the EXIF folder."""
    entries = []
    if orientation is not None:
        entries.append((274, 3, 1, struct.pack(order + "HH", orientation, 0)))
    tail = b""
    if comment is not None:
        folder_at = 8 + 2 + (len(entries) + 1) * 12 + 4
        entries.append((34665, 4, 1, struct.pack(order + "I", folder_at)))
        comment_at = folder_at + 2 + 12 + 4
        tail = struct.pack(order + "HHHII", 1, 37510, 7, len(comment), comment_at) + bytes(4) + comment
    folder = struct.pack(order + "H", len(entries))
    folder += b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + folder + tail


def fixed(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(kind, space, tags):
    """An ICC profile, version 2.4. `kind`: b"mntr" or b"prtr"; `space`: b"RGB ", b"GRAY" or b"CMYK"."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78),
            b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249), **tags}
    at = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", at + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    pcs = b"Lab " if kind == b"prtr" else b"XYZ "
    head = struct.pack(">I", at + len(data)) + bytes(4) + struct.pack(">I", 0x02400000) + kind + space + pcs
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return head + bytes(128 - len(head)) + table + data


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def rgb_profile(red, green, blue, exponent):
    """A matrix profile. The colours are XYZ values, adapted to D50."""
    tags = {name + b"XYZ": b"XYZ " + bytes(4) + fixed(*xyz) for name, xyz in ((b"r", red), (b"g", green), (b"b", blue))}
    return profile(b"mntr", b"RGB ", {**tags, **{name: gamma(exponent) for name in (b"rTRC", b"gTRC", b"bTRC")}})


def adobe_rgb():
    return rgb_profile((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.2)


def grey_profile(exponent):
    return profile(b"mntr", b"GRAY", {b"kTRC": gamma(exponent)})


def cmyk_profile(grid=2):
    """A table from CMYK to Lab: a grid of `grid` points for each ink, with simple inks."""
    head = b"mft1" + bytes(4) + bytes([4, 3, grid, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table = b""
    for number in range(grid ** 4):
        c, m, y, k = (number // grid ** power % grid / (grid - 1) for power in (3, 2, 1, 0))
        light = (1 - 0.45 * c) * (1 - 0.5 * m) * (1 - 0.1 * y) * (1 - 0.9 * k)
        a, b = (-35 * c + 70 * m - 5 * y) * (1 - k), (-45 * c + 5 * m + 85 * y) * (1 - k)
        table += bytes(min(255, max(0, round(value))) for value in (light * 255, a + 128, b + 128))
    lut = head + bytes(range(256)) * 4 + table + bytes(range(256)) * 3
    return profile(b"prtr", b"CMYK", {b"A2B0": lut})
