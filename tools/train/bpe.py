"""CLIP's byte-level byte-pair encoding with a vocabulary of our own.

The files have CLIP's form: the 256 byte symbols, the same symbols with `</w>` (the end of a word), one symbol for each merge,
then `<|startoftext|>` and `<|endoftext|>`. So the end token has the largest id, as in CLIP.
"""
from __future__ import annotations

import collections
import heapq
import json
from pathlib import Path

import regex

START, END = "<|startoftext|>", "<|endoftext|>"
# the pieces that are encoded separately: CLIP's pattern
PIECES = regex.compile(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE)


def byte_symbols() -> list[str]:
    """One printable character for each byte: printable bytes are unchanged, the others are U+0100 and up."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    symbols = {b: chr(b) for b in printable}
    for b in range(256):
        if b not in symbols:
            symbols[b] = chr(256 + len(symbols) - len(printable))
    return [symbols[b] for b in printable] + [symbols[b] for b in range(256) if b not in set(printable)]


def byte_map() -> dict[int, str]:
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    order = printable + [b for b in range(256) if b not in set(printable)]
    return dict(zip(order, byte_symbols()))


def pieces(text: str) -> list[str]:
    return PIECES.findall(" ".join(text.lower().split()))


def learn(counts: collections.Counter[str], merges: int) -> list[tuple[str, str]]:
    """The most frequent merges of adjacent symbols, chosen greedily. Of equal ones, the first in the alphabet is chosen, so
    that the result is reproducible."""
    table = byte_map()
    words = []
    for word, count in sorted(counts.items()):
        symbols = [table[b] for b in word.encode()]
        symbols[-1] += "</w>"
        words.append((symbols, count))
    found: list[tuple[str, str]] = []
    heap: list[tuple[int, tuple[str, str]]] = []          # (-count, pair); counts change, so an entry may be stale
    pairs: collections.Counter[tuple[str, str]] = collections.Counter()
    where: dict[tuple[str, str], set[int]] = collections.defaultdict(set)
    for i, (symbols, count) in enumerate(words):
        for pair in zip(symbols, symbols[1:]):
            pairs[pair] += count
            where[pair].add(i)
    heap.extend((-count, pair) for pair, count in pairs.items())
    heapq.heapify(heap)
    while len(found) < merges and heap:
        count_then, best = heapq.heappop(heap)
        if pairs.get(best, 0) != -count_then or not count_then:
            continue
        found.append(best)
        touched: set[tuple[str, str]] = set()
        for i in list(where[best]):
            symbols, count = words[i]
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] -= count
                where[pair].discard(i)
                touched.add(pair)
            merged, j = [], 0
            while j < len(symbols):
                if j + 1 < len(symbols) and (symbols[j], symbols[j + 1]) == best:
                    merged.append(symbols[j] + symbols[j + 1])
                    j += 2
                else:
                    merged.append(symbols[j])
                    j += 1
            words[i] = (merged, count)
            for pair in zip(merged, merged[1:]):
                pairs[pair] += count
                where[pair].add(i)
                touched.add(pair)
        for pair in touched:
            heapq.heappush(heap, (-pairs[pair], pair))
    return found


class Tokenizer:
    """Text to ids, equal to transformers' CLIPTokenizer on the same files. Ids of words are cached: captions repeat them."""

    def __init__(self, merges: list[tuple[str, str]], length: int) -> None:
        base = byte_symbols()
        # two merges can give the same symbol from different halves: it has one id
        names = dict.fromkeys([*base, *(s + "</w>" for s in base), *(a + b for a, b in merges), START, END])
        self.ids = {name: i for i, name in enumerate(names)}
        self.merges = merges
        self.rank = {pair: i for i, pair in enumerate(merges)}
        self.table = byte_map()
        self.length = length
        self.memory: dict[str, list[int]] = {}

    @property
    def size(self) -> int:
        return len(self.ids)

    def word(self, piece: str) -> list[int]:
        if piece not in self.memory:
            symbols = [self.table[b] for b in piece.encode()]
            symbols[-1] += "</w>"
            while len(symbols) > 1:
                rank, i = min((self.rank.get(p, len(self.rank)), i) for i, p in enumerate(zip(symbols, symbols[1:])))
                if rank == len(self.rank):
                    break
                pair = (symbols[i], symbols[i + 1])
                merged, j = [], 0
                while j < len(symbols):
                    if j + 1 < len(symbols) and (symbols[j], symbols[j + 1]) == pair:
                        merged.append(pair[0] + pair[1])
                        j += 2
                    else:
                        merged.append(symbols[j])
                        j += 1
                symbols = merged
            self.memory[piece] = [self.ids[s] for s in symbols]
        return self.memory[piece]

    def encode(self, text: str) -> list[int]:
        """Ids of exactly `length`: the start, the text cut to fit, the end, and the end again as padding."""
        body = [i for piece in pieces(text) for i in self.word(piece)][: self.length - 2]
        ids = [self.ids[START], *body, self.ids[END]]
        return ids + [self.ids[END]] * (self.length - len(ids))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.json").write_text(json.dumps(self.ids, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
        lines = ["#version: 0.2", *(f"{a} {b}" for a, b in self.merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
        (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1) + "\n")
        config = {"tokenizer_class": "CLIPTokenizer", "add_prefix_space": False, "do_lower_case": True, "errors": "replace",
                  "model_max_length": self.length, **special}
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")

    @staticmethod
    def load(folder: Path) -> "Tokenizer":
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
        length = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
        return Tokenizer([tuple(line.split(" ")) for line in lines if line], length)  # type: ignore[misc]


def fitting(counts: collections.Counter[str], size: int, length: int) -> Tokenizer:
    """The tokenizer learnt from word counts that has at most `size` ids."""
    return Tokenizer(learn(counts, size - 514), length)
