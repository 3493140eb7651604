"""The wiring picture of a model: modules as boxes in columns from signal to metastasis, an arrow for every coupling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cascade.specs import Model, Wire

COLUMNS = {
    "tgf_beta": 0,
    "wnt": 0,
    "notch": 0,
    "drivers": 0,
    "emt": 0,
    "csc_epi": 0,
    "hypoxia_vegf": 1,
    "pdl1_immune": 1,
    "microenvironment": 1,
    "invasion": 1,
    "primary_tumor": 2,
    "clone": 2,
    "circulation": 3,
    "organ_niche": 4,
    "disseminated_cells": 4,
    "lesions": 5,
    "endpoints": 6,
}
"""Column of the shipped modules; any other module stands in the first one."""

_FIGURE_WIDTH, _FIGURE_COLUMNS = 13.0, 6  # inches at which text and boxes of so many columns fit
_NAMED, _TITLE, _ROW = 6, 13, 24
"""A box of more members than this does not list them; characters that fit into a title and into a row at full size."""

_WIDTH, _PITCH, _LINE, _GAP = 2.9, 3.9, 0.25, 0.8
_SHADES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#A6761D", "#56B4E9", "#7570B3", "#444444", "#E69F00")


@dataclass(kw_only=True)
class Box:
    """One instance, or several of one module that are wired alike; sizes in the units of the picture."""

    members: tuple[str, ...]
    module: str
    outputs: tuple[str, ...]
    color: str
    x: float = 0.0
    y: float = 0.0
    level: int = 0

    @property
    def lines(self) -> list[str]:
        """What is written in the box under its title."""
        pairs = [self.members[i : i + 2] for i in range(0, len(self.members), 2)]
        rows = [row for pair in pairs for row in ([", ".join(pair)] if len(", ".join(pair)) <= _ROW else pair)]
        listed = 1 < len(self.members) <= _NAMED
        return (rows if listed else []) + [f"→ {name}" for name in self.outputs]

    @property
    def title(self) -> str:
        return self.members[0] if len(self.members) == 1 else f"{len(self.members)} × {self.module}"

    @property
    def height(self) -> float:
        return 0.5 + _LINE * len(self.lines)


def draw_wiring(model: Model, axis: Axes | None = None) -> Axes:
    """Draw which module drives which.

    Parameters
    ----------
    model : Model
        A composed model. Instances of one module are drawn as one box.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Boxes list the signals that a module sends; the arrows of a box have its color and end where they are read.
        The wider an arrow, the more signals.
    """
    if not model.instances:
        raise AnalysisError(f"model {model.name!r} knows no instances; draw the wiring of a composed model")
    boxes = _boxes(model)
    pairs = _pairs(model.wiring, boxes)
    _place(boxes)
    columns = len({box.x for box in boxes})
    scale = min(1.0, _FIGURE_COLUMNS / columns)
    if axis is None:
        import matplotlib.pyplot as plt

        axis = plt.subplots(figsize=(_FIGURE_WIDTH, 5.6), layout="constrained")[1]
    else:
        # text has a size in points, boxes in units of the axis: smaller axes get smaller text
        figure = axis.get_figure(root=True)
        assert figure is not None
        figure.draw_without_rendering()
        width = axis.get_window_extent().width / figure.dpi
        scale *= min(1.0, float(width) / _FIGURE_WIDTH)
    _draw_arrows(axis, boxes, pairs)
    for box in boxes:
        _draw_box(axis, box, scale)
    axis.set_aspect("equal")
    axis.autoscale_view()
    axis.margins(0.02)
    axis.axis("off")
    return axis


def _boxes(model: Model) -> list[Box]:
    by_module: dict[str, list[str]] = {}
    for instance, module in model.instances.items():
        by_module.setdefault(module, []).append(instance)
    sent: dict[str, dict[str, None]] = {module: {} for module in by_module}
    for wire in model.wiring:
        for writer in wire.writers:
            instance, _, port = writer.partition(".")
            sent[model.instances[instance]][port] = None
    ordered = sorted(by_module, key=lambda module: COLUMNS.get(module, 0))
    return [
        Box(members=tuple(by_module[m]), module=m, outputs=tuple(sent[m]), color=_SHADES[i % len(_SHADES)])
        for i, m in enumerate(ordered)
    ]


def _pairs(wiring: Iterable[Wire], boxes: list[Box]) -> list[tuple[int, int, int]]:
    """Writer, reader and number of signals of every coupled pair of boxes."""
    home = {member: index for index, box in enumerate(boxes) for member in box.members}
    signals: dict[tuple[int, int], set[str]] = {}
    for wire in wiring:
        reader = home[wire.reader.partition(".")[0]]
        for writer in wire.writers:
            instance, _, port = writer.partition(".")
            signals.setdefault((home[instance], reader), set()).add(port)
    return [(a, b, len(ports)) for (a, b), ports in sorted(signals.items()) if a != b]


def _place(boxes: list[Box]) -> None:
    columns: dict[int, list[Box]] = {}
    for box in boxes:
        columns.setdefault(COLUMNS.get(box.module, 0), []).append(box)
    for position, number in enumerate(sorted(columns)):
        stack = columns[number]
        top = (sum(box.height for box in stack) + _GAP * (len(stack) - 1)) / 2
        for box in stack:
            box.x, box.y = position * _PITCH, top - box.height / 2
            top -= box.height + _GAP
        if len(stack) > 1:
            stack[0].level, stack[-1].level = 1, -1


def _draw_box(axis: Axes, box: Box, scale: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (box.x - _WIDTH / 2, box.y - box.height / 2)
    shape = "round,pad=0,rounding_size=0.1"
    axis.add_patch(
        FancyBboxPatch(corner, _WIDTH, box.height, boxstyle=shape, facecolor="white", edgecolor=box.color,
                       linewidth=1.8, zorder=3)
    )  # fmt: skip
    top = box.y + box.height / 2
    axis.text(box.x, top - 0.25, box.title, ha="center", va="center", fontweight="bold", color=box.color, zorder=4,
              fontsize=10.5 * scale * min(1, _TITLE / len(box.title)))  # fmt: skip
    for row, line in enumerate(box.lines):
        height = top - 0.5 - _LINE * (row + 0.35)
        axis.text(box.x - _WIDTH / 2 + 0.12, height, line, ha="left", va="center", fontsize=7.6 * scale,
                  color="#333333", zorder=4)  # fmt: skip


def _draw_arrows(axis: Axes, boxes: list[Box], pairs: list[tuple[int, int, int]]) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    anchors = _Anchors(boxes, pairs)
    for start, end, count in pairs:
        points = anchors.route(start, end)
        arrow = FancyArrowPatch(
            path=Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]),
            arrowstyle="-|>", mutation_scale=11, linewidth=0.8 + 0.35 * min(count, 6), color=boxes[start].color,
            alpha=0.8, zorder=2, shrinkA=0, shrinkB=0,
        )  # fmt: skip
        axis.add_patch(arrow)
        axis.update_datalim([points[0], points[3], _middle(points)])


def _middle(points: list[Any]) -> tuple[float, float]:
    """Half way along a cubic curve."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points
    return (x0 + 3 * x1 + 3 * x2 + x3) / 8, (y0 + 3 * y1 + 3 * y2 + y3) / 8


