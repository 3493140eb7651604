"""The one picture of the concepts: the way of the cells above, the way of the data below, and what joins them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELLS = (
    ("primary tumor", "signaling, EMT,\nimmunity, vessels,\ngrowth", "clone, primary_tumor,\ntgf_beta, emt, wnt, …"),
    ("invasion", "through membrane\nand matrix", "invasion,\nhypoxia_vegf"),
    ("blood and lymph", "single, cloaked,\nin clusters", "circulation"),
    ("arrest in organs", "first beds, then\nby soil", "organ_niche"),
    ("dormancy", "single cells at rest,\nawakened or dead", "disseminated_cells"),
    ("lesions", "avascular, then\ngrowing", "lesions"),
    ("overt metastasis", "hazard by organ\nand year", "endpoints"),
)
DATA = (
    ("modules", "structure and a table\nof numbers with\nunit and source", "load_module\nread_module"),
    ("composition", "ports joined,\nunits checked", "load_composition"),
    ("model", "one SBML, treated\nby events in it", "compose\ntreat"),
    ("runs", "one patient or\nthousands", "simulate\nevaluate"),
    ("readouts", "risk, first site,\ntime to relapse", "readout"),
    ("ranking", "targets with\nintervals", "rank_targets\nwaterfall"),
    ("report, export", "a page; files for\nother tools", "write_report\nexport"),
)
_BLUE, _ORANGE, _WIDTH, _PITCH = "#0072B2", "#D55E00", 2.15, 2.6


def draw_picture(path: Path) -> None:
    """Draw the picture as SVG; the same input gives the same bytes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with matplotlib.rc_context({"svg.hashsalt": "cascade", "font.family": "DejaVu Sans"}):
        figure, axis = plt.subplots(figsize=(15, 6.4))
        axis.set(xlim=(-0.3, _PITCH * len(CELLS) - 0.1), ylim=(-0.5, 7.6))
        axis.set_axis_off()
        _strip(axis, CELLS, 4.25, _ORANGE, "What happens in the body, and the modules that model it")
        _strip(axis, DATA, 0.0, _BLUE, "What you do, and the functions that do it")
        axis.annotate(
            "", (_WIDTH / 2, 3.12), (_WIDTH / 2, 4.1), arrowprops={"arrowstyle": "-|>", "color": "#666666", "lw": 1.4}
        )
        axis.text(
            _WIDTH / 2 + 0.15, 3.62, "every step of the cascade is a folder", va="center", color="#444444", fontsize=10
        )
        figure.subplots_adjust(0, 0, 1, 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _strip(axis: Axes, boxes: tuple[tuple[str, str, str], ...], y: float, color: str, title: str) -> None:
    axis.text(0, y + 2.95, title, fontsize=13, color="#222222", weight="bold")
    for number, (name, text, made_by) in enumerate(boxes):
        x = number * _PITCH
        _box(axis, x, y, color)
        middle = x + _WIDTH / 2
        axis.text(middle, y + 2.25, name, ha="center", va="center", fontsize=11, weight="bold", color=color)
        axis.text(middle, y + 1.45, text, ha="center", va="center", fontsize=9.5, color="#222222")
        axis.text(
            middle, y + 0.45, made_by, ha="center", va="center", fontsize=8, color="#555555", family="DejaVu Sans Mono"
        )
        if number:
            start, end = (x - _PITCH + _WIDTH + 0.04, y + 1.4), (x - 0.04, y + 1.4)
            axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.8})


def _box(axis: Axes, x: float, y: float, color: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    shape = {
        "boxstyle": "round,pad=0,rounding_size=0.12",
        "facecolor": color + "12",
        "edgecolor": color,
        "linewidth": 1.4,
    }
    axis.add_patch(FancyBboxPatch((x, y), _WIDTH, 2.6, **shape))
