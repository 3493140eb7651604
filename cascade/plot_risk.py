"""Plots of predicted risk: is it calibrated, does it beat size alone, what carries it, and what is worth measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade._style import COLORS, GREY, clean, new_axis, wrap
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

SHOWN = 15
"""Biomarkers, or measurements, that are drawn."""

_PREDICTORS = (("risk", "biomarkers"), ("risk_against", "against"), ("risk_exact", "exact"))


def calibration(fit: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw observed against predicted risk, out of fold, with 95 % limits.

    Parameters
    ----------
    fit : xarray.Dataset
        Result of `cascade.fit_risk`.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    _require(fit, "calibration_observed", "fit_risk")
    axis = new_axis(axis, (4.4, 4.2))
    x, y = 100 * fit["calibration_predicted"].values, 100 * fit["calibration_observed"].values
    below, above = y - 100 * fit["calibration_lower"].values, 100 * fit["calibration_upper"].values - y
    top = max(float((y + above).max()), float(x.max())) * 1.05
    axis.plot([0, top], [0, top], color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    axis.errorbar(
        x, y, [below.clip(0), above.clip(0)], fmt="o", color=COLORS[0], markersize=4, elinewidth=1.2, zorder=2
    )
    axis.set_xlim(0, top)
    axis.set_ylim(0, top)
    axis.set_xlabel("predicted risk (%)", fontsize=10)
    axis.set_ylabel(f"metastasis within {fit.attrs['horizon']:g} years (%)", fontsize=10)
    lines = [
        _score(fit, name, "biomarkers", label) for name, label in (("calibration_slope", "slope"), ("brier", "Brier"))
    ]
    axis.text(0.04, 0.96, "\n".join(lines), transform=axis.transAxes, va="top", fontsize=8.5, color="#333333")
    clean(axis, grid="both")
    return axis


def roc(fit: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw sensitivity against false positives of the biomarkers, of what they are held against, and of the model.

    Parameters
    ----------
    fit : xarray.Dataset
        Result of `cascade.fit_risk`.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Curves pool the folds; the areas in the legend compare patients inside folds only.
    """
    _require(fit, "case", "fit_risk")
    axis = new_axis(axis, (4.4, 4.2))
    names = {"biomarkers": "biomarkers", "against": str(fit.attrs["against"]) or "size", "exact": "all of the model"}
    axis.plot([0, 100], [0, 100], color=GREY, linewidth=0.9, linestyle="--")
    for (variable, predictor), color in zip(_PREDICTORS, COLORS, strict=False):
        if variable in fit:
            false, true = _curve(fit[variable].values, fit["case"].values, fit["control"].values)
            label = _score(fit, "auc", predictor, wrap(names[predictor], 24))
            style = ":" if predictor == "exact" else "-"
            axis.plot(100 * false, 100 * true, color=color, linewidth=1.7, linestyle=style, label=label)
    axis.set_xlabel("patients without metastasis called at risk (%)", fontsize=10)
    axis.set_ylabel("patients with metastasis called at risk (%)", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="lower right", title="AUC (95 % limits)", title_fontsize=8)
    clean(axis, grid="both")
    return axis


def importance(fit: xr.Dataset, axis: Axes | None = None, *, of: str = "risk", top: int = SHOWN) -> Axes:
    """Draw how much worse the prediction is when a biomarker is permuted, with 95 % limits.

    Parameters
    ----------
    fit : xarray.Dataset
        Result of `cascade.fit_risk`.
    axis : matplotlib.axes.Axes, optional
    of : str
        "risk", "site" (the first organ, given a metastasis), or the name of an organ.
    top : int

    Returns
    -------
    matplotlib.axes.Axes
        Gray where the limits hold 0.

    Raises
    ------
    AnalysisError
        If the fit tells nothing of sites.
    UnknownNameError
        If `of` is no organ.
    """
    _require(fit, "importance", "fit_risk")
    if of != "risk" and "site_importance" not in fit:
        raise AnalysisError(f"the fit tells nothing of sites: {fit.attrs.get('site_reason', 'no sites')}")
    prefix = {"risk": "importance", "site": "site_importance"}.get(of, "site_importance_organ")
    three = [fit[prefix + end] for end in ("", "_lower", "_upper")]
    if prefix == "site_importance_organ":
        organs = [str(organ) for organ in fit["organ"].values]
        if of not in organs:
            raise unknown_name("organ", of, ["risk", "site", *organs], "the fit")
        three = [each.sel(organ=of) for each in three]
    label = {"risk": "risk", "site": "first organ"}.get(of, of.replace("_", " "))
    names = [str(name) for name in fit["feature"].values]
    return _forest(
        axis, names, [each.values for each in three], f"loss of log score for {label} when permuted (nat)", top
    )


