#!/usr/bin/env python3
"""Writes tests/data/init_pictures/goldens.json: what Pillow and diffusers' VaeImageProcessor compute from small pictures.

The tests of src/image and src/pipeline make the same pictures from the seeds in this file and compare every byte.

usage: make_init_picture_goldens.py IMAGE_PROCESSOR [OUTPUT [RANDOM_SEED COUNT]]
IMAGE_PROCESSOR: src/diffusers/image_processor.py of diffusers (made with 0.40 and Pillow 9.4). PyTorch is not needed.
With RANDOM_SEED, COUNT random cases of each kind are written to OUTPUT instead of the fixed ones.
"""
import functools
import importlib.util
import json
import pathlib
import random
import sys
import types

import numpy as np
from PIL import Image, ImageFilter

FILTERS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "tests/data/init_pictures/goldens.json"


def load_image_processor(path):
    """The class VaeImageProcessor, with the few parts of diffusers and PyTorch that it uses for Pillow's pictures."""
    def register_to_config(init):
        @functools.wraps(init)
        def wrapped(self, **given):
            values = dict(zip(init.__code__.co_varnames[1:init.__code__.co_argcount], init.__defaults__))
            self.config = types.SimpleNamespace(**{**values, **given})
            init(self, **given)
        return wrapped

    torch = types.ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})
    torch.from_numpy = lambda values: values
    torch.nn = types.ModuleType("torch.nn")
    torch.nn.functional = types.ModuleType("torch.nn.functional")
    package = types.ModuleType("diffusers")
    package.__path__ = []
    config = types.ModuleType("diffusers.configuration_utils")
    config.ConfigMixin, config.register_to_config = object, register_to_config
    utils = types.ModuleType("diffusers.utils")
    utils.CONFIG_NAME, utils.PIL_INTERPOLATION, utils.deprecate = "config.json", FILTERS, None
    for module in (torch, torch.nn, torch.nn.functional, package, config, utils):
        sys.modules[module.__name__] = module
    spec = importlib.util.spec_from_file_location("diffusers.image_processor", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VaeImageProcessor


def noise(seed, count):
    """Bytes of a linear congruential generator."""
    values = bytearray()
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) % 2**32
        values.append(seed >> 24)
    return bytes(values)


def picture(seed, width, height, channels=3):
    return Image.frombytes("RGB" if channels == 3 else "L", (width, height), noise(seed, width * height * channels))


def patchy(seed, width, height):
    """Like a mask: a third of the pixels is black, a third white."""
    values = [0 if v < 85 else 255 if v > 170 else v for v in noise(seed, width * height)]
    return Image.frombytes("L", (width, height), bytes(values))


def box_mask(seed, size, box):
    """Coloured noise inside of the box, black outside."""
    mask = Image.new("RGB", size)
    mask.paste(picture(seed, box[2] - box[0], box[3] - box[1]), (box[0], box[1]))
    return mask


class Goldens:
    def __init__(self, processor):
        self.images = processor()
        self.hard = processor(do_normalize=False, do_binarize=True, do_convert_grayscale=True)
        self.soft = processor(do_normalize=False, do_convert_grayscale=True)

    def resample(self, seed, size, new_size, channels, filter, box=None):
        result = picture(seed, *size, channels).resize(new_size, FILTERS[filter], box=box)
        return {"box": box, "bytes": result.tobytes().hex()}

    def blur(self, seed, size, channels, radius):
        result = picture(seed, *size, channels).filter(ImageFilter.GaussianBlur(radius))
        return {"bytes": result.tobytes().hex()}

    def grey(self, seed, size):
        return {"bytes": picture(seed, *size).convert("L").tobytes().hex()}

    def resize_mode(self, seed, size, new_size, mode):
        result = self.images.resize(picture(seed, *size), new_size[1], new_size[0], resize_mode=mode)
        return {"bytes": result.tobytes().hex()}

    def crop_region(self, size, box, new_size, margin):
        mask = Image.new("L", size)
        mask.paste(1, box)
        return {"region": self.hard.get_crop_region(mask, *new_size, pad=margin)}

    def overlay(self, seed, size):
        drawn, original = picture(seed, *size), picture(seed + 1, *size)
        return {"bytes": self.images.apply_overlay(patchy(seed + 2, *size), original, drawn).tobytes().hex()}

    def inpaint(self, seed, size, box, new_size, margin, mask_blur, mask_mode):
        """From the input to the encoder's input, and from a drawn picture to the result with pasting."""
        original, mask = picture(seed, *size), box_mask(seed + 1, size, box)
        if mask_blur > 0:
            mask = self.hard.blur(mask, mask_blur)
        region, mode = None, "default"
        if margin is not None:
            region, mode = self.hard.get_crop_region(mask, *new_size, pad=margin), "fill"
        kwargs = {"width": new_size[0], "height": new_size[1], "crops_coords": region, "resize_mode": mode}
        values = self.images.preprocess(original, **kwargs)
        masks = (self.hard if mask_mode == "hard" else self.soft).preprocess(mask, **kwargs)
        image = np.rint((values[0].transpose(1, 2, 0) + 1) / 2 * 255).astype(np.uint8)
        grey = np.rint(masks[0, 0] * 255).astype(np.uint8)
        masked = values * (masks < 0.5)
        if margin is None:
            mask, original = Image.fromarray(grey), Image.fromarray(image)
        finished = self.images.apply_overlay(mask, original, picture(seed + 2, *new_size), region)
        return {"image": image.tobytes().hex(), "mask": grey.tobytes().hex(), "region": region,
                "values": [float(v) for v in masked[0].transpose(1, 2, 0).ravel()[:24]],
                "finished": finished.tobytes().hex()}


