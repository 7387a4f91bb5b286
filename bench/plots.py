"""The benchmarks' pictures as SVG: latency against memory, and how much of the ceilings each kind of kernel reaches.

Text is SVG text. Every picture has its own background, light or dark like the reader's page. The same input gives the same
bytes. Standard library only.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

ENGINE_SHAPES = ("circle", "square", "triangle", "diamond")
STYLE = """<style>
text{font:11px -apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#59636e}
.ground{fill:#fff;stroke:#d1d9e0}.title{font-size:14px;font-weight:600;fill:#1f2328}.strong{fill:#1f2328}
.rule{stroke:#d1d9e0;stroke-width:1}.track{fill:#eff2f5}.limit{stroke:#59636e;stroke-dasharray:3 3}
.e0{fill:#0969da;stroke:#0969da}.e1{fill:#bc4c00;stroke:#bc4c00}.e2{fill:#1a7f37;stroke:#1a7f37}.e3{fill:#8250df;stroke:#8250df}
text.e0,text.e1,text.e2,text.e3{stroke:#fff;stroke-width:3px;paint-order:stroke}.hollow{fill-opacity:0;stroke-width:1.8}.leader{stroke-width:.8;stroke-opacity:.55}
@media (prefers-color-scheme:dark){text{fill:#9198a1}.ground{fill:#0d1117;stroke:#3d444d}.title,.strong{fill:#f0f6fc}
.rule{stroke:#3d444d}.track{fill:#212830}.limit{stroke:#9198a1}.e0{fill:#58a6ff;stroke:#58a6ff}.e1{fill:#f0883e;stroke:#f0883e}
.e2{fill:#3fb950;stroke:#3fb950}.e3{fill:#ab7df8;stroke:#ab7df8}text.e0,text.e1,text.e2,text.e3{stroke:#0d1117}}
</style>"""
LINE, SIZE = 13, 11                         # of a label, in pixels
RADIUS = 4.5                                # of a point
NEAR = 11.0                                 # points of one engine that are this close share a label


def text_width(text: str, size: float = SIZE) -> float:
    """The width of a text in pixels: an upper estimate, because the reader's font is unknown."""
    def em(char: str) -> float:
        return 0.36 if char in " .,:;il|'()" else 0.95 if char in "mwMW" else 0.74 if char.isupper() or char == "+" else 0.63
    return size * sum(map(em, text))


def svg(width: int, height: int, title: str, body: list[str]) -> str:
    box = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">',
                      f"<title>{escape(title)}</title>", STYLE,
                      f'<rect class="ground" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="6"/>', *body, "</svg>"]) + "\n"


def text_at(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    extra = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{escape(text)}</text>'


@dataclass(frozen=True)
class Axis:
    """Values to pixels. Logarithmic if the largest is over five times the smallest; starts at 0 unless all are close."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    @staticmethod
    def of(values: list[float], start: float, end: float) -> "Axis":
        least, most = min(values), max(values)
        if most > 5 * least > 0:
            room = (most / least) ** 0.08
            return Axis(least / room, most * room, start, end, True)
        room = 0.15 * (most - least)
        return (
            Axis(least - room, most + room, start, end, False)
            if 0 < most - least < 0.5 * least
            else Axis(0, most * 1.1 or 1, start, end, False)
        )

    def at(self, value: float) -> float:
        scale = math.log if self.logarithmic else float
        low, high = (scale(self.low), scale(self.high)) if self.logarithmic else (self.low, self.high)
        return self.start + (self.end - self.start) * (scale(value) - low) / (high - low)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            found = [m * 10.0 ** k for k in range(-6, 9) for m in (1, 2, 5)]
            return [tick for tick in found if self.low <= tick <= self.high]
        rough = (self.high - self.low) / 6
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
        return [i * step for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


@dataclass
class Point:
    """One row of one engine. `hollow`: measured with other conditions than the other rows (one picture)."""

    engine: int
    label: str
    gib: float
    seconds: float
    hollow: bool = False
    x: float = 0
    y: float = 0


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, wide) * max(0.0, high)

    def outside(self, area: "Box") -> float:
        return (self.right - self.left) * (self.bottom - self.top) - self.overlap(area)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)

    def crossed(self, a: tuple[float, float], b: tuple[float, float]) -> bool:
        steps = [i / 24 for i in range(25)]
        return any(self.left < a[0] + (b[0] - a[0]) * t < self.right and self.top < a[1] + (b[1] - a[1]) * t < self.bottom for t in steps)


@dataclass
class Label:
    """The points that the label names (close together, of one engine), its lines, and its position."""

    points: list[Point]
    lines: list[str]
    box: Box = field(default_factory=lambda: Box(0, 0, 0, 0))
    leader: bool = False

    def size(self) -> tuple[float, float]:
        return max(map(text_width, self.lines)) + 2, LINE * len(self.lines)

    def middle(self) -> tuple[float, float]:
        return sum(p.x for p in self.points) / len(self.points), sum(p.y for p in self.points) / len(self.points)


def wrapped(names: list[str], most: int = 30) -> list[str]:
    lines = [""]
    for i, name in enumerate(names):
        piece = name + ("," if i + 1 < len(names) else "")
        if lines[-1] and len(lines[-1]) + 1 + len(piece) > most:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + piece
    return lines


def labels_of(points: list[Point]) -> list[Label]:
    groups: list[list[Point]] = []
    for point in points:
        near = [g for g in groups if any(p.engine == point.engine and p.hollow == point.hollow and
                                         math.hypot(p.x - point.x, p.y - point.y) < NEAR for p in g)]
        groups = [g for g in groups if g not in near] + [[p for g in near for p in g] + [point]]
    return [Label(group, wrapped([p.label for p in group])) for group in groups]


def _candidates(label: Label) -> list[tuple[float, Box]]:
    """Boxes around the points: the nearest first, the sides before the corners."""
    wide, high = label.size()
    x, y = label.middle()
    turns = (0, 16, 8, 24, 4, 28, 12, 20, 2, 30, 14, 18, 6, 26, 10, 22, *range(1, 32, 2))
    found = []
    for distance in (9, 15, 22, 30, 39, 49, 60, 73, 88, 105, 125, 150, 180, 215, 255):
        for turn in turns:
            angle = turn * math.pi / 16
            left = x + math.cos(angle) * (distance + wide / 2) - wide / 2
            top = y - math.sin(angle) * (distance + high / 2) - high / 2
            found.append((distance, Box(left, top, left + wide, top + high)))
    return found


Line = tuple[tuple[float, float], tuple[float, float]]


def _leader(label: Label, box: Box) -> Line:
    return label.middle(), box.nearest(*label.middle())


def _cross(a: Line, b: Line) -> bool:
    side = lambda line, p: ((line[1][0] - line[0][0]) * (p[1] - line[0][1]) -  # noqa: E731
                            (line[1][1] - line[0][1]) * (p[0] - line[0][0])) > 0
    return side(a, b[0]) != side(a, b[1]) and side(b, a[0]) != side(b, a[1])


def _cost(label: Label, box: Box, has_leader: bool, others: list[Label], marks: list[Box], area: Box) -> float:
    """0 if the box touches no label, point, leader or edge; else a measure of the overlap."""
    cost = 4 * box.outside(area) + sum(box.overlap(mark) for mark in marks) + 4 * sum(box.overlap(other.box) for other in others)
    line = _leader(label, box)
    for other in others:
        if other.leader:
            cost += 40 * box.crossed(*_leader(other, other.box)) + 15 * (has_leader and _cross(line, _leader(other, other.box)))
        if has_leader:
            cost += 40 * other.box.crossed(*line)
    return cost


def place(labels: list[Label], points: list[Point], area: Box) -> None:
    """Moves each label to the nearest place that touches nothing: the most crowded first, then all until none improves."""
    marks = [Box(p.x - RADIUS - 1, p.y - RADIUS - 1, p.x + RADIUS + 1, p.y + RADIUS + 1) for p in points]
    crowd = lambda label: -sum(math.hypot(p.x - label.middle()[0], p.y - label.middle()[1]) < 110 for p in points)  # noqa: E731
    order, placed = sorted(labels, key=crowd), []
    for turn in range(5):
        moved = False
        for label in order:
            others = [other for other in placed if other is not label]
            best = (
                (_cost(label, label.box, label.leader, others, marks, area), label.box, label.leader)
                if turn
                else (math.inf, label.box, False)
            )
            if best[0] == 0:
                continue
            for distance, box in _candidates(label):
                has_leader = distance > 15
                cost = _cost(label, box, has_leader, others, marks, area)
                if cost < best[0] - 1e-9:
                    best, moved = (cost, box, has_leader), True
                if cost == 0:
                    break
            _, label.box, label.leader = best
            if turn == 0:
                placed.append(label)
        if not moved:
            break


def _mark(point: Point) -> str:
    kind = f'class="e{point.engine}{" hollow" if point.hollow else ""}"'
    x, y, r = point.x, point.y, RADIUS
    shape = ENGINE_SHAPES[point.engine % len(ENGINE_SHAPES)]
    if shape == "circle":
        return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>'
    if shape == "square":
        return f'<rect {kind} x="{x - r + .5:.1f}" y="{y - r + .5:.1f}" width="{2 * r - 1}" height="{2 * r - 1}"/>'
    if shape == "triangle":
        return f'<path {kind} d="M{x:.1f} {y - r - .5:.1f}l{r + .5} {2 * r}h{-2 * r - 1}z"/>'
    return f'<path {kind} d="M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l{-r - 1} {r + 1}l{-r - 1} {-r - 1}z"/>'


def _legend(engines: list[str], right: float, y: float, hollow: str) -> list[str]:
    out, x = [], right
    names = [(name, i, False) for i, name in enumerate(engines)] + ([(hollow, 0, True)] if hollow else [])
    for name, engine, is_hollow in reversed(names):
        out.append(text_at(x, y + 4, name, "strong", "end"))
        x -= text_width(name) + 6
        out.append(_mark(Point(engine, name, 0, 0, is_hollow, x, y)))
        x -= 18
    return out


def number(value: float) -> str:
    return f"{value:g}"


def scatter(title: str, subtitle: str, engines: list[str], points: list[Point], hollow: str = "") -> str:
    """Latency against memory, with a mark for every row of every engine. `hollow`: the meaning of hollow marks."""
    width, height = 860, 560
    area = Box(62, 74, width - 22, height - 52)
    across = Axis.of([p.gib for p in points], area.left, area.right)
    up = Axis.of([p.seconds for p in points], area.bottom, area.top)
    for point in points:
        point.x, point.y = across.at(point.gib), up.at(point.seconds)
    labels = labels_of(points)
    place(labels, points, area)
    body = [text_at(20, 28, title, "title"), text_at(20, 47, subtitle)]
    body += _legend(engines, width - 20, 24, hollow if any(p.hollow for p in points) else "")
    for tick in across.ticks():
        body.append(f'<path class="rule" d="M{across.at(tick):.1f} {area.top}V{area.bottom}"/>')
        body.append(text_at(across.at(tick), area.bottom + 17, number(tick), anchor="middle"))
    for tick in up.ticks():
        body.append(f'<path class="rule" d="M{area.left} {up.at(tick):.1f}H{area.right}"/>')
        body.append(text_at(area.left - 7, up.at(tick) + 4, number(tick), anchor="end"))
    scale = lambda axis: ", logarithmic" if axis.logarithmic else ""  # noqa: E731
    body.append(text_at((area.left + area.right) / 2, height - 16, f"peak of memory, GiB{scale(across)}", anchor="middle"))
    body.append(text_at(area.left - 42, area.top - 9, f"seconds{scale(up)}"))
    for label in labels:
        if label.leader:
            (x, y), (to_x, to_y) = label.middle(), label.box.nearest(*label.middle())
            body.append(f'<path class="leader e{label.points[0].engine}" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>')
    body += [_mark(point) for point in points]
    for label in labels:
        for i, line in enumerate(label.lines):
            body.append(text_at(label.box.left + 1, label.box.top + LINE * i + 10, line, f"e{label.points[0].engine}"))
    return svg(width, height, title, body)


@dataclass(frozen=True)
class Bar:
    label: str
    share: float                # of the ceiling
    note: str


LONGEST = 1.25              # of the ceiling; longer bars (caches cause them) are cut there, and their note gives the value


def bars(title: str, subtitle: str, groups: list[tuple[str, list[Bar]]]) -> str:
    """Horizontal bars below headings; the dashed line is the ceiling."""
    width, row, head = 860, 21, 34
    left = 28 + max(text_width(bar.label) for _, group in groups for bar in group)
    right = width - 30 - max(text_width(bar.note) for _, group in groups for bar in group)
    most = max(1.0, *(min(bar.share, LONGEST) for _, group in groups for bar in group))
    length = lambda share: (right - left) * min(share, LONGEST) / most  # noqa: E731
    y, body = 62, [text_at(20, 28, title, "title"), text_at(20, 47, subtitle)]
    for heading, group in groups:
        y += head - 12
        body.append(text_at(20, y, heading, "strong"))
        y += 12
        top = y
        for bar in group:
            body.append(f'<rect class="track" x="{left:.1f}" y="{y}" width="{length(1):.1f}" height="{row - 6}"/>')
            body.append(f'<rect class="e0" stroke="none" x="{left:.1f}" y="{y}" width="{length(bar.share):.1f}" height="{row - 6}"/>')
            body.append(text_at(left - 8, y + 12, bar.label, anchor="end"))
            body.append(text_at(left + length(max(1, bar.share)) + 8, y + 12, bar.note))
            y += row
        body.append(f'<path class="limit" d="M{left + length(1):.1f} {top - 3}V{y - 3}"/>')
    return svg(width, y + 16, title, body)
