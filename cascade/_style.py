"""The look of the plots: colors that everybody can tell apart, units for readers, quiet axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cascade._files import written

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 160

# The palette of Okabe and Ito: told apart by readers with any form of color blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
STAGE_COLORS = {
    "signaling": "#0072B2",
    "vessels": "#D55E00",
    "immunity": "#009E73",
    "invasion": "#E69F00",
    "intravasation": "#A6761D",
    "circulation": "#CC79A7",
    "niche": "#56B4E9",
    "dormancy": "#7570B3",
    "colonization": "#444444",
}
EVIDENCE_COLORS = {"measured": "#0072B2", "fitted": "#56B4E9", "inferred": "#E69F00", "assumed": "#D55E00"}
GREY = "#666666"
_POWERS = str.maketrans("23456789", "²³⁴⁵⁶⁷⁸⁹")


def unit_label(unit: str) -> str:
    """Write a unit id as a reader expects it: `per_nM2_per_day` becomes `1/(nM² day)`, `dimensionless` nothing."""
    over: list[str] = []
    under: list[str] = []
    side = over
    for word in unit.split("_"):
        if word == "per":
            side = under
        elif word and word != "dimensionless":
            power = word[-1].translate(_POWERS) if word[-1].isdigit() else ""
            base = word.rstrip("23456789")
            side.append({"um": "µm", "uM": "µM"}.get(base, base) + power)
    if not under:
        return " ".join(over)
    below = under[0] if len(under) == 1 else "(" + " ".join(under) + ")"
    return f"{' '.join(over) or '1'}/{below}"


def new_axis(axis: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axis that was given, or one in a new figure of this size in inches."""
    if axis is not None:
        return axis
    import matplotlib.pyplot as plt

    return cast("Axes", plt.subplots(figsize=size, layout="constrained")[1])


def clean(axis: Axes, *, grid: str = "y") -> None:
    """Take away what carries no data."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis=grid, color="#e6e6e6", linewidth=0.8)  # type: ignore[arg-type]
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=9)


def wrap(text: str, width: int) -> str:
    """Break a long label into lines."""
    from textwrap import fill

    return fill(text, width)


def legend(axis: Axes, colors: dict[str, str]) -> None:
    """Put a legend of colors above the axis, where it hides nothing."""
    from matplotlib.patches import Patch

    if colors:
        handles = [Patch(color=color, label=label) for label, color in colors.items()]
        axis.legend(
            handles=handles,
            frameon=False,
            fontsize=8.5,
            ncols=min(5, len(handles)),
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            handlelength=1.0,
            handleheight=1.0,
            columnspacing=1.2,
            borderaxespad=0.2,
        )


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of a size in inches that no window shows."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def embed(figure: Figure, path: Path | None = None) -> str:
    """Return a figure as the source of an HTML image, and write it to a file if one is given."""
    import base64
    from io import BytesIO

    picture = BytesIO()
    figure.savefig(picture, dpi=_DPI, format="png")
    if path is not None:
        with written(path) as beside:
            beside.write_bytes(picture.getvalue())
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def render(template: str, context: dict[str, Any]) -> str:
    """Fill a page template; texts are escaped."""
    from pathlib import Path

    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(context)
