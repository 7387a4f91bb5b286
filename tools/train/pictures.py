"""The pictures as tensors on the device, and their colours: the main colour of a picture, and pictures in other colours."""
from __future__ import annotations

import concurrent.futures
import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from captions import Thing

SIZE = 256
# The hue of a named colour (degrees), and its factor for the saturation.
HUES = {"red": (2.0, 1.0), "orange": (28.0, 1.0), "yellow": (49.0, 1.0), "green": (125.0, 0.9), "blue": (214.0, 1.0),
        "purple": (275.0, 0.9), "pink": (332.0, 0.6)}
SPREAD = 40.0            # degrees: hues within +- this belong to the same material
PEOPLE, FLAGS = 1, 9     # groups of emojibase that are not recoloured


def load_things(data: Path) -> list[Thing]:
    """The descriptions of the pictures, without the pictures."""
    return [Thing.of(r) for r in json.loads((data / "pictures.json").read_text())]


def load(data: Path, device: torch.device, limit: int | None = None) -> tuple[torch.Tensor, list[Thing], list[int]]:
    """All pictures (N, 3, 256, 256) uint8, their descriptions, and their emojibase groups."""
    records = json.loads((data / "pictures.json").read_text())
    if limit:
        records = records[:: max(1, len(records) // limit)]
    raw = (data / "pictures.bin").read_bytes()

    def decode(r: dict[str, int]) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(raw[r["offset"]: r["offset"] + r["length"]])).convert("RGB"))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        pixels = np.stack(list(pool.map(decode, records)))
    pictures = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).contiguous()
    return pictures, [Thing.of(r) for r in records], [int(r["group"]) for r in records]