class _Anchors:
    """Spreads the ends of arrows along the sides of the boxes so that none lies on another."""

    def __init__(self, boxes: list[Box], pairs: list[tuple[int, int, int]]) -> None:
        self.boxes = boxes
        self.ends: dict[tuple[int, str], list[tuple[float, tuple[int, int]]]] = {}
        for a, b, _ in pairs:
            side_a, side_b = self.sides(a, b)
            self.ends.setdefault((a, side_a), []).append((self._key(side_a, b), (a, b)))
            self.ends.setdefault((b, side_b), []).append((self._key(side_b, a), (a, b)))
        for end in self.ends.values():
            end.sort()

    def sides(self, a: int, b: int) -> tuple[str, str]:
        """Side on which an arrow leaves `a` and enters `b`."""
        first, second = self.boxes[a], self.boxes[b]
        step = round((second.x - first.x) / _PITCH)
        if abs(step) == 1:
            return ("right", "left") if step == 1 else ("left", "right")
        if step == 0:
            return ("bottom", "top") if first.y > second.y else ("top", "bottom")
        return ("top", "top") if (first.level or second.level or step) > 0 else ("bottom", "bottom")

    def _key(self, side: str, other: int) -> float:
        return -self.boxes[other].y if side in ("left", "right") else self.boxes[other].x

    def point(self, box: int, side: str, pair: tuple[int, int]) -> tuple[float, float]:
        """Where the arrow of a pair meets a side of a box."""
        here = [p for _, p in self.ends[(box, side)]]
        share = (here.index(pair) + 1) / (len(here) + 1) - 0.5
        b = self.boxes[box]
        if side in ("left", "right"):
            return b.x + (_WIDTH / 2 if side == "right" else -_WIDTH / 2), b.y - share * b.height
        return b.x + share * _WIDTH, b.y + (b.height / 2 if side == "top" else -b.height / 2)

    def route(self, a: int, b: int) -> list[Any]:
        """Return the four control points of the curve from `a` to `b`."""
        side_a, side_b = self.sides(a, b)
        start, end = self.point(a, side_a, (a, b)), self.point(b, side_b, (a, b))
        if side_a in ("left", "right"):
            reach = 0.5 * (end[0] - start[0])
            return [start, (start[0] + reach, start[1]), (end[0] - reach, end[1]), end]
        if side_a != side_b:
            reach = 0.5 * (end[1] - start[1])
            return [start, (start[0], start[1] + reach), (end[0], end[1] - reach), end]
        sign = 1 if side_a == "top" else -1
        rise = 0.5 + 0.17 * abs(end[0] - start[0])
        level = sign * (max(sign * start[1], sign * end[1]) + rise)
        return [start, (start[0], level), (end[0], level), end]