SIZES = [((1, 1), (1, 1)), ((1, 1), (5, 3)), ((7, 5), (1, 1)), ((13, 9), (13, 9)), ((13, 9), (13, 4)), ((13, 9), (6, 9)),
         ((12, 10), (24, 20)), ((17, 11), (16, 8)), ((5, 40), (9, 7)), ((40, 3), (8, 9)), ((31, 29), (13, 17))]


def fixed():
    for number, (size, new_size) in enumerate(SIZES):
        for filter in FILTERS:
            channels = 1 if number % 3 == 2 else 3
            yield "resample", dict(seed=number, size=size, new_size=new_size, channels=channels, filter=filter)
    for box in ((3, 2, 11, 8), (0, 0, 13, 0), (0, 9, 13, 9), (13, 0, 13, 9), (2, 1, 9, 5)):
        for filter in ("bicubic", "lanczos"):
            yield "resample", dict(seed=50, size=(13, 9), new_size=(7, 4), channels=3, filter=filter, box=box)
    for radius in (0, 1, 2, 5, 33, 1024):
        for size in ((1, 1), (1, 9), (23, 1), (21, 18)):
            yield "blur", dict(seed=100 + radius, size=size, channels=3 if radius % 2 else 1, radius=radius)
    yield "grey", dict(seed=150, size=(20, 16))
    shapes = [(size, new_size) for size in ((20, 20), (33, 14), (9, 31), (3, 60)) for new_size in ((8, 8), (16, 8), (8, 16))]
    for number, (size, new_size) in enumerate(shapes):
        for mode in ("default", "crop", "fill"):
            yield "resize_mode", dict(seed=200 + number, size=size, new_size=new_size, mode=mode)
    for size in ((96, 80), (64, 200)):
        for box in ((0, 0, 1, 1), (52, 30, 60, 56), (size[0] - 3, size[1] - 20, *size), (0, 0, *size), (5, 6, 50, 9)):
            for new_size in ((64, 64), (64, 48), (32, 128)):
                for margin in (0, 4, 33, 500):
                    yield "crop_region", dict(size=size, box=box, new_size=new_size, margin=margin)
    yield "overlay", dict(seed=300, size=(32, 24))
    for number, (size, box, new_size) in enumerate((((14, 17), (4, 5, 9, 9), (8, 8)), ((23, 9), (14, 0, 23, 6), (16, 8)))):
        for margin in (None, 0, 3):
            for mask_blur in (0, 2):
                for mask_mode in ("hard", "soft"):
                    yield "inpaint", dict(seed=400 + number, size=size, box=box, new_size=new_size, margin=margin,
                                          mask_blur=mask_blur, mask_mode=mask_mode)


def random_cases(seed, count):
    rng = random.Random(seed)

    def size(most, step=1):
        return tuple(max(step, int(most ** rng.random()) // step * step) for _ in range(2))

    def box(within):
        left, top = rng.randrange(within[0]), rng.randrange(within[1])
        return (left, top, rng.randint(left + 1, within[0]), rng.randint(top + 1, within[1]))

    def not_too_thin(size):
        return (max(size[0], size[1] // 16 + 1), max(size[1], size[0] // 16 + 1))

    for _ in range(count):
        common = dict(seed=rng.randrange(2**31), size=size(300))
        filter = rng.choice(list(FILTERS))
        part = box(common["size"]) if rng.random() < 0.3 and filter != "nearest" else None
        yield "resample", dict(**common, new_size=size(300), channels=rng.choice((1, 3)), filter=filter, box=part)
        yield "blur", dict(**common, channels=rng.choice((1, 3)), radius=rng.choice((0, 1, rng.randrange(30), rng.randrange(1025))))
        yield "grey", dict(**common)
        thick = not_too_thin(common["size"])
        new_size = not_too_thin(size(200, 8))
        new_size = tuple(-(-side // 8) * 8 for side in new_size)
        yield "resize_mode", dict(seed=common["seed"], size=thick, new_size=new_size, mode=rng.choice(("default", "crop", "fill")))
        yield "crop_region", dict(size=common["size"], box=box(common["size"]), new_size=new_size, margin=rng.randrange(40))
        yield "overlay", dict(**common)
        yield "inpaint", dict(seed=common["seed"], size=thick, box=box(thick), new_size=new_size,
                              margin=rng.choice((None, rng.randrange(40))), mask_blur=rng.choice((0, rng.randrange(20))),
                              mask_mode=rng.choice(("hard", "soft")))


def main():
    goldens = Goldens(load_image_processor(sys.argv[1]))
    output = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else OUTPUT
    cases = random_cases(int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 4 else fixed()
    kinds = {}
    for kind, arguments in cases:
        try:
            result = getattr(goldens, kind)(**arguments)
        except ValueError:  # a side without pixels; tempera gives it one
            continue
        kinds.setdefault(kind, []).append({**arguments, **result})
    lines = ",\n".join(f'"{kind}": [\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in entries) + "\n]"
                       for kind, entries in kinds.items())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("{" + lines + "}\n")
    print({kind: len(entries) for kind, entries in kinds.items()}, output.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