def value(dataset: xr.Dataset, axis: Axes | None = None, *, threshold: float | None = None, top: int = SHOWN) -> Axes:
    """Draw what each measurement is worth to the decision, with 95 % limits, and what none can exceed.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.value_of_measurement`.
    axis : matplotlib.axes.Axes, optional
    threshold : float, optional
        By default the first.
    top : int

    Returns
    -------
    matplotlib.axes.Axes
    """
    one = _at(dataset, threshold)
    scale, unit = (
        (100, "avoided metastases of 100 patients") if "metastases" in dataset.attrs["value_unit"] else (1, "utility")
    )
    three = [scale * one[f"value{end}"].values for end in ("", "_lower", "_upper")]
    names = [str(name) for name in one["measurement"].values]
    axis = _forest(axis, names, three, f"value of the measurement ({unit})", top)
    perfect = scale * float(one["perfect_value"])
    axis.axvline(perfect, color=GREY, linestyle=":", linewidth=1.2)
    axis.annotate(
        "perfect\nknowledge", (perfect, 1), (3, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
        va="top", fontsize=8, color=GREY, annotation_clip=False,
    )  # fmt: skip
    return axis


def net_benefit(dataset: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw the decision curve: net benefit of every strategy against the smallest benefit worth a treatment.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.value_of_measurement` with several thresholds.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    AnalysisError
        If there is one threshold only.
    """
    _require(dataset, "net_benefit", "value_of_measurement")
    if dataset.sizes["threshold"] < 2:
        raise AnalysisError("a decision curve needs several thresholds; give value_of_measurement a sequence")
    axis = new_axis(axis, (5.6, 3.8))
    shown = dataset.sortby("threshold")
    for place, name in enumerate(map(str, shown["strategy"].values)):
        plain = name.startswith("all: ") or name in ("known", "perfect")
        style = "--" if name.startswith("all: ") else ":" if plain else "-"
        color = GREY if name in ("known", "perfect") else COLORS[place % len(COLORS)]
        curve = 100 * shown["net_benefit"].sel(strategy=name).values
        axis.plot(100 * shown["threshold"].values, curve, style, color=color, linewidth=1.5, label=wrap(name, 26))
    axis.set_xlabel("smallest benefit worth a treatment (percentage points)", fontsize=10)
    axis.set_ylabel("net benefit (of 100 patients)", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    clean(axis, grid="both")
    return axis


def _require(dataset: xr.Dataset, name: str, maker: str) -> None:
    if name not in dataset:
        raise AnalysisError(f"the dataset holds no {name!r}; give a result of {maker}")


def _at(dataset: xr.Dataset, threshold: float | None) -> xr.Dataset:
    _require(dataset, "perfect_value", "value_of_measurement")
    known = dataset["threshold"].values.tolist()
    if threshold is None:
        return dataset.isel(threshold=0)
    if threshold not in known:
        raise AnalysisError(
            f"threshold {threshold!r} was not computed; known: {', '.join(f'{one:g}' for one in known)}"
        )
    return dataset.isel(threshold=known.index(threshold))


def _score(fit: xr.Dataset, score: str, predictor: str, label: str) -> str:
    three = [float(fit[f"score_{end}"].sel(score=score, predictor=predictor)) for end in ("value", "lower", "upper")]
    return "{} {:.2f} ({:.2f} to {:.2f})".format(label, *three)


def _curve(
    risk: NDArray[np.float64], case: NDArray[np.float64], control: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of controls and of cases above each risk."""
    import numpy as np

    order = np.argsort(-risk, kind="stable")
    last = np.append(np.flatnonzero(np.diff(risk[order])), len(risk) - 1)
    shares = [np.concatenate([[0.0], np.cumsum(each[order])[last] / each.sum()]) for each in (control, case)]
    return shares[0], shares[1]


def _forest(axis: Axes | None, names: list[str], three: list[NDArray[np.float64]], label: str, top: int) -> Axes:
    import numpy as np

    middle, low, high = three
    order = np.argsort(-middle, kind="stable")[:top]
    axis = new_axis(axis, (5.6, 0.9 + 0.28 * len(order)))
    for row, place in enumerate(order):
        color = COLORS[0] if low[place] > 0 or high[place] < 0 else "#999999"
        axis.plot([low[place], high[place]], [row, row], color=color, linewidth=1.6)
        axis.plot(middle[place], row, "o", color=color, markersize=4.5)
    axis.axvline(0, color="#333333", linewidth=0.9)
    axis.set_yticks(range(len(order)), [wrap(names[place], 30) for place in order])
    axis.set_ylim(len(order) - 0.4, -0.6)
    axis.set_xlabel(label, fontsize=10)
    clean(axis, grid="x")
    axis.tick_params(axis="y", length=0)
    return axis
