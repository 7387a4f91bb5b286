"""Captions of a picture, made from its name and keywords: many different prompts for it.

A prompt need not be the exact name: names, labels, keywords, word order, articles, colours and style words vary. A prompt
without a style word means the noto style, so that a prompt always gives the same style.
"""
from __future__ import annotations

import collections
import random
from dataclasses import dataclass, field

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
STYLES = ("noto", "fluent", "flat")
OPENINGS = ("a picture of", "a drawing of", "an icon of", "an emoji of", "picture of", "drawing of", "icon of", "emoji of")
# the share of captions without the style
UNSTYLED = {"noto": 0.6, "fluent": 0.03, "flat": 0.03}


def plain(text: str) -> str:
    """Lower case, words separated by single spaces, without the punctuation of names and labels."""
    kept = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower().replace("’", "'").replace("&", " and "))
    return " ".join(kept.split())


@dataclass
class Thing:
    """The content of one picture, in words."""
    style: str
    name: str                                    # the icon's name with spaces
    label: str = ""
    tags: list[str] = field(default_factory=list)
    colour: str = ""                             # its main colour, if it has one
    painted: bool = False                        # recoloured: captions must name the colour

    @staticmethod
    def of(record: dict[str, object]) -> "Thing":
        name, label = plain(str(record["name"])), plain(str(record["label"]))
        tags = [plain(str(t)) for t in record["tags"]]  # type: ignore[union-attr]
        return Thing(str(record["style"]), name, label if label != name else "", [t for t in tags if t and t not in (name, label)])

    def names_a_colour(self) -> bool:
        return any(w in COLOURS or w in ("white", "black") for w in f"{self.name} {self.label}".split())


def with_article(text: str) -> str:
    return f"an {text}" if text[:1] in "aeiou" else f"a {text}"


def with_style(text: str, style: str, rng: random.Random) -> str:
    form = rng.random()
    if form < 0.55:
        return f"{text} in {style} style"
    if form < 0.75:
        return f"{text}, {style} style"
    if form < 0.85:
        return f"{style} style {text}"
    if form < 0.93:
        return f"{text} {style}"
    return f"{text}, {style} emoji"


def caption(thing: Thing, rng: random.Random) -> str:
    """A random prompt for this picture."""
    kind = rng.random()
    words = thing.name
    if thing.painted:
        kind = kind * 0.8                       # keywords alone would not name the painted thing
        words = thing.name
    if kind < 0.62 or not (thing.label or thing.tags):
        pass
    elif kind < 0.74 and thing.label:
        words = thing.label
    elif kind < 0.86 and thing.tags:
        extra = rng.sample(thing.tags, min(len(thing.tags), rng.choice((1, 1, 2))))
        words = ", ".join([words, *extra]) if rng.random() < 0.5 else " ".join([words, *extra])
    elif kind < 0.92:
        order = words.split()
        rng.shuffle(order)
        words = " ".join(order)
    elif kind < 0.96 and len(thing.tags) >= 2:
        words = " ".join(rng.sample(thing.tags, min(len(thing.tags), 3)))
    if thing.colour and (thing.painted or (not thing.names_a_colour() and rng.random() < 0.12)):
        words = f"{thing.colour} {words}" if rng.random() < 0.9 else f"{words}, {thing.colour}"
    form = rng.random()
    if form < 0.3:
        words = with_article(words)
    elif form < 0.38:
        words = f"{rng.choice(OPENINGS)} {words}"
    if rng.random() >= UNSTYLED[thing.style]:
        words = with_style(words, thing.style, rng)
    return words


def word_counts(things: list[Thing]) -> collections.Counter[str]:
    """The weight of each word in the vocabulary. The words of names occur most in prompts."""
    from bpe import pieces

    counts: collections.Counter[str] = collections.Counter()
    for thing in things:
        for text, weight in ((thing.name, 12), (thing.label, 4), *((t, 1) for t in thing.tags)):
            for piece in pieces(text):
                counts[piece] += weight
    common = " ".join([*COLOURS, *STYLES, *OPENINGS, "a an the and in of with on style emoji , 's"])
    for piece in pieces(common):
        counts[piece] += 200
    return counts
