#!/usr/bin/env python3
"""Makes tests/data/pictures: small PNG, JPEG and WebP files of every kind, and their pixels as Pillow reads them (NAME.ppm).

usage: make_picture_goldens.py [FOLDER]

Run from the repository root. Needs Pillow with LittleCMS. The expected pixels are those of exif_transpose() and
convert("RGB"), with two exceptions: 16 bits of grey keep the upper 8, and pictures whose name begins with "profile" are
converted to sRGB by ImageCms. Those with names that contain "lossy" or end in .jpg may differ by 1, the others are equal.
"""
import io
import pathlib
import random
import struct
import sys

from PIL import Image, ImageCms, ImageOps

import picture_files as files

WIDTH, HEIGHT = 19, 13
RANDOM = random.Random(21)


class Folder:
    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        for old in path.iterdir():
            old.unlink()

    def add(self, name, data, expected=None):
        if expected is None:
            expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        (self.path / name).write_bytes(data)
        expected.save(self.path / (name + ".ppm"))


def colour_at(x, y):
    """A smooth picture with an edge."""
    return (x * 255 // (WIDTH - 1), y * 255 // (HEIGHT - 1), 200 if (x - 9) ** 2 + (y - 6) ** 2 < 20 else 40)


def smooth():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([colour_at(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def png_files(out):
    palette = bytes(RANDOM.randrange(256) for _ in range(3 * 256))
    depths = {files.GREY: (1, 2, 4, 8, 16), files.RGB: (8, 16), files.PALETTE: (1, 2, 4, 8), files.GREY_ALPHA: (8, 16),
              files.RGBA: (8, 16)}
    names = {files.GREY: "grey", files.RGB: "rgb", files.PALETTE: "palette", files.GREY_ALPHA: "greyalpha",
             files.RGBA: "rgba"}
    transparent = {files.GREY: b"\0\1", files.RGB: b"\0\1\0\2\0\3", files.PALETTE: b"\0\x80"}
    for colour, name in names.items():
        for depth in depths[colour]:
            samples = [[tuple(RANDOM.randrange(2 ** depth) for _ in range(files.CHANNELS[colour])) for _ in range(WIDTH)]
                       for _ in range(HEIGHT)]
            colours = files.chunk(b"PLTE", palette[:3 * 2 ** depth]) if colour == files.PALETTE else b""
            expected = None
            if colour == files.GREY and depth == 16:
                expected = Image.new("RGB", (WIDTH, HEIGHT))
                expected.putdata([(pixel[0] >> 8,) * 3 for row in samples for pixel in row])
            for interlace in (0, 1):
                stem = f"{name}{depth}" + ("-interlaced" if interlace else "")
                out.add(stem + ".png", files.png(samples, depth, colour, interlace, colours), expected)
            if colour in transparent:
                before = files.chunk(b"gAMA", struct.pack(">I", 100000)) + colours
                before += files.chunk(b"tRNS", transparent[colour])
                out.add(f"{name}{depth}-transparent.png", files.png(samples, depth, colour, 0, before), expected)


def encoded(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def adobe(transform):
    return files.segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def jpeg_files(out):
    image, inks = smooth(), Image.new("CMYK", (WIDTH, HEIGHT))
    inks.putdata([(*colour_at(x, y), (x + y) * 7) for y in range(HEIGHT) for x in range(WIDTH)])
    for progressive in (False, True):
        end = ("-progressive" if progressive else "") + ".jpg"
        for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
            options = {"quality": 85, "subsampling": subsampling, "progressive": progressive}
            out.add(name + end, encoded(image, "JPEG", **options))
        out.add("grey" + end, encoded(image.convert("L"), "JPEG", quality=85, progressive=progressive))
        cmyk = encoded(inks, "JPEG", quality=90, progressive=progressive)
        out.add("cmyk" + end, cmyk)
        # The same samples as if they were YCCK, and without Adobe's marker.
        out.add("ycck" + end, files.with_segments(cmyk, adobe(2), (0xEE,)))
        out.add("cmyk-no-adobe" + end, files.with_segments(cmyk, b"", (0xEE,)))
    rgb = files.with_segments(encoded(image, "JPEG", quality=90, subsampling=0), adobe(0), (0xE0,))
    out.add("rgb.jpg", rgb)
    for orientation in range(1, 9):
        data = encoded(image, "JPEG", quality=85, exif=b"Exif\0\0" + files.exif(orientation, order="<>"[orientation % 2]))
        out.add(f"orientation{orientation}.jpg", data)


def webp_files(out):
    image = smooth()
    noisy = Image.frombytes("RGBA", (WIDTH, HEIGHT), bytes(RANDOM.randrange(256) for _ in range(4 * WIDTH * HEIGHT)))
    out.add("lossless.webp", encoded(noisy.convert("RGB"), "WEBP", lossless=True))
    out.add("lossless-alpha.webp", encoded(noisy, "WEBP", lossless=True, exact=True))
    out.add("lossy.webp", encoded(image, "WEBP", quality=80))
    image.putalpha(noisy.getchannel("A"))
    out.add("lossy-alpha.webp", encoded(image, "WEBP", quality=80))
    exif = files.exif(6)
    out.add("orientation.webp", encoded(noisy.convert("RGB"), "WEBP", lossless=True, exif=exif))
    samples = [[noisy.getpixel((x, y))[:3] for x in range(WIDTH)] for y in range(HEIGHT)]
    out.add("orientation.png", files.png(samples, 8, files.RGB, after=files.chunk(b"eXIf", exif)))


def profile_files(out):
    """The size of profiles is that of the files, so there are few of these pictures."""
    srgb, image = ImageCms.createProfile("sRGB"), smooth()

    def add(name, source, profile, data):
        shown = Image.open(io.BytesIO(data))
        assert shown.mode == source.mode
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        out.add(name, data, ImageCms.profileToProfile(shown, opened, srgb, outputMode="RGB"))

    inks = Image.new("CMYK", (WIDTH, HEIGHT))
    inks.putdata([(*colour_at(x, y), (x + y) * 7) for y in range(HEIGHT) for x in range(WIDTH)])
    wide, dark, print_ = files.adobe_rgb(), files.grey_profile(1.0), files.cmyk_profile()
    add("profile-rgb.png", image, wide, encoded(image, "PNG", icc_profile=wide))
    add("profile-rgb.jpg", image, wide, encoded(image, "JPEG", quality=90, icc_profile=wide))
    add("profile-rgb.webp", image, wide, encoded(image, "WEBP", lossless=True, icc_profile=wide))
    add("profile-grey.png", image.convert("L"), dark, encoded(image.convert("L"), "PNG", icc_profile=dark))
    add("profile-grey.jpg", image.convert("L"), dark, encoded(image.convert("L"), "JPEG", quality=90, icc_profile=dark))
    add("profile-cmyk.jpg", inks, print_, encoded(inks, "JPEG", quality=90, icc_profile=print_))
    # Recognised as sRGB: exactly the stored values.
    own = ImageCms.ImageCmsProfile(srgb).tobytes()
    out.add("srgb.png", encoded(image, "PNG", icc_profile=own))


def main():
    out = Folder(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/data/pictures"))
    png_files(out)
    jpeg_files(out)
    webp_files(out)
    profile_files(out)


if __name__ == "__main__":
    main()