def as_float(pictures: torch.Tensor) -> torch.Tensor:
    """Converts uint8 to the model's [-1, 1], channels last."""
    return (pictures.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def to_hsv(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Converts (N, 3, H, W) in [0, 1] to hue in degrees, saturation and value, each (N, H, W)."""
    value, _ = rgb.max(1)
    low, _ = rgb.min(1)
    span = value - low
    safe = span.clamp_min(1e-6)
    r, g, b = rgb.unbind(1)
    hue = torch.where(value == r, ((g - b) / safe) % 6, torch.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return torch.where(span > 1e-6, hue * 60, torch.zeros_like(hue)), span / value.clamp_min(1e-6), value


def to_rgb(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    def channel(n: float) -> torch.Tensor:
        k = (n + hue / 60) % 6
        return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)

    return torch.stack([channel(5.0), channel(3.0), channel(1.0)], 1)


def apart(a: torch.Tensor, b: torch.Tensor | float) -> torch.Tensor:
    """The signed difference of hues in degrees, in [-180, 180)."""
    return (a - b + 180) % 360 - 180


def main_hue(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each picture: its strongest hue, that hue's share of all colour, its mean saturation and its mean value."""
    hue, saturation, value = to_hsv(rgb)
    weight = torch.where((saturation > 0.2) & (value > 0.2), saturation * value, torch.zeros_like(value)).flatten(1)
    hue = hue.flatten(1)
    bins = torch.zeros(len(rgb), 36, device=rgb.device).scatter_add_(1, (hue / 10).long() % 36, weight)
    smooth = bins + 0.7 * (bins.roll(1, 1) + bins.roll(-1, 1)) + 0.3 * (bins.roll(2, 1) + bins.roll(-2, 1))
    peak = smooth.argmax(1).float() * 10 + 5
    offset = apart(hue, peak[:, None])
    near = weight * (offset.abs() < SPREAD)
    total = near.sum(1).clamp_min(1e-6)
    centre = (peak + (near * offset).sum(1) / total) % 360
    # no main colour if less than a fiftieth of the picture is coloured
    share = torch.where(weight.sum(1) > 0.02 * weight.shape[1], near.sum(1) / weight.sum(1).clamp_min(1e-6), torch.zeros_like(total))
    mean = lambda x: (near * x.flatten(1)).sum(1) / total  # noqa: E731
    return centre, share, mean(saturation), mean(value)


def colour_word(hue: float, share: float, saturation: float, value: float) -> str:
    """The common word for a picture's colour, or an empty string if the colour is not clear."""
    if share < 0.75:
        return ""
    if 12 <= hue < 45 and value < 0.68:
        return "brown"
    if hue >= 338 or hue < 15:
        return "red" if saturation > 0.6 else "pink" if value > 0.75 else ""
    if hue >= 310:
        return "pink"
    for word, low, high in (("orange", 18, 38), ("yellow", 42, 62), ("green", 80, 165), ("blue", 190, 240), ("purple", 255, 300)):
        if low <= hue < high:
            return word if saturation > 0.4 else ""
    return ""


def name_colours(pictures: torch.Tensor, things: list[Thing], groups: list[int]) -> list[tuple[float, float, float, float]]:
    """Sets the colour of each thing that has one, except people. Returns the results of main_hue, for recolouring."""
    found: list[tuple[float, float, float, float]] = []
    for i in range(0, len(pictures), 256):
        found += [tuple(v) for v in torch.stack(main_hue(pictures[i: i + 256].float() / 255), 1).tolist()]  # type: ignore[misc]
    for thing, group, hue in zip(things, groups, found):
        thing.colour = "" if group == PEOPLE else colour_word(*hue)
    return found


def repaint(rgb: torch.Tensor, hue_from: torch.Tensor, hue_to: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """The pictures with their main material in another hue. All other parts keep their colours."""
    hue, saturation, value = to_hsv(rgb)
    offset = apart(hue, hue_from[:, None, None])
    inside = ((SPREAD + 15 - offset.abs()) / 15).clamp(0, 1)      # smooth at the limits of the material's hues
    turned = hue_to[:, None, None] + 0.5 * offset                 # shades keep half of their difference in hue
    changed = to_rgb(turned % 360, (saturation * gain[:, None, None]).clamp(0, 1), value)
    return torch.lerp(rgb, changed, inside[:, None])


def repainted(pictures: torch.Tensor, things: list[Thing], groups: list[int], per_picture: int, seed: int,
              ) -> tuple[torch.Tensor, list[Thing]]:
    """Pictures in colours that the set does not have, with these colours in their names. So the model learns that a colour
    word means the same for every thing.

    People and flags keep their colours. A name that is already in the set (a blue heart) is not made again.
    """
    hues = name_colours(pictures, things, groups)
    known = {(t.style, t.name) for t in things}
    generator = torch.Generator().manual_seed(seed)
    index, target, painted = [], [], []
    for i, (thing, (hue, share, saturation, value)) in enumerate(zip(things, hues)):
        if share < 0.6 or groups[i] in (PEOPLE, FLAGS) or thing.names_a_colour() or saturation < 0.35:
            continue
        far = [c for c, (h, _) in HUES.items() if abs((hue - h + 180) % 360 - 180) > 25 and c != thing.colour]
        if value < 0.7:
            far = [c for c in far if c not in ("yellow", "orange", "pink")]       # dark yellow is olive, dark pink is not pink
        far = [c for c in far if (thing.style, f"{c} {thing.name}") not in known]
        for j in torch.randperm(len(far), generator=generator)[:per_picture].tolist():
            index.append(i)
            target.append((hue, *HUES[far[j]]))
            painted.append(Thing(thing.style, thing.name, thing.label, thing.tags, colour=far[j], painted=True))
    if not index:
        return pictures[:0], []
    out = torch.empty((len(index), *pictures.shape[1:]), dtype=torch.uint8, device=pictures.device)
    where, plan = torch.tensor(index, device=pictures.device), torch.tensor(target, device=pictures.device)
    for i in range(0, len(index), 256):
        rgb = pictures[where[i: i + 256]].float() / 255
        out[i: i + 256] = (repaint(rgb, *plan[i: i + 256].unbind(1)) * 255).round().clamp(0, 255).to(torch.uint8)
    return out, painted
